"""One site and label in a picture: a heat map of hour by date, the day's rhythm, the season.

The three share their axes: rhythm stands to the right of the hours, season below the dates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.activity import svg
from dawnchorus.activity.colours import DARK, LIGHT, heat_png
from dawnchorus.activity.day_intervals import rate_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from numpy.typing import NDArray

    Bars = Sequence[tuple[float | None, float | None, float | None]]  # value, low, high

LEFT, WIDTH, GAP, RHYTHM, RIGHT = 48.0, 640.0, 26.0, 170.0, 14.0
TOP, HOUR, SEASON, BETWEEN, BOTTOM = 10.0, 7.0, 78.0, 16.0, 24.0
HEIGHT: Final = 24 * HOUR
WEEK: Final = 7
HOUR_TICKS: Final = (0, 6, 12, 18, 24)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteChart:
    """What is drawn.

    Attributes:
        dates: of the columns; the same for all sites, so that they can be compared.
        hours: ``(dates, 24)`` recorded hours.
        n_calls: ``(dates, 24)``.
        top_cell, top_hour, top_day: ends of the scales of heat map, rhythm and season.
        by_hour: calls per hour of each local hour with its interval over days.
        windows_by_hour: windows with the call by a density, the same; empty where there is none.
        sun: for some dates sunrise and sunset as local hours.
    """

    dates: tuple[date, ...]
    hours: NDArray[np.float64]
    n_calls: NDArray[np.int64]
    top_cell: float
    top_hour: float
    top_day: float
    by_hour: Bars
    windows_by_hour: Mapping[int, tuple[float | None, float, float]]
    sun: Mapping[date, tuple[float, float]]

    @property
    def column(self) -> float:
        """Width of a date."""
        return WIDTH / len(self.dates)


def draw_site(chart: SiteChart, title: str) -> str:
    """The picture as SVG; ``title`` says what it is for those who do not see it."""
    width = LEFT + WIDTH + GAP + RHYTHM + RIGHT
    height = TOP + HEIGHT + BETWEEN + SEASON + BOTTOM
    parts = [
        f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="{svg.plain(title)}">',
        *heat_map(rates(chart.n_calls, chart.hours), chart.top_cell, chart.dates, TOP),
        *_sun(chart),
        *_rhythm(chart),
        *_season(chart),
        *date_axis(chart.dates, height - BOTTOM),
        "</svg>",
    ]
    return "\n".join(parts)


def rates(n_calls: NDArray[np.int64], hours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Calls per recorded hour; nan where nothing was recorded."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(hours > 0, n_calls / hours, np.nan)


def heat_map(values: NDArray[np.float64], top: float, dates: Sequence[date], y: float) -> list[str]:
    """Hour by date: midnight at the bottom, as clocks count up; nan shows the pattern below."""
    place = f'x="{LEFT}" y="{y}" width="{WIDTH}" height="{HEIGHT}"'
    upright = values.T[::-1]  # (24, dates), the last hour on top
    parts = [svg.rect(LEFT, y, WIDTH, HEIGHT, "unrecorded")]
    parts += [
        f'<image class="cells {name}" {place} preserveAspectRatio="none" '
        f'href="{heat_png(upright, top, colours)}"/>'
        for name, colours in (("by-day", LIGHT), ("by-night", DARK))
    ]
    for hour in HOUR_TICKS:
        at = y + HEIGHT - hour * HOUR
        parts.append(svg.text(LEFT - 8, at + 4, f"{hour:02d}:00", at="end"))
        if 0 < hour < 24:
            parts.append(svg.line(LEFT - 4, at, LEFT, at, "tick"))
    column = WIDTH / len(dates)
    parts += [
        svg.rect(LEFT + at * column - 1.5, y, 3, HEIGHT, "break") for at in svg.gaps_between(dates)
    ]
    return parts


def date_axis(dates: Sequence[date], y: float) -> list[str]:
    """Ticks and dates below."""
    parts = []
    column = WIDTH / len(dates)
    for at, words in svg.date_ticks(dates, WIDTH):
        x = LEFT + at * column
        parts += [svg.line(x, y, x, y + 4, "tick"), svg.text(x, y + 17, words)]
    return parts


def _sun(chart: SiteChart) -> list[str]:
    """Sunrise and sunset over the heat map, each a line with a rim that every cell lets through."""
    lines: list[list[tuple[float, float]]] = [[], []]
    for at, day in enumerate(chart.dates):
        for points, hour in zip(lines, chart.sun.get(day, ()), strict=False):
            points.append((LEFT + (at + 0.5) * chart.column, TOP + HEIGHT - hour * HOUR))
    drawn = [points for points in lines if len(points) > 1]
    return [svg.path(points, kind) for points in drawn for kind in ("sun-rim", "sun")]


def _rhythm(chart: SiteChart) -> list[str]:
    """Calls per hour of each local hour, as bars beside the hours."""
    left = LEFT + WIDTH + GAP
    scale = RHYTHM / chart.top_hour
    parts = [svg.line(left, TOP, left, TOP + HEIGHT, "axis")]
    for hour, (value, low, high) in enumerate(chart.by_hour):
        y = TOP + HEIGHT - (hour + 1) * HOUR
        if value is None:
            parts.append(svg.rect(left, y, RHYTHM, HOUR, "unrecorded"))
            continue
        parts.append(svg.rect(left, y + 1, value * scale, HOUR - 2, "bar"))
        if low is not None and high is not None:
            parts += _interval(left, y + HOUR / 2, (low * scale, high * scale), "whisker")
        if hour in chart.windows_by_hour:
            windows, least, most = chart.windows_by_hour[hour]
            middle = y + HOUR / 2 + 1.5
            parts += _interval(left, middle, (least * scale, most * scale), "density")
            if windows is not None:
                parts.append(svg.dot(left + windows * scale, middle, 2.4, "density"))
    words = svg.short(chart.top_hour)
    if chart.windows_by_hour:
        below = TOP + HEIGHT + 42
        parts.append(svg.dot(left + 22, below - 4, 2.4, "density"))
        parts.append(svg.text(left + 30, below, "by density"))
    parts += [
        svg.text(left, TOP + HEIGHT + 14, "0"),
        svg.text(left + RHYTHM, TOP + HEIGHT + 14, words, at="end"),
        svg.text(left + RHYTHM / 2, TOP + HEIGHT + 28, "calls per hour, by hour", at="middle"),
    ]
    return parts


def _interval(left: float, y: float, ends: tuple[float, float], kind: str) -> list[str]:
    """An interval as a line; one that goes on beyond the frame says so by a pointed end."""
    first, last = (left + min(end, RHYTHM) for end in ends)
    parts = [svg.line(first, y, last, y, kind)]
    if ends[1] > RHYTHM:
        parts += [svg.line(last - 3, y + side, last, y, kind) for side in (-2.5, 2.5)]
    return parts


def _season(chart: SiteChart) -> list[str]:
    """Each day's rate as a dot, each week's mean as a line, its interval as a band."""
    base = TOP + HEIGHT + BETWEEN + SEASON
    scale = SEASON / chart.top_day
    parts = [
        svg.line(LEFT, base, LEFT + WIDTH, base, "axis"),
        svg.text(LEFT - 8, base + 1, "0", at="end"),
        svg.text(LEFT - 8, base - SEASON + 9, svg.short(chart.top_day), at="end"),
        svg.line(LEFT - 4, base - SEASON, LEFT, base - SEASON, "tick"),
        svg.text(LEFT + WIDTH + GAP, base - 18, "calls per hour, by date;"),
        svg.text(LEFT + WIDTH + GAP, base - 4, "lines: mean of 7 days"),
    ]
    hours, calls = chart.hours.sum(axis=1), chart.n_calls.sum(axis=1)
    for first in range(0, len(chart.dates), WEEK):
        week = slice(first, first + WEEK)
        recorded = hours[week] > 0
        if not recorded.any():
            continue
        # from the first recorded day of the week to its last: it speaks for no others
        days = np.flatnonzero(recorded)
        x = LEFT + (first + int(days[0])) * chart.column
        width = int(days[-1] - days[0] + 1) * chart.column
        mean = float(calls[week].sum() / hours[week].sum())
        span = rate_interval(calls[week][recorded], hours[week][recorded])
        if span is not None:
            low, high = (min(value * scale, SEASON) for value in span)
            parts.append(svg.rect(x + 1, base - high, width - 2, high - low, "band"))
        y = base - min(mean * scale, SEASON)
        parts.append(svg.line(x + 1, y, x + width - 1, y, "mean"))
    for at, (n_hours, n_calls) in enumerate(zip(hours.tolist(), calls.tolist(), strict=True)):
        x = LEFT + (at + 0.5) * chart.column
        if n_hours > 0:
            day = f"{chart.dates[at]}: {n_calls} calls in {n_hours:.2f} h"
            y = base - min(n_calls / n_hours * scale, SEASON)
            parts.append(svg.dot(x, y, 2.2, "day", day))
        else:
            parts.append(svg.rect(x - chart.column / 2, base, chart.column, 3, "unrecorded"))
    return parts
