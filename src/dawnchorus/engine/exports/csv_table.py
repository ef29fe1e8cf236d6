"""CSV: comma separated, UTF-8, decimal points; every column of a detection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from dawnchorus.engine.exports.text_file import RowsFile, number
from dawnchorus.text_tables.write import CsvWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa


def open_csv(path: Path, schema: pa.Schema, *, spreadsheet_safe: bool = False) -> RowsFile:
    """A CSV with the columns of a schema."""
    return RowsFile(path, schema.names, lambda d: _rows(d.table), spreadsheet_safe=spreadsheet_safe)


def write_csv(table: pa.Table, file: TextIO, *, spreadsheet_safe: bool = False) -> None:
    """Write detections as `open_csv` does, such as to the terminal."""
    writer = CsvWriter(file, spreadsheet_safe=spreadsheet_safe)
    writer.row(table.column_names)
    writer.rows(_rows(table))


def _rows(table: pa.Table) -> Iterator[list[Any]]:
    for row in table.to_pylist():
        yield [number(value) if isinstance(value, float) else value for value in row.values()]
