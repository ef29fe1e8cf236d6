"""Tables as text: every CSV of ours goes through this writer, so that all can be read back.

Lines end in a line feed alone. A cell with a line end of any system in it is quoted: Python's own
writer leaves a bare carriage return bare, and other readers then see two rows.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final, TextIO

from dawnchorus.filename_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")  # what Excel, LibreOffice and Sheets run


class CsvWriter:
    """Rows of cells to a text file that was opened with ``newline=""``."""

    def __init__(
        self, file: TextIO, *, delimiter: str = ",", spreadsheet_safe: bool = False
    ) -> None:
        """With ``spreadsheet_safe``, text that a spreadsheet would run gets an apostrophe."""
        # letters of the line end are what the csv module quotes besides delimiter and quote
        self._writer = csv.writer(_UnixEnds(file), delimiter=delimiter, lineterminator="\r\n")
        self._safe = spreadsheet_safe

    def row(self, cells: Iterable[object]) -> None:
        """Write one line."""
        self._writer.writerow([self._cell(cell) for cell in cells])

    def rows(self, rows: Iterable[Iterable[object]]) -> None:
        """Write many."""
        for cells in rows:
            self.row(cells)

    def _cell(self, cell: object) -> object:
        if cell is None or isinstance(cell, int | float):
            return cell
        text = str(cell)
        if not text.isascii():
            # a file name that is not UTF-8 has halves of letters in it
            text = printable(text)
        return f"'{text}" if self._safe and runs_as_formula(text) else text


def runs_as_formula(text: str) -> bool:
    """Whether a spreadsheet takes a cell for a formula; numbers, negative ones too, are none."""
    return text.startswith(FORMULA_STARTS) and not _is_number(text)


def csv_text(
    header: Iterable[object], rows: Iterable[Iterable[object]], *, spreadsheet_safe: bool = False
) -> str:
    """A whole table."""
    text = io.StringIO(newline="")
    writer = CsvWriter(text, spreadsheet_safe=spreadsheet_safe)
    writer.row(header)
    writer.rows(rows)
    return text.getvalue()


class _UnixEnds:
    """What the csv module writes, row by row, with a line feed for its line end."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row.removesuffix("\r\n") + "\n")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
