"""Text tables of any usual encoding, separator and quoting, row by row with line numbers.

A quotation mark that is never closed must not swallow rows: Raven and Audacity do not quote, so a
mark in a table between tabs is a mark; in a table between commas or semicolons it opens a field,
and whatever closes it in the wrong place is an error that names the line.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO

from dawnchorus.errors import TaskError
from dawnchorus.paths import is_remote, remote_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

SEPARATORS: Final = ("\t", ";", ",", "|")
BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark begins it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NOT_TEXT: Final = (
    (b"PK\x03\x04", "a spreadsheet or zip file; save the table as CSV (UTF-8)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file; save the table as CSV (UTF-8)"),
    (b"PAR1", "a Parquet file; give it the ending .parquet"),
    (b"\x1f\x8b", "a gzip file; unpack it"),
    (b"RIFF", "a sound file, not a table"),
    (b"fLaC", "a sound file, not a table"),
)
# What a text in a western European language holds beyond ASCII, in Windows' code page. The letters
# of 0x80 to 0x9F are left out: there other code pages have umlauts.
_WESTERN: Final = re.compile(rb"[\xc0-\xd6\xd8-\xf6\xf8-\xff\xa0\xa7\xab\xb0\xb1\xb5\xb7\xbb\x96]")
_WESTERN_RUN: Final = 2  # letters beyond ASCII in a row; Cyrillic, Chinese ... have whole words
SNIFFED: Final = 200  # lines that tell the separator
CHUNK: Final = 1 << 20  # bytes
LONGEST_LINE: Final = 1 << 20  # characters
MOST_BYTES: Final = 4 << 30
MOST_LINES_A_ROW: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTable:
    """A table with a line of column names; its rows are read as a stream, as often as wanted.

    Attributes:
        path: the file.
        names: of the columns, each once; those without a name are called ``column 3``.
        separator: between cells.
        encoding: as Python calls it.
        header_line: number of the line of names, from 1.
        remarks: what a reader should know, such as a guessed encoding.
    """

    path: Path
    names: tuple[str, ...]
    separator: str
    encoding: str
    header_line: int
    remarks: tuple[str, ...] = ()

    def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Number of its first line and the stripped cells of each row; blank lines are no rows.

        Raises:
            TaskError: A line has another number of cells than the names, a quotation mark is
                not closed, or the file cannot be read.
        """
        n_names = len(self.names)
        with _lines(self.path, self.encoding) as lines:
            after = _Lines(lines, self.path, self.header_line)
            for number, row in _cells(after, self.separator, n_names):
                # separators at the end of each line are no fields
                cells = row if any(map(str.strip, row[n_names:])) else row[:n_names]
                if len(cells) != n_names:
                    raise TaskError(
                        f"{self.path}, line {number}: need {n_names} fields as in line "
                        f"{self.header_line}, found {len(cells)}"
                    )
                yield number, dict(zip(self.names, map(str.strip, cells), strict=True))


def open_table(path: Path) -> TextTable:
    """Find out how a table is written, and the names of its columns.

    Raises:
        TaskError: It is empty, no text, in an encoding that cannot be told, or not there.
    """
    encoding, remarks = find_encoding(path)
    with _lines(path, encoding) as lines:
        sample: list[str] = []
        for _ in range(SNIFFED):
            line = _one_line(lines, path, len(sample) + 1)
            if not line:
                break
            sample.append(line)
    first = next((number for number, line in enumerate(sample) if line.strip()), None)
    if first is None:
        raise TaskError(f"{path}: is empty; need a line with the names of its columns")
    told = re.fullmatch(r"sep=(.)", sample[first].strip())  # as Excel writes it
    if told is not None:
        first += 1
    separator = told[1] if told is not None else _find_separator(sample[first:])
    header = _Lines(io.StringIO("".join(sample), newline=""), path, first)
    _, cells = next(_cells(header, separator, 0), (0, [""]))
    return TextTable(
        path=path,
        names=_names(cells),
        separator=separator,
        encoding=encoding,
        header_line=first + 1,
        remarks=remarks,
    )


def read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """A short text in whatever encoding it is, and remarks.

    Raises:
        TaskError: It cannot be read, is no text, or its encoding cannot be told.
    """
    encoding, remarks = find_encoding(path)
    with _lines(path, encoding) as lines:
        return lines.read(), remarks


def find_encoding(path: Path) -> tuple[str, tuple[str, ...]]:
    """The encoding of a text, and a remark where it was guessed.

    UTF-8, UTF-16 and UTF-32 prove themselves. Other bytes are taken for Windows-1252 where they
    make sense in a western European language and hardly anything else.

    Raises:
        TaskError: It cannot be read, is no text, or its encoding cannot be told.
    """
    _check_not_a_pipe(path)
    decoder, n_bytes, head, proven = codecs.getincrementaldecoder("utf-8")(), 0, b"", True
    try:
        with remote_errors(path), path.open("rb") as file:
            while chunk := file.read(CHUNK):
                if not n_bytes:
                    head = chunk
                    marked = _by_head(path, head)
                    if marked is not None:
                        return marked, ()
                n_bytes += len(chunk)
                if n_bytes > MOST_BYTES:
                    raise TaskError(f"{path}: over {MOST_BYTES >> 30} GiB; cut the table in pieces")
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    proven = False
                    break
    except FileNotFoundError as error:
        raise TaskError(f"{path}: cannot be read: no such file") from error
    except OSError as error:
        raise TaskError(f"{path}: cannot be read as a table: {error}") from error
    if proven and not decoder.getstate()[0]:
        return "utf-8", ()
    _check_western(path)
    return "cp1252", (f"{path}: not UTF-8; read as Windows-1252 (western European)",)


def _check_not_a_pipe(path: Path) -> None:
    """A table is read more than once, and a pipe gives its bytes to the first reading only."""
    if is_remote(path):
        return
    with suppress(OSError):  # what cannot be looked at is refused when it is opened
        if not path.is_file() and not path.is_dir() and path.exists():
            raise TaskError(f"{path}: is a pipe or a device; write the table into a file first")


def _by_head(path: Path, head: bytes) -> str | None:
    """The encoding that a file's first bytes prove."""
    for magic, what in NOT_TEXT:
        if head.startswith(magic):
            raise TaskError(f"{path}: cannot be read as a table: it is {what}")
    for mark, encoding in BOMS:
        if head.startswith(mark):
            return encoding
    if b"\0" not in head:
        return None
    pairs = head[: len(head) // 2 * 2][:4096]
    zeros = [pairs[0::2].count(0), pairs[1::2].count(0)]
    if max(zeros) > 0.4 * len(pairs) / 2 and min(zeros) == 0:
        return "utf-16-be" if zeros[0] else "utf-16-le"
    raise TaskError(f"{path}: cannot be read as a table: it holds bytes that are no text")


def _check_western(path: Path) -> None:
    with path.open("rb") as file:
        content = file.read(64 * CHUNK)
    western = set(_WESTERN.findall(bytes(range(256))))
    odd = set(re.findall(rb"[\x80-\xff]", content)) - western
    longest = max(map(len, re.findall(rb"[\x80-\xff]+", content)), default=0)
    if odd or longest > _WESTERN_RUN:
        raise TaskError(
            f"{path}: not UTF-8, and which encoding it is cannot be told; save it as UTF-8 (in "
            "Excel: 'CSV UTF-8', or: iconv -f OLD -t UTF-8)"
        )


@contextmanager
def _lines(path: Path, encoding: str) -> Iterator[TextIO]:
    """A text; what goes wrong with its bytes comes out as ours."""
    try:
        with (
            remote_errors(path),
            path.open("rb") as raw,
            io.TextIOWrapper(raw, encoding=encoding, newline="") as lines,
        ):
            yield lines
    except FileNotFoundError as error:
        raise TaskError(f"{path}: cannot be read: no such file") from error
    except (OSError, UnicodeError) as error:
        raise TaskError(f"{path}: cannot be read as a table in {encoding}: {error}") from error


def _one_line(lines: TextIO, path: Path, number: int) -> str:
    line = lines.readline(LONGEST_LINE + 1)
    if len(line) > LONGEST_LINE:
        raise TaskError(
            f"{path}, line {number}: longer than {LONGEST_LINE} characters; is it a table?"
        )
    return line


class _Lines:
    """Lines after the first ones, with the number of the last one read."""

    def __init__(self, lines: TextIO, path: Path, n_skipped: int) -> None:
        self._lines = lines
        self.path = path
        self.number = 0
        self.row: list[str] = []  # lines of the row that is being read
        for _ in range(n_skipped):
            self.next()

    def next(self) -> str:
        """The next line with its end, empty behind the last."""
        line = _one_line(self._lines, self.path, self.number + 1)
        self.number += bool(line)
        return line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.next()
        if not line:
            raise StopIteration
        self.row.append(line)
        if len(self.row) > MOST_LINES_A_ROW:
            first = self.number - len(self.row) + 1
            raise TaskError(_open_quote(self.path, first))
        return line


def _cells(lines: _Lines, separator: str, n_names: int) -> Iterator[tuple[int, list[str]]]:
    """Number of the first line and cells of each row."""
    reader = _tab_cells if separator == "\t" else _quoted_cells
    return reader(lines, separator, n_names)


def _quoted_cells(lines: _Lines, separator: str, n_names: int) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        lines.row = []
        first = lines.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if "limit" in str(error):
                raise TaskError(f"{lines.path}, line {first}: {error}; is it a table?") from error
            raise TaskError(f"{_open_quote(lines.path, first)} ({error})") from error
        if cells is None:
            return
        if any(map(str.strip, cells)):
            _check_swallowed(lines, separator, n_names, first)
            yield first, cells


def _check_swallowed(lines: _Lines, separator: str, n_names: int, first: int) -> None:
    """A cell of several lines may hold whole rows, where two stray marks enclose them."""
    for line in lines.row[1:]:
        if n_names > 1 and line.count(separator) >= n_names - 1:
            raise TaskError(_open_quote(lines.path, first))


def _open_quote(path: Path, line: int) -> str:
    return (
        f"{path}, line {line}: a quotation mark opens a field here that does not end as one, or "
        'holds what looks like rows; remove it, or write it twice inside of two others: "5"" tall"'
    )


def _tab_cells(lines: _Lines, separator: str, n_names: int) -> Iterator[tuple[int, list[str]]]:
    while line := lines.next():
        first = lines.number
        cells = line.rstrip("\r\n").split(separator)
        if not any(map(str.strip, cells)):
            continue
        if len(cells) != n_names and n_names and '"' in line:
            cells = _quoted_row(lines, line, n_names, first) or cells
        yield first, [_unquoted(cell) for cell in cells]


def _quoted_row(lines: _Lines, line: str, n_names: int, first: int) -> list[str] | None:
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
            raise TaskError(_open_quote(lines.path, first))
        text += more
    return None


def _unquoted(cell: str) -> str:
    """Without the marks around it, where a program quoted it; a mark of a note stays."""
    inner = cell[1:-1]
    if len(cell) < 2 or cell[0] != '"' or cell[-1] != '"' or '"' in inner.replace('""', ""):
        return cell
    return inner.replace('""', '"')


def _find_separator(sample: Sequence[str]) -> str:
    """The one that cuts most lines into as many cells as the first, then into most cells."""
    header = re.sub(r'"[^"]*"', "", sample[0])
    candidates = [separator for separator in SEPARATORS if separator in header]
    if not candidates:
        return ","
    return max(candidates, key=lambda separator: _fit(sample, separator))


def _fit(sample: Sequence[str], separator: str) -> tuple[bool, int]:
    counts = [len(row) for row in _roughly(sample, separator) if row]
    return all(count == counts[0] for count in counts), counts[0]


def _roughly(sample: Sequence[str], separator: str) -> Iterable[list[str]]:
    if separator == "\t":
        return [line.rstrip("\r\n").split(separator) for line in sample if line.strip()]
    try:
        return list(csv.reader(sample, delimiter=separator))
    except csv.Error:
        return [line.split(separator) for line in sample]


def _names(cells: Sequence[str]) -> tuple[str, ...]:
    """Each once; a name that is there twice would hide one of its columns."""
    cells = [cell.strip().lstrip("\ufeff").strip() for cell in cells]
    seen: Counter[str] = Counter()
    names = []
    for number, cell in enumerate(cells, start=1):
        name = cell or f"column {number}"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(names)
