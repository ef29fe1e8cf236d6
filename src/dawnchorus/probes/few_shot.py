"""How well a probe does with 5, 10, 20 clips of each class: repeated draws of the training clips.

A draw takes clips of each class from as many different groups as it can, as somebody would who
labels a few clips of many recordings. Clips are scored on others: a test set, or each fold of whole
groups by probes that were trained on clips of the other folds, as the score of all clips is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.errors import TaskError
from dawnchorus.probes.folds import number_groups
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

COUNTS: Final = (5, 10, 20)  # clips of each class that somebody labels in an hour or a day
N_DRAWS: Final = 10  # for each count: enough to see the spread, and each is a whole fit


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """The score with ``n_clips`` of each class.

    Attributes:
        n_clips: requested, of each class; None: all there are.
        value: mean over the draws.
        low, high: between which 95% of the draws lie: what a single user may get.
        n_draws: how many were scored.
        n_short: classes with fewer clips than that, which gave all they had.
        reason: why there is no value; empty otherwise.
    """

    n_clips: int | None
    value: float
    low: float
    high: float
    n_draws: int
    n_short: int
    reason: str = ""


def draw_clips(
    truth: NDArray[np.generic],
    groups: NDArray[np.generic] | None,
    n_clips: int,
    rng: np.random.Generator,
) -> Rows:
    """Rows of up to ``n_clips`` clips of each class, each class from as many groups as it has.

    Args:
        truth: ``(items, classes)`` of 0 and 1. A clip with several labels counts for all of them;
            clips without any are drawn as if they were a class of their own.
        groups: ``(items,)``; None: every item is its own.
        n_clips: of each class; a class with fewer gives all of them.
        rng: draws.

    Returns:
        ``(rows,)``, rising.
    """
    hot = np.asarray(truth) > 0
    unlabelled = ~hot.any(axis=1)
    if unlabelled.any():
        hot = np.column_stack([hot, unlabelled])
    group = number_groups(groups, len(hot))
    drawn = np.zeros(len(hot), bool)
    # the rarest class first: its clips may have other labels too, which then count for those
    for k in np.argsort(hot.sum(axis=0), kind="stable"):
        missing = n_clips - int(drawn[hot[:, k]].sum())
        if missing > 0:
            candidates = rng.permutation(np.flatnonzero(hot[:, k] & ~drawn))
            drawn[candidates[_turns(group[candidates])][:missing]] = True
    return np.flatnonzero(drawn)


def _turns(group: Rows) -> Rows:
    """An order in which every group has its first item before any has its second.

    So the first ``n`` of it are of as many groups as ``n`` items can be.
    """
    turn = np.zeros(len(group), np.int64)
    seen: dict[int, int] = {}
    for at, number in enumerate(group.tolist()):
        turn[at] = seen[number] = seen.get(number, -1) + 1
    return np.argsort(turn, kind="stable")


def learning_curve(
    score: Callable[[list[tuple[Rows, Rows]]], float],
    truth: NDArray[np.generic],
    groups: NDArray[np.generic] | None,
    folds: Rows,
    *,
    counts: Sequence[int] = COUNTS,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> list[CurvePoint]:
    """Scores by number of clips of each class.

    Args:
        score: pairs of rows to train on and rows to test on, to one score over all pairs. It raises
            `TaskError` where that is undefined, and the draw is left out.
        truth: ``(items, classes)`` of 0 and 1.
        groups: ``(items,)``; None: every item is its own.
        folds: ``(items,)`` number of the fold in which each is tested, -1 where it never is. Drawn
            are items of the other folds and of groups that the fold does not have.
        counts: clips of each class.
        n_draws: for each count; the same seed gives the same draws.
        seed: of the draws.

    Raises:
        TaskError: A count is below 1, or nothing is left to draw from.
    """
    hot = np.asarray(truth) > 0
    group = number_groups(groups, len(hot))
    tests = [np.flatnonzero(folds == k) for k in np.unique(folds[folds >= 0])]
    sides = [(np.flatnonzero(~np.isin(group, group[test])), test) for test in tests]
    n_pool = min((len(pool) for pool, _ in sides), default=0)
    if not n_pool or min(counts, default=0) < 1 or n_draws < 1:
        raise TaskError(
            f"learning curve: {n_pool} clips to draw from, counts {tuple(counts)}, {n_draws} "
            "draws; need 1 or more of each"
        )
    # clips of each class in the smallest pool: what every draw can be sure to find
    fewest = np.min([hot[pool].sum(axis=0) for pool, _ in sides], axis=0)
    points = []
    for n_clips in counts:
        values, why = [], ""
        for draw in range(n_draws):
            # a stream for each draw: more counts or draws leave the others as they are
            rng = np.random.default_rng((seed, n_clips, draw))
            pairs = [
                (pool[draw_clips(hot[pool], group[pool], n_clips, rng)], test)
                for pool, test in sides
            ]
            try:
                values.append(score(pairs))
            except TaskError as error:
                why = str(error)
        points.append(_point(n_clips, np.array(values), int((fewest < n_clips).sum()), why))
    return points


def _point(n_clips: int, values: NDArray[np.float64], n_short: int, why: str) -> CurvePoint:
    nan = float("nan")
    low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (nan, nan)
    return CurvePoint(
        n_clips=n_clips,
        value=float(values.mean()) if len(values) else nan,
        low=float(low),
        high=float(high),
        n_draws=len(values),
        n_short=n_short,
        reason="" if len(values) else why,
    )


def as_csv(points: Sequence[CurvePoint]) -> str:
    """The curve as a CSV table; what is not defined is an empty cell."""
    names = [field.name for field in fields(CurvePoint)]
    return csv_text(names, ([_cell(value) for value in _values(p)] for p in points))


def _values(point: CurvePoint) -> list[Any]:
    return list({**asdict(point), "n_clips": clips_text(point)}.values())


def clips_text(point: CurvePoint) -> str:
    """How many clips of each class, in words."""
    return "all" if point.n_clips is None else str(point.n_clips)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if np.isnan(value) else round(value, 6)
    return value
