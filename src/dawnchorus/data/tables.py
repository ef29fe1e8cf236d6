"""A manifest of any table of clips: CSV, or TSV, with the columns mapped by the user."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from dawnchorus.data.folders import SPLIT_FOLDERS, with_lengths
from dawnchorus.data.manifest import MANIFEST_SCHEMA, NEEDED
from dawnchorus.errors import TaskError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from dawnchorus.data.folders import Made

# What other tables call our columns; compared without case, spaces and underscores.
_ALSO: Final = {
    "path": ("file", "filename", "filepath", "audio", "audiopath", "localpath", "recording"),
    "labels": ("label", "species", "class", "category", "target", "tag", "tags"),
    "start_s": ("start", "starttime", "begin", "onset", "begintime"),
    "stop_s": ("stop", "end", "endtime", "offset", "stoptime"),
    "licence": ("license",),
    "id": ("clipid", "itemid"),
}


def manifest_of_csv(
    table: Path,
    *,
    audio: Path | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    values: Mapping[str, str] | None = None,
    progress: Callable[[int], None] = lambda _n: None,
) -> Made:
    """Make a manifest of a CSV or TSV file with a line for each clip.

    A column is taken when it is called as ours is, or in a way that we know (``file``, ``species``,
    ``start`` ...); others are kept as they are. Lines of one file and span are one clip with all
    their labels.

    Args:
        table: the file, UTF-8; comma, semicolon or tab is told from its first line.
        audio: folder that its paths are relative to; None: the table's.
        columns: our column to theirs, such as ``{"path": "wav", "labels": "Species"}``.
        separator: text between several labels in one cell; None: a cell is one label, commas and
            all.
        values: our column to a value for every clip, such as ``{"source": "Watkins"}``.
        progress: called with 1 after each file.

    Raises:
        TaskError: The table cannot be read, or none of its clips can.
        UsageError: A column is not there, or not known which it is.
    """
    names, lines = read_lines(table)
    mapping = _mapping(table, names, columns or {}, values or {})
    rows: dict[tuple[str, float | None, float | None], dict[str, Any]] = {}
    for number, line in enumerate(lines, start=2):
        row = _row(table, number, line, mapping) | dict(values or {})
        text = str(row.pop("labels", "") or "")
        row["labels"] = [label.strip() for label in text.split(separator or "\0") if label.strip()]
        _add(rows, row)
    folder = table.parent if audio is None else audio
    return with_lengths(_with_ids(list(rows.values())), folder, progress, named=str(table))


def read_lines(table: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Names of the columns and the lines of a text table.

    Raises:
        TaskError: It cannot be read, or a line has more fields than the first.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"{table}: cannot be read as a table in UTF-8: {error}") from error
    first = text.partition("\n")[0]
    delimiter = max("\t;,", key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = list(reader.fieldnames or ())
    lines = []
    for line in reader:
        if None in line or None in line.values():
            n = len(names)
            raise TaskError(
                f"{table}, line {reader.line_num}: need {n} fields as in the first line"
            )
        lines.append(line)
    if not lines:
        raise TaskError(f"{table}: no line under the names of its columns")
    return names, lines


def _mapping(
    table: Path, names: list[str], given: Mapping[str, str], values: Mapping[str, str]
) -> dict[str, str]:
    """Their column to ours."""
    for ours, theirs in given.items():
        if theirs not in names:
            raise UsageError(f"{table}: no column {theirs!r} for {ours!r}; columns: {names}")
    mapping = {theirs: ours for ours, theirs in given.items()}
    for ours in MANIFEST_SCHEMA.names:
        if ours in given or ours in values:
            continue
        known = [name for name in names if _plain(name) in {_plain(ours), *_ALSO.get(ours, ())}]
        known = [name for name in known if name not in mapping]
        known = [name for name in known if _plain(name) == _plain(ours)] or known
        if len(known) > 1 and ours in NEEDED:
            raise UsageError(f"{table}: which of {known} is {ours!r}? name it: {ours}=COLUMN")
        mapping |= {known[0]: ours} if known else {}
    if "path" not in mapping.values():
        raise UsageError(f"{table}: which column is the path? name it: path=COLUMN; {names}")
    return mapping


def _plain(name: str) -> str:
    return name.lower().replace(" ", "").replace("_", "")


def _row(
    table: Path, number: int, line: Mapping[str, str], mapping: Mapping[str, str]
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for theirs, text in line.items():
        ours = mapping.get(theirs, theirs)
        value: Any = text.strip() or None
        kind = str(MANIFEST_SCHEMA.field(ours).type) if ours in MANIFEST_SCHEMA.names else "string"
        if value is not None and kind in {"double", "int64"}:
            try:
                value = float(value) if kind == "double" else int(value)
            except ValueError as error:
                raise TaskError(
                    f"{table}, line {number}: {theirs} is {text!r}, need a number"
                ) from error
        row[ours] = value
    split = row.get("split")
    row["split"] = SPLIT_FOLDERS.get(split.lower(), split) if split else None
    if not row["path"]:
        raise TaskError(f"{table}, line {number}: the path is empty")
    return row


def _add(rows: dict[tuple[str, float | None, float | None], dict[str, Any]], row: Any) -> None:
    """Put a line to the others; labels of one file and span are put together."""
    key = (row["path"], row.get("start_s"), row.get("stop_s"))
    held = rows.setdefault(key, row)
    if held is not row:
        held["labels"] = list(dict.fromkeys([*held["labels"], *row["labels"]]))


def _with_ids(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every row with an id: the table's where it has one, else path and span."""
    for row in rows:
        if not row.get("id"):
            row["id"] = clip_id(row["path"], row.get("start_s"), row.get("stop_s"))
    return rows


def clip_id(path: str, start_s: float | None, stop_s: float | None) -> str:
    """An id for a piece of a file, of its path alone where it is the whole."""
    if start_s is None and stop_s is None:
        return path
    end = "" if stop_s is None else f"{stop_s:.3f}"
    return f"{path}:{start_s or 0.0:.3f}-{end}"
