"""Thresholds that each class needs for a wanted precision or recall, and how sure they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.errors import TaskError, UsageError
from dawnchorus.probes.folds import grouped_folds, number_groups
from dawnchorus.probes.ranked import MIN_FOUND, Ranked, Wanted, ranked, step_of
from dawnchorus.probes.shares import (
    clustered_share,
    least_shares,
    least_worth,
    lower_bound,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Rows = NDArray[np.int64]

MIN_POSITIVE: Final = 5  # clips of a class, below which nothing is said
CONFIDENCE: Final = 0.8  # of fits that give a threshold, at most the rest miss the target
N_DRAWS: Final = 200  # of groups, for the interval of the threshold
DRAWN_VALUES: Final = 1 << 20  # draws times items at once
SHORT: Final = 0.1  # of what was wanted; then it is said
PRECISION: Final = ("precision", "precision_low", "precision_high")
RECALL: Final = ("recall", "recall_low", "recall_high")
FOLDS: Final = 10  # on each of which the thresholds that the others set are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassThreshold:
    """The threshold of one class, and what it gives elsewhere; intervals are of 95%.

    Attributes:
        label: the class.
        value: the lowest that is shown to have the wanted precision, or the highest with the wanted
            recall, halfway to the next lower score; None where ``reason`` says why there is none.
        confidence: with which the target holds elsewhere; 0: it is what did best on these clips,
            and as often missed as met elsewhere.
        low, high: where other draws of the same recordings put it, None where fewer than half of
            them reach the target.
        precision, precision_low, precision_high: of scores that reach it, None where none does.
        recall, recall_low, recall_high: share of the positives that reach it.
        n_positive: clips of the class.
        n_groups: recordings they are of.
        reason: why there is no value, or what to mind; empty otherwise.
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
    """The threshold of each class for a wanted precision or recall.

    The best of many scores looks better than it is, the more so the fewer clips there are. So with
    a ``confidence`` the target has to be shown, see `dawnchorus.probes.ranked`: over all fits to
    clips like these, no more than the rest give a threshold that misses it.

    What was wanted is not measured on the clips that set the threshold: all groups but a tenth set
    one, which is tried on that tenth. It can lie under the target. With a confidence the other of
    precision and recall is that of all clips; without, it is measured like the first. Intervals are
    those of `dawnchorus.probes.shares`.

    Args:
        probabilities: ``(items, classes)`` of items that neither the probe nor its calibration was
            fitted on.
        truth: the same shape, 0 and 1.
        classes: names.
        groups: ``(items,)``; None: every item is its own.
        precision: at least so many of the detections of a class are to be right, 0 to 1.
        recall: at least so many of its clips are to be found, 0 to 1. One of the two.
        confidence: with which it is to hold for clips of other groups, under 1; 0: the threshold
            that does best on these.
        seed: of the draws of groups.

    Raises:
        UsageError: Neither or both are wanted, or not between 0 and 1.
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
    wanted = Wanted(target, precision is not None, confidence, seed)
    return [
        _of_class(
            label,
            probabilities[:, k],
            hot[:, k],
            group,
            drawn=drawn.astype(np.float64),
            wanted=wanted,
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
    wanted: Wanted,
) -> ClassThreshold:
    n_positive = int(hits.sum())
    n_groups = len(np.unique(group[hits]))
    none = ClassThreshold(
        label=label,
        value=None,
        n_positive=n_positive,
        n_groups=n_groups,
        confidence=wanted.confidence,
    )
    if n_positive < MIN_POSITIVE:
        return replace(
            none, reason=f"{n_positive} clips held out; need {MIN_POSITIVE} to say anything"
        )
    items = ranked(scores, hits, group, wanted)
    step = step_of(items, wanted)[0]
    if step < 0:
        why = _not_shown if wanted.confidence else _unreached
        return replace(none, reason=why(items, wanted, n_groups))
    values = _of_draws(scores, hits, group, drawn, wanted)
    n_reached = len(values)
    low, high = np.quantile(values, [0.025, 0.975]) if 2 * n_reached >= len(drawn) else (None, None)
    value = float(items.between[step])
    found = replace(
        none,
        value=value,
        low=None if low is None else float(low),
        high=None if high is None else float(high),
    )
    if n_groups < 2:
        return replace(found, reason="all its clips are of one recording: untried on another")
    reached, tried = _tried_elsewhere(scores, hits, group, wanted)
    found = _with_shares(found, reached[tried], hits[tried], group[tried])
    if wanted.confidence:
        # the walk looks at the target alone, so it flatters no other share; folds find a higher
        # threshold than all clips do, and would say too little of it
        own = _with_shares(found, scores >= value, hits, group)
        others = RECALL if wanted.by_precision else PRECISION
        found = replace(found, **{name: getattr(own, name) for name in others})
    return replace(found, reason="; ".join(_remarks(found, wanted, n_reached / len(drawn))))


def _of_draws(scores: Floats, hits: Flags, group: Rows, drawn: Floats, wanted: Wanted) -> Floats:
    """The thresholds of draws of the groups, of those that reach the target."""
    at_once = max(1, DRAWN_VALUES // len(scores))
    values = []
    for first in range(0, len(drawn), at_once):
        counts = drawn[first : first + at_once][:, group]
        items = ranked(scores, hits, group, wanted, counts)
        steps = step_of(items, wanted)
        values.append(items.between[steps[steps >= 0]])
    return np.concatenate(values)


def _tried_elsewhere(
    scores: Floats, hits: Flags, group: Rows, wanted: Wanted
) -> tuple[Flags, Flags]:
    """Which items reach the threshold that the other folds set, and for which they set one."""
    reached, tried = np.zeros(len(scores), bool), np.zeros(len(scores), bool)
    fold_of = grouped_folds(hits[:, None], group, n_folds=FOLDS, seed=wanted.seed)
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        others = ranked(scores[~inside], hits[~inside], group[~inside], wanted)
        step = step_of(others, wanted)[0]
        if step >= 0:
            reached[inside] = scores[inside] >= others.between[step]
            tried[inside] = True
    return reached, tried


def _remarks(found: ClassThreshold, wanted: Wanted, share: float) -> list[str]:
    said = []
    if share < 0.95 and not wanted.confidence:
        said.append(f"reached in {share:.0%} of draws of the recordings")
    got = found.precision if wanted.by_precision else found.recall
    if got is None:
        said.append("it takes all its recordings to show this: untried on others")
    elif got < wanted.target - SHORT:
        said.append(f"{got:.2f} on recordings that did not set it: more clips are needed")
    return said


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
    found = ClassThreshold(
        label=label,
        value=value,
        n_positive=int(hits.sum()),
        n_groups=len(np.unique(group[hits])),
    )
    return _with_shares(found, scores >= value, hits, group)


def _with_shares(found: ClassThreshold, reached: Flags, hits: Flags, group: Rows) -> ClassThreshold:
    nothing = (None, None, None)
    p = clustered_share(hits[reached], group[reached]) if reached.any() else nothing
    r = clustered_share(reached[hits], group[hits]) if hits.any() else nothing
    return replace(
        found,
        precision=p[0],
        precision_low=p[1],
        precision_high=p[2],
        recall=r[0],
        recall_low=r[1],
        recall_high=r[2],
    )


def _unreached(items: Ranked, wanted: Wanted, _n_groups: int) -> str:
    right, above, score = _best(items, items.share)
    return (
        f"precision {wanted.target:g} is not reached: at best {right / above:.2f} "
        f"({right:.0f} of {above:.0f}) from a score of {score:.3f}"
    )


def _not_shown(items: Ranked, wanted: Wanted, n_groups: int) -> str:
    kind = "precision" if wanted.by_precision else "recall"
    least, sure = least_worth(wanted.target, wanted.confidence), wanted.confidence
    if n_groups < least:
        most = (1 - sure) ** (1 / n_groups)
        return (
            f"{n_groups} recordings show a {kind} of {most:.2f} at most, with confidence {sure:g}"
            + (f"; {wanted.target:g} takes {ceil(least - 1e-9)}" if np.isfinite(least) else "")
        )
    if not wanted.by_precision:
        return f"recall {wanted.target:g} is not shown with confidence {sure:g}"
    worth = items.sums.worth()
    # how far below what would be enough, where so few could be enough at all
    short = items.share - least_shares(worth, wanted.target, sure)
    right, above, score = _best(items, short)
    bound = lower_bound(right / above, float(worth[items.sums.items == above][0]), sure)
    return (
        f"precision {wanted.target:g} is not shown with confidence {sure:g}: at best "
        f"{right:.0f} of {above:.0f} are right, which is {bound:.2f} or more, from a score of "
        f"{score:.3f}"
    )


def _best(items: Ranked, by: Floats) -> tuple[float, float, float]:
    """Right items, all items and score of the step with the highest ``by``."""
    right, above = items.sums.right[0], items.sums.items[0]
    step = int(np.where(right >= MIN_FOUND, by[0], -np.inf).argmax())
    return float(right[step]), float(above[step]), float(items.score[step])
