"""One label in a report: a legend, and a picture of hours, rhythm and season for each site."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any

import numpy as np

from dawnchorus.activity import svg
from dawnchorus.activity.legend import draw_legend
from dawnchorus.activity.site_chart import SiteChart, draw_site, rates
from dawnchorus.activity.sun import sun_times

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from numpy.typing import NDArray

    from dawnchorus.activity.grid import SiteHours
    from dawnchorus.activity.run import Activity


HourRows = Mapping[tuple[str, int], Mapping[str, Any]]  # by site and local hour


def rows_by_hour(activity: Activity) -> dict[str, dict[tuple[str, int], dict[str, Any]]]:
    """Rows over all dates of each label, by site and hour."""
    rows: dict[str, dict[tuple[str, int], dict[str, Any]]] = {one: {} for one in activity.labels}
    for row in activity.rows(("site", "hour")).to_pylist():
        rows[row["label"]][row["site"], row["local_hour"]] = row
    return rows


def label_html(
    activity: Activity, label: str, by_hour: HourRows, *, number: int, most_sites: int
) -> str:
    """The heading of a label and its pictures.

    Args:
        activity: of the report.
        label: one of it.
        by_hour: its rows of `rows_by_hour`.
        number: of the label on the page.
        most_sites: that have a picture, those with most calls.
    """
    sites = sorted(activity.sites, key=lambda one: -int(one.n_calls[label].sum()))[:most_sites]
    shown = sorted(sites, key=lambda one: one.site)
    charts = site_charts(activity, label, by_hour, shown)
    total = sum(int(one.n_calls[label].sum()) for one in activity.sites)
    top = next(iter(charts.values())).top_cell
    parts = [
        f"<header><h3>{svg.plain(label)} <small>{total:,} calls</small></h3>",
        draw_legend(top, "calls per hour", number),
        "</header>",
    ]
    for one in shown:
        n_calls = int(one.n_calls[label].sum())
        title = f"{label} at {one.site}: calls per recorded hour by date and hour"
        parts.append(
            f'<div class="site-chart"><p class="site">{svg.plain(one.site)}<small>{n_calls:,} calls'
            f"</small></p><div class=scroll>{draw_site(charts[one.site], title)}</div></div>"
        )
    left = len(activity.sites) - len(shown)
    if left:
        parts.append(f"<p class=small>{left} more sites, with fewer calls, are in the tables.</p>")
    return "\n".join(parts)


def site_charts(
    activity: Activity, label: str, by_hour: HourRows, sites: Sequence[SiteHours]
) -> dict[str, SiteChart]:
    """What is drawn of each site; scales and dates are common to all."""
    dates = all_dates(activity)
    arrays = {one.site: on_dates(one, label, dates) for one in sites}
    cells = np.concatenate([rates(calls, hours).ravel() for hours, calls in arrays.values()])
    days = np.concatenate([rates(c.sum(axis=1), h.sum(axis=1)) for h, c in arrays.values()])
    of_hours = [[by_hour.get((site, hour)) for hour in range(24)] for site in arrays]
    tops = [_highest(row) for rows in of_hours for row in rows if row is not None]
    return {
        site: SiteChart(
            dates=dates,
            hours=hours,
            n_calls=calls,
            top_cell=svg.nice_top(top_of(cells)),
            top_hour=svg.nice_top(max(tops, default=0.0)),
            top_day=svg.nice_top(top_of(days)),
            by_hour=[_bar(row) for row in rows],
            windows_by_hour={h: w for h, row in enumerate(rows) if (w := _windows(row))},
            sun=sun_hours(activity, site),
        )
        for (site, (hours, calls)), rows in zip(arrays.items(), of_hours, strict=True)
    }


def all_dates(activity: Activity) -> tuple[date, ...]:
    """The dates of all sites."""
    return tuple(sorted({day for one in activity.sites for day in one.dates}))


def on_dates(
    site: SiteHours, label: str | None, dates: Sequence[date]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Hours and calls of a site, ``(dates, 24)`` each, on dates that it may not have itself."""
    at = {day: row for row, day in enumerate(dates)}
    rows = [at[day] for day in site.dates]
    hours = np.zeros((len(dates), 24))
    calls = np.zeros((len(dates), 24), np.int64)
    hours[rows] = site.hours
    if label is not None:
        calls[rows] = site.n_calls[label]
    return hours, calls


def sun_hours(activity: Activity, site: str) -> dict[date, tuple[float, float]]:
    """Sunrise and sunset in local hours, for dates with a recording whose offset is known."""
    sun: dict[date, tuple[float, float]] = {}
    for recording in activity.archive.recordings:
        start, position = recording.start, recording.position
        if (recording.site or "unknown") != site or start is None or position is None:
            continue
        if start.date() in sun or start.tzinfo is None:
            continue
        # a clock in UTC far from Greenwich is not local: its sunrise would be, but who reads it?
        times = sun_times(start.date(), *position)
        if times is not None:
            local = [moment.astimezone(UTC).astimezone(start.tzinfo) for moment in times]
            rise, fall = (one.hour + one.minute / 60 for one in local)
            sun[start.date()] = rise, fall
    return sun


def _bar(row: Mapping[str, Any] | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if row is None else (row["calls_per_hour"], row["low"], row["high"])


def _windows(row: Mapping[str, Any] | None) -> tuple[float | None, float, float] | None:
    if row is None or row["windows_low"] is None or row["windows_high"] is None:
        return None
    return row["windows_per_hour"], row["windows_low"], row["windows_high"]


def _highest(row: Mapping[str, Any]) -> float:
    """What has to fit: each rate, and its interval unless that is far longer than the rate."""
    rates = (("calls_per_hour", "high"), ("windows_per_hour", "windows_high"))
    ends = [(row[rate] or 0.0, row[high] or 0.0) for rate, high in rates]
    return max(max(rate, min(high, 2 * rate)) for rate, high in ends)


def top_of(values: NDArray[np.float64]) -> float:
    """The largest but for a few: one loud hour must not make all others pale."""
    known = values[~np.isnan(values) & (values > 0)]
    return float(np.quantile(known, 0.98)) if len(known) else 0.0
