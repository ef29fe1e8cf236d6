"""The measures of a probe by name, each ready to be drawn again and again for an interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.errors import UsageError
from dawnchorus.metrics.checks import only_class, truth_and_scores
from dawnchorus.metrics.classes import macro_recall, top_k_accuracy
from dawnchorus.metrics.ranking import Column, any_class, columns, defined_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Statistic = Callable[[NDArray[np.intp]], float]


def statistic(measure: str, truth: NDArray[Any], scores: NDArray[Any]) -> Statistic:
    """A measure as a function of the items that are looked at.

    Classes are ranked once, so that a thousand draws cost no further sort. Of all items the value
    is that of the function with the measure's name. A class that a draw happens to miss is left out
    of that draw by all means over classes: counting it as 0 would push `beans_map`'s intervals
    below its value.

    Args:
        measure: one of `MEASURES`.
        truth: ``(items, classes)`` of 0 and 1.
        scores: ``(items, classes)``.

    Returns:
        From indices of items, which may repeat, to the score; it raises `TaskError` where that is
        undefined.

    Raises:
        UsageError: There is no such measure.
    """
    if measure not in MEASURES:
        raise UsageError(f"no measure is called {measure!r}; known: {', '.join(sorted(MEASURES))}")
    truth, scores = truth_and_scores(truth, scores, 2)
    return MEASURES[measure](truth, scores)


def _accuracy(truth: NDArray[Any], scores: NDArray[Any]) -> Statistic:
    right = only_class(truth) == scores.argmax(axis=1)
    return lambda items: float(np.mean(right[items]))


def _macro_recall(truth: NDArray[Any], scores: NDArray[Any]) -> Statistic:
    own, guess = only_class(truth), scores.argmax(axis=1)
    return lambda items: macro_recall(own[items], guess[items])


def _top_5_accuracy(truth: NDArray[Any], scores: NDArray[Any]) -> Statistic:
    own = only_class(truth)
    return lambda items: top_k_accuracy(own[items], scores[items], 5)


def _beans_map(truth: NDArray[Any], scores: NDArray[Any]) -> Statistic:
    share = float(truth.any(axis=0).mean())
    present = _mean_of(Column.average_precision, "BEANS mAP", truth, scores)
    return lambda items: share * present(items)


def _cmap(truth: NDArray[Any], scores: NDArray[Any]) -> Statistic:
    return _mean_of(Column.average_precision, "cmAP", truth, scores)


def _macro_roc_auc(truth: NDArray[Any], scores: NDArray[Any]) -> Statistic:
    return _mean_of(Column.roc_auc, "macro ROC AUC", truth, scores)


def _micro_average_precision(truth: NDArray[Any], scores: NDArray[Any]) -> Statistic:
    n_classes = truth.shape[1]
    flat = _mean_of(
        Column.average_precision, "micro AP", truth.reshape(-1, 1), scores.reshape(-1, 1)
    )
    return lambda items: flat((items[:, None] * n_classes + np.arange(n_classes)).ravel())


def _call_roc_auc(truth: NDArray[Any], scores: NDArray[Any]) -> Statistic:
    calls, highest = any_class(truth, scores)
    return _mean_of(Column.roc_auc, "call ROC AUC", calls[:, None], highest[:, None])


def _mean_of(
    score: Callable[[Column, NDArray[np.float64]], float],
    what: str,
    truth: NDArray[Any],
    scores: NDArray[Any],
) -> Statistic:
    ranked, n_items = columns(truth, scores), len(truth)

    def of(items: NDArray[np.intp]) -> float:
        weights = np.bincount(items, minlength=n_items).astype(np.float64)
        return defined_mean(np.array([score(column, weights) for column in ranked]), what)

    return of


MEASURES: Final[dict[str, Callable[[NDArray[Any], NDArray[Any]], Statistic]]] = {
    "accuracy": _accuracy,
    "macro_recall": _macro_recall,
    "top_5_accuracy": _top_5_accuracy,
    "beans_map": _beans_map,
    "cmap": _cmap,
    "micro_average_precision": _micro_average_precision,
    "macro_roc_auc": _macro_roc_auc,
    "call_roc_auc": _call_roc_auc,
}
