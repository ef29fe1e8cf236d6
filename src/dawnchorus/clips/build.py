"""Rows to a manifest: each recording measured once, each span held against its length.

A span that ends a little late is cut; where most spans end long after their recordings, the times
are in another unit and the whole table is refused: cut spans would pass for labelled sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from dawnchorus.clips.manifest import MANIFEST_SCHEMA, Manifest
from dawnchorus.clips.measure import measure
from dawnchorus.clips.parallel import in_threads
from dawnchorus.errors import TaskError
from dawnchorus.failures import Failure
from dawnchorus.progress import NO_PROGRESS, Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from dawnchorus.clips.measure import Measurement

    Row = dict[str, Any]  # columns of a manifest, and "where", "recording_s" of an annotation

TOLERANCE_S: Final = 0.1  # by which the end of a span may lie behind the recording's
# A length that is clearly shorter than the recording is that of a call, not of the recording.
SHORT_SHARE: Final = 0.9


@dataclass(frozen=True, slots=True)
class ImportedClips:
    """Clips that were read from what people have.

    Attributes:
        manifest: the clips.
        failures: what is not in it, and why.
        notes: what was read as what, and what to mind.
    """

    manifest: Manifest
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()


def build_manifest(
    rows: Sequence[Row], folder: Path, *, named: str, progress: Progress = NO_PROGRESS
) -> ImportedClips:
    """Measure the file of each row and make a manifest of those that can be read.

    A row whose ``stop_s`` is missing or lies after the end gets the end, which the notes say. One
    that starts there is a failure, as is a file that cannot be read.

    Args:
        rows: at least ``id``, ``path`` and ``labels``.
        folder: where relative paths start.
        named: what errors call the rows.
        progress: counts each file whose header was read.

    Raises:
        TaskError: None can be read, or most end long after their recordings.
    """
    measured = _measure_each(rows, folder, progress)
    failures = [
        Failure(path, found.verdict, found.message)
        for path, found in measured.items()
        if not found.readable
    ]
    readable = [row for row in rows if measured[row["path"]].readable]
    # both look at the table as a whole: one odd row is a failure, many are another unit
    _check_lengths(readable, measured, named)
    notes = _late_ends(readable, measured, named)
    good: list[Row] = []
    for row in readable:
        checked = _within(row, measured[row["path"]])
        (failures if isinstance(checked, Failure) else good).append(checked)  # type: ignore[arg-type]
    if not good:
        remedy = "; say where they lie with --audio" if failures[0].reason == "missing" else ""
        raise TaskError(
            f"{named}: none of {len(rows)} clips can be read; the first: {failures[0].message}"
            f"{remedy}"
        )
    return ImportedClips(Manifest(_table(good), folder, named=named), tuple(failures), notes)


def _measure_each(rows: Sequence[Row], folder: Path, progress: Progress) -> dict[str, Measurement]:
    paths = list(dict.fromkeys(row["path"] for row in rows))
    advance = progress.start("reading headers", len(paths), "files")
    measured: dict[str, Measurement] = {}
    look = partial(measure, folder, deep=False)
    for path, measurement in zip(paths, in_threads(look, paths), strict=True):
        measured[path] = measurement
        advance(1)
    return measured


def _within(row: Row, recording: Measurement) -> Row | Failure:
    """The row with both ends inside its recording, or why there is nothing of it."""
    start_s, stop_s = row.get("start_s") or 0.0, row.get("stop_s")
    if start_s >= recording.duration_s:
        where = f"{row['where']}: " if row.get("where") else ""
        message = f"{row['path']}: ends at {recording.duration_s:.3f} s, before {start_s:g} s"
        return Failure(row["id"], "beyond-end", f"{where}{message}")
    end_s = recording.duration_s if stop_s is None else min(stop_s, recording.duration_s)
    return {
        **{name: value for name, value in row.items() if name not in {"where", "recording_s"}},
        "start_s": start_s,
        "stop_s": end_s,
        "duration_s": recording.duration_s,
        "sample_rate": recording.sample_rate,
    }


def _check_lengths(rows: Sequence[Row], measured: dict[str, Measurement], named: str) -> None:
    """Lengths that a table gives without starts are those of recordings, or it is refused."""
    stated = [row for row in rows if "recording_s" in row]
    short = [
        row
        for row in stated
        if row["recording_s"] is not None
        and row["recording_s"] < SHORT_SHARE * measured[row["path"]].duration_s - TOLERANCE_S
    ]
    # half of them: a few recordings may have been cut since the table was written
    if 2 * len(short) > len(stated):
        row = short[0]
        raise TaskError(
            f"{named}: a column says that clips are shorter than their recordings ("
            f"{row.get('where') or row['path']}: {row['recording_s']:g} s of "
            f"{measured[row['path']].duration_s:g} s), and none says where they start; name it: "
            "--column start_s=COLUMN, or remove the lengths"
        )


def _late_ends(
    rows: Sequence[Row], measured: dict[str, Measurement], named: str
) -> tuple[str, ...]:
    """A note on spans that end after their recordings.

    Raises:
        TaskError: Most of them end at more than twice the length: the times are not seconds.
    """
    ends = [
        (row, float(row["stop_s"]), measured[row["path"]].duration_s)
        for row in rows
        if row.get("stop_s") is not None
    ]
    late = [end for end in ends if end[1] > end[2] + TOLERANCE_S]
    if not late:
        return ()
    row, stop_s, duration_s = late[0]
    where = row.get("where") or row["path"]
    said = f"{where}: ends at {stop_s:g} s, its recording at {duration_s:g} s"
    if 2 * sum(stop_s > 2 * duration_s for _, stop_s, duration_s in late) > len(ends):
        raise TaskError(
            f"{named}: most of {len(ends)} clips end long after their recordings ({said}); are the "
            "times in another unit? Say so in the name of the column, as in start_ms or "
            "start_samples; or are these other recordings?"
        )
    return (f"{len(late)} of {len(ends)} clips end after their recordings and are cut ({said})",)


def _table(rows: Iterable[Row]) -> pa.Table:
    """Rows as columns; those of the schema have its types, whatever the first rows hold."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table(
        {
            name: pa.array(
                [row.get(name) for row in rows],
                MANIFEST_SCHEMA.field(name).type if name in MANIFEST_SCHEMA.names else None,
            )
            for name in names
        }
    )
