"""Activity as one picture for a paper or a slide: hours by dates, and the season."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.activity.colours import LIGHT, place_on_scale
from dawnchorus.activity.day_intervals import rate_interval
from dawnchorus.activity.report_labels import all_dates, on_dates, top_of
from dawnchorus.activity.site_chart import WEEK, rates
from dawnchorus.activity.svg import date_ticks, gaps_between, nice_top, short
from dawnchorus.errors import UsageError
from dawnchorus.figures import new_figure, picture_bytes, picture_format
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.activity.run import Activity

DOTS_PER_INCH: Final = 130
MOST_PANELS: Final = 12  # what a page holds
WIDTH_IN, PANEL_IN, SEASON_IN = 8.0, 1.7, 0.8
TICK_PIXELS: Final = 560.0  # width of the axis of dates as `date_ticks` counts it
LEGEND: Final = (
    "Hatched: not recorded. Below each: calls per hour of each date (dots), and of seven days "
    "(line) with its 90% interval over days"
)
BLUE, GREY, HATCH = "#1f5e8c", "#e3e3de", "#b9bbb4"


def plot_activity(activity: Activity, path: Path) -> None:
    """Draw a panel for each label and site, hours by dates above the season; the suffix says how.

    Args:
        activity: of up to `MOST_PANELS` labels and sites in all.
        path: the picture (``.png``, ``.svg`` or ``.pdf``).

    Raises:
        UsageError: There are more panels than a page holds.
        DependencyError: matplotlib is not installed.
        StoreError: The file cannot be written.
    """
    panels = [(label, one) for label in activity.labels for one in activity.sites]
    if len(panels) > MOST_PANELS:
        raise UsageError(
            f"a picture holds {MOST_PANELS} panels, and {len(activity.labels)} labels at "
            f"{len(activity.sites)} sites are {len(panels)}; name fewer labels, or write a report"
        )
    dates = all_dates(activity)
    height_in = 0.5 + len(panels) * (PANEL_IN + SEASON_IN)
    figure = new_figure(WIDTH_IN, height_in, extra="plot", what="drawing activity")
    heights = [PANEL_IN, SEASON_IN] * len(panels)
    axes = figure.subplots(2 * len(panels), 1, sharex=True, height_ratios=heights).tolist()
    tops = {label: _tops(activity, label, dates) for label in activity.labels}
    for at, (label, one) in enumerate(panels):
        hours, calls = on_dates(one, label, dates)
        above, below = axes[2 * at : 2 * at + 2]
        above.set_title(f"{label}, {one.site}", loc="left", fontsize=10)
        _heat(above, rates(calls, hours), tops[label][0], dates)
        _season(below, hours, calls, tops[label][1])
    figure.suptitle(LEGEND, fontsize=8, x=0.01, ha="left", color="#4d5751")
    ticks = date_ticks(dates, TICK_PIXELS)
    axes[-1].set_xticks([at for at, _ in ticks], [words for _, words in ticks], ha="left")
    axes[-1].set_xlim(0, len(dates))
    write_whole(path, picture_bytes(figure, picture_format(path), dpi=DOTS_PER_INCH))


def _tops(activity: Activity, label: str, dates: Sequence[date]) -> tuple[float, float]:
    """Ends of the scales of hours and of days, common to all sites of a label."""
    arrays = [on_dates(one, label, dates) for one in activity.sites]
    cells = np.concatenate([rates(calls, hours).ravel() for hours, calls in arrays])
    days = np.concatenate([rates(c.sum(axis=1), h.sum(axis=1)) for h, c in arrays])
    return nice_top(top_of(cells)), nice_top(float(np.nanmax(days)))


def _heat(axes: Any, values: NDArray[np.float64], top: float, dates: Sequence[date]) -> None:
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415  an extra

    # hatched below, so that a reader in grey sees the difference too
    axes.fill_between([0, len(dates)], 0, 24, facecolor=GREY, edgecolor=HATCH, hatch="////", lw=0)
    scale = LinearSegmentedColormap.from_list("activity", LIGHT)
    shown = np.ma.masked_where(np.isnan(values), place_on_scale(np.nan_to_num(values), top))
    edges = np.arange(len(dates) + 1), np.arange(25)
    mesh = axes.pcolormesh(*edges, shown.T, cmap=scale, vmin=0, vmax=1, rasterized=True)
    for at in gaps_between(dates):
        axes.axvline(at, color="white", linewidth=2)
    axes.set_yticks([0, 6, 12, 18, 24], ["00:00", "06:00", "12:00", "18:00", "24:00"], fontsize=7)
    axes.set_ylim(0, 24)
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.01, aspect=12)
    numbers = np.array([0, top / 4, top])
    bar.set_ticks(place_on_scale(numbers, top).tolist(), labels=list(map(short, numbers.tolist())))
    bar.ax.tick_params(labelsize=7)
    bar.ax.minorticks_off()
    bar.set_label("calls per hour", fontsize=7)


def _season(axes: Any, hours: NDArray[np.float64], calls: NDArray[np.int64], top: float) -> None:
    """Each date as a dot, each seven days as a line in its interval over days."""
    n_hours, n_calls = hours.sum(axis=1), calls.sum(axis=1)
    was = n_hours > 0
    axes.plot(np.flatnonzero(was) + 0.5, n_calls[was] / n_hours[was], "o", color="#6b746f",
              markersize=2.5, clip_on=False)  # fmt: skip
    for first in range(0, len(was), WEEK):
        days = first + np.flatnonzero(was[first : first + WEEK])
        if not len(days):
            continue
        x = [days[0], days[-1] + 1]
        axes.plot(x, [n_calls[days].sum() / n_hours[days].sum()] * 2, color=BLUE, linewidth=2,
                  solid_capstyle="butt")  # fmt: skip
        span = rate_interval(n_calls[days], n_hours[days])
        if span is not None:
            axes.fill_between(x, *span, color=BLUE, alpha=0.18, linewidth=0)
    axes.set_ylim(0, top)
    axes.set_yticks([0, top], ["0", short(top)], fontsize=7)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
