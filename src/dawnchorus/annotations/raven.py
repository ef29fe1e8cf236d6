"""Raven selection tables: a row for each view of a selection, between tabs, without quoting.

With several recordings open, ``Begin Time (s)`` counts from the beginning of the first. The time in
each recording is ``File Offset (s)``, a column that is there only if it was chosen as measurement.
Source: Raven Pro 1.6 User's Manual, chapter on measurements.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from dawnchorus.annotations.annotation import AnnotationList
from dawnchorus.annotations.foreign_cells import RAVEN_COLUMNS
from dawnchorus.annotations.own_columns import (
    OWN_COLUMNS,
    SELECTION,
    check_readable,
    number,
    own_cells,
    shown_columns,
)
from dawnchorus.annotations.row_reader import RAVEN_BEGIN, ReadOptions, RowReader
from dawnchorus.errors import TaskError
from dawnchorus.text_tables.column_names import column_key, key_and_unit
from dawnchorus.text_tables.columns import START
from dawnchorus.text_tables.read import open_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.annotations.places import Places
    from dawnchorus.annotations.recordings import Recordings

RAVEN_SUFFIX: Final = ".txt"


def read_raven(
    table: Path, recordings: Recordings, options: ReadOptions | None = None
) -> AnnotationList:
    """Read a selection table, an annotation for each selection.

    The recording is the one that ``Begin Path`` or ``Begin File`` names, otherwise the one whose
    name the table's begins with. A table without selections gives a remark. Further columns are
    left out.

    Args:
        table: the file.
        recordings: finds what it names.
        options: what the user says of it.

    Raises:
        TaskError: It is not a selection table, or a line of it cannot be read.
        UsageError: It is not clear which column is the label.
    """
    options = options or ReadOptions()
    text = open_table(table)
    if RAVEN_BEGIN not in text.names and START not in options.columns:
        raise TaskError(
            f"{table}: not a Raven selection table: no column {RAVEN_BEGIN!r}; columns: "
            f"{list(text.names)}"
        )
    if next(text.rows(), None) is None:
        return AnnotationList(remarks=[f"{table}: has no selections"])
    reader = RowReader(text, recordings, options)
    selections = reader.read()
    check_one_clock(reader, selections, options)
    if not options.keep:
        selections.annotations = [replace(one, columns={}) for one in selections.annotations]
    return selections


def check_one_clock(reader: RowReader, found: AnnotationList, options: ReadOptions) -> None:
    """Refuse times of several recordings that may run on from one to the next.

    They do in a table of recordings that were open together. They do not where tables were pasted
    together: there their numbers start again, or a later recording's times are earlier.

    Raises:
        TaskError: Nothing in the table says which of the two it is.
    """
    roles = reader.roles
    if (
        START in options.columns  # the user says that it is the time in each recording
        or roles.start is None
        or key_and_unit(roles.start.column)[0] != "begintime"
        or roles.file_offset is not None
        or not roles.path
        or column_key(roles.path[-1]) not in {"beginfile", "beginpath"}
    ):
        return
    # where each recording's selections start, in the order of the table
    starts: dict[str, list[float]] = {}
    for annotation in found.annotations:
        starts.setdefault(annotation.path, []).append(annotation.start_s or 0.0)
    in_order = list(starts.values())
    # times that run on never go back from one recording to the next
    goes_back = any(max(first) > min(second) for first, second in pairwise(in_order))
    if len(starts) < 2 or goes_back or _numbers_start_again(reader):
        return
    raise TaskError(
        f"{reader.table}: has {len(starts)} recordings and no column 'File Offset (s)'; their "
        "times may count from the beginning of each or of the first. If each, say --column "
        f"{START}={roles.start.column!r}; else add the column in Raven (Choose Measurements) and "
        "save again"
    )


def _numbers_start_again(reader: RowReader) -> bool:
    """Whether two recordings have selections of one number."""
    column = next((name for name in reader.text.names if column_key(name) == "selection"), None)
    if column is None:
        return False
    path = reader.roles.path[-1]
    # numbers count up over recordings that are open together
    pairs = {(row[path], row[column]) for _, row in reader.rows}
    return len({number for _, number in pairs}) < len(pairs)


def raven_text(rows: Sequence[AnnotationRow], places: Places) -> str:
    """A selection table of one or more recordings, in the order of the rows.

    Begin and end times run on from recording to recording, as Raven counts them when the recordings
    are opened together in that order; ``File Offset (s)`` is the time in the recording. Foreign
    columns stand behind Raven's, then our own.

    Raises:
        UsageError: A label cannot be written, or the length of a recording is needed.
    """
    shown, numbers = shown_columns(rows, RAVEN_COLUMNS), _numbers(rows)
    # where the numbers are the rows' own, they are a foreign column like the others
    visible = [SELECTION, *shown] if numbers else []
    lines = [(*RAVEN_COLUMNS, *shown, *OWN_COLUMNS)]
    clock_s = places.begin_s(rows)
    for n, row in enumerate(rows):
        check_readable(row.label, row.where, "Raven")
        end_s, own = places.end_s(row), own_cells(row, visible if numbers else ["", *shown])
        whole = places.whole(row.path)
        cells = (
            numbers[n] if numbers else str(n + 1),
            "Spectrogram 1",
            str((row.channel or 0) + 1),
            number(clock_s[row.path] + row.start_s),
            number(clock_s[row.path] + end_s),
            number(row.low_hz),
            number(row.high_hz),
            whole.rpartition("/")[2],
            whole,
            number(row.start_s),
            row.label,
        )
        extra = dict(row.extra)
        lines.append((*cells, *(extra.get(name, "") for name in shown), *own.values()))
    return "".join("\t".join(" ".join(cell.split()) for cell in line) + "\n" for line in lines)


def _numbers(rows: Sequence[AnnotationRow]) -> list[str]:
    """The numbers that Raven gave the selections; none where they are not all there, or not one."""
    numbers = [dict(row.extra).get(SELECTION, "") for row in rows]
    return numbers if all(numbers) and len(set(numbers)) == len(numbers) else []
