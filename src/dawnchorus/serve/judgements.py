"""What the page judged, as rows of the annotation table: the same rows that the command line makes.

A judgement that is sent twice changes nothing, also after the server was started again: it is known
by what it says of which id, by whom and when, and all of that is in the table.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.annotations.annotation_row import annotation_id, new_row
from dawnchorus.annotations.window_labels import TOLERANCE_S

if TYPE_CHECKING:
    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.serve.bodies import Judgement, Judgements, Span
    from dawnchorus.serve.library import Library
    from dawnchorus.serve.live import LiveAnnotations

MOST_KEYS: Final = 100_000
# a clock further ahead than this is wrong, and rows of it would win over all that is said later
AHEAD: Final = timedelta(minutes=5)


class Writer:
    """Writes judgements, each once."""

    def __init__(self, library: Library, live: LiveAnnotations) -> None:
        """Nothing is written yet."""
        self._library = library
        self._live = live
        self._keys: OrderedDict[tuple[str, str], None] = OrderedDict()

    def save(self, judgements: Judgements) -> tuple[str, ...]:
        """Write what is new; when this returns, all of it is on the disk.

        Returns:
            Keys of all of them, new or not.

        Raises:
            NotThereError: A recording is none of these stores; none of them is written then.
            UsageError: A value cannot be true; likewise.
            StoreError: They cannot be written; none of them is there then.
        """
        with self._live.lock:
            self._live.refresh()
            rows: dict[tuple[str, str], list[AnnotationRow]] = {}
            for judgement in judgements.judgements:
                if (judgements.author, judgement.key) in self._keys:
                    continue
                row = self._row(judgement, judgements.author, rows)
                if row is not None:
                    rows.setdefault((row.id, row.author), []).append(row)
            self._live.append([row for said in rows.values() for row in said])
            for judgement in judgements.judgements:
                self._keys[judgements.author, judgement.key] = None
            while len(self._keys) > MOST_KEYS:
                self._keys.popitem(last=False)
        return tuple(judgement.key for judgement in judgements.judgements)

    def _row(
        self, judgement: Judgement, author: str, pending: dict[tuple[str, str], list[AnnotationRow]]
    ) -> AnnotationRow | None:
        """The row of a judgement; None: it is in the table already, or takes nothing back."""
        known = self._known_id(judgement)
        own = pending.get((known, author), []) or self._live.by_author(known).get(author)
        before = own[-1] if isinstance(own, list) else own
        asked = self._asked(known)
        row = self._made(judgement, author, known, asked)
        if before is None:
            return None if row.state is None else row
        if before.state is None and before.source == "suggested" and row.at <= before.at:
            # suggested by the judge's own name, by a clock that is ahead
            row = replace(row, at=before.at + timedelta(microseconds=1))
        if _says_the_same(before, row) or self._is_there(row):
            return None
        return row

    def _is_there(self, row: AnnotationRow) -> bool:
        """Whether this very judgement was written before, and something newer since."""
        return self._live.was_said(row)

    def _known_id(self, judgement: Judgement) -> str:
        """The id that the span is judged under; of a moved one, that of where it was."""
        span = judgement.was or judgement.span
        label = " ".join(judgement.label.split())
        fresh = annotation_id(
            {
                "recording_id": span.recording_id,
                "start_s": round(span.start_s, 6),
                "end_s": round(span.stop_s, 6),
                "label": label,
            }
        )
        there = [
            row
            for row in self._live.of_recording(span.recording_id)
            if row.label == label and _is_span(row, span)
        ]
        # a window that was judged in order to learn may be drawn for an estimate as well: then two
        # ids are of it, and what is said in the list of one must not be lost in the other
        meant = [row.id for row in there if row.purpose == judgement.purpose]
        if meant:
            return fresh if fresh in meant else meant[0]
        if self._live.has(fresh) or not there:
            return fresh
        return there[0].id

    def _asked(self, known: str) -> AnnotationRow | None:
        """What the judgement answers: the suggestion, or what anybody said of it."""
        rows = list(self._live.by_author(known).values())
        suggested = [row for row in rows if row.source == "suggested"]
        return next(iter(suggested or rows), None)

    def _made(
        self, judgement: Judgement, author: str, known: str, asked: AnnotationRow | None
    ) -> AnnotationRow:
        span = judgement.span
        band: dict[str, Any] = {"low_hz": judgement.low_hz, "high_hz": judgement.high_hz}
        band = {name: value for name, value in band.items() if value is not None}
        now = datetime.now(UTC)
        at = judgement.at if judgement.at.tzinfo else judgement.at.replace(tzinfo=UTC)
        said: dict[str, Any] = {
            "state": judgement.state,
            "author": author.strip(),
            "at": at if at <= now + AHEAD else now,
            "source": "hand",
            **band,
        }
        if asked is not None:
            if judgement.state is None:
                said["source"] = asked.source
            return replace(asked, start_s=span.start_s, end_s=span.stop_s, **said)
        path = self._library.recording(span.recording_id).path
        # purpose: only windows that were drawn by chance speak in an estimate, and the table
        # knows which those are; the page cannot make one
        return new_row(
            path, span.start_s, span.stop_s, judgement.label, id=known,
            recording_id=span.recording_id, score=judgement.score, **said,
        )  # fmt: skip


def _is_span(row: AnnotationRow, span: Span) -> bool:
    if row.end_s is None:
        return False
    return (
        abs(row.start_s - span.start_s) < TOLERANCE_S and abs(row.end_s - span.stop_s) < TOLERANCE_S
    )


def _says_the_same(before: AnnotationRow, row: AnnotationRow) -> bool:
    names = ("state", "start_s", "end_s", "low_hz", "high_hz")
    return before.source == row.source and all(
        getattr(before, name) == getattr(row, name) for name in names
    )
