"""Lists of sounds: made once, kept while the server runs, read a page at a time."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.labelling.verdicts import NOT_THERE
from dawnchorus.probes.reliability import wilson
from dawnchorus.serve.bodies import Item, Judged, ListAnswer, Progress
from dawnchorus.serve.library import NotThereError
from dawnchorus.serve.places import find

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.annotations.annotation_row import AnnotationRow, State
    from dawnchorus.serve.bodies import ListQuery
    from dawnchorus.serve.places import Found
    from dawnchorus.serve.session import Session

    Rows = NDArray[np.int64]

FIRST_PAGE: Final = 24
MOST_LISTS: Final = 40


@dataclass(frozen=True, slots=True)
class SoundList:
    """One list.

    Attributes:
        id: that the page asks further items by.
        query: what was asked.
        found: its rows, in the order that was asked for.
        ids: the annotation id of each row for the list's label, where that is not the row's own.
        windows: its rows sorted, without those that are no window.
    """

    id: str
    query: ListQuery
    found: Found
    ids: frozenset[str]
    windows: Rows

    @property
    def n(self) -> int:
        """How many sounds."""
        return len(self.found.rows)


class Lists:
    """The lists of a session, the last ones that were used."""

    def __init__(self, session: Session) -> None:
        """There is none yet."""
        self._session = session
        self._kept: OrderedDict[str, SoundList] = OrderedDict()
        self._lock = threading.Lock()
        self._n_made = 0

    def make(self, query: ListQuery) -> ListAnswer:
        """Find what a query asks for; gives the first page.

        Raises:
            UsageError: The question cannot be answered as it stands.
            StoreError: Stores or annotations are damaged.
        """
        self._session.live.refresh()
        return self.keep(query, find(self._session, query))

    def keep(self, query: ListQuery, found: Found) -> ListAnswer:
        """Keep what was found as a list; gives its first page."""
        found = ordered(self._session, found, query)
        with self._lock:
            self._n_made += 1
            text = f"{self._n_made} {query.model_dump_json()}"
            made = SoundList(
                id=hashlib.sha256(text.encode()).hexdigest()[:16],
                query=query,
                found=found,
                ids=frozenset(row.id for row in found.noted or ()),
                windows=np.unique(found.rows[found.rows != NOT_THERE]),
            )
            self._kept[made.id] = made
            while len(self._kept) > MOST_LISTS:
                self._kept.popitem(last=False)
        return self.page(made.id, 0, FIRST_PAGE)

    def get(self, name: str) -> SoundList:
        """A list.

        Raises:
            NotThereError: There is none of this id, or it is too old.
        """
        with self._lock:
            found = self._kept.get(name)
            if found is None:
                raise NotThereError("this list is not kept any more; ask for it again")
            self._kept.move_to_end(name)
            return found

    def page(self, name: str, offset: int, limit: int) -> ListAnswer:
        """Some items of a list."""
        made = self.get(name)
        found = made.found
        places = np.arange(min(offset, made.n), min(offset + limit, made.n))
        return ListAnswer(
            id=made.id,
            title=found.title,
            label=made.query.label,
            items=tuple(items(self._session, found.take(places), made.query.label)),
            progress=progress_of(self._session, made),
            command=found.command,
            notes=found.notes,
        )


def ordered(session: Session, found: Found, query: ListQuery) -> Found:
    """The rows in the order that was asked for; equal ones stay as they were."""
    rows, library = found.rows, session.library
    if query.order == "given" or not len(rows):
        return found
    if query.order == "novelty" and found.novelty is None:
        novelty = np.full(len(rows), np.nan)
        there = rows != NOT_THERE
        novelty[there] = session.scores.novelty(rows[there])
        found.novelty = novelty
    keys = {
        "score": _falling(found.scores, len(rows)),
        "novelty": _falling(found.novelty, len(rows)),
        "margin": _rising(found.margins, len(rows)),
    }
    if query.order in keys:
        return found.take(np.argsort(keys[query.order], kind="stable"))
    clock = np.where(rows == NOT_THERE, np.nan, library.clock(np.maximum(rows, 0)))
    clock = np.nan_to_num(clock, nan=np.inf)
    if query.order == "time":
        return found.take(np.argsort(clock, kind="stable"))
    codes = library.sites[1][library.owner[np.maximum(rows, 0)]]
    # windows without a site stand last
    codes = np.where((rows == NOT_THERE) | (codes < 0), np.iinfo(np.int32).max, codes)
    return found.take(np.lexsort((np.arange(len(rows)), clock, codes)))


def _falling(values: NDArray[Any] | None, n: int) -> NDArray[np.float64]:
    return np.zeros(n) if values is None else -np.nan_to_num(values.astype(float), nan=-np.inf)


def _rising(values: NDArray[Any] | None, n: int) -> NDArray[np.float64]:
    return np.zeros(n) if values is None else np.nan_to_num(values.astype(float), nan=np.inf)


def items(session: Session, found: Found, label: str | None) -> list[Item]:
    """The rows of a page, with all that a tile shows."""
    library, live = session.library, session.live
    windows = library.archive.describe(np.maximum(found.rows, 0)).to_pylist()
    made = []
    for at, (row, window) in enumerate(zip(found.rows.tolist(), windows, strict=True)):
        noted = None if found.noted is None else found.noted[at]
        span = _noted_span(noted) if noted is not None else {}
        recording = library.recording(str(span.get("recording_id") or window["recording_id"]))
        start_s = float(span.get("start_s", window["start_s"]))
        said = live.of_window(row) if row != NOT_THERE else []
        if noted is not None:
            said = _of_noted(session, noted, said)
        made.append(
            Item(
                row=row,
                recording_id=recording.recording_id,
                path=recording.path,
                start_s=start_s,
                stop_s=float(span.get("stop_s", window["stop_s"])),
                label=label if noted is None else noted.label,
                score=_number(found.scores, at),
                percentile=_number(found.percentiles, at),
                margin=_number(found.margins, at),
                novelty=_number(found.novelty, at),
                site=recording.site,
                local_time=library.local_time(recording, start_s),
                purpose="train" if noted is None else noted.purpose,
                judged=tuple(judged(one) for one in said if one.state is not None),
                has_sound=session.has_sound(recording),
            )
        )
    return made


def _of_noted(
    session: Session, noted: AnnotationRow, said: list[AnnotationRow]
) -> list[AnnotationRow]:
    """What is said of an annotation itself, and of other labels in its window.

    A window may have another annotation of the label: judged in order to learn, and now drawn for
    an estimate. Shown as judged, it would be passed over.
    """
    return session.live.counting(noted.id) + [one for one in said if one.label != noted.label]


def _noted_span(row: AnnotationRow) -> dict[str, Any]:
    span = {"recording_id": row.recording_id, "start_s": row.start_s}
    return span if row.end_s is None else {**span, "stop_s": row.end_s}


def _number(values: NDArray[Any] | None, at: int) -> float | None:
    if values is None or not np.isfinite(values[at]):
        return None
    return float(values[at])


def judged(row: AnnotationRow) -> Judged:
    """A row as the page has it."""
    return Judged(id=row.id, label=row.label, state=row.state, author=row.author, at=row.at)


def progress_of(session: Session, made: SoundList) -> Progress:
    """How far a list is judged for its label, and what that says of it.

    A sound that people contradict each other in counts as unsure.
    """
    live = session.live
    verdicts = live.verdicts(made.query.label)
    counts = {"present": 0, "absent": 0, "unsure": 0}
    seen: dict[int | str, State] = {}
    for name, state in verdicts.items():
        row = live.row_of(name)
        inside = name in made.ids if made.found.noted is not None else _has(made.windows, row)
        if inside:
            # without a label in question, several are judged of one window
            place = row if row != NOT_THERE and made.found.noted is None else name
            seen[place] = state if seen.get(place, state) == state else "unsure"
    for state in seen.values():
        counts[state] += 1
    n_clear = counts["present"] + counts["absent"]
    if not n_clear:
        return Progress(n=made.n, **counts)
    share = counts["present"] / n_clear
    low, high = wilson(np.array([share]), np.array([float(n_clear)]))
    return Progress(n=made.n, **counts, precision=share, low=float(low[0]), high=float(high[0]))


def _has(rows: Rows, row: int) -> bool:
    at = int(np.searchsorted(rows, row))
    return at < len(rows) and int(rows[at]) == row
