"""What was recorded, hour by local hour.

Each recording counts its own time, split where the local clock begins an hour. Recordings of one
site that overlap in time (two recorders side by side) both count: a call that both hear is two
calls, and with the time of both below it the rate stays that of one recorder. Time without sound
(samples that could not be decoded, windows without any signal) was not recorded.

In the night of a clock change an hour of the wall clock is there twice, or not at all. Its recorded
time is then up to two hours, or none; calls fall into the same hour, so their rate is right.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dawnchorus.local_time import later

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date, datetime

    Cell = tuple[str, date, int]  # site, local date, local hour

MICROSECONDS: Final = 1_000_000
HOUR_US: Final = 3600 * MICROSECONDS
MINUTE_US: Final = 60 * MICROSECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSound:
    """One recording, and when and where it was made.

    Attributes:
        path: as the source calls it.
        site: where; empty: not known.
        start: when it begins, in local time, with an offset where one is known; None: not known.
        duration_s: of sound that could be read.
        unheard: spans ``(start_s, stop_s)`` in it without sound; they may overlap.
        position: latitude and longitude in degrees, None where they are not known.
    """

    path: str
    site: str
    start: datetime | None
    duration_s: float
    unheard: tuple[tuple[float, float], ...] = ()
    position: tuple[float, float] | None = None


def effort_by_hour(recordings: Iterable[RecordedSound]) -> dict[Cell, int]:
    """Microseconds recorded in each local hour of each site; hours without any are left out.

    Recordings whose start is not known are passed over.
    """
    effort: dict[Cell, int] = defaultdict(int)
    for recording in recordings:
        if recording.start is None:
            continue
        for first_us, stop_us in _heard(recording):
            for day, hour, n_us in _hours(recording.start, first_us, stop_us):
                effort[recording.site, day, hour] += n_us
    return dict(effort)


def overlap_s(recordings: Iterable[RecordedSound]) -> dict[str, float]:
    """Seconds of each site that more than one of its recordings heard; sites without are left out.

    Of each moment, every recording beyond the first counts.
    """
    spans: dict[tuple[str, bool], list[tuple[float, float]]] = defaultdict(list)
    for recording in recordings:
        if recording.start is not None and recording.duration_s > 0:
            # clocks with and without a zone cannot be compared
            start = recording.start.timestamp()
            key = recording.site, recording.start.tzinfo is None
            spans[key].append((start, start + recording.duration_s))
    overlaps: dict[str, float] = defaultdict(float)
    for (site, _), of_site in spans.items():
        overlaps[site] += sum(stop - start for start, stop in of_site) - _union(of_site)
    # clocks count whole seconds, and recorders stop a little late
    return {site: spent for site, spent in sorted(overlaps.items()) if spent > 1.0}


def _union(spans: Sequence[tuple[float, float]]) -> float:
    return sum(stop - start for start, stop in merged(spans))


def merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans joined where they touch or overlap, in order."""
    joined: list[tuple[float, float]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], stop)
        elif stop > start:
            joined.append((start, stop))
    return joined


def _heard(recording: RecordedSound) -> Iterator[tuple[int, int]]:
    """The spans with sound, in microseconds from its start."""
    at, end = 0, round(recording.duration_s * MICROSECONDS)
    for start_s, stop_s in merged(recording.unheard):
        first = min(round(start_s * MICROSECONDS), end)
        if first > at:
            yield at, first
        at = max(at, min(round(stop_s * MICROSECONDS), end))
    if end > at:
        yield at, end


def _hours(start: datetime, first_us: int, stop_us: int) -> Iterator[tuple[date, int, int]]:
    """A span of a recording, cut where a local hour begins: date, hour, microseconds."""
    at = first_us
    while at < stop_us:
        moment = later(start, at / MICROSECONDS)
        n_us = min(_left_of_hour(moment), stop_us - at)
        yield moment.date(), moment.hour, n_us
        at += n_us


def _left_of_hour(moment: datetime) -> int:
    """Microseconds until the clock on the wall may show another hour."""
    in_minute = moment.second * MICROSECONDS + moment.microsecond
    left = HOUR_US - moment.minute * MINUTE_US - in_minute
    last = later(moment, (left - 1) / MICROSECONDS)
    if last.utcoffset() == moment.utcoffset():
        return left
    # the clock changes within this hour: minute by minute, as clocks change at whole minutes
    return MINUTE_US - in_minute
