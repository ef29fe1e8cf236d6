"""Lines of a text to the cells of rows, and what becomes of a quotation mark that is never closed.

Raven, Audacity and GBIF do not quote: a mark in a table between tabs is a character. In a table
between commas or semicolons a mark opens a field, and one that is never closed would swallow the
rows after it. A user's table is refused with the line. A publisher's table of millions of rows
loses that line only: the lines after it are put back and read as rows of their own.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

LONGEST_LINE: Final = 16 << 20  # characters; unpacked, a few bytes can become a line of any length
MOST_LINES_A_ROW: Final = 1000  # a quote that is open for longer was never closed


class Lines:
    """Lines of a text one after the other, numbered from 1; some can be put back."""

    def __init__(self, text: TextIO, name: object) -> None:
        """``name``: what errors call the text."""
        self.name = name
        self.number = 0  # of the last line that was read
        self.row: list[str] = []  # lines of the row that is being read
        self._text = text
        self._ahead: deque[str] = deque()

    def next(self) -> str:
        """The next line with its end; empty behind the last.

        Raises:
            TaskError: It is longer than any line of a table.
        """
        line = self._ahead.popleft() if self._ahead else self._text.readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise TaskError(
                f"{self.name}, line {self.number + 1}: a line is longer than {LONGEST_LINE:,} "
                "characters; is it a table?"
            )
        self.number += bool(line)
        return line

    def skip(self, n_lines: int) -> None:
        """Pass over the next lines."""
        for _ in range(n_lines):
            self.next()

    def put_back(self, lines: Sequence[str]) -> None:
        """Give lines back that come next, in their order."""
        self._ahead.extendleft(reversed(lines))
        self.number -= len(lines)

    def __iter__(self) -> Iterator[str]:
        """The lines of one row, as `csv.reader` takes them."""
        return self

    def __next__(self) -> str:
        """One more line of the row."""
        line = self.next()
        if not line:
            raise StopIteration
        self.row.append(line)
        if len(self.row) > MOST_LINES_A_ROW:
            raise csv.Error(f"open for more than {MOST_LINES_A_ROW} lines")
        return line


def strict_rows(lines: Lines, separator: str, n_names: int) -> Iterator[tuple[int, list[str]]]:
    """Number of the first line and cells of each row of a user's table; blank lines are none.

    Args:
        lines: of the table.
        separator: between cells.
        n_names: columns that there should be; 0 where that is not known yet.

    Raises:
        TaskError: A quotation mark is not closed, or closed in the wrong place.
    """
    return (_tab_rows if separator == "\t" else _quoted_rows)(lines, separator, n_names)


def _quoted_rows(lines: Lines, separator: str, n_names: int) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        lines.row = []
        first = lines.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if "limit" in str(error):
                raise TaskError(f"{lines.name}, line {first}: {error}; is it a table?") from error
            raise TaskError(f"{_open_quote(lines.name, first)} ({error})") from error
        if cells is None:
            return
        # A cell of several lines may hold whole rows, where two stray marks enclose them. It then
        # holds separators; the name of a file with a line end in it does not.
        holds = any(separator in cell for cell in cells if "\n" in cell or "\r" in cell)
        like_rows = (line.count(separator) >= n_names - 1 > 0 for line in lines.row[1:])
        if holds and any(like_rows):
            raise TaskError(_open_quote(lines.name, first))
        if any(map(str.strip, cells)):
            yield first, cells


def _open_quote(name: object, line: int) -> str:
    return (
        f"{name}, line {line}: a quotation mark opens a field here that does not end as one, or "
        'holds what looks like rows; remove it, or write it twice inside of two others: "5"" tall"'
    )


def _tab_rows(lines: Lines, separator: str, n_names: int) -> Iterator[tuple[int, list[str]]]:
    while line := lines.next():
        first = lines.number
        cells = line.rstrip("\r\n").split(separator)
        if not any(map(str.strip, cells)):
            continue
        if len(cells) != n_names and n_names and '"' in line:
            cells = _quoted_row(lines, line, n_names, first) or cells
        yield first, [_unquoted(cell) for cell in cells]


def _quoted_row(lines: Lines, line: str, n_names: int, first: int) -> list[str] | None:
    """A row between tabs of which a quoted cell holds tabs or line ends, as pandas writes it."""
    text = line
    for _ in range(MOST_LINES_A_ROW):
        try:
            cells = next(csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True), [])
        except csv.Error:
            cells = []
        if len(cells) >= n_names or text.count('"') % 2 == 0:
            return cells if len(cells) == n_names else None
        more = lines.next()
        if not more:
            raise TaskError(_open_quote(lines.name, first))
        text += more
    return None


def _unquoted(cell: str) -> str:
    """Without the marks around it, where a program quoted it; a mark of a note stays."""
    inner = cell[1:-1]
    if len(cell) < 2 or cell[0] != '"' or cell[-1] != '"' or '"' in inner.replace('""', ""):
        return cell
    return inner.replace('""', '"')


def lenient_rows(
    lines: Lines, separator: str, n_names: int
) -> Iterator[tuple[int, list[str] | str]]:
    """As `strict_rows` of a publisher's table; of a damaged row, what is wrong in a few words.

    Between tabs nothing is quoted and every mark is a character.
    """
    rows = _plain_rows(lines) if separator == "\t" else _loosely_quoted(lines, separator, n_names)
    for number, cells in rows:
        wrong = isinstance(cells, list) and len(cells) != n_names
        yield number, f"{len(cells)} fields, the header has {n_names}" if wrong else cells


def _plain_rows(lines: Lines) -> Iterator[tuple[int, list[str] | str]]:
    while line := lines.next():
        if line.rstrip("\r\n"):
            yield lines.number, line.rstrip("\r\n").split("\t")


def _loosely_quoted(
    lines: Lines, separator: str, n_names: int
) -> Iterator[tuple[int, list[str] | str]]:
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        lines.row = []
        first = lines.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            cells = _of_one_line(lines.row, separator, error)
        if cells is None:
            return
        if not any(line.rstrip("\r\n") for line in lines.row):
            continue
        # a field over several lines is believed only where the row fits
        if not cells or (len(lines.row) > 1 and len(cells) != n_names):
            lines.put_back(lines.row[1:])
            yield first, "a quote that is never closed"
        else:
            yield first, cells


def _of_one_line(row: list[str], separator: str, error: csv.Error) -> list[str]:
    """Cells of a line with text behind a closing mark, such as ``"a" b``; none: it is damaged."""
    if len(row) > 1 or "unexpected end" in str(error):
        return []
    if '"' not in row[0]:  # a bare carriage return, or a field longer than the csv module takes
        return row[0].rstrip("\r\n").split(separator)
    try:
        return next(csv.reader(row, delimiter=separator), [])
    except csv.Error:
        return []
