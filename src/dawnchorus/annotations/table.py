"""A table of annotations of any program: CSV, TSV, and Raven's saved as one.

Which columns are found by which names is in `dawnchorus.text_tables.column_names`, and for users in
``docs/reference/tables.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dawnchorus.annotations.foreign_cells import CSV_COLUMNS
from dawnchorus.annotations.own_columns import (
    OWN_COLUMNS,
    check_readable,
    number,
    own_cells,
    shown_columns,
)
from dawnchorus.annotations.raven import check_one_clock
from dawnchorus.annotations.row_reader import ReadOptions, RowReader
from dawnchorus.filename_text import escaped_name
from dawnchorus.text_tables.read import open_table
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dawnchorus.annotations.annotation import AnnotationList
    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.annotations.recordings import Recordings

TABLE_SUFFIXES: Final = frozenset({".csv", ".tsv"})


def read_table(
    table: Path, recordings: Recordings, options: ReadOptions | None = None
) -> AnnotationList:
    """Read a table with a row for each annotation.

    Args:
        table: the file: BirdNET's, Kaleidoscope's, crowsetta's, somebody's own ...
        recordings: finds what it names; without a column of paths it belongs to one recording.
        options: what the user says of it.

    Raises:
        TaskError: It cannot be read; the line is named.
        UsageError: A column is not there, or it is not clear what it is.
    """
    options = options or ReadOptions()
    reader = RowReader(open_table(table), recordings, options)
    annotations = reader.read()
    check_one_clock(reader, annotations, options)
    return annotations


def table_text(rows: Sequence[AnnotationRow]) -> str:
    """A CSV with a line for each row, which `read_table` gives back whole.

    Raises:
        UsageError: A label cannot be written.
    """
    shown = shown_columns(rows, CSV_COLUMNS)
    lines: list[tuple[str, ...]] = []
    for row in rows:
        check_readable(row.label, row.where, "CSV")
        extra, own = dict(row.extra), own_cells(row, shown)
        numbers = (row.start_s, row.end_s, row.low_hz, row.high_hz)
        cells = (escaped_name(row.path), *map(number, numbers), row.label)
        lines.append((*cells, *(extra.get(name, "") for name in shown), *own.values()))
    return csv_text((*CSV_COLUMNS, *shown, *OWN_COLUMNS), lines)
