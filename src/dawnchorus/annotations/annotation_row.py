"""One row of an annotation table: who said what of which span of which recording, and when.

Times count in microseconds and frequencies in thousandths of a hertz, far finer than anybody hears.
So a row is the same after any text format was written and read.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import math
import os
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import pyarrow as pa

from dawnchorus.errors import UsageError, shown
from dawnchorus.store.schema import ID_DIGITS, recording_id

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["present", "absent", "unsure"]
Source = Literal["hand", "suggested", "imported"]
Purpose = Literal["train", "estimate"]
STATES: Final[tuple[State, ...]] = get_args(State)
SOURCES: Final[tuple[Source, ...]] = get_args(Source)
PURPOSES: Final[tuple[Purpose, ...]] = get_args(Purpose)
AUTHOR_VARIABLE: Final = "DAWNCHORUS_AUTHOR"
NO_LABEL: Final = ""  # in a table of labels: none of them is heard here

ROW_SCHEMA: Final = pa.schema(
    [
        ("id", pa.string()),
        ("recording_id", pa.string()),
        ("path", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("low_hz", pa.float64()),
        ("high_hz", pa.float64()),
        ("channel", pa.int32()),
        ("label", pa.string()),
        ("state", pa.string()),
        ("author", pa.string()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("source", pa.string()),
        ("purpose", pa.string()),
        ("model", pa.string()),
        ("score", pa.float64()),
        ("note", pa.string()),
        ("extra", pa.string()),  # a JSON object of texts, in the order of the foreign columns
    ]
)
# a row without these says nothing
REQUIRED: Final = (
    "id", "recording_id", "path", "start_s", "label", "author", "at", "source", "purpose"
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationRow:
    """What one author says of one label in one span; see `new_row` to make one.

    Attributes:
        id: the same for all that was ever said of this span and label.
        recording_id: as in an embedding store, see `dawnchorus.store.schema.recording_id`.
        path: of the recording, as the store has it.
        start_s: from the beginning of the recording.
        end_s: None: to the end of the recording.
        low_hz, high_hz: the band; None where there is none.
        channel: from 0; None: all of them.
        label: one name; empty: none of the labels is heard.
        state: None: suggested, and nobody has judged it yet.
        author: who said so.
        at: when, in UTC.
        source: ``hand``, ``suggested`` by a method, or ``imported`` from a foreign table.
        purpose: labels that were chosen in order to learn (``train``) never enter an estimate.
        model: what suggested it.
        score: that it was suggested with.
        note: free text.
        extra: names and cells of columns that a foreign table had beside, in their order.

    Raises:
        UsageError: A value cannot be true; the message names it.
    """

    id: str
    recording_id: str
    path: str
    start_s: float
    end_s: float | None
    label: str
    state: State | None
    author: str
    at: datetime
    low_hz: float | None = None
    high_hz: float | None = None
    channel: int | None = None
    source: Source = "hand"
    purpose: Purpose = "train"
    model: str | None = None
    score: float | None = None
    note: str | None = None
    extra: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Round what is a number, and refuse what cannot be true."""
        for name in ("start_s", "end_s", "low_hz", "high_hz", "score"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise UsageError(f"{self.where}: {name} is {value}; need a number")
        for name, digits in (("start_s", 6), ("end_s", 6), ("low_hz", 3), ("high_hz", 3)):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, round(float(value), digits) + 0.0)
        self._check_span()
        self._check_words()
        if self.at.tzinfo is None:
            raise UsageError(f"{self.where}: at is {self.at}; need a time with its zone")
        object.__setattr__(self, "at", self.at.astimezone(UTC))

    def _check_span(self) -> None:
        if self.start_s < 0 or (self.end_s is not None and self.end_s <= self.start_s):
            raise UsageError(
                f"{self.where}: need 0 <= start < end, got {self.start_s} s to {self.end_s} s"
            )
        low_hz, high_hz = self.low_hz or 0.0, self.high_hz
        if low_hz < 0 or (high_hz is not None and high_hz < low_hz):
            raise UsageError(f"{self.where}: need 0 <= low <= high, got {low_hz} to {high_hz} Hz")
        if self.channel is not None and self.channel < 0:
            raise UsageError(f"{self.where}: channel is {self.channel}; need one from 0")

    def _check_words(self) -> None:
        for name, known in (
            ("state", (None, *STATES)), ("source", SOURCES), ("purpose", PURPOSES)
        ):  # fmt: skip
            value = getattr(self, name)
            if value not in known:
                raise UsageError(f"{self.where}: {name} is {shown(value)}; known: {known}")
        # a tab or line end in a label is the end of a field in every text format
        if self.label != plain_label(self.label):
            raise UsageError(
                f"{self.where}: label {shown(self.label)} has blanks around it, or a tab or line "
                "end in it; see plain_label"
            )
        if not (self.id and self.path and self.author.strip()):
            raise UsageError(f"{self.where}: id, path and author must not be empty")

    @property
    def where(self) -> str:
        """The span, for messages."""
        return f"annotation of {self.path} at {self.start_s} s"

    def to_dict(self) -> dict[str, Any]:
        """Values for a row of `ROW_SCHEMA`."""
        values = {name: getattr(self, name) for name in FIELDS}
        extra = json.dumps(dict(self.extra), ensure_ascii=False) if self.extra else None
        return {**values, "extra": extra}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AnnotationRow:
        """The row of a table of `ROW_SCHEMA`.

        Raises:
            UsageError: A value cannot be true.
        """
        missing = [name for name in REQUIRED if values[name] is None]
        if missing:
            raise UsageError(f"an annotation without {', '.join(missing)}")
        extra = _extra(values["extra"])
        return cls(**{name: values[name] for name in FIELDS if name != "extra"}, extra=extra)


FIELDS: Final = tuple(field.name for field in fields(AnnotationRow))


def _extra(text: str | None) -> tuple[tuple[str, str], ...]:
    if text is None:
        return ()
    try:
        cells = json.loads(text)
    except ValueError as error:
        raise UsageError(f"extra is not JSON: {error}") from error
    if not isinstance(cells, dict) or not all(isinstance(cell, str) for cell in cells.values()):
        raise UsageError(f"extra is {shown(cells)}; need an object of texts")
    return tuple(cells.items())


def plain_label(text: str) -> str:
    """A label as every format can hold it: one line, single blanks, none around it."""
    return " ".join(text.split())


def named_label(text: str) -> str:
    """A label that a call is looked for by: `plain_label`, and not empty.

    Raises:
        UsageError: It is empty, as a variable of a shell script that was never set.
    """
    label = plain_label(text) if isinstance(text, str) else ""
    if not label:
        raise UsageError(f"label {shown(text)}: need the name of a sound, such as wren")
    return label


def default_author() -> str:
    """``$DAWNCHORUS_AUTHOR``, otherwise the name of the login.

    Raises:
        UsageError: Neither is there.
    """
    named = os.environ.get(AUTHOR_VARIABLE, "").strip()
    if named:
        return named
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as error:  # a user of a container may have no name
        raise UsageError(
            f"who is the author? This login has no name; set {AUTHOR_VARIABLE}"
        ) from error


def annotation_id(row: Mapping[str, Any], repeat: int = 1) -> str:
    """An id made of what is annotated: recording, span, band, channel and label.

    Two people who judge one window for one label thus speak of the same thing without knowing of
    each other, and a table that is imported twice is there once.

    Args:
        row: columns of an `AnnotationRow`, rounded as it rounds them.
        repeat: 2 for the second of two rows of a foreign table that are alike, and so on.
    """
    names = ("recording_id", "start_s", "end_s", "low_hz", "high_hz", "channel", "label")
    content = json.dumps([*(row.get(name) for name in names), repeat], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:ID_DIGITS]


def new_row(
    path: str, start_s: float, end_s: float | None, label: str, **columns: Any
) -> AnnotationRow:
    """A row with id, author and time filled in, and whatever else is given.

    Args:
        path: of the recording, as the store has it.
        start_s: where the span begins.
        end_s: None: at the end of the recording.
        label: blanks around it are dropped.
        **columns: of `AnnotationRow`; ``state`` is ``present`` unless it is given. ``repeat`` as of
            `annotation_id`.

    Raises:
        UsageError: A value cannot be true.
    """
    repeat = columns.pop("repeat", 1)
    given: dict[str, Any] = {"recording_id": recording_id(path), "state": "present", **columns}
    given.setdefault("author", None)
    row = AnnotationRow(
        **{
            **given,
            "author": given["author"] or default_author(),
            "at": given.get("at") or datetime.now(UTC),
            "id": given.get("id") or "new",
        },
        path=path,
        start_s=start_s,
        end_s=end_s,
        label=plain_label(label),
    )
    if given.get("id"):
        return row
    rounded = {name: getattr(row, name) for name in FIELDS}
    return replace(row, id=annotation_id(rounded, repeat))


def suggested_row(
    window: Mapping[str, Any],
    label: str,
    *,
    model: str,
    score: float | None,
    purpose: Purpose = "train",
    repeat: int = 1,
) -> AnnotationRow:
    """A suggestion that a window holds a label, for people to judge.

    Args:
        window: ``path``, ``recording_id``, ``start_s`` and ``stop_s``.
        label: that it may hold.
        model: what suggested it.
        score: that it was suggested with.
        purpose: ``estimate`` only if it was drawn whatever its score.
        repeat: as of `annotation_id`.

    Raises:
        UsageError: A value cannot be true.
    """
    return new_row(
        window["path"],
        window["start_s"],
        window["stop_s"],
        label,
        recording_id=window["recording_id"],
        state=None,
        source="suggested",
        purpose=purpose,
        model=model,
        score=score,
        repeat=repeat,
    )


def changed(row: AnnotationRow, **columns: Any) -> AnnotationRow:
    """A row that takes the place of another: same id, later, with some columns changed.

    Judging a suggestion is a change of its ``state``. ``author`` is the one who changes it.
    """
    # a clock that was set back must not make the older row the last one
    at = max(datetime.now(UTC), row.at + timedelta(microseconds=1))
    return replace(row, **{"author": default_author(), "source": "hand", "at": at, **columns})
