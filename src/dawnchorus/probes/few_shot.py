"""How well a probe does with 5, 10, 20 clips of each class: repeated draws of the training clips.

A draw takes clips of each class from as many different groups as it can, as somebody would who
labels a few clips of many recordings. Clips are scored on others: a test set, or each fold of whole
groups by probes that were taught by clips of the rest, as the score of all clips is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.errors import DependencyError, TaskError
from dawnchorus.probes.folds import grouped_folds, number_groups
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

COUNTS: Final = (5, 10, 20)
N_DRAWS: Final = 10
COLOURS: Final = ("#3b6ea5", "#e0a030", "#b5443c", "#4a8c5c", "#7a5195", "#666666")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """The score with ``n_clips`` of each class.

    Attributes:
        n_clips: asked for, of each class; None: all there are.
        value: mean over the draws.
        low, high: between which 95% of the draws lie: what one user may get.
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
    nothing = ~hot.any(axis=1)
    if nothing.any():
        hot = np.column_stack([hot, nothing])
    group = number_groups(groups, len(hot))
    taken = np.zeros(len(hot), bool)
    # the rarest first: its clips may bring others' labels along
    for k in np.argsort(hot.sum(axis=0), kind="stable"):
        missing = n_clips - int(taken[hot[:, k]].sum())
        if missing > 0:
            candidates = rng.permutation(np.flatnonzero(hot[:, k] & ~taken))
            taken[candidates[_turns(group[candidates])][:missing]] = True
    return np.flatnonzero(taken)


def _turns(group: Rows) -> Rows:
    """An order in which every group has its first item before any has its second."""
    turn = np.zeros(len(group), np.int64)
    seen: dict[int, int] = {}
    for at, number in enumerate(group.tolist()):
        turn[at] = seen[number] = seen.get(number, -1) + 1
    return np.argsort(turn, kind="stable")


def learning_curve(
    score: Callable[[list[tuple[Rows, Rows]]], float],
    truth: NDArray[np.generic],
    groups: NDArray[np.generic] | None = None,
    *,
    test: Rows | None = None,
    folds: Rows | None = None,
    counts: Sequence[int] = COUNTS,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> list[CurvePoint]:
    """Scores by number of clips of each class.

    Args:
        score: pairs of rows to train on and rows to test on, to one score over all pairs; raises
            `TaskError` where that is undefined, and the draw is left out.
        truth: ``(items, classes)`` of 0 and 1.
        groups: ``(items,)``; None: every item is its own.
        test: rows to test on, which are not drawn, nor is any of their groups; None: folds.
        folds: ``(items,)`` number of the fold in which each is tested; no group is in two. None:
            five of whole groups.
        counts: clips of each class.
        n_draws: for each count; the same seed gives the same draws.
        seed: of the draws.

    Raises:
        TaskError: A count is below 1, or nothing is left to draw from.
    """
    hot = np.asarray(truth) > 0
    group = number_groups(groups, len(hot))
    sides = _sides(hot, group, test, folds, seed)
    n_pool = min(len(pool) for pool, _ in sides)
    if not n_pool or min(counts, default=0) < 1 or n_draws < 1:
        raise TaskError(
            f"learning curve: {n_pool} clips to draw from, counts {tuple(counts)}, {n_draws} "
            "draws; need 1 or more of each"
        )
    points = []
    for n_clips in counts:
        found, why = [], ""
        for draw in range(n_draws):
            rng = np.random.default_rng((seed, n_clips, draw))
            pairs = [
                (pool[draw_clips(hot[pool], group[pool], n_clips, rng)], rest)
                for pool, rest in sides
            ]
            try:
                found.append(score(pairs))
            except TaskError as error:
                why = str(error)
        fewest = np.min([hot[pool].sum(axis=0) for pool, _ in sides], axis=0)
        n_short = int((fewest < n_clips).sum())
        points.append(_point(n_clips, np.array(found), n_short, why))
    return points


def _sides(
    hot: NDArray[np.bool_], group: Rows, test: Rows | None, folds: Rows | None, seed: int
) -> list[tuple[Rows, Rows]]:
    """Rows to draw from and rows to test on, of which each is tested once."""
    if test is not None:
        return [(np.flatnonzero(~np.isin(group, group[test])), test)]
    if folds is None:
        folds = grouped_folds(hot, group, seed=seed)
    return [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in np.unique(folds)]


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
    """The curve as a CSV table; the empty cell for what is not defined."""
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


def _place(point: CurvePoint, points: Sequence[CurvePoint]) -> int:
    """Where a point is drawn: all clips one doubling behind the last number."""
    return point.n_clips or 2 * max((p.n_clips or 1 for p in points), default=1)


def plot_curves(
    path: Path, curves: Mapping[str, Sequence[CurvePoint]], measure: str, title: str = ""
) -> None:
    """Draw one or more learning curves with their bands; the suffix says the format.

    Args:
        path: the picture.
        curves: name, such as a model's, to its points.
        measure: what the score is, for the axis.
        title: over the picture.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  an extra
    except ImportError as error:
        raise DependencyError("matplotlib", "plot", "drawing a learning curve") from error
    figure = Figure(figsize=(6.5, 4.5), layout="constrained")
    axes = figure.subplots()
    for at, (name, points) in enumerate(curves.items()):
        held = [point for point in points if point.n_draws]
        x = [_place(point, points) for point in held]
        colour = COLOURS[at % len(COLOURS)]
        axes.plot(x, [p.value for p in held], "o-", color=colour, label=name, linewidth=1.5)
        axes.fill_between(
            x, [p.low for p in held], [p.high for p in held], color=colour, alpha=0.15, linewidth=0
        )
    ticks = {_place(p, points): clips_text(p) for points in curves.values() for p in points}
    axes.set(xlabel="clips of each class", ylabel=measure, title=title, xscale="log", ylim=(0, 1))
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="lower right", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.beside")
    figure.savefig(unfinished, format=path.suffix[1:], dpi=110)
    unfinished.replace(path)
