"""Numbers and words of a report: what was recorded, what was found, how, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.activity import svg
from dawnchorus.activity.effort import overlap_s
from dawnchorus.activity.grid import UNKNOWN_SITE
from dawnchorus.activity.legend import draw_legend
from dawnchorus.activity.report_labels import all_dates, on_dates
from dawnchorus.activity.site_chart import (
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    date_axis,
    heat_map,
)
from dawnchorus.activity.svg import plain, short

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from dawnchorus.activity.grid import SiteHours
    from dawnchorus.activity.run import Activity

MOST_TROUBLES: Final = 200
MOST_COLUMNS: Final = 6  # sites side by side in a table
MOST_EFFORT: Final = 24  # sites with a picture of what was recorded
LEGEND: Final = 1000  # number of the legend of minutes, after those of labels


def facts_html(activity: Activity) -> str:
    """The run in a sentence and a row of numbers."""
    dates = all_dates(activity)
    days = {day for one in activity.sites for day, h in zip(one.dates, one.hours, strict=True)
            if h.sum() > 0}  # fmt: skip
    sites = [one.site for one in activity.sites]
    listed = ", ".join(sites[:6]) + (f" and {len(sites) - 6} more" if len(sites) > 6 else "")
    n_calls = sum(int(calls.sum()) for one in activity.sites for calls in one.n_calls.values())
    n_recordings = sum(1 for one in activity.archive.recordings if one.start is not None)
    numbers = [
        (f"{activity.recorded_hours:,.1f}", "recorded hours"),
        (f"{n_recordings:,}", "recordings"),
        (f"{len(sites):,}", "sites" if len(sites) != 1 else "site"),
        (f"{len(days):,}", "days with a recording"),
        (f"{len(activity.labels):,}", "labels counted"),
        (f"{n_calls:,}", "calls"),
    ]
    boxes = "".join(f"<div><b>{n}</b><span>{plain(what)}</span></div>" for n, what in numbers)
    lead = f"{plain(listed)}; {_day(dates[0])} to {_day(dates[-1])}."
    return f'<p class="lead">{lead}</p><div class="facts">{boxes}</div>'


def recorded_html(activity: Activity) -> str:
    """A table of sites, and for each a picture of the minutes recorded."""
    names = ["site", "first day", "last day", "days", "recordings", "hours", "hours a day"]
    overlaps = overlap_s(activity.archive.recordings)
    rows = [_recorded_row(activity, one) for one in activity.sites]
    if overlaps:
        names.append("overlapping hours")
        rows = [(*row, f"{overlaps.get(_own(row[0]), 0.0) / 3600:.1f}") for row in rows]
    parts = [
        table_html(names, rows, n_words=3),
        draw_legend(60, "minutes in the hour", LEGEND),
    ]
    dates = all_dates(activity)
    parts.append('<div class="efforts">')
    parts += [
        f'<div class="site-chart"><p class="site">{plain(one.site)}</p><div class="scroll">'
        f"{_effort(one, dates)}</div></div>"
        for one in activity.sites[:MOST_EFFORT]
    ]
    parts.append("</div>")
    left = len(activity.sites) - MOST_EFFORT
    if left > 0:
        parts.append(f"<p class=small>{left} more sites are in the table.</p>")
    return "\n".join(parts)


def _own(site: object) -> str:
    return "" if site == UNKNOWN_SITE else str(site)


def _recorded_row(activity: Activity, one: SiteHours) -> tuple[object, ...]:
    recorded = one.hours.sum(axis=1) > 0
    days = [day for day, was in zip(one.dates, recorded, strict=True) if was]
    n = sum(
        1
        for recording in activity.archive.recordings
        if (recording.site or UNKNOWN_SITE) == one.site and recording.start is not None
    )
    hours = float(one.hours.sum())
    # calls in sound without signal leave a site without any recorded day
    first, last = (_day(days[0]), _day(days[-1])) if days else ("", "")
    a_day = f"{hours / len(days):.1f}" if days else ""
    return one.site, first, last, len(days), f"{n:,}", f"{hours:,.1f}", a_day


def _effort(one: SiteHours, dates: Sequence[date]) -> str:
    hours, _ = on_dates(one, None, dates)
    minutes = np.where(hours > 0, hours * 60, np.nan)
    height = TOP + HEIGHT + 24
    title = f"minutes recorded at {one.site} by date and hour"
    return "\n".join([
        f'<svg class="chart" viewBox="0 0 {LEFT + WIDTH + RIGHT:g} {height:g}" role="img" '
        f'aria-label="{plain(title)}">',
        *heat_map(minutes, 60, dates, TOP),
        *date_axis(dates, TOP + HEIGHT),
        "</svg>",
    ])  # fmt: skip


def found_html(activity: Activity) -> str:
    """Calls per hour of each label, by site where sites fit side by side."""
    sites = [one.site for one in activity.sites]
    whole = {row["label"]: row for row in activity.rows(()).to_pylist()}
    by_site = {(r["label"], r["site"]): r for r in activity.rows(("site",)).to_pylist()}
    columns = sites if len(sites) <= MOST_COLUMNS else []
    names = ["label", "calls", "sites", "per recorded hour", *columns]
    rows = [
        [
            label,
            f"{whole[label]['n_calls'] or 0:,}",
            str(sum(1 for site in sites if by_site[label, site]["n_calls"])),
            _rate(whole[label]),
            *(_rate(by_site[label, site]) for site in columns),
        ]
        for label in activity.labels
    ]
    parts = [
        f"<p>A call is {plain(activity.what)}. In brackets: 90% interval over days like those "
        "that were recorded.</p>",
        table_html(names, rows, n_words=1),
    ]
    if not columns:
        parts.append(_folded(by_site.values()))
    return "\n".join(parts)


def _folded(rows: Iterable[dict[str, Any]]) -> str:
    cells = [(row["label"], row["site"], row["n_calls"] or 0, _rate(row)) for row in rows]
    table = table_html(("label", "site", "calls", "per recorded hour"), cells, n_words=2)
    return f"<details><summary>Every label at every site</summary>{table}</details>"


def _rate(row: dict[str, Any]) -> tuple[str, ...]:
    """A rate, and below it its intervals; the dash of nothing recorded is no number."""
    if row["calls_per_hour"] is None:
        return ("–",)  # noqa: RUF001
    lines = [short(row["calls_per_hour"])]
    if row["low"] is not None:
        lines.append(f"[{short(row['low'])}, {short(row['high'])}]")
    if row["windows_low"] is not None:
        windows = "?" if row["windows_per_hour"] is None else short(row["windows_per_hour"])
        span = f"[{short(row['windows_low'])}, {short(row['windows_high'])}]"
        lines.append(f"by density {windows} {span}")
    return tuple(lines)


def troubles_html(activity: Activity) -> str:
    """What could not be read, whole or in part."""
    troubles = activity.archive.troubles
    if not troubles:
        return "<p>None: every recording could be read to its end.</p>"
    rows = [(one.path, one.reason, one.message) for one in troubles[:MOST_TROUBLES]]
    left = len(troubles) - len(rows)
    more = f"<p>and {left:,} more</p>" if left else ""
    table = table_html(("recording", "verdict", "what is wrong"), rows, n_words=3, kind="wrap")
    return (
        "<p>What could be read of them counts as recorded; what could not does not.</p>"
        f"{table}{more}"
    )


def method_html(activity: Activity) -> str:
    """What the numbers are, in sentences."""
    lines = [
        f"A call is {activity.what}, and counts in the hour in which it begins. Calls are not "
        "animals, and a detector misses some and invents others.",
        "A recorded hour is an hour of sound that could be read. Hatched: nothing was recorded, "
        "so nobody knows; the palest colour is 0: recorded, and no call.",
        "Recorders that ran side by side both count, with their calls, so a rate is that of one "
        "recorder. Hours are those of the wall clock, with its summer time.",
        "Brackets and whiskers are 90% intervals of the mean over days like those recorded, from "
        "the differences between days (five days and a call at least). They say nothing of the "
        "detector's errors, nor of seasons without a recording.",
        "In the pictures of a site: above, each hour of each date; to the right, the mean of each "
        "hour; below, each date as a dot and each seven days as a line in its interval. All sites "
        "of a label share their scales; the few highest cells have the last colour.",
    ]
    if any(one.position for one in activity.archive.recordings):
        lines.append("Dashed lines: sunrise and sunset, from the position of the recorders.")
    if activity.density is not None:
        lines.append(
            "By density: windows that hold the call, estimated from windows that were judged "
            "(label density), with its 90% interval. It needs no threshold, and stands beside the "
            "count of the detector, not in its place. In pictures: the second colour."
        )
    return "".join(f"<p>{plain(text)}</p>" for text in lines)


def settings_html(activity: Activity, command: str, of_version: str) -> str:
    """Model, windows, thresholds, versions, and the command that makes the page again."""
    header = activity.archive.header
    facts = [*activity.settings, ("recorded hours", f"from {activity.archive.source}")]
    if header is not None:
        facts += [
            ("model", header.model),
            ("weights", f"SHA-256 {header.weights_sha256 or 'not known'}"),
            ("windows", f"{header.window_s:g} s every {header.hop_s:g} s at "
                        f"{header.sample_rate:,} Hz"),
            ("embedded with", ", ".join(f"{k} {v}" for k, v in header.versions.items())),
        ]  # fmt: skip
    if activity.density is not None:
        facts.append(("density", activity.density.path))
    facts.append(("dawnchorus", of_version))
    items = "".join(f"<dt>{plain(name)}</dt><dd>{plain(value)}</dd>" for name, value in facts)
    again = f"<p>This page again:</p><pre>{plain(command)}</pre>" if command else ""
    return f"<dl>{items}</dl>{again}"


def table_html(
    names: Sequence[str], rows: Iterable[Sequence[object]], *, n_words: int, kind: str = ""
) -> str:
    """A table; the first ``n_words`` columns are words, the others numbers."""
    head = "".join(
        f"<th{'' if at < n_words else ' class=n'}>{plain(name)}</th>"
        for at, name in enumerate(names)
    )
    body = "".join(
        "<tr>" + "".join(_cell(cell, at, n_words) for at, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(cell: object, at: int, n_words: int) -> str:
    kind = " class=name" if at == 0 else "" if at < n_words else " class=n"
    if isinstance(cell, tuple):
        first, *others = cell
        below = "".join(f"<small>{plain(text)}</small>" for text in others)
        return f"<td{kind}>{plain(first)}{below}</td>"
    return f"<td{kind}>{plain(cell)}</td>"


def _day(day: date) -> str:
    return f"{day.day} {svg.MONTHS[day.month - 1]} {day.year}"
