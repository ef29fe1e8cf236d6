"""Three columns that our own tables have beside those of a foreign program, and what they are for.

``dc_state`` and ``dc_author`` are for people: a state that is written over in the other program is
a judgement. ``dc_row`` holds the whole row, exactly, as ``name=value`` joined by ``&``, without a
tab, comma or quotation mark in it. What differs from it when the table is read again was changed
there by a person.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from dawnchorus.annotations.annotation_row import (
    FIELDS,
    STATES,
    AnnotationRow,
    changed,
    new_row,
    plain_label,
)
from dawnchorus.annotations.label_cells import LabelCells
from dawnchorus.errors import TaskError, UsageError, shown
from dawnchorus.text_tables.column_names import column_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from dawnchorus.annotations.annotation import Annotation
    from dawnchorus.annotations.annotation_row import State

STATE_COLUMN: Final = "dc_state"
AUTHOR_COLUMN: Final = "dc_author"
ROW_COLUMN: Final = "dc_row"
SUGGESTED: Final = "suggested"  # a state that nobody has judged yet
OWN_COLUMNS: Final = (STATE_COLUMN, AUTHOR_COLUMN, ROW_COLUMN)
SELECTION: Final = "Selection"  # Raven's number of a row
NUMBERS: Final = {"start_s", "end_s", "low_hz", "high_hz", "score"}
# Other programs round what they save; less than this is not a span that somebody moved.
MOVED_S: Final = 1e-3
MOVED_HZ: Final = 1.0


def number(value: float | None) -> str:
    """The shortest text that is this number again, never in the form 1e-05; empty for None."""
    if value is None:
        return ""
    text = repr(float(value))
    if "e" in text:
        text = f"{value:.9f}".rstrip("0")
    return text.removesuffix(".0").removesuffix(".") or "0"


def own_cells(row: AnnotationRow, extra_columns: Sequence[str]) -> dict[str, str]:
    """The cells of `OWN_COLUMNS`.

    Args:
        row: of the annotation table.
        extra_columns: those of ``row.extra`` that the table shows, in its order. Where they are not
            exactly the row's own, ``dc_row`` has the others too.
    """
    values = {name: getattr(row, name) for name in FIELDS if name != "extra"}
    values["at"] = row.at.isoformat()
    cells_are_plain = all(cell == cell.strip() for _, cell in row.extra)
    if [name for name, _ in row.extra] != list(extra_columns) or not cells_are_plain:
        values["extra"] = json.dumps(dict(row.extra), ensure_ascii=False)
    texts = {name: _text(value) for name, value in values.items() if value is not None}
    return {
        STATE_COLUMN: row.state or "",
        AUTHOR_COLUMN: " ".join(row.author.split()),
        ROW_COLUMN: urlencode(texts, quote_via=quote, errors="surrogateescape"),
    }


def _text(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def stored_row(cell: str, extra: Sequence[tuple[str, str]], where: str) -> AnnotationRow:
    """The row that a cell of ``dc_row`` holds.

    Args:
        cell: as it was written.
        extra: the foreign columns of the row as the table shows them now.
        where: table and line.

    Raises:
        TaskError: The cell was damaged.
    """
    values: dict[str, Any]
    try:
        texts = dict(parse_qsl(cell, strict_parsing=True, errors="surrogateescape"))
        values = {name: texts.get(name) for name in FIELDS}
        values |= {name: float(texts[name]) for name in NUMBERS & texts.keys()}
        values["at"] = datetime.fromisoformat(texts["at"])
        values["label"] = texts.get("label", "")  # an empty value is not written
        if "channel" in texts:
            values["channel"] = int(texts["channel"])
        row = AnnotationRow.from_dict(values)
    except (ValueError, KeyError, UsageError) as error:
        raise TaskError(
            f"{where}: {ROW_COLUMN} is damaged ({error}): {shown(cell)}; empty the cell, and the "
            "line counts as a new annotation"
        ) from error
    if values["extra"] is None:
        return replace(row, extra=tuple(extra))
    # Raven numbers selections; where the numbers are not the row's own, the row knows better
    now = {name: text for name, text in extra if name != SELECTION}
    return replace(
        row, extra=tuple((name, _edited(before, now.get(name))) for name, before in row.extra)
    )


def _edited(before: str, now: str | None) -> str:
    """What a table shows now, unless that is what was before but for blanks around it."""
    return before if now is None or now == before.strip() else now


def shown_columns(rows: Iterable[AnnotationRow], taken: Collection[str]) -> list[str]:
    """Foreign columns of all rows that a table can show, in the order in which rows have them."""
    names = dict.fromkeys(name for row in rows for name, _ in row.extra)
    keys = {name.casefold() for name in (*taken, *OWN_COLUMNS)}
    return [
        name for name in names if name and name == plain_label(name) and name.casefold() not in keys
    ]


def check_readable(label: str, where: str, form: str) -> None:
    """Refuse a label that would be another one when the table is read.

    Raises:
        UsageError: The label is a word for "no value", or a list as Python writes it.
    """
    if label and LabelCells(Path(form)).labels(label) != (label,):
        raise UsageError(
            f"{where}: the label {shown(label)} would not be read as that from {form}; write "
            "Parquet, or give it another name"
        )


def edited_rows(annotation: Annotation, author: str) -> list[AnnotationRow]:
    """A stored row, and behind it what somebody made of it in another program.

    Args:
        annotation: read with its ``stored`` row and ``state`` cell.
        author: who changed it, if it was changed.

    Raises:
        TaskError: The state is none of those that are known.
    """
    row = annotation.stored
    if row is None:
        return []
    rows = [row]
    label = " ".join(map(plain_label, annotation.labels))
    if label and label != row.label:
        # another name for the sound: the first one is not heard there
        if row.label:
            rows.append(changed(row, state="absent", author=author))
        spans: dict[str, Any] = {
            name: getattr(row, name) for name in ("start_s", "end_s", "low_hz", "high_hz")
        }
        spans |= _moved(annotation, row)
        given: dict[str, Any] = {
            "path": row.path,
            "label": label,
            "author": author,
            "channel": row.channel,
        }
        rows.append(new_row(**given, **spans, purpose=row.purpose, extra=row.extra))
        return rows
    changes: dict[str, Any] = _moved(annotation, row)
    state = state_of(annotation)
    if state != row.state:
        changes["state"] = state
    if changes:
        rows.append(changed(row, author=author, **changes))
    return rows


def _moved(annotation: Annotation, row: AnnotationRow) -> dict[str, float | None]:
    """Edges that are no longer those of the row."""
    moved: dict[str, float | None] = {}
    for name, least in (
        ("start_s", MOVED_S), ("end_s", MOVED_S), ("low_hz", MOVED_HZ), ("high_hz", MOVED_HZ)
    ):  # fmt: skip
        now, before = getattr(annotation, name), getattr(row, name)
        # a form that needs an edge has one where the row has none
        if now is not None and before is not None and abs(now - before) >= least:
            moved[name] = now
    return moved


def state_of(annotation: Annotation) -> State | None:
    """The state that a cell of `state_column` says; None: nobody has judged it.

    Raises:
        TaskError: It is none of those that are known.
    """
    text = (annotation.state or "").strip().casefold()
    if text in {"", SUGGESTED}:
        return None
    known = next((state for state in STATES if text in {state, state[0]}), None)
    if known is None:
        column = "state" if annotation.stored is None else STATE_COLUMN
        raise TaskError(
            f"{annotation.where}: {column} is {shown(annotation.state)}; known: "
            f"{', '.join(STATES)}, or empty for not judged"
        )
    return known


def state_column(names: Sequence[str], rows: Iterable[tuple[int, Mapping[str, str]]]) -> str | None:
    """The column that says whether a label is heard: ours, or one called so that holds states.

    ``state`` may be a country's as well, so its cells decide: one of ours is enough, and of the
    others none is then guessed at.
    """
    if STATE_COLUMN in names:
        return STATE_COLUMN
    for name in names:
        if column_key(name) == "state":
            return name if any(row[name].strip().casefold() in STATES for _, row in rows) else None
    return None


def is_judged_present(cells: Mapping[str, str], column: str | None) -> bool:
    """Whether a line says that its label is heard, in the column of `state_column`."""
    if ROW_COLUMN in cells and cells.get("MANUAL ID"):
        return True  # named by a person in Kaleidoscope, whatever it was when it was written
    return column is None or cells[column].strip().casefold() in {"present", "p"}
