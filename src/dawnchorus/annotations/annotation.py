"""One annotation, and the annotations of one or more tables with what was read and left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.failures import Failure

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.annotations.annotation_row import AnnotationRow

NO_LENGTH, BEFORE_START = "no-length", "before-start"
# Raven and Audacity write the band of an annotation in these columns.
LOW_HZ, HIGH_HZ = "Low Freq (Hz)", "High Freq (Hz)"
SHOWN: Final = 5  # different words, in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A labelled span of a recording.

    Attributes:
        path: the recording, relative to the folder of the recordings where it lies below it.
        start_s: None: from the beginning.
        end_s: None: to the end.
        labels: none where the table says that there is nothing.
        low_hz, high_hz: the band; None where the table has none.
        where: table and line, for messages.
        recording_s: how long the table says that the recording is.
        columns: every other column of the table, by our name where it has one.
        channel: from 0, where the table is of a program that says it.
        extra: columns that are not read, in their order, and their cells; only if asked for.
        stored: the row of an annotation table that this was written from; only if asked for.
        state: what one of our own tables says of it now, beside ``stored``.
    """

    path: str
    start_s: float | None
    end_s: float | None
    labels: tuple[str, ...]
    where: str
    low_hz: float | None = None
    high_hz: float | None = None
    recording_s: float | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    channel: int | None = None
    extra: tuple[tuple[str, str], ...] = ()
    stored: AnnotationRow | None = None
    state: str | None = None

    @property
    def id(self) -> str:
        """A name for the span."""
        return clip_id(self.path, self.start_s, self.end_s)


@dataclass(slots=True)
class AnnotationList:
    """Annotations in the order of their tables.

    Attributes:
        annotations: those that can be used.
        failures: what was left out, each named by its span or recording.
        layouts: what was read as what, and the tables in which it was so.
        remarks: what to mind.
    """

    annotations: list[Annotation] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    layouts: dict[str, list[Path]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def extend(self, other: AnnotationList) -> None:
        """Append all of another table."""
        self.annotations += other.annotations
        self.failures += other.failures
        self.remarks += other.remarks
        for layout, tables in other.layouts.items():
            self.layouts.setdefault(layout, []).extend(tables)

    def notes(self) -> tuple[str, ...]:
        """What was read as what, once for all tables that are alike, and what to mind."""
        notes = []
        for layout, tables in self.layouts.items():
            more = f" and {len(tables) - 1} more tables" if len(tables) > 1 else ""
            notes.append(f"{tables[0]}{more}: {layout}")
        return (*notes, *self.remarks)

    # here, so that no reader can forget it: a label without a length would become the whole file
    def add(self, annotation: Annotation) -> None:
        """Append an annotation; one without a length or before the recording is a failure."""
        start_s = annotation.start_s or 0.0
        end_s = annotation.end_s
        labels = ", ".join(annotation.labels) or "a clip"
        said = f"{annotation.where}: {labels!r} "
        if start_s < 0:
            said += f"starts at {start_s:g} s, before the recording"
            self.failures.append(Failure(annotation.id, BEFORE_START, said))
        elif end_s is not None and end_s <= start_s:
            said += f"from {start_s:g} to {end_s:g} s has no length"
            self.failures.append(Failure(annotation.id, NO_LENGTH, said))
        else:
            self.annotations.append(annotation)


def clip_id(path: str, start_s: float | None, stop_s: float | None) -> str:
    """An id for a piece of a recording, of its path alone where it is the whole."""
    if start_s is None and stop_s is None:
        return path
    end = "" if stop_s is None else f"{stop_s:.3f}"
    return f"{path}:{start_s or 0.0:.3f}-{end}"
