"""Thresholds that each class needs for a wanted precision or recall, and how sure they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.errors import TaskError, UsageError
from dawnchorus.probes.folds import grouped_folds, number_groups
from dawnchorus.probes.reliability import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

MIN_POSITIVE: Final = 5  # clips of a class, below which nothing is said
MIN_FOUND: Final = 3  # of them that a threshold must find: one lucky clip is no precision of 1
N_DRAWS: Final = 400  # of groups, for the interval of the threshold
SHORT: Final = 0.1  # of what was wanted; then it is said
FOLDS: Final = 10  # on each of which the thresholds that the others set are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassThreshold:
    """The threshold of one class; figures are of clips that did not set it, intervals are of 95%.

    Attributes:
        label: the class.
        value: what finds most of the class with the wanted precision, or the highest with the
            wanted recall, halfway to the next lower score; None where ``reason`` says why there is
            none.
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


@dataclass(frozen=True, slots=True)
class _Ranked:
    """One class's items by falling score; a step is all items of one score.

    ``score``, ``found`` (positives so far) and ``above`` (items so far) are ``(steps,)``.
    """

    score: Floats
    found: Floats
    above: Floats


@dataclass(frozen=True, slots=True)
class _Wanted:
    target: float
    by_precision: bool
    seed: int


def find_thresholds(
    probabilities: Floats,
    truth: NDArray[np.generic],
    classes: Sequence[str],
    groups: NDArray[np.generic] | None = None,
    *,
    precision: float | None = None,
    recall: float | None = None,
    seed: int = 0,
) -> list[ClassThreshold]:
    """The threshold of each class for a wanted precision or recall.

    The best of many scores looks better than it is, the more so the fewer clips there are. So
    precision and recall are not those of the clips that set the threshold: all groups but a tenth
    set one, which is tried on that tenth. They can lie under what was wanted.

    Shares of clips that lie in groups have a Wilson interval for as many independent clips as the
    spread between the groups says they are worth (Korn and Graubard, Survey Methodology 24, 1998);
    where all are right or all wrong, for as many as there are groups.

    Args:
        probabilities: ``(items, classes)`` of items that neither the probe nor its calibration was
            fitted on.
        truth: the same shape, 0 and 1.
        classes: names.
        groups: ``(items,)``; None: every item is its own.
        precision: at least so many of the detections of a class are to be right, 0 to 1.
        recall: at least so many of its clips are to be found, 0 to 1. One of the two.
        seed: of the draws of groups.

    Raises:
        UsageError: Neither or both are wanted, or not between 0 and 1.
        TaskError: The arrays do not fit.
    """
    target = _target(precision, recall)
    hot = np.asarray(truth) > 0
    if probabilities.shape != hot.shape or hot.shape[1] != len(classes):
        raise TaskError(
            f"thresholds: scores {probabilities.shape}, labels {hot.shape}, {len(classes)} classes"
        )
    group = number_groups(groups, len(hot))
    rng = np.random.default_rng(seed)
    n_groups = int(group.max()) + 1
    drawn = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=N_DRAWS)
    wanted = _Wanted(target, precision is not None, seed)
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
    group: NDArray[np.int64],
    *,
    drawn: Floats,
    wanted: _Wanted,
) -> ClassThreshold:
    n_positive = int(hits.sum())
    n_groups = len(np.unique(group[hits]))
    nothing = ClassThreshold(label=label, value=None, n_positive=n_positive, n_groups=n_groups)
    if n_positive < MIN_POSITIVE:
        return replace(
            nothing, reason=f"{n_positive} clips held out; need {MIN_POSITIVE} to say anything"
        )
    ranked = _ranked(scores, hits, np.ones((1, len(scores))))
    step = _step(ranked, wanted)[0]
    if step < 0:
        return replace(nothing, reason=_unreached(ranked, wanted.target))
    steps = _step(_ranked(scores, hits, drawn[:, group]), wanted)
    values = _between(ranked.score)[steps[steps >= 0]]
    low, high = (
        np.quantile(values, [0.025, 0.975]) if 2 * len(values) >= len(steps) else (None, None)
    )
    found = replace(
        nothing,
        value=float(_between(ranked.score)[step]),
        low=None if low is None else float(low),
        high=None if high is None else float(high),
    )
    if n_groups < 2:
        return replace(found, reason="all its clips are of one recording: untried on another")
    found = _with_shares(found, _reached_elsewhere(scores, hits, group, wanted), hits, group)
    share = float((steps >= 0).mean())
    said = [] if share >= 0.95 else [f"reached in {share:.0%} of draws of the recordings"]
    got = found.precision if wanted.by_precision else found.recall
    if got is not None and got < wanted.target - SHORT:
        said.append(f"{got:.2f} on recordings that did not set it: more clips are needed")
    return replace(found, reason="; ".join(said))


def _reached_elsewhere(
    scores: Floats, hits: Flags, group: NDArray[np.int64], wanted: _Wanted
) -> Flags:
    """Which items reach the threshold that the other folds set; none where they set none."""
    reached = np.zeros(len(scores), bool)
    fold_of = grouped_folds(hits[:, None], group, n_folds=FOLDS, seed=wanted.seed)
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        others, right = scores[~inside], hits[~inside]
        ranked = _ranked(others, right, np.ones((1, len(others))))
        step = _step(ranked, wanted)[0]
        if step >= 0:
            reached[inside] = scores[inside] >= _between(ranked.score)[step]
    return reached


def _between(scores: Floats) -> Floats:
    """Each score halfway to the next lower one: what it finds is the same, with most to spare."""
    return np.append((scores[:-1] + scores[1:]) / 2, scores[-1:])


def at_threshold(
    label: str, scores: Floats, hits: Flags, group: NDArray[np.int64], value: float
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


def _with_shares(
    found: ClassThreshold, reached: Flags, hits: Flags, group: NDArray[np.int64]
) -> ClassThreshold:
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


def _ranked(scores: Floats, hits: Flags, counts: Floats) -> _Ranked:
    """Steps, ``found`` and ``above`` for each row of ``counts``: how often an item was drawn."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    inside = counts[:, order]
    return _Ranked(
        score=scores[order[ends]],
        found=np.cumsum(inside * hits[order], axis=1)[:, ends],
        above=np.cumsum(inside, axis=1)[:, ends],
    )


def _step(ranked: _Ranked, wanted: _Wanted) -> NDArray[np.int64]:
    """Which step each draw takes, -1 where none reaches the target."""
    target = wanted.target
    tiny = 1e-12  # shares such as 9 / 10 must reach 0.9
    if wanted.by_precision:
        with np.errstate(invalid="ignore"):
            share = np.nan_to_num(ranked.found / ranked.above)
        # a lower threshold that finds no more only lets wrong ones in
        finds = np.diff(ranked.found, axis=1, prepend=0.0) > 0
        good = finds & (share >= target - tiny) & (ranked.found >= MIN_FOUND)
        last = good.shape[1] - 1 - good[:, ::-1].argmax(axis=1)
        return np.where(good.any(axis=1), last, -1)
    total = ranked.found[:, -1:]
    good = (ranked.found >= target * total - tiny) & (total > 0)
    return np.where(good.any(axis=1), good.argmax(axis=1), -1)


def _unreached(ranked: _Ranked, target: float) -> str:
    found, above = ranked.found[0], ranked.above[0]
    enough = found >= MIN_FOUND
    best = np.flatnonzero(enough)[int((found[enough] / above[enough]).argmax())]
    return (
        f"precision {target:g} is not reached: at best {found[best] / above[best]:.2f} "
        f"({found[best]:.0f} of {above[best]:.0f}) from a score of {ranked.score[best]:.3f}"
    )


def clustered_share(
    hits: Flags, group: NDArray[np.int64], level: float = 0.95
) -> tuple[float, float, float]:
    """A share of items that lie in groups, and its interval; see `find_thresholds`.

    Args:
        hits: ``(n,)``, at least one.
        group: ``(n,)``.
        level: of the interval.
    """
    n = len(hits)
    share = float(hits.mean())
    _, number = np.unique(group, return_inverse=True)
    n_groups = int(number.max()) + 1
    n_worth = float(n)
    if n_groups < n:
        deviations = np.bincount(number, weights=hits - share)
        spread = n_groups / max(n_groups - 1, 1) * float(np.sum(deviations**2)) / n**2
        worth = share * (1 - share) / spread if spread > 0 else float(n_groups)
        n_worth = min(max(worth, 1.0), float(n))
    low, high = wilson(np.array([share]), np.array([n_worth]), level)
    return share, float(low[0]), float(high[0])
