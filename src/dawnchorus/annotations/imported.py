"""Annotations that were read from people's tables, as rows of an annotation table."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.annotations.annotation_row import NO_LABEL, annotation_id, new_row
from dawnchorus.annotations.own_columns import edited_rows, state_of
from dawnchorus.errors import UsageError
from dawnchorus.failures import Failure
from dawnchorus.filename_text import escaped_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dawnchorus.annotations.annotation import Annotation, AnnotationList
    from dawnchorus.annotations.annotation_row import AnnotationRow, State
    from dawnchorus.annotations.annotation_table import AnnotationTable

INVALID: Final = "invalid"
_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rows_of(
    annotations: AnnotationList, author: str, *, unnamed: State = "present", **columns: Any
) -> tuple[list[AnnotationRow], list[Failure]]:
    """A row for each label of each annotation, and what cannot be one.

    Of two lines that are alike the second has an id of its own. A line that our own program wrote
    is the row that it was, and behind it what somebody made of it.

    Args:
        annotations: read with ``ReadOptions.keep``.
        author: of the lines that are not our own, and of what was changed in them.
        unnamed: state of lines without a label: ``present`` where that means that none of the
            labels is heard, ``unsure`` where somebody drew a box and gave it no name.
        **columns: of the rows, such as ``state`` and ``purpose``.
    """
    rows: list[AnnotationRow] = []
    failures: list[Failure] = []
    repeats: Counter[str] = Counter()
    for annotation in annotations.annotations:
        try:
            if annotation.stored is not None:
                rows += edited_rows(annotation, author)
                continue
            for label in annotation.labels or (NO_LABEL,):
                said = columns if label else {**columns, "state": unnamed}
                if annotation.state:  # the line says it itself
                    said = {**said, "state": state_of(annotation)}
                row = _row(annotation, label, author, said)
                repeats[row.id] += 1
                rows.append(_again(row, repeats[row.id]))
        except UsageError as error:
            failures.append(Failure(annotation.id, INVALID, f"{annotation.where}: {error}"))
    return rows, failures


def not_in_store(
    rows: Sequence[AnnotationRow], lengths_s: Mapping[str, float | None], store: object
) -> list[str]:
    """Remarks on rows that no window of a store will ever meet.

    Args:
        rows: that were read.
        lengths_s: of the store's recordings, by their ids; None where it is not known.
        store: what remarks call it.
    """
    strange = [row.path for row in rows if row.recording_id not in lengths_s]
    behind = [row for row in rows if row.start_s >= (lengths_s.get(row.recording_id) or math.inf)]
    remarks = []
    if strange:
        remarks.append(
            f"{len(strange)} of {len(rows)} annotations are of recordings that {store} does not "
            f"have, such as {strange[0]}; its paths start at the folder that was embedded (--audio)"
        )
    if behind:
        remarks.append(
            f"{len(behind)} of {len(rows)} annotations begin behind the end of their recordings, "
            f"such as {behind[0].path} at {behind[0].start_s:g} s; are their times in seconds?"
        )
    return remarks


def _row(annotation: Annotation, label: str, author: str, columns: dict[str, Any]) -> AnnotationRow:
    return new_row(
        escaped_name(annotation.path),
        annotation.start_s or 0.0,
        annotation.end_s,
        label,
        author=author,
        source="imported",
        low_hz=annotation.low_hz,
        high_hz=annotation.high_hz,
        channel=annotation.channel,
        extra=annotation.extra,
        **columns,
    )


def _again(row: AnnotationRow, n: int) -> AnnotationRow:
    """The row, with another id if it is the second of its kind."""
    return row if n == 1 else replace(row, id=annotation_id(row.to_dict(), n))


def add_new(table: AnnotationTable, rows: Sequence[AnnotationRow]) -> int:
    """Append the rows that the table does not have, whenever they were said; returns how many.

    A row is there if its author said the same of the same span, even if the table knows more of it:
    an Audacity track that was exported and is read again has lost channel, purpose and columns, and
    must not take the place of what has them.
    """
    known: dict[tuple[Any, ...], list[AnnotationRow]] = {}
    for row in dict.fromkeys(map(_without_time, table.history())):
        known.setdefault(_said(row), []).append(row)
    new = []
    for row in rows:
        same = known.setdefault(_said(row), [])
        there = next((one for one in same if _adds_nothing(row, one)), None)
        if there is None:
            new.append(row)
        else:
            same.remove(there)  # of two lines that are alike, each has one
    table.append(new)
    return len(new)


def merge(table: AnnotationTable, others: Sequence[AnnotationTable]) -> int:
    """Append what other tables have and this one does not; returns how many rows.

    Nothing is weighed here: authors and time decide when the table is read.
    """
    known = set(table.history())
    new = dict.fromkeys(row for other in others for row in other.history() if row not in known)
    table.append(list(new))
    return len(new)


def _without_time(row: AnnotationRow) -> AnnotationRow:
    """The row as it is whenever it was said: a file that is read again says the same again."""
    return replace(row, at=_NO_TIME)


def _said(row: AnnotationRow) -> tuple[Any, ...]:
    names = ("recording_id", "start_s", "end_s", "low_hz", "high_hz", "label", "state", "author")
    return tuple(getattr(row, name) for name in names)


def _adds_nothing(row: AnnotationRow, known: AnnotationRow) -> bool:
    """Whether a row has nothing that one of the table with the same span does not have."""
    pairs = ((getattr(row, name), getattr(known, name)) for name in ("model", "score", "note"))
    return (
        all(value in {None, theirs} for value, theirs in pairs)
        and row.channel in {None, known.channel}
        and row.purpose in {"train", known.purpose}
        and set(row.extra) <= set(known.extra)
    )
