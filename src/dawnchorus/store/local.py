"""Local times of a store's windows and recordings."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

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
    from datetime import datetime, tzinfo

RECORDING_CLOCK: Final = ("recorded_at", "time_zone")  # columns that say when a recording began


def local_times(windows: pa.Table, time_zone: str | None) -> list[datetime | None]:
    """When each window begins, in local time; None where the recording does not say it.

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
    times = local_times(windows, time_zone)
    return pa.array([None if time is None else iso_text(time) for time in times], pa.string())


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
