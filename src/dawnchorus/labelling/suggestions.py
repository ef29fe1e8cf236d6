"""Suggestions to judge: of an annotation table, or of a file that a search or export wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.annotations.annotation_row import PURPOSES, new_row
from dawnchorus.annotations.own_columns import ROW_COLUMN, stored_row
from dawnchorus.errors import TaskError, UsageError, shown
from dawnchorus.text_tables.read import open_table
from dawnchorus.text_tables.values import is_missing, parse_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.annotations.annotation_table import AnnotationTable

    Cells = Mapping[str, Any]

FILE_SUFFIXES: Final = (".csv", ".tsv", ".parquet", ".jsonl")
STOPS: Final = ("stop_s", "end_s")  # of a search, of an export of annotations
NUMBERS: Final = ("start_s", *STOPS, "score", "low_hz", "high_hz")
TEXTS: Final = ("recording_id", "model")


def asked_of(
    table: AnnotationTable, author: str, label: str | None = None, purpose: str | None = None
) -> list[AnnotationRow]:
    """Suggestions of a table that this author has judged or nobody has, in their order.

    Args:
        table: of annotations.
        author: who judges.
        label: only of this one.
        purpose: only ``train``, or only ``estimate``.

    Raises:
        StoreError: A part of the table is damaged.
    """
    judges: dict[str, set[str]] = {}
    for row in table.rows():
        if row.state is not None:
            judges.setdefault(row.id, set()).add(row.author)
    suggested = {row.id: row for row in table.history() if row.state is None}
    return [
        row
        for row in suggested.values()
        if label in {None, row.label}
        and purpose in {None, row.purpose}
        and author in judges.get(row.id, {author})
    ]


def read_suggestions(
    path: Path, table: AnnotationTable, label: str | None = None, purpose: str | None = None
) -> list[AnnotationRow]:
    """The spans of a file as suggestions, in its order.

    A line needs ``path``, ``start_s`` and ``stop_s`` (or ``end_s``), as `write_results` writes
    them; ``label``, ``score``, ``purpose`` and ``model`` are kept. Of lines of an export of
    annotations, those that are suggestions. A span that the table knows is taken from there: it
    may have been drawn for an estimate, which the result of a search does not say.

    Args:
        path: .csv, .tsv, .parquet or .jsonl.
        table: of annotations, to which the judgements will go.
        label: of lines that have none; of the others, those of this label.
        purpose: only ``train``, or only ``estimate``.

    Raises:
        UsageError: It is no such file, or a line is not a span, or has no label.
        TaskError: It cannot be read.
    """
    # the last row of an id may be a judgement; what was suggested is what is to be judged
    known = {row.id: row for row in table.history() if row.state is None}
    found: dict[str, AnnotationRow] = {}
    for where, cells in _lines(path):
        row = _suggestion(cells, label, where)
        if row is None:
            continue
        row = known.get(row.id, row)
        if label in {None, row.label} and purpose in {None, row.purpose}:
            found.setdefault(row.id, row)
    return list(found.values())


def _lines(path: Path) -> Iterator[tuple[str, Cells]]:
    """Where each line stands, and its cells by column."""
    suffix = path.suffix.lower()
    if suffix not in FILE_SUFFIXES:
        raise UsageError(
            f"{path}: need suggestions in a file that ends in {', '.join(FILE_SUFFIXES)}, or a "
            "store, or a folder of annotations"
        )
    if suffix == ".parquet":
        return _parquet(path)
    return _json_lines(path) if suffix == ".jsonl" else _text_table(path)


def _text_table(path: Path) -> Iterator[tuple[str, Cells]]:
    for line, cells in open_table(path).rows():
        where = f"{path}, line {line}"
        yield where, {name: None if is_missing(text) else text for name, text in cells.items()}


def _json_lines(path: Path) -> Iterator[tuple[str, Cells]]:
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"{path}: cannot be read: {error}") from error
    for number, text in enumerate(texts, 1):
        where = f"{path}, line {number}"
        if not text.strip():
            continue
        try:
            cells = json.loads(text)
        except ValueError as error:
            raise TaskError(f"{where}: is not JSON: {error}") from error
        if not isinstance(cells, dict):
            raise TaskError(f"{where}: need an object, got {shown(cells)}")
        yield where, cells


def _parquet(path: Path) -> Iterator[tuple[str, Cells]]:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise TaskError(f"{path}: cannot be read as Parquet: {error}") from error
    for number, cells in enumerate(table.to_pylist(), 1):
        yield f"{path}, row {number}", cells


def _suggestion(cells: Cells, label: str | None, where: str) -> AnnotationRow | None:
    """A line as a suggestion; None: it is a judgement."""
    if cells.get(ROW_COLUMN):  # of our own export, which holds the whole row
        row = stored_row(str(cells[ROW_COLUMN]), (), where)
        return row if row.state is None else None
    if cells.get("state"):  # of an export as Parquet
        return None
    try:
        return _made(cells, label)
    except (UsageError, ValueError, TypeError) as error:
        raise UsageError(f"{where}: {error}") from error


def _made(cells: Cells, label: str | None) -> AnnotationRow:
    numbers = {name: _number(name, cells[name]) for name in NUMBERS if cells.get(name) is not None}
    start_s = numbers.pop("start_s", None)
    ends = [numbers.pop(name) for name in STOPS if name in numbers]
    missing = [
        name
        for name, there in (("path", cells.get("path")), ("start_s", start_s is not None))
        if not there
    ]
    if start_s is None or missing:
        raise UsageError(f"no {' and no '.join(missing)}; has the columns {', '.join(cells)}")
    named = cells.get("label") or label
    if not named:
        raise UsageError("it does not say which label is suggested; name it: --label wren")
    purpose = cells.get("purpose") or "train"
    if purpose not in PURPOSES:
        raise UsageError(f"purpose is {shown(purpose)}; known: {', '.join(PURPOSES)}")
    texts = {name: str(cells[name]) for name in (*TEXTS, "id") if cells.get(name)}
    return new_row(
        str(cells["path"]), start_s, ends[0] if ends else None, str(named), state=None,
        source="suggested", purpose=purpose, **numbers, **texts,
    )  # fmt: skip


def _number(name: str, cell: Any) -> float:
    try:
        return parse_number(cell) if isinstance(cell, str) else float(cell)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name} is {shown(cell)}; need a number") from error
