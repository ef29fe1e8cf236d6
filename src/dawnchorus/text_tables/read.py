"""Open a text table of any usual encoding, separator and packing; its rows come as a stream.

A table is read in one of two ways. Strictly: any row that does not fit is an error that names its
line; so are read the tables that people hand in. Or leniently, for published tables of millions of
rows: a damaged row is reported and left out, and bytes that are not UTF-8 become U+FFFD.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import TaskError
from dawnchorus.text_tables.encodings import find_encoding
from dawnchorus.text_tables.files import TextFile
from dawnchorus.text_tables.rows import Lines, lenient_rows, strict_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TextIO

    OnDamage = Callable[[str, int, str], None]  # name of the file, line number, what is wrong

SEPARATORS: Final = ("\t", ";", ",", "|")
SAMPLE_LINES: Final = 200  # from which the separator is found
# So many damaged rows, and more than every second one: it is another kind of table.
MOST_DAMAGED: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTable:
    """A table with a line of column names; its rows are read as a stream, as often as wanted.

    Attributes:
        file: where it lies.
        names: of the columns, each once; those without a name are called ``column 3``.
        separator: between cells.
        encoding: as Python calls it.
        header_line: number of the line of names, from 1.
        remarks: what a reader should know, such as a guessed encoding.
        on_damage: called for each damaged row, which is left out; None: it is an error.
    """

    file: TextFile
    names: tuple[str, ...]
    separator: str
    encoding: str
    header_line: int
    remarks: tuple[str, ...] = ()
    on_damage: OnDamage | None = None

    def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Number of its first line and the stripped cells of each row; blank lines are not rows.

        Raises:
            TaskError: A line has another number of cells than the names, a quotation mark is
                not closed, or the file cannot be read to its end.
        """
        for number, cells in self.cells():
            yield number, dict(zip(self.names, map(str.strip, cells), strict=True))

    def cells(self) -> Iterator[tuple[int, list[str]]]:
        """As `rows`, the cells as they are written, in the order of the names.

        Raises:
            TaskError: As of `rows`; of a table with ``on_damage``, most of its rows are damaged.
        """
        with _lines(self.file, self.encoding, lenient=self.on_damage is not None) as text:
            lines = Lines(text, self.file)
            lines.skip(self.header_line)
            if self.on_damage is None:
                yield from self._strict(lines)
            else:
                yield from self._lenient(lines, self.on_damage)

    def _strict(self, lines: Lines) -> Iterator[tuple[int, list[str]]]:
        n_names = len(self.names)
        for number, row in strict_rows(lines, self.separator, n_names):
            # separators at the end of each line, as some spreadsheets write them, are not fields
            cells = row if any(map(str.strip, row[n_names:])) else row[:n_names]
            if len(cells) != n_names:
                raise TaskError(
                    f"{self.file}, line {number}: need {n_names} fields as in line "
                    f"{self.header_line}, found {len(cells)}"
                )
            yield number, cells

    def _lenient(self, lines: Lines, on_damage: OnDamage) -> Iterator[tuple[int, list[str]]]:
        n_damaged = 0
        rows = lenient_rows(lines, self.separator, len(self.names))
        for n_before, (number, cells) in enumerate(rows):
            if not isinstance(cells, str):
                yield number, cells
                continue
            n_damaged += 1
            on_damage(self.file.name, number, cells)
            if n_damaged > MOST_DAMAGED and n_damaged > n_before / 2:
                raise TaskError(
                    f"{self.file}: {n_damaged} of the first {n_before} lines have another number "
                    f"of fields than the header ({len(self.names)}); is it a table of this kind?"
                )


def open_table(path: Path | TextFile, *, on_damage: OnDamage | None = None) -> TextTable:
    """Find out how a table is written, and the names of its columns.

    Args:
        path: the table; a gzip is unpacked as it is read.
        on_damage: read leniently: called for each damaged row, which is left out.

    Raises:
        TaskError: It is empty, not text, in an encoding that cannot be detected, or not there.
    """
    file = TextFile(path) if isinstance(path, Path) else path
    # a published table is UTF-8, and too long to be read through beforehand
    encoding, remarks = find_encoding(file) if on_damage is None else ("utf-8-sig", ())
    with _lines(file, encoding, lenient=on_damage is not None) as text:
        lines = Lines(text, file)
        # the first lines say how the table is written
        sample = [line for _ in range(SAMPLE_LINES) if (line := lines.next())]
    first = next((number for number, line in enumerate(sample) if line.strip()), None)
    if first is None:
        raise TaskError(f"{file}: is empty; need a line with the names of its columns")
    stated = re.fullmatch(r"sep=(.)", sample[first].strip())  # as Excel writes it
    if stated is not None:
        first += 1
    separator = stated[1] if stated is not None else _find_separator(sample[first:])
    header = Lines(io.StringIO("".join(sample), newline=""), file)
    header.skip(first)
    _, names = next(strict_rows(header, separator, 0), (0, [""]))
    return TextTable(
        file=file,
        names=_distinct(names),
        separator=separator,
        encoding=encoding,
        header_line=first + 1,
        remarks=remarks,
        on_damage=on_damage,
    )


def read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """A short text in whatever encoding it is, and remarks.

    Raises:
        TaskError: It cannot be read, is not text, or its encoding cannot be detected.
    """
    file = TextFile(path)
    encoding, remarks = find_encoding(file)
    with _lines(file, encoding, lenient=False) as text:
        return text.read(), remarks


@contextmanager
def _lines(file: TextFile, encoding: str, *, lenient: bool) -> Iterator[TextIO]:
    # A published table may hold bare carriage returns in its free text: there only a line feed ends
    # a line. Otherwise the line ends of every system do, and cells keep them.
    newline, errors = ("\n", "replace") if lenient else ("", "strict")
    try:
        with (
            file.open() as content,
            io.TextIOWrapper(content, encoding=encoding, errors=errors, newline=newline) as text,
        ):
            yield text
    except UnicodeError as error:
        raise TaskError(f"{file}: cannot be read as a table in {encoding}: {error}") from error


def _find_separator(sample: Sequence[str]) -> str:
    """The one that cuts most lines into as many cells as the first, then into most cells."""
    header = re.sub(r'"[^"]*"', "", sample[0])
    candidates = [separator for separator in SEPARATORS if separator in header]
    if not candidates:
        return ","
    return max(candidates, key=lambda separator: _fit(sample, separator))


def _fit(sample: Sequence[str], separator: str) -> tuple[bool, int]:
    counts = [len(row) for row in _roughly_cut(sample, separator) if row]
    return all(count == counts[0] for count in counts), counts[0]


def _roughly_cut(sample: Sequence[str], separator: str) -> Iterable[list[str]]:
    if separator == "\t":
        return [line.rstrip("\r\n").split(separator) for line in sample if line.strip()]
    try:
        return list(csv.reader(sample, delimiter=separator))
    except csv.Error:
        return [line.split(separator) for line in sample]


def _distinct(cells: Sequence[str]) -> tuple[str, ...]:
    """Each name once; one that is there twice would hide one of its columns."""
    cells = [cell.strip().lstrip("\ufeff").strip() for cell in cells]
    seen: Counter[str] = Counter()
    names = []
    for number, cell in enumerate(cells, start=1):
        name = cell or f"column {number}"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(names)
