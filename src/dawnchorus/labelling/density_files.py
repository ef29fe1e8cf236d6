"""A density as a table and as a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.errors import UsageError
from dawnchorus.figures import new_figure, picture_bytes, picture_format
from dawnchorus.store.files import write_whole
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dawnchorus.labelling.run_density import DensityReport, DensityRow

COLUMNS: Final = (
    "label", "site", "date", "local_hour", "n_windows", "n_judged",
    "density", "low", "high", "method", "note",
)  # fmt: skip
BLUE, GREY = "#3b6ea5", "#8a8a8a"
DOTS_PER_INCH: Final = 110
MOST_PANELS, MOST_MARKS = 12, 120  # what a page holds


def table_rows(report: DensityReport) -> list[tuple[object, ...]]:
    """Cells of `COLUMNS` for each row; None where there is no number."""
    return [
        (
            row.label, row.site, row.date, row.local_hour,
            row.density.n_windows, row.density.n_judged,
            *map(number, (row.density.density, row.density.low, row.density.high)),
            row.density.method, row.density.note,
        )
        for row in report.rows
    ]  # fmt: skip


def number(value: float) -> float | None:
    """A share with six significant digits; None for nan, which is no number in a table."""
    return None if math.isnan(value) else float(f"{value:.6g}")


def write_density(report: DensityReport, path: Path) -> None:
    """Write the table as CSV, whole or not at all.

    Raises:
        StoreError: It cannot be written.
    """
    write_whole(path, csv_text(COLUMNS, table_rows(report)).encode())


def plot_density(report: DensityReport, path: Path) -> None:
    """Draw each stratum's density with its interval, a panel for each site; the suffix says how.

    Args:
        report: with the strata of one ``by`` of at most two columns, or of none.
        path: the picture.

    Raises:
        UsageError: There are more strata than a page holds, or of more than one kind.
        DependencyError: matplotlib is not installed.
    """
    whole, *strata = report.rows
    panels = _panels(strata or [whole])
    height_in = 1.2 + 2.2 * len(panels)
    figure = new_figure(7.5, height_in, extra="search", what="a picture of a density")
    all_axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    ticks = sorted({_position(row) for rows in panels.values() for row in rows})
    for axes, (title, rows) in zip(all_axes, panels.items(), strict=True):
        if strata and not math.isnan(whole.density.low):
            low, high = 100 * whole.density.low, 100 * whole.density.high
            axes.axhspan(low, high, color=GREY, alpha=0.25, linewidth=0, label="all windows")
        _draw(axes, rows, ticks)
        axes.set_title(title, loc="left", fontsize=10)
    _finish(figure, all_axes, ticks, strata, level=report.level)
    write_whole(path, picture_bytes(figure, picture_format(path), dpi=DOTS_PER_INCH))


def _draw(axes: Any, rows: Sequence[DensityRow], ticks: Sequence[str]) -> None:
    """Dots and intervals; an open dot where nothing was judged there."""
    for row in rows:
        at, found = ticks.index(_position(row)), row.density
        if math.isnan(found.low):
            axes.annotate("?", (at, 0), ha="center", va="bottom", color=GREY, fontsize=9)
            continue
        axes.vlines(at, 100 * found.low, 100 * found.high, color=BLUE, linewidth=2)
        face = "white" if found.method == "others" else BLUE
        axes.plot(at, 100 * found.density, "o", color=BLUE, markerfacecolor=face, markersize=5)
    axes.set_ylabel("windows (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _finish(
    figure: Any, all_axes: Any, ticks: Sequence[str], strata: Sequence[DensityRow], *, level: float
) -> None:
    last = all_axes[-1]
    # once all is drawn: a limit that is set before would hold for every panel
    last.set_ylim(0, max(axes.dataLim.y1 for axes in all_axes) * 1.05 or 1)
    step = math.ceil(len(ticks) / 24)  # labels that fit side by side
    last.set_xticks(range(0, len(ticks), step), ticks[::step])
    if len(ticks) * max(map(len, ticks)) > 60:
        last.tick_params(axis="x", rotation=45)
        for label in last.get_xticklabels():
            label.set_horizontalalignment("right")
    last.set_xlim(-0.6, len(ticks) - 0.4)
    row = strata[0] if strata else None
    names = {"local_hour": "local hour", "date": "date", "site": "site"}
    last.set_xlabel(next((n for key, n in names.items() if row and getattr(row, key)), ""))
    figure.suptitle(_title(strata, level), fontsize=11, x=0.02, ha="left")
    handles, labels = all_axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="upper right", frameon=False, fontsize=9)


def _title(strata: Sequence[DensityRow], level: float) -> str:
    text = f"Share of windows with the call, {100 * level:g}% interval"
    if any(row.density.method == "others" for row in strata):
        text += "; open: nothing judged there"
    if any(math.isnan(row.density.low) for row in strata):
        text += "; ?: one recording"
    return text


def _panels(rows: Sequence[DensityRow]) -> dict[str, list[DensityRow]]:
    """Rows by panel: of a site or date where the position within it is something finer."""
    kinds = {(bool(row.site), bool(row.date), bool(row.local_hour)) for row in rows}
    if len(kinds) > 1 or sum(next(iter(kinds))) > 2:
        raise UsageError("picture: need one --by, of at most two of site, date and hour")
    panels: dict[str, list[DensityRow]] = {}
    for row in rows:
        outer = [name for name in (row.site, row.date, row.local_hour) if name][:-1]
        panels.setdefault(" ".join([row.label, *outer]), []).append(row)
    if len(panels) > MOST_PANELS or max(map(len, panels.values())) > MOST_MARKS:
        raise UsageError(
            f"picture: {len(panels)} panels with up to {max(map(len, panels.values()))} strata; a "
            f"page holds {MOST_PANELS} with {MOST_MARKS}. Choose a coarser --by"
        )
    return panels


def _position(row: DensityRow) -> str:
    return row.local_hour or row.date or row.site or "all windows"
