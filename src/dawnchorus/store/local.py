"""Local times of a store's windows and recordings.

An archive of 10,000 hours has millions of windows and thousands of recordings: the clock of each
recording is read once, and its windows are counted on from there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.local_time import (
    iso_text,
    later,
    local_start,
    parse_zone,
    zone_kind,
    zone_warnings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, tzinfo

    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

RECORDING_CLOCK: Final = ("recorded_at", "time_zone")  # columns that say when a recording began
A_WEEK: Final = np.timedelta64(7, "D")
MICROSECONDS: Final = 1_000_000  # in a second
DAY_CHARACTERS: Final = len("2024-05-01")  # Arrow writes a space behind them, ISO 8601 a T


@dataclass(frozen=True, slots=True, eq=False)
class WallClock:
    """When each window begins, by the clock on the wall.

    Attributes:
        shown: ``(n,)`` datetime64 in microseconds; NaT where the recording does not say it.
        offset: ``(n,)`` which of ``offsets`` holds; of no meaning where ``shown`` is NaT.
        offsets: from UTC, as ISO 8601 writes them: ``+02:00``, or nothing where none is known.
    """

    shown: NDArray[np.datetime64]
    offset: Rows
    offsets: list[str]

    def texts(self) -> pa.Array:
        """ISO 8601 to the millisecond, as `iso_text`; null where it is not known."""
        # a null wherever NaT is
        clock = pa.array(self.shown.astype("datetime64[ms]")).cast(pa.string())
        clock = pc.binary_replace_slice(clock, DAY_CHARACTERS, DAY_CHARACTERS + 1, "T")
        suffix = pa.array(self.offsets or [""], pa.string()).take(pa.array(self.offset))
        return pc.binary_join_element_wise(clock, suffix, "")


def wall_clock(windows: pa.Table, time_zone: str | None) -> WallClock:
    """As `local_times`, for many windows: of each recording at once.

    Args:
        windows: has ``start_s`` and `RECORDING_CLOCK`.
        time_zone: before the one that a recording has in the store.
    """
    start_s = windows["start_s"].to_numpy()
    since = _microseconds(start_s)
    shown = np.full(len(since), np.datetime64("NaT"), "datetime64[us]")
    offset, offsets = np.zeros(len(since), np.int64), dict[str, int]()
    for rows, recorded_at, own_zone in _by_clock(windows):
        start = local_start(recorded_at, zone_of(time_zone, own_zone))
        first, last = (later(start, float(s)) for s in _ends(start_s[rows]))
        span = since[rows].max() - since[rows].min()
        if first.utcoffset() == last.utcoffset() and span < A_WEEK:
            shown[rows] = _shown(first) + (since[rows] - since[rows].min())
            offset[rows] = _number(offsets, first)
            continue
        for row in rows.tolist():  # the clocks were changed while it recorded
            moment = later(start, float(start_s[row]))
            shown[row], offset[row] = _shown(moment), _number(offsets, moment)
    return WallClock(shown, offset, list(offsets))


def _microseconds(seconds: NDArray[np.float64]) -> NDArray[np.timedelta64]:
    """Seconds as `datetime.timedelta` rounds them: whole ones apart, so that no digit is lost."""
    whole = np.floor(seconds)
    parts = np.rint((seconds - whole) * MICROSECONDS)
    return (whole.astype(np.int64) * MICROSECONDS + parts.astype(np.int64)).astype(
        "timedelta64[us]"
    )


def _by_clock(windows: pa.Table) -> Iterator[tuple[Rows, str, str | None]]:
    """Rows of the windows whose recordings say the same, and what they say; not those without."""
    texts = (windows[name].cast(pa.string()).combine_chunks() for name in RECORDING_CLOCK)
    encoded = [pc.dictionary_encode(text) for text in texts]
    codes = [column.indices.fill_null(-1).to_numpy().astype(np.int64) for column in encoded]
    began, zones = (column.dictionary.to_pylist() for column in encoded)
    together = codes[0] * (len(zones) + 1) + codes[1] + 1
    order = np.argsort(together, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(together[order])) + 1):
        if len(rows) and codes[0][rows[0]] >= 0 and began[codes[0][rows[0]]]:
            zone = int(codes[1][rows[0]])
            yield rows, began[codes[0][rows[0]]], None if zone < 0 else zones[zone]


def _ends(seconds: NDArray[np.float64]) -> tuple[np.float64, np.float64]:
    return seconds.min(), seconds.max()


def _shown(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.replace(tzinfo=None), "us")


def _number(offsets: dict[str, int], moment: datetime) -> int:
    """The number of a moment's offset, a new one if it is the first of its kind."""
    clock = moment.replace(tzinfo=None)
    return offsets.setdefault(iso_text(moment)[len(iso_text(clock)) :], len(offsets))


def local_times(windows: pa.Table, time_zone: str | None) -> list[datetime | None]:
    """When each window begins, in local time; None where the recording does not say it.

    For a few windows: each is a Python object. See `wall_clock` for many.

    Args:
        windows: has ``start_s`` and `RECORDING_CLOCK`.
        time_zone: before the one that a recording has in the store.
    """
    # most windows share the start of their recording: parsing it once a window is slow
    starts: dict[tuple[str, str | None], datetime] = {}
    times: list[datetime | None] = []
    columns = (windows[name].to_pylist() for name in ("start_s", *RECORDING_CLOCK))
    for start_s, recorded_at, own_zone in zip(*columns, strict=True):
        if not recorded_at:
            times.append(None)
            continue
        key = recorded_at, own_zone
        if key not in starts:
            starts[key] = local_start(recorded_at, zone_of(time_zone, own_zone))
        times.append(later(starts[key], start_s))
    return times


def zone_of(time_zone: str | None, own_zone: str | None) -> tzinfo | None:
    """The zone that was named for a recording, first now, else when it was embedded."""
    name = time_zone or own_zone
    return parse_zone(name) if name else None


def local_column(windows: pa.Table, time_zone: str | None) -> pa.Array:
    """`local_times` as text."""
    return wall_clock(windows, time_zone).texts()


def clock_warnings(recordings: pa.Table, time_zone: str | None) -> list[str]:
    """Warnings about finished recordings with mixed or unknown time zones."""
    done = recordings.filter(pc.equal(recordings["status"], "done"))
    columns = (done[name].to_pylist() for name in RECORDING_CLOCK)
    return zone_warnings(
        Counter(
            zone_kind(recorded_at, zone_of(time_zone, own_zone))
            for recorded_at, own_zone in zip(*columns, strict=True)
            if recorded_at
        )
    )
