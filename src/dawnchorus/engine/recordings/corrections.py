"""What a list says now of recordings that are done: their rows change, their vectors do not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dawnchorus.audio.clock import StartTime
from dawnchorus.audio.metadata import read_metadata
from dawnchorus.engine.recordings.listing import START_TIME
from dawnchorus.paths import is_remote

if TYPE_CHECKING:
    from dawnchorus.engine.recordings.jobs import RecordingJob
    from dawnchorus.store.schema import RecordingRow


def says_something(job: RecordingJob) -> bool:
    """Whether this run says anything of the recording that the store might not have."""
    return bool(job.carried or job.time_zone)


def corrected_row(row: RecordingRow, job: RecordingJob) -> RecordingRow | None:
    """The row with this run's columns, start and time zone; None: it has them already.

    Columns that this run's list does not have are kept, as is a time zone that is not named again.
    """
    old, listed = dict(row.carried), dict(job.carried)
    began = _began(row, job)
    # a time zone that is not named again is kept, as columns are
    new = replace(
        row,
        carried=tuple({**old, **listed}.items()),
        recorded_at=None if began is None else began.time,
        recorded_from=None if began is None else began.source,
        time_zone=job.time_zone or row.time_zone,
    )
    return None if _facts(new) == _facts(row) else new


def _began(row: RecordingRow, job: RecordingJob) -> StartTime | None:
    said = dict(job.carried)
    if said.get(START_TIME):
        return StartTime(said[START_TIME], "list")
    if START_TIME in said and row.recorded_from == "list":
        # it was taken out of the list
        return None if is_remote(job.path) else read_metadata(job.path).start
    # the list has no such column, so it takes nothing back
    if row.recorded_at is None or row.recorded_from is None:
        return None
    return StartTime(row.recorded_at, row.recorded_from)


def _facts(row: RecordingRow) -> tuple[object, ...]:
    # a column that is empty says as little as none
    named = {(name, value) for name, value in row.carried if value}
    return row.recorded_at, row.recorded_from, row.time_zone, frozenset(named)
