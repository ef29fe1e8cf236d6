"""Recorded time and calls of each site, as arrays of local date by local hour."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.activity.effort import MICROSECONDS, effort_by_hour
from dawnchorus.local_time import iso_text, later

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnchorus.activity.effort import Cell, RecordedSound

UNKNOWN_SITE: Final = "unknown"  # as in the table of a density
HOURS: Final = 24
# Days without a recording are shown between two that have some. Not for years: two deployments, or
# a recorder whose clock was reset, would make a table of nothing.
MOST_EMPTY_DAYS: Final = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteHours:
    """One site.

    Attributes:
        site: its name, `UNKNOWN_SITE` where the recordings do not say it.
        dates: local, in order; those without any recording between others too.
        hours: ``(dates, 24)`` recorded hours in each local hour, 0 where nothing was recorded.
        n_calls: of each label, ``(dates, 24)``.
    """

    site: str
    dates: tuple[date, ...]
    hours: NDArray[np.float64]
    n_calls: Mapping[str, NDArray[np.int64]]


def site_hours(
    recordings: Sequence[RecordedSound], labels: Sequence[str], located: Iterable[tuple[str, Cell]]
) -> tuple[SiteHours, ...]:
    """Every site that has recordings with a start, by name.

    Args:
        recordings: that were made.
        labels: that were looked for.
        located: label and hour of each call, as `locate` gives them.
    """
    effort = effort_by_hour(recordings)
    days: dict[str, set[date]] = defaultdict(set)
    for site, day, _ in effort:
        days[site].add(day)
    calls = list(located)
    # a call in sound that was not counted, such as a window that begins in a gap, has a place too
    for _, (site, day, _) in calls:
        days[site].add(day)
    sites = {site: _filled(found) for site, found in days.items()}
    index = {site: {day: at for at, day in enumerate(found)} for site, found in sites.items()}
    hours = {site: np.zeros((len(found), HOURS)) for site, found in sites.items()}
    for (site, day, hour), n_us in effort.items():
        hours[site][index[site][day], hour] = n_us / MICROSECONDS / 3600
    counts = {
        (site, label): np.zeros((len(found), HOURS), np.int64)
        for site, found in sites.items()
        for label in labels
    }
    for label, (site, day, hour) in calls:
        counts[site, label][index[site][day], hour] += 1
    return tuple(
        SiteHours(
            site=site or UNKNOWN_SITE,
            dates=sites[site],
            hours=hours[site],
            n_calls={label: counts[site, label] for label in labels},
        )
        for site in sorted(sites)
    )


def locate(
    calls: pa.Table, recordings: Mapping[str, RecordedSound]
) -> list[tuple[Cell, str] | None]:
    """Site, date and hour in which each call begins, and its local time as text.

    Args:
        calls: columns of `CALL_SCHEMA`.
        recordings: of each of their paths.

    Returns:
        For each row, or None where its recording does not say when it began.
    """
    places: list[tuple[Cell, str] | None] = []
    columns = (calls[name].to_pylist() for name in ("path", "start_s"))
    for path, start_s in zip(*columns, strict=True):
        recording = recordings[path]
        if recording.start is None:
            places.append(None)
            continue
        moment = later(recording.start, start_s)
        places.append(((recording.site, moment.date(), moment.hour), iso_text(moment)))
    return places


def _filled(days: set[date]) -> tuple[date, ...]:
    """The days in order, with those between two of them that are not far apart."""
    filled: list[date] = []
    for day in sorted(days):
        gap = (day - filled[-1]).days if filled else 1
        if gap <= MOST_EMPTY_DAYS:
            filled += [day - timedelta(days=back) for back in range(gap - 1, 0, -1)]
        filled.append(day)
    return tuple(filled)
