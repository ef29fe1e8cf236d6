"""Published tables, row by row: text of any length out of a folder, a zip or a gzip.

Two dialects occur. TAB separated files are written without quoting, and their free text has lone
quotes. Comma separated ones quote fields, also over several lines. A row that does not have as many
fields as the header is reported with its line number and left out; so is the first line of a quote
that is never closed, and reading goes on with the next one.
"""

from __future__ import annotations

import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final, cast

from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    BadLine = Callable[[str, int, str], None]  # file, line number, what is wrong

FIELD: Final = re.compile(r'(?:"(?:[^"]|"")*+"[^,]*|[^",][^,]*|)(?:,|\Z)')
QUOTED_LINES_AT_MOST: Final = 200  # of one row; a quote open for longer was never closed
MOST_LINE: Final = 16 << 20  # characters; unpacked, a few bytes can become a line of any length
UNREADABLE: Final = (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
ZIP_MAGIC: Final = b"PK\x03\x04"
GZIP_MAGIC: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file as it lies in a folder, or in a zip."""

    container: Path
    member: str | None = None  # of a zip

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.member).name if self.member else self.container.name

    def __str__(self) -> str:
        """With where it lies."""
        return f"{self.container}:{self.member}" if self.member else str(self.container)

    @contextmanager
    def open(self) -> Iterator[IO[str]]:
        r"""As text in UTF-8, lines ending with ``\n`` only; other bytes become U+FFFD.

        Raises:
            TaskError: It cannot be read to its end: damaged, truncated or gone.
        """
        try:
            with self._bytes() as raw:
                yield io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="\n")
        except UNREADABLE as error:
            raise TaskError(
                f"{self}: cannot be read to its end ({error}); get the file again"
            ) from error

    @contextmanager
    def _bytes(self) -> Iterator[IO[bytes]]:
        if self.member is not None:
            with zipfile.ZipFile(self.container) as archive, _member(archive, self.member) as raw:
                yield raw
        elif _starts_with(self.container, GZIP_MAGIC):
            with gzip.open(self.container) as unpacked:
                yield cast("IO[bytes]", unpacked)
        else:
            with self.container.open("rb") as raw:
                yield raw


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return archive.open(name)
    except (RuntimeError, NotImplementedError, KeyError) as error:  # a password, another packing
        raise zipfile.BadZipFile(str(error)) from error


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def find_file(place: Path, names: Iterable[str]) -> TextFile | None:
    """The first of some names, in any case, in a folder or a zip and one folder further down.

    A ``place`` that is a file and no zip is the file itself.

    Raises:
        TaskError: There is no such place, or the zip is damaged.
    """
    if not place.exists():
        raise TaskError(f"{place}: no such file or folder")
    if place.is_file() and not _starts_with(place, ZIP_MAGIC):
        return TextFile(place) if place.name.lower() in {name.lower() for name in names} else None
    found = {file.name.lower(): file for file in reversed(list_files(place))}
    return next((found[name.lower()] for name in names if name.lower() in found), None)


def list_files(place: Path) -> list[TextFile]:
    """The files of a folder or zip and one folder further down, in order, the upper ones first.

    Raises:
        TaskError: The zip is damaged.
    """
    if place.is_dir():
        paths = [*place.glob("*"), *place.glob("*/*")]
        files = [TextFile(path) for path in paths if path.is_file()]
        return sorted(files, key=lambda file: (len(file.container.parts), str(file.container)))
    try:
        with zipfile.ZipFile(place) as archive:
            members = [name for name in archive.namelist() if not name.endswith("/")]
    except UNREADABLE as error:
        raise TaskError(f"{place}: not a whole zip ({error}); get the file again") from error
    shallow = [name for name in members if name.count("/") <= 1 and "__MACOSX" not in name]
    return [TextFile(place, name) for name in sorted(shallow, key=lambda n: (n.count("/"), n))]


def plain_column(name: str) -> str:
    """A column's name for comparison: ``Associated Taxa`` and ``associatedTaxa`` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower().rpartition(":")[2])


class Table:
    """A table with a header line, read as a stream, as often as wanted.

    Attributes:
        columns: in the file's order, in the form of `plain_column`.
    """

    def __init__(self, file: TextFile, bad_line: BadLine, aliases: Mapping[str, str]) -> None:
        """Read the header.

        Args:
            file: the table.
            bad_line: told of each line that is left out.
            aliases: other names of columns to the usual ones, both in the plain form.

        Raises:
            TaskError: The file is empty.
        """
        self.file = file
        self._bad_line = bad_line
        with file.open() as lines:
            header = _line(lines).rstrip("\r\n")
        if not header:
            raise TaskError(f"{file}: is empty, need a line with the names of the columns")
        self._tab = "\t" in header
        try:
            names = header.split("\t") if self._tab else next(csv.reader([header]))
        except csv.Error as error:
            raise TaskError(f"{file}: line 1 is not a header: {error}") from error
        plain = [plain_column(name) for name in names]
        self.columns = tuple(aliases.get(name, name) for name in plain)

    def rows(self, wanted: Iterable[str]) -> Iterator[dict[str, str]]:
        """Each row as column to text, stripped; a column that is not there gives ``""``.

        Raises:
            TaskError: The file cannot be read to its end, or most of its lines are malformed.
        """
        wanted = tuple(wanted)
        at = {name: self.columns.index(name) for name in wanted if name in self.columns}
        empty = {name: "" for name in wanted if name not in at}
        n_bad = 0
        for n_good, (number, fields) in enumerate(self._fields()):
            if len(fields) == len(self.columns):
                yield {name: fields[i].strip() for name, i in at.items()} | empty
                continue
            n_bad += 1
            self._bad_line(
                self.file.name, number, f"{len(fields)} fields, the header has {len(self.columns)}"
            )
            if n_bad > 1000 and n_bad > n_good / 2:
                raise TaskError(
                    f"{self.file}: {n_bad} of the first {n_good} lines have another number of "
                    f"fields than the header ({len(self.columns)}); is it a table of this kind?"
                )

    def _fields(self) -> Iterator[tuple[int, list[str]]]:
        with self.file.open() as lines:
            _line(lines)
            if self._tab:
                yield from _tab_fields(lines)
            else:
                yield from _comma_fields(lines, len(self.columns))


def _line(lines: IO[str]) -> str:
    """The next line, empty at the end.

    Raises:
        TaskError: It is longer than any.
    """
    line = lines.readline(MOST_LINE)
    if len(line) == MOST_LINE:
        raise TaskError(f"a line is longer than {MOST_LINE:,} characters; is it a table?")
    return line


def _tab_fields(lines: IO[str]) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(iter(partial(_line, lines), ""), start=2):
        plain = line.rstrip("\r\n")
        if plain:
            yield number, plain.split("\t")


def _comma_fields(lines: IO[str], n_columns: int) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of their first line; of a quote never closed only that line is lost."""
    ahead: deque[str] = deque()
    number = 2
    while row := _logical_row(lines, ahead):
        if row[0].rstrip("\r\n"):
            fields = _parsed(row)
            if len(row) > 1 and len(fields) != n_columns:
                ahead.extendleft(reversed(row[1:]))
                row = row[:1]
                fields = ["a quote that is never closed"]
            yield number, fields
        number += len(row)


def _logical_row(lines: IO[str], ahead: deque[str]) -> list[str]:
    """Lines up to the one that closes every quoted field."""
    row: list[str] = []
    while len(row) < QUOTED_LINES_AT_MOST:
        line = ahead.popleft() if ahead else _line(lines)
        if not line:
            break
        row.append(line)
        if ('"' not in line and len(row) == 1) or not _is_open("".join(row)):
            break
    return row


def _is_open(text: str) -> bool:
    """Whether the text ends within a quoted field; in a plain field a quote is a character."""
    position = 0
    while position < len(text):
        field = FIELD.match(text, position)
        if field is None:
            return True
        position = field.end()
    return False


def _parsed(row: list[str]) -> list[str]:
    if len(row) == 1 and '"' not in row[0]:
        return row[0].rstrip("\r\n").split(",")
    try:
        return next(csv.reader(["".join(row)], strict=len(row) > 1), [])
    except csv.Error:  # text after a closing quote: the quote was another one's
        return []
