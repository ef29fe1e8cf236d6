"""The pictures of a probe's report: reliability of its scores, and its learning curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.figures import new_figure, picture_bytes, picture_format
from dawnchorus.probes.few_shot import clips_text
from dawnchorus.probes.reliability import expected_calibration_error, reliability_bins, views
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.probes.few_shot import CurvePoint

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

BEFORE, AFTER = "#b5443c", "#3b6ea5"  # red and blue that stay distinct for the colour-blind
COLOURS: Final = (AFTER, "#e0a030", BEFORE, "#4a8c5c", "#7a5195", "#666666")
TITLES: Final = {
    "first_guess": "first guess of each clip",
    "all_scores": "all scores of all labels",
}
DOTS_PER_INCH: Final = 110


def plot_reliability(path: Path, before: Floats | None, after: Floats, truth: Flags) -> None:
    """Draw how often scores are right, before and after calibration; the suffix says the format.

    Args:
        path: the picture.
        before: ``(items, classes)`` probabilities without calibration; None, or equal to
            ``after``: not drawn.
        after: the same with it.
        truth: the same shape, which labels hold.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    sides = {"scores": (views(after, truth), AFTER)}
    if before is not None and not np.array_equal(before, after):
        sides = {
            "before calibration": (views(before, truth), BEFORE),
            "after calibration": (views(after, truth), AFTER),
        }
    figure = _figure(10, 6)
    axes = figure.subplots(2, 2, sharex=True, height_ratios=[3, 1])
    for column, (view, title) in enumerate(TITLES.items()):
        top, bottom = axes[0, column], axes[1, column]
        top.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle="--")
        for side, (scored, colour) in sides.items():
            _draw_side((top, bottom), scored[view], side, colour)
        top.set(ylim=(-0.02, 1.02), xlim=(-0.02, 1.02))
        top.set_title(title)
        bottom.set(xlabel="score", yscale="symlog")  # counts differ by tens, and some are 0
        bottom.set_ylim(0, 2 * max(bottom.dataLim.y1, 1))
        bottom.yaxis.set_major_formatter("{x:g}")
        # scores lie along the diagonal, so that corner is free
        top.legend(loc="upper left", frameon=False)
    axes[0, 0].set_ylabel("share that is right")
    axes[1, 0].set_ylabel("how many")
    _save(figure, path)


def _draw_side(axes: Any, scored: tuple[Floats, Flags], label: str, colour: str) -> None:
    (top, bottom), (scores, hits) = axes, scored
    bins = reliability_bins(scores, hits)
    top.errorbar(
        bins.score,
        bins.share,
        yerr=np.stack([bins.share - bins.low, bins.high - bins.share]),
        color=colour,
        marker="o",
        markersize=4,
        capsize=2,
        linewidth=1.2,
        label=f"{label}: error {expected_calibration_error(scores, hits):.3f}",
    )
    edges = np.linspace(0, 1, 21)
    bottom.stairs(np.histogram(scores, edges)[0], edges, color=colour)


def plot_curves(path: Path, curves: Mapping[str, Sequence[CurvePoint]], measure: str) -> None:
    """Draw one or more learning curves with their bands; the suffix says the format.

    Args:
        path: the picture.
        curves: name, such as a model's, to its points.
        measure: what the score is, for the axis.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    figure = _figure(6.5, 4.5)
    axes = figure.subplots()
    for number, (name, points) in enumerate(curves.items()):
        scored = [point for point in points if point.n_draws]
        x = [_position(point, points) for point in scored]
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(x, [p.value for p in scored], "o-", color=colour, label=name, linewidth=1.5)
        low, high = [p.low for p in scored], [p.high for p in scored]
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    ticks = {_position(p, points): clips_text(p) for points in curves.values() for p in points}
    axes.set(xlabel="clips of each class", ylabel=measure, xscale="log", ylim=(0, 1))
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="lower right", frameon=False)
    _save(figure, path)


def _position(point: CurvePoint, points: Sequence[CurvePoint]) -> int:
    """Where a point is drawn: all clips one doubling behind the last number."""
    return point.n_clips or 2 * max((p.n_clips or 1 for p in points), default=1)


def _figure(width_in: float, height_in: float) -> Any:
    return new_figure(width_in, height_in, extra="plot", what="drawing a report of a probe")


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, picture_bytes(figure, picture_format(path), dpi=DOTS_PER_INCH))
