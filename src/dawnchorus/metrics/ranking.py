"""Scores of a ranking: average precision and ROC AUC, and their means over classes.

Items of equal score share their place: what a score is never hangs on how a sort broke a tie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dawnchorus.errors import TaskError
from dawnchorus.metrics.checks import truth_and_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Scores = NDArray[Any]
    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Items ranked by one column of scores, so that any sample of them is scored without a sort.

    Attributes:
        order: ``(n,)`` items from the highest score down.
        last_of_tie: positions in ``order`` where a run of equal scores ends.
        positive: ``(n,)`` of 0 and 1, in that order.
    """

    order: NDArray[np.intp]
    last_of_tie: NDArray[np.intp]
    positive: Floats

    @classmethod
    def ranked(cls, truth: Flags, scores: Scores) -> Column:
        """Sort once."""
        order = np.argsort(scores)[::-1]
        last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
        return cls(order, last, truth[order].astype(np.float64))

    def average_precision(self, weights: Floats | None = None) -> float:
        """Area under the steps of precision over recall; nan without a positive.

        Args:
            weights: ``(n,)`` how often each item is there; None: once.
        """
        hits, ranked = self._steps(weights)
        if hits[-1] == 0:
            return float("nan")
        gained = np.diff(hits, prepend=0.0)
        defined = gained > 0
        return float(np.sum(gained[defined] * (hits[defined] / ranked[defined])) / hits[-1])

    def roc_auc(self, weights: Floats | None = None) -> float:
        """Share of pairs in right order, ties half; nan without a positive or a negative."""
        hits, ranked = self._steps(weights)
        false = ranked - hits
        if hits[-1] == 0 or false[-1] == 0:
            return float("nan")
        above = hits - np.diff(hits, prepend=0.0) / 2
        return float(np.sum(np.diff(false, prepend=0.0) * above) / (hits[-1] * false[-1]))

    def _steps(self, weights: Floats | None) -> tuple[Floats, Floats]:
        """Positives found and items ranked after each distinct score, from the highest down."""
        if weights is None:
            rank: Floats = (self.last_of_tie + 1).astype(np.float64)
            return np.cumsum(self.positive)[self.last_of_tie], rank
        weights = weights[self.order]
        hits: Floats = np.cumsum(weights * self.positive)[self.last_of_tie]
        ranked: Floats = np.cumsum(weights)[self.last_of_tie]
        return hits, ranked


def average_precision(truth: Flags, scores: Scores) -> float:
    """Area under the precision-recall steps; items of equal score count as one step.

    Args:
        truth: ``(n,)``, which items are positive.
        scores: ``(n,)``, higher is more positive.

    Raises:
        TaskError: There is no positive item, so precision has no meaning.
    """
    truth, scores = truth_and_scores(truth, scores, 1)
    if not truth.any():
        raise TaskError("average precision: no item is positive")
    return Column.ranked(truth, scores).average_precision()


def roc_auc(truth: Flags, scores: Scores) -> float:
    """Probability that a positive item scores higher than a negative one; ties count half.

    Raises:
        TaskError: All items are positive, or none is.
    """
    truth, scores = truth_and_scores(truth, scores, 1)
    n_positive, n_negative = int(truth.sum()), int((~truth).sum())
    if not n_positive or not n_negative:
        raise TaskError(
            f"ROC AUC: {n_positive} positive and {n_negative} negative items; need both"
        )
    return Column.ranked(truth, scores).roc_auc()


def average_precisions(truth: NDArray[Any], scores: Scores) -> Floats:
    """`average_precision` of each class, nan for a class that no item has.

    Args:
        truth: ``(items, classes)`` of 0 and 1.
        scores: ``(items, classes)``.
    """
    return np.array([column.average_precision() for column in columns(truth, scores)])


def roc_aucs(truth: NDArray[Any], scores: Scores) -> Floats:
    """`roc_auc` of each class, nan for a class that no item or every item has."""
    return np.array([column.roc_auc() for column in columns(truth, scores)])


def mean_average_precision(truth: NDArray[Any], scores: Scores) -> float:
    """Mean of `average_precision` over the classes that have a positive item (macro).

    Args:
        truth: ``(items, classes)`` of 0 and 1.
        scores: ``(items, classes)``.

    Raises:
        TaskError: No class has a positive item.
    """
    return defined_mean(average_precisions(truth, scores), "mean average precision")


def cmap(truth: NDArray[Any], scores: Scores) -> float:
    """BirdSet's cmAP: `mean_average_precision`, classes without a positive left out.

    Source: BirdSet as pinned to torchmetrics 1.2; later versions count such classes as 0, which is
    `beans_map`.
    """
    return mean_average_precision(truth, scores)


def beans_map(truth: NDArray[Any], scores: Scores) -> float:
    """BEANS' mAP: mean over all classes, where a class without a positive counts 0.

    Source: BEANS. Its ranking breaks ties by chance; here items of equal score share a step.

    Raises:
        TaskError: No class has a positive item.
    """
    values = average_precisions(truth, scores)
    defined_mean(values, "BEANS mAP")
    return float(np.mean(np.nan_to_num(values, nan=0.0)))


def cmap5(truth: NDArray[Any], scores: Scores, *, n_positive: int = 5) -> float:
    """Mean of `average_precision` over the classes with at least ``n_positive`` positive items.

    The published code of cmAP5 averages before it leaves classes out, so published figures are
    plain `cmap` and not comparable.

    Raises:
        TaskError: No class has so many.
    """
    truth, scores = truth_and_scores(truth, scores, 2)
    often = truth.sum(axis=0) >= n_positive
    if not often.any():
        raise TaskError(f"cmAP5: no class has {n_positive} positive items")
    return mean_average_precision(truth[:, often], scores[:, often])


def pcmap(truth: NDArray[Any], scores: Scores, *, n_padded: int = 5) -> float:
    """BirdSet's padded cmAP: all classes count, each with ``n_padded`` sure hits added.

    Args:
        truth: ``(items, classes)`` of 0 and 1.
        scores: ``(items, classes)``, probabilities, since the added hits score 1.
        n_padded: items added that have every label and score 1 for each.

    Raises:
        TaskError: A score lies outside 0 to 1.
    """
    truth, scores = truth_and_scores(truth, scores, 2)
    if scores.min() < 0 or scores.max() > 1:
        raise TaskError("pcmAP: needs probabilities, found scores outside 0 to 1; apply a sigmoid")
    shape = (n_padded, truth.shape[1])
    return mean_average_precision(
        np.vstack([truth, np.ones(shape, bool)]), np.vstack([scores, np.ones(shape, scores.dtype)])
    )


def micro_average_precision(truth: NDArray[Any], scores: Scores) -> float:
    """`average_precision` over all pairs of item and class in one ranking.

    Raises:
        TaskError: No class has a positive item.
    """
    truth, scores = truth_and_scores(truth, scores, 2)
    return average_precision(truth.ravel(), scores.ravel())


def macro_roc_auc(
    truth: NDArray[Any], scores: Scores, *, undefined: Literal["left out", "zero"] = "left out"
) -> float:
    """Mean of `roc_auc` over classes.

    Args:
        truth: ``(items, classes)`` of 0 and 1.
        scores: ``(items, classes)``.
        undefined: what becomes of a class that no item or every item has: ``zero`` counts it as 0,
            as BirdSet's AUROC does.

    Raises:
        TaskError: No class has both positive and negative items.
    """
    values = roc_aucs(truth, scores)
    mean = defined_mean(values, "macro ROC AUC")
    return mean if undefined == "left out" else float(np.mean(np.nan_to_num(values, nan=0.0)))


def call_roc_auc(truth: NDArray[Any], scores: Scores) -> float:
    """ROC AUC of the question whether any class sounds at all, by the highest of the scores.

    Raises:
        TaskError: Every item has a class, or none has.
    """
    return roc_auc(*any_class(truth, scores))


def any_class(truth: NDArray[Any], scores: Scores) -> tuple[NDArray[np.bool_], Scores]:
    """Whether an item has a class, and the highest score of any: both ``(items,)``."""
    truth, scores = truth_and_scores(truth, scores, 2)
    called: NDArray[np.bool_] = np.logical_or.reduce(truth, axis=1)
    return called, scores.max(axis=1)


def columns(truth: NDArray[Any], scores: Scores) -> list[Column]:
    """Each class's ranking."""
    truth, scores = truth_and_scores(truth, scores, 2)
    return [Column.ranked(truth[:, k], scores[:, k]) for k in range(truth.shape[1])]


def defined_mean(values: Floats, what: str) -> float:
    """Mean over the classes that have a score."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        raise TaskError(f"{what}: none of {len(values)} classes has the items that it needs")
    return float(np.mean(defined))
