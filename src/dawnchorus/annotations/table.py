"""A table of annotations of any program: CSV, TSV, and Raven's saved as one.

Which columns are found by which names is in `dawnchorus.text_tables.column_names`, and for users in
``docs/reference/tables.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dawnchorus.annotations.raven import check_one_clock
from dawnchorus.annotations.row_reader import ReadOptions, RowReader
from dawnchorus.text_tables.read import open_table

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.annotations.annotation import AnnotationList
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
