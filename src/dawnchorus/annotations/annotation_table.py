"""The annotation table: a folder to which rows are added, and from which nothing is ever taken.

Each `AnnotationTable.append` is one new Parquet file in ``parts/``, there whole or not at all, also
when the writer is killed. Its name begins with its number, so the order of the rows is known. A
lock lets one writer at a time choose a number. DuckDB, pandas and R read ``parts/*.parquet``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from dawnchorus.annotations.annotation_row import (
    PURPOSES,
    ROW_SCHEMA,
    SOURCES,
    STATES,
    AnnotationRow,
    changed,
    new_row,
    suggested_row,
)
from dawnchorus.configs.json_file import read_json
from dawnchorus.errors import StoreError, UsageError, shown
from dawnchorus.paths import as_path, remote_errors
from dawnchorus.store.files import remove_leftovers, write_first
from dawnchorus.store.locks import HEADER_WAIT_S, one_writer
from dawnchorus.store.parts import part_names, read_part, write_part
from dawnchorus.store.schema import HEADER_NAME
from dawnchorus.store.storage import make_folder, stranger_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = [
    "SUGGESTED",
    "AnnotationRow",
    "AnnotationTable",
    "annotations_beside",
    "changed",
    "new_row",
    "rows_as_table",
    "suggested_row",
]

HEADER: Final = "annotations.json"
PARTS: Final = "parts"
LOCK: Final = ".lock"
VERSION: Final = 1
SUFFIX: Final = ".annotations"
SUGGESTED: Final = "suggested"  # asks for rows whose state is None
NUMBER_DIGITS: Final = 10  # of a part: more appends than anybody makes
MOST_HEADER_BYTES: Final = 1 << 16


class AnnotationTable:
    """Annotations of one archive, by any number of people.

    An author may say something of an id again: the row with the latest time counts, of rows with
    one time the one that was added last. What several authors say of an id stands side by side.

    Attributes:
        folder: of the table.
    """

    def __init__(
        self, folder: str | Path, *, create: bool = False, wait_s: float = HEADER_WAIT_S
    ) -> None:
        """Open a table; rows are read when they are first asked for.

        Args:
            folder: of the table, or its URL; `annotations_beside` gives the usual one of a store.
            create: make an empty table if there is none.
            wait_s: for another program that is writing.

        Raises:
            StoreError: There is no table, or it is of another version, or cannot be made. Among
                other things none is made: a folder of recordings, or a store, stays what it is.
        """
        self.folder = as_path(folder)
        self._parts: dict[str, list[AnnotationRow]] = {}
        self._wait_s = wait_s
        if create:
            self._make()
        _check_header(self.folder)

    def append(self, rows: Sequence[AnnotationRow]) -> None:
        """Add rows; when this returns, they are on the disk.

        Raises:
            StoreError: They cannot be written; none of them is there then.
            UsageError: They are no rows.
        """
        wrong = [row for row in rows if not isinstance(row, AnnotationRow)]
        if wrong:
            raise UsageError(f"need rows as new_row makes them, got {shown(wrong[0])}")
        if not rows:
            return
        table = rows_as_table(rows)
        parts = self.folder / PARTS
        with one_writer(self.folder / LOCK, wait_s=self._wait_s):
            # what a killed writer left; nobody else is writing now
            remove_leftovers(parts)
            number = 1 + max(map(_number, part_names(parts)), default=0)
            write_part(parts, table, number=f"{number:0{NUMBER_DIGITS}d}")

    def history(self) -> list[AnnotationRow]:
        """Every row that was ever added, in that order.

        Raises:
            StoreError: A part is damaged.
        """
        self.new_rows()
        return [row for name in sorted(self._parts) for row in self._parts[name]]

    def new_rows(self) -> list[AnnotationRow]:
        """Rows that anybody added since this table was read last, in that order; first: all.

        Raises:
            StoreError: A part is damaged.
        """
        names = set(part_names(self.folder / PARTS))
        self._parts = {name: rows for name, rows in self._parts.items() if name in names}
        # parts never change, so only new ones are read
        new = {
            name: _rows_of(self.folder / PARTS / name) for name in sorted(names - {*self._parts})
        }
        self._parts |= new
        return [row for rows in new.values() for row in rows]

    def rows(
        self,
        label: str | None = None,
        state: str | None = None,
        author: str | None = None,
        purpose: str | None = None,
        source: str | None = None,
    ) -> list[AnnotationRow]:
        """The rows that count: the last one of each id and author, in the order of the ids.

        A suggestion (``state`` None) counts until somebody has judged it.

        Args:
            label: only rows with this one; None, as of the others: all.
            state: ``present``, ``absent``, ``unsure``, or ``suggested`` for suggestions that nobody
                has judged.
            author: who said so.
            purpose: ``train`` or ``estimate``.
            source: ``hand``, ``suggested`` or ``imported``.

        Raises:
            StoreError: A part is damaged.
            UsageError: No row can be such.
        """
        asked = {"label": label, "author": author, "purpose": purpose, "source": source}
        asked = {name: value for name, value in asked.items() if value is not None}
        for name, value, known in (
            ("state", state, (*STATES, SUGGESTED)),
            ("purpose", purpose, PURPOSES),
            ("source", source, SOURCES),
        ):
            if value is not None and value not in known:
                raise UsageError(f"{name} {shown(value)}; known: {', '.join(known)}")
        wanted_state = None if state == SUGGESTED else state
        return [
            row
            for row in _last_rows(self.history())
            if all(getattr(row, name) == value for name, value in asked.items())
            and (state is None or row.state == wanted_state)
        ]

    def table(self) -> pa.Table:
        """`rows` as an Arrow table of ``ROW_SCHEMA``."""
        return rows_as_table(self.rows())

    def conflicts(self) -> list[tuple[AnnotationRow, AnnotationRow]]:
        """What people contradict each other in: pairs of a row ``present`` and a row ``absent``.

        Both are of one label and one recording, and their spans share at least half of the shorter.
        """
        judged: dict[tuple[str, str], list[AnnotationRow]] = defaultdict(list)
        for row in self.rows():
            judged[row.recording_id, row.label].append(row)
        return [
            (present, absent)
            for rows in judged.values()
            for present in rows
            if present.state == "present"
            for absent in rows
            if absent.state == "absent" and share_half(present, absent)
        ]

    def _make(self) -> None:
        header = self.folder / HEADER
        other = stranger_in(self.folder, PARTS)
        if other is not None and not header.exists():
            raise _not_a_table(self.folder, f"holds other things, such as {other!r}")
        try:
            make_folder(self.folder / PARTS)
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot make this folder: {error}") from error
        with one_writer(self.folder / LOCK, wait_s=self._wait_s):
            if not header.exists():
                write_first(header, f"{json.dumps({'format_version': VERSION})}\n".encode())


def annotations_beside(store: str | Path) -> Path:
    """The usual folder of the annotations of a store: ``X.annotations`` beside ``X.store``."""
    path = as_path(store)
    return path.with_name(path.name.removesuffix(".store") + SUFFIX)


def rows_as_table(rows: Iterable[AnnotationRow]) -> pa.Table:
    """Rows as an Arrow table of `ROW_SCHEMA`."""
    return pa.Table.from_pylist([row.to_dict() for row in rows], ROW_SCHEMA)


def share_half(one: AnnotationRow, other: AnnotationRow) -> bool:
    """Whether two spans of a recording share at least half of the shorter."""
    ends = [row.end_s if row.end_s is not None else float("inf") for row in (one, other)]
    shared = min(ends) - max(one.start_s, other.start_s)
    shorter = min(ends[0] - one.start_s, ends[1] - other.start_s)
    # of two that go to the end of the recording, both lengths are infinite
    return shared > 0 and (shared == float("inf") or shared >= shorter / 2)


def _last_rows(history: Sequence[AnnotationRow]) -> list[AnnotationRow]:
    """The last row of each id and author, without suggestions that were judged.

    A suggestion that several people made, or went back to, is one.
    """
    last: dict[str, dict[str, AnnotationRow]] = {}
    for row in history:
        by_author = last.setdefault(row.id, {})
        before = by_author.get(row.author)
        if before is None or row.at >= before.at:
            by_author[row.author] = row
    rows: list[AnnotationRow] = []
    for by_author in last.values():
        judged = [row for row in by_author.values() if row.state is not None]
        rows += judged or [max(by_author.values(), key=lambda row: row.at)]
    return rows


def _number(name: str) -> int:
    digits = name.removeprefix("part-")[:NUMBER_DIGITS]
    return int(digits) if digits.isdecimal() else 0


def _check_header(folder: Path) -> None:
    path = folder / HEADER
    try:
        with remote_errors(path):
            values = read_json(path, most_bytes=MOST_HEADER_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _not_a_table(folder, f"{HEADER} is missing") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
    version = values.get("format_version") if isinstance(values, dict) else None
    if version != VERSION:
        raise StoreError(
            f"{path}: annotations of format {shown(version)}, this version reads {VERSION}; open "
            "them with the version of dawnchorus that wrote them"
        )


def _not_a_table(folder: Path, why: str) -> StoreError:
    advice = "'dawnchorus label import' makes one, in a folder of its own"
    if (folder / HEADER_NAME).exists():
        advice = f"it is a store, whose annotations are {annotations_beside(folder)}"
    return StoreError(f"{folder}: not an annotation table, {why}; {advice}")


def _rows_of(path: Path) -> list[AnnotationRow]:
    try:
        table = read_part(path)
    except StoreError as error:
        cause = str(error).partition("; run:")[0]
        raise StoreError(
            f"{cause}. Take the part back from a backup; without it, what it says is lost: move "
            "it out of the folder to go on all the same"
        ) from error
    for field in ROW_SCHEMA:
        index = table.schema.get_field_index(field.name)
        if index < 0 or table.schema.field(index).type != field.type:
            raise StoreError(f"{path}: need a column {field.name!r} of type {field.type}")
    try:
        return [AnnotationRow.from_dict(values) for values in table.to_pylist()]
    except UsageError as error:
        raise StoreError(f"{path}: {error}") from error
