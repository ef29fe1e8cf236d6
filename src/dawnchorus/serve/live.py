"""The annotation table as it is now: what this page and every other program wrote into it.

The table is a folder to which files are added, so what others wrote is found by reading the new
files alone. A row is joined to the window that it is about, also after its edges were moved to the
call: its id was made of the window's span, and stays.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.annotations.annotation_row import annotation_id
from dawnchorus.annotations.annotation_table import HEADER, AnnotationTable
from dawnchorus.labelling.verdicts import NOT_THERE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.annotations.annotation_row import AnnotationRow, State
    from dawnchorus.serve.library import Library

MOST_AT_ONCE: Final = 2_000  # changes in one answer
# for another program that writes: less than the page waits before it says that nobody answers
WAIT_S: Final = 4.0


class LiveAnnotations:
    """Rows of a table that count, by id, by recording and by window.

    Attributes:
        folder: of the table; it is made with the first row.
        log: every row in the order it came; a cursor of the page is a place in it.
        lock: held while rows are read, looked up and written.
    """

    def __init__(self, folder: Path, library: Library) -> None:
        """Nothing is read yet."""
        self.folder = folder
        self.log: list[AnnotationRow] = []
        self.lock = threading.RLock()
        self._library = library
        self._table: AnnotationTable | None = None
        self._last: dict[str, dict[str, AnnotationRow]] = {}
        self._ids: dict[str, set[str]] = defaultdict(set)
        self._said: set[tuple[object, ...]] = set()
        self._row_of: dict[str, int] = {}
        # a page asks every two seconds, and most of the time nothing has changed
        self._verdicts: dict[str | None, dict[str, State]] = {}
        self._counted = 0
        self._of_window: dict[int, list[str]] = defaultdict(list)

    def refresh(self) -> None:
        """Read what was added since.

        Raises:
            StoreError: A part is damaged.
        """
        with self.lock:
            if not self.is_there:
                return
            for row in self._opened().new_rows():
                self._take(row)

    @property
    def is_there(self) -> bool:
        """Whether there is a table yet."""
        return self._table is not None or (self.folder / HEADER).exists()

    def append(self, rows: Sequence[AnnotationRow]) -> None:
        """Add rows; when this returns, they are on the disk and count.

        Raises:
            StoreError: They cannot be written.
        """
        with self.lock:
            self._opened(create=True).append(rows)
            self.refresh()

    def table(self) -> AnnotationTable:
        """The table, for functions that read it themselves; made if it is not there."""
        with self.lock:
            return self._opened(create=True)

    def _opened(self, *, create: bool = False) -> AnnotationTable:
        if self._table is None:
            self._table = AnnotationTable(self.folder, create=create, wait_s=WAIT_S)
        return self._table

    def _take(self, row: AnnotationRow) -> None:
        self.log.append(row)
        self._said.add(_fingerprint(row))
        by_author = self._last.setdefault(row.id, {})
        before = by_author.get(row.author)
        if before is None or row.at >= before.at:
            by_author[row.author] = row
        self._ids[row.recording_id].add(row.id)
        if self._row_of.get(row.id, NOT_THERE) == NOT_THERE:
            at = self._find_window(row)
            self._row_of[row.id] = at
            if at != NOT_THERE:
                self._of_window[at].append(row.id)

    def _find_window(self, row: AnnotationRow) -> int:
        index = self._library.index
        at = index.by_span(row)
        if at != NOT_THERE:
            return at
        # moved to the call before anybody had judged it: the id is still that of the window
        for place in index.of_recording(row.recording_id).tolist():
            start_s, stop_s = self._library.start_s[place], self._library.stop_s[place]
            if start_s < (row.end_s or np.inf) and row.start_s < stop_s:
                span = {
                    "recording_id": row.recording_id,
                    "label": row.label,
                    "start_s": round(float(start_s), 6),
                    "end_s": round(float(stop_s), 6),
                }
                if annotation_id(span) == row.id:
                    return int(place)
        return NOT_THERE

    def row_of(self, annotation: str) -> int:
        """The window that an id is about; -1: none."""
        return self._row_of.get(annotation, NOT_THERE)

    def was_said(self, row: AnnotationRow) -> bool:
        """Whether the table has this very row: of this id, author, moment and state."""
        return _fingerprint(row) in self._said

    def has(self, annotation: str) -> bool:
        """Whether anything was said of an id."""
        return annotation in self._last

    def by_author(self, annotation: str) -> dict[str, AnnotationRow]:
        """The last row of each author on an id."""
        return self._last.get(annotation, {})

    def counting(self, annotation: str) -> list[AnnotationRow]:
        """Rows of an id that count: what was judged, otherwise one suggestion."""
        rows = list(self._last.get(annotation, {}).values())
        judged = [row for row in rows if row.state is not None]
        asked = [row for row in rows if row.source == "suggested"]
        return judged or asked[-1:]

    def of_recording(self, recording_id: str) -> list[AnnotationRow]:
        """Rows of a recording that count."""
        with self.lock:
            ids = sorted(self._ids.get(recording_id, ()))
            return [row for one in ids for row in self.counting(one)]

    def of_window(self, row: int) -> list[AnnotationRow]:
        """Judgements of a window, of any label."""
        ids = self._of_window.get(row, ())
        return [one for name in ids for one in self.counting(name) if one.state is not None]

    def rows(self, label: str | None = None) -> list[AnnotationRow]:
        """All rows that count, of one label or of all."""
        with self.lock:
            return [
                row
                for one in self._last
                for row in self.counting(one)
                if label in {None, row.label}
            ]

    def suggestions(self, label: str) -> list[AnnotationRow]:
        """Suggestions of a label that nobody has judged, in the order they were made."""
        return [row for row in self.rows(label) if row.state is None]

    def verdicts(self, label: str | None) -> dict[str, State]:
        """What holds of each id that was judged: where people disagree, ``unsure``."""
        with self.lock:
            if self._counted != len(self.log):
                self._verdicts.clear()
                self._counted = len(self.log)
            if label not in self._verdicts:
                self._verdicts[label] = self._agreed(label)
            return self._verdicts[label]

    def _agreed(self, label: str | None) -> dict[str, State]:
        said: dict[str, State] = {}
        for row in self.rows(label):
            if row.state is not None:
                said[row.id] = row.state if said.get(row.id, row.state) == row.state else "unsure"
        return said

    def judged_windows(self, label: str | None) -> NDArray[np.int64]:
        """Windows of which something was said, of a label or of any."""
        rows = {self.row_of(one) for one in self.verdicts(label)} - {NOT_THERE}
        return np.array(sorted(rows), np.int64)

    def authors(self) -> list[str]:
        """Everybody who judged."""
        return sorted({row.author for row in self.log if row.state is not None})

    def label_counts(self) -> dict[str, Counter[str]]:
        """For each label how many ids are present, absent, unsure or suggested."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        judged = self.verdicts(None)
        seen: set[str] = set()
        for row in self.rows():
            if row.id not in seen:
                counts[row.label][judged.get(row.id, "suggested")] += 1
                seen.add(row.id)
        return counts

    def since(self, cursor: str) -> tuple[str, Iterable[AnnotationRow]]:
        """Rows that came after a cursor, and the next cursor; one that is empty means now."""
        with self.lock:
            self.refresh()
            first = int(cursor) if cursor.isdecimal() else len(self.log)
            rows = self.log[first : first + MOST_AT_ONCE]
            return str(min(first, len(self.log)) + len(rows)), rows

    @property
    def cursor(self) -> str:
        """The place of now."""
        return str(len(self.log))


def _fingerprint(row: AnnotationRow) -> tuple[object, ...]:
    return row.id, row.author, row.at, row.state, row.start_s, row.end_s
