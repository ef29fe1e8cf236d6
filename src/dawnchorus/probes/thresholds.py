"""The threshold that each class needs for a target precision or recall, and how sure it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.errors import TaskError, UsageError
from dawnchorus.probes.folds import grouped_folds, number_groups
from dawnchorus.probes.ranked import MIN_FOUND, Goal, RankedItems, chosen_steps, rank_items
from dawnchorus.probes.shares import (
    clustered_share,
    least_items,
    least_shares,
    lower_bound,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Rows = NDArray[np.int64]

MIN_POSITIVE: Final = 5  # clips of a class; with fewer there is no threshold
CONFIDENCE: Final = 0.8  # at most one fit in five gives a threshold that misses its target
N_DRAWS: Final = 200  # of groups, for the interval of the threshold
DRAWN_VALUES: Final = 1 << 20  # draws times items in memory: arrays of 8 MB
SHORT: Final = 0.1  # below the target by more than this is worth a remark
PRECISION: Final = ("precision", "precision_low", "precision_high")
RECALL: Final = ("recall", "recall_low", "recall_high")
FOLDS: Final = 10  # on each of which the thresholds that the others set are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassThreshold:
    """The threshold of one class, and what it gives elsewhere; intervals are of 95%.

    Attributes:
        label: the class.
        value: the lowest that is shown to reach the target precision, or the highest that reaches
            the target recall, halfway to the next lower score. None: ``reason`` says why.
        confidence: with which the target holds on other recordings; 0: it is what did best on these
            clips, and is about as often missed as met on others.
        low, high: where other draws of the same recordings put it, None where fewer than half of
            them reach the target.
        precision, precision_low, precision_high: of scores that reach it, None where none does.
        recall, recall_low, recall_high: share of the positives that reach it.
        n_positive: clips of the class.
        n_groups: recordings they are of.
        reason: why there is no value, or what to watch out for; empty otherwise.
    """

    label: str
    value: float | None
    n_positive: int
    n_groups: int
    confidence: float = 0.0
    low: float | None = None
    high: float | None = None
    precision: float | None = None
    precision_low: float | None = None
    precision_high: float | None = None
    recall: float | None = None
    recall_low: float | None = None
    recall_high: float | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def find_thresholds(
    probabilities: Floats,
    truth: NDArray[np.generic],
    classes: Sequence[str],
    groups: NDArray[np.generic] | None = None,
    *,
    precision: float | None = None,
    recall: float | None = None,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> list[ClassThreshold]:
    """The threshold of each class for a target precision or recall.

    The best of many scores looks better than it is, the more so the fewer clips there are. So with
    a ``confidence`` the target has to be shown, see `dawnchorus.probes.ranked`: over all fits to
    clips like these, a share of at most ``1 - confidence`` gives a threshold that misses it.

    The target is not measured on the clips that set the threshold: all groups but a tenth set one,
    which is tried on that tenth. What is measured can lie below the target. With a confidence, the
    other one of precision and recall is that of all clips; without, it is measured like the target.
    Intervals are those of `dawnchorus.probes.shares`.

    Args:
        probabilities: ``(items, classes)`` of items that neither the probe nor its calibration was
            fitted on.
        truth: the same shape, 0 and 1.
        classes: names.
        groups: ``(items,)``; None: every item is its own.
        precision: target share of the detections of a class that are right, 0 to 1.
        recall: target share of its clips that are found, 0 to 1. One of the two.
        confidence: with which it has to hold for clips of other groups, under 1; 0: the threshold
            that does best on these.
        seed: of the draws of groups.

    Raises:
        UsageError: Neither or both are given, or not between 0 and 1.
        TaskError: The arrays do not fit.
    """
    target = _target(precision, recall)
    if not 0 <= confidence < 1:
        raise UsageError(f"thresholds: confidence {confidence}; need 0 or more, and under 1")
    hot = np.asarray(truth) > 0
    if probabilities.shape != hot.shape or hot.shape[1] != len(classes):
        raise TaskError(
            f"thresholds: scores {probabilities.shape}, labels {hot.shape}, {len(classes)} classes"
        )
    group = number_groups(groups, len(hot))
    rng = np.random.default_rng(seed)
    n_groups = int(group.max()) + 1
    drawn = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=N_DRAWS)
    goal = Goal(target, precision is not None, confidence, seed)
    return [
        _of_class(
            label,
            probabilities[:, k],
            hot[:, k],
            group,
            drawn=drawn.astype(np.float64),
            goal=goal,
        )
        for k, label in enumerate(classes)
    ]


def _target(precision: float | None, recall: float | None) -> float:
    given = [value for value in (precision, recall) if value is not None]
    if len(given) != 1 or not 0 < given[0] <= 1:
        raise UsageError(
            f"thresholds: need one of precision and recall, above 0 and at most 1; got precision "
            f"{precision} and recall {recall}"
        )
    return given[0]


def _of_class(
    label: str,
    scores: Floats,
    hits: Flags,
    group: Rows,
    *,
    drawn: Floats,
    goal: Goal,
) -> ClassThreshold:
    n_positive = int(hits.sum())
    n_groups = len(np.unique(group[hits]))
    none = ClassThreshold(
        label=label,
        value=None,
        n_positive=n_positive,
        n_groups=n_groups,
        confidence=goal.confidence,
    )
    if n_positive < MIN_POSITIVE:
        return replace(
            none, reason=f"{n_positive} clips held out; need {MIN_POSITIVE} to say anything"
        )
    items = rank_items(scores, hits, group, goal)
    step = chosen_steps(items, goal)[0]
    if step < 0:
        why = _not_shown if goal.confidence else _unreached
        return replace(none, reason=why(items, goal, n_groups))
    value = float(items.between[step])
    of_draws = _of_draws(scores, hits, group, drawn, goal)
    threshold = replace(none, value=value)
    if 2 * len(of_draws) >= len(drawn):
        low, high = np.quantile(of_draws, [0.025, 0.975]).tolist()
        threshold = replace(threshold, low=low, high=high)
    if n_groups < 2:
        return replace(threshold, reason="all its clips are of one recording: untried on another")
    reached, tried = _tried_elsewhere(scores, hits, group, goal)
    threshold = _with_shares(threshold, reached[tried], hits[tried], group[tried])
    if goal.confidence:
        # The walk looks at the target alone, so it flatters no other share. Folds have fewer clips
        # and find a higher threshold than all clips do, so they would understate the other share.
        of_all = _with_shares(threshold, scores >= value, hits, group)
        others = RECALL if goal.by_precision else PRECISION
        threshold = replace(threshold, **{name: getattr(of_all, name) for name in others})
    return replace(
        threshold, reason="; ".join(_remarks(threshold, goal, len(of_draws) / len(drawn)))
    )


def _of_draws(scores: Floats, hits: Flags, group: Rows, drawn: Floats, goal: Goal) -> Floats:
    """The thresholds of draws of the groups, of those that reach the target."""
    at_once = max(1, DRAWN_VALUES // len(scores))
    values = []
    for first in range(0, len(drawn), at_once):
        counts = drawn[first : first + at_once][:, group]
        items = rank_items(scores, hits, group, goal, counts)
        steps = chosen_steps(items, goal)
        values.append(items.between[steps[steps >= 0]])
    return np.concatenate(values)


def _tried_elsewhere(scores: Floats, hits: Flags, group: Rows, goal: Goal) -> tuple[Flags, Flags]:
    """Which items reach the threshold that the other folds set, and for which they set one."""
    reached, tried = np.zeros(len(scores), bool), np.zeros(len(scores), bool)
    fold_of = grouped_folds(hits[:, None], group, n_folds=FOLDS, seed=goal.seed)
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        others = rank_items(scores[~inside], hits[~inside], group[~inside], goal)
        step = chosen_steps(others, goal)[0]
        if step >= 0:
            reached[inside] = scores[inside] >= others.between[step]
            tried[inside] = True
    return reached, tried


def _remarks(threshold: ClassThreshold, goal: Goal, share: float) -> list[str]:
    remarks = []
    if share < 0.95 and not goal.confidence:
        remarks.append(f"reached in {share:.0%} of draws of the recordings")
    measured = threshold.precision if goal.by_precision else threshold.recall
    if measured is None:
        remarks.append("it takes all its recordings to show this: untried on others")
    elif measured < goal.target - SHORT:
        remarks.append(f"{measured:.2f} on recordings that did not set it: more clips are needed")
    return remarks


def at_threshold(
    label: str, scores: Floats, hits: Flags, group: Rows, value: float
) -> ClassThreshold:
    """What a threshold gives on given items; a share of nothing is None.

    Args:
        label: the class.
        scores: ``(n,)``.
        hits: ``(n,)``, which items are of the class.
        group: ``(n,)``.
        value: the threshold.
    """
    threshold = ClassThreshold(
        label=label,
        value=value,
        n_positive=int(hits.sum()),
        n_groups=len(np.unique(group[hits])),
    )
    return _with_shares(threshold, scores >= value, hits, group)


def _with_shares(
    threshold: ClassThreshold, reached: Flags, hits: Flags, group: Rows
) -> ClassThreshold:
    undefined = (None, None, None)
    p = clustered_share(hits[reached], group[reached]) if reached.any() else undefined
    r = clustered_share(reached[hits], group[hits]) if hits.any() else undefined
    return replace(
        threshold,
        precision=p[0],
        precision_low=p[1],
        precision_high=p[2],
        recall=r[0],
        recall_low=r[1],
        recall_high=r[2],
    )


def _unreached(items: RankedItems, goal: Goal, _n_groups: int) -> str:
    right, above, score = _best(items, items.share)
    return (
        f"precision {goal.target:g} is not reached: at best {right / above:.2f} "
        f"({right:.0f} of {above:.0f}) from a score of {score:.3f}"
    )


def _not_shown(items: RankedItems, goal: Goal, n_groups: int) -> str:
    kind = "precision" if goal.by_precision else "recall"
    least, sure = least_items(goal.target, goal.confidence), goal.confidence
    if n_groups < least:
        most = (1 - sure) ** (1 / n_groups)
        return (
            f"{n_groups} recordings show a {kind} of {most:.2f} at most, with confidence {sure:g}"
            + (f"; {goal.target:g} takes {ceil(least - 1e-9)}" if np.isfinite(least) else "")
        )
    if not goal.by_precision:
        return f"recall {goal.target:g} is not shown with confidence {sure:g}"
    n_effective = items.sums.n_effective()
    # how far below what would be enough, where so few could be enough at all
    short = items.share - least_shares(n_effective, goal.target, sure)
    right, above, score = _best(items, short)
    bound = lower_bound(right / above, float(n_effective[items.sums.items == above][0]), sure)
    return (
        f"precision {goal.target:g} is not shown with confidence {sure:g}: at best "
        f"{right:.0f} of {above:.0f} are right, which is {bound:.2f} or more, from a score of "
        f"{score:.3f}"
    )


def _best(items: RankedItems, by: Floats) -> tuple[float, float, float]:
    """Right items, all items and score of the step with the highest ``by``."""
    right, above = items.sums.right[0], items.sums.items[0]
    step = int(np.where(right >= MIN_FOUND, by[0], -np.inf).argmax())
    return float(right[step]), float(above[step]), float(items.score[step])
