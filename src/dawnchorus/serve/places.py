"""Where the sounds of a list come from: each place is a function from a question to rows."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.annotations.window_labels import ABSENT, PRESENT, window_labels
from dawnchorus.errors import UsageError
from dawnchorus.labelling.suggest import HALF, suggest_windows
from dawnchorus.labelling.verdicts import NOT_THERE
from dawnchorus.search.merged import NO_ROW
from dawnchorus.search.neighbours import best_windows
from dawnchorus.search.query import SoundQuery, direction_of, embed_sounds
from dawnchorus.serve.choice import best, limited, passing
from dawnchorus.serve.library import NotThereError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.serve.bodies import ListQuery, Sound
    from dawnchorus.serve.session import Session

    Rows = NDArray[np.int64]
    Floats = NDArray[np.float32]

MOST_NOVEL: Final = 100_000  # windows whose novelty is measured for one list


@dataclass
class Found:
    """Rows of a list, and what is known of each.

    Attributes:
        rows: of the archive, in the order that the place gives; -1 where there is only a note.
        title: of the list.
        command: that gives the same on the command line.
        scores, percentiles, margins, novelty: one for each row, where the place has them.
        noted: for a list of annotations, the annotation of each row.
        notes: what to mind.
    """

    rows: Rows
    title: str
    command: str
    scores: NDArray[np.floating] | None = None
    percentiles: NDArray[np.floating] | None = None
    margins: NDArray[np.floating] | None = None
    novelty: NDArray[np.floating] | None = None
    noted: list[AnnotationRow] | None = None
    notes: tuple[str, ...] = ()

    def take(self, places: Rows) -> Found:
        """Some of the rows, in another order."""
        arrays = ("rows", "scores", "percentiles", "margins", "novelty")
        there = [name for name in arrays if getattr(self, name) is not None]
        chosen: dict[str, Any] = {name: getattr(self, name)[places] for name in there}
        noted = None if self.noted is None else [self.noted[at] for at in places.tolist()]
        return replace(self, noted=noted, **chosen)


def find(session: Session, query: ListQuery) -> Found:
    """The windows that a list asks for.

    Raises:
        UsageError: The question cannot be answered as it stands.
        StoreError: Stores or annotations are damaged.
    """
    return PLACES[query.place](session, query)


def _windows(session: Session, query: ListQuery) -> Found:
    keep = _passing(session, query)
    if query.rows is None:
        rows = np.flatnonzero(keep)
        title = "All windows"
    else:
        asked = np.array(query.rows, np.int64)
        if len(asked) and not 0 <= asked.min() <= asked.max() < len(keep):
            raise UsageError(f"rows: these stores have the rows 0 to {len(keep) - 1}")
        rows = asked[keep[asked]]
        title = f"{len(rows):,} windows of the map"
    rows = rows[: query.k]
    command = _command(session, "store export", "-o windows.csv", query)
    return Found(rows, title, command)


def _search(session: Session, query: ListQuery) -> Found:
    archive = session.library.archive
    like = _vectors(session, query.like)
    unlike = _vectors(session, query.unlike)
    if not query.like and query.label:
        of_label = _labelled(session, query.label)
        like, unlike = like + of_label[0], unlike + of_label[1]
    empty = np.zeros((0, archive.dim), np.float32)
    direction = direction_of(
        archive, np.concatenate([empty, *like]), np.concatenate([empty, *unlike])
    )
    keep = _passing(session, query)
    if not keep.any():
        return Found(np.zeros(0, np.int64), "Nothing passes the filters", "")
    among = archive if keep.all() else archive.subset(keep)
    found = best_windows(among, direction[None], query.k, per_recording=query.per_recording)
    there = found.rows[0] != NO_ROW
    rows = found.rows[0][there]
    rows = rows if keep.all() else np.flatnonzero(keep)[rows]
    words = [f"--like {shlex.quote(_named(session, sound))}" for sound in query.like]
    words += [f"--unlike {shlex.quote(_named(session, sound))}" for sound in query.unlike]
    if not query.like and query.label:
        words.append(f"--label {shlex.quote(query.label)}")
    words.append(f"-k {query.k} --per-recording {query.per_recording or 0}")
    notes = () if found.is_exact else (f"By a sketch of the store, recall {found.recall:.2f}.",)
    return Found(
        rows.astype(np.int64),
        f"Sounds like {query.label}" if query.label and not query.like else "Sounds like this",
        _command(session, "search", " ".join(words), query),
        scores=found.scores[0][there],
        percentiles=found.percentiles[0][there],
        notes=notes,
    )


def _vectors(session: Session, sounds: Iterable[Sound]) -> list[Floats]:
    """Vectors of each sound: of a window those of the store, of anything else by its model."""
    library, found, foreign = session.library, [], []
    for sound in sounds:
        row = NOT_THERE
        if sound.span is not None:
            row = session.row_of_span(sound.span)
        if row != NOT_THERE:
            found.append(library.archive.take(np.array([row])))
        else:
            foreign.append(_query(session, sound))
    if foreign:
        found += embed_sounds(foreign, library.archive.header, session.model)
    return found


def _query(session: Session, sound: Sound) -> SoundQuery:
    if sound.clip is not None:
        return SoundQuery(session.clips.path(sound.clip))
    if sound.span is None:
        raise UsageError("a search needs a span of a recording, or a clip that was dropped here")
    path = session.library.file(session.library.recording(sound.span.recording_id))
    return SoundQuery(path, sound.span.start_s, sound.span.stop_s)


def _named(session: Session, sound: Sound) -> str:
    if sound.span is None:
        return session.clips.name(sound.clip or "")
    recording = session.library.recording(sound.span.recording_id)
    root = session.library.roots[recording.store]
    return f"{root / recording.path}@{sound.span.start_s:g}-{sound.span.stop_s:g}"


def _labelled(session: Session, label: str) -> tuple[list[Floats], list[Floats]]:
    """Vectors of windows that people said do, or do not, hold a label."""
    archive = session.library.archive
    labels = window_labels(session.library.windows, session.live.rows(), label)
    if not (labels == PRESENT).any():
        raise UsageError(
            f"no window of these stores is said to hold {label!r} yet; judge one present, or "
            "search by a sound"
        )
    return tuple([archive.take(np.flatnonzero(labels == state))] for state in (PRESENT, ABSENT))  # type: ignore[return-value]


def _detections(session: Session, query: ListQuery) -> Found:
    scores = session.scores.of(query.label, query.probe)
    rows = np.flatnonzero(_passing(session, query))
    if query.min_score is not None:
        rows = rows[scores[rows] >= query.min_score]
    # a noisy recording may fill all of k, so the limit comes before it
    ranked = best(scores, rows, len(rows))
    ranked = ranked[limited(session.library.owner[ranked], query.per_recording)][: query.k]
    by = query.probe or "the model"
    label = query.label or ""
    if query.probe is None:
        words = f"--label {shlex.quote(label)} --min-score {query.min_score or 0:g} -o found.csv"
        command = _command(session, "store export", words, query)
    else:
        folder = session.scores.probe(query.probe)
        command = f"dawnchorus predict {session.store_words} --probe {shlex.quote(str(folder))}"
    return Found(
        ranked,
        f"{label} by {by}".strip(),
        command,
        scores=scores[ranked],
        margins=np.abs(scores[ranked] - HALF),
    )


def _cluster(session: Session, query: ListQuery) -> Found:
    made = session.map
    if made is None:
        raise NotThereError("there is no map of these stores yet; make it on the page of the map")
    wanted = query.cluster
    if wanted is None:
        raise UsageError("which cluster? Give its number")
    rows = np.flatnonzero(_passing(session, query) & (made.clusters == wanted))
    archive = session.library.archive
    scores: Floats = np.zeros(0, np.float32)
    if len(rows):
        centred = archive.take(rows) - archive.mean()
        centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
        middle = centred.mean(axis=0)
        scores = (centred @ (middle / max(float(np.linalg.norm(middle)), 1e-12))).astype(np.float32)
    order = np.lexsort((rows, -scores))
    order = order[limited(session.library.owner[rows[order]], query.per_recording)][: query.k]
    name = session.cluster_names.get(wanted, f"cluster {wanted}")
    command = f"dawnchorus cluster {session.store_words} -o {shlex.quote(str(session.map_folder))}"
    return Found(rows[order], name, command, scores=scores[order])


def _suggest(session: Session, query: ListQuery) -> Found:
    label = _needed_label(query)
    live = session.live
    live.refresh()
    waiting = [row for row in live.suggestions(label) if live.row_of(row.id) != NOT_THERE]
    notes: tuple[str, ...] = ()
    n = min(query.k, session.most_suggested)
    adds = query.suggest_more and not session.read_only
    if len(waiting) < n and adds:
        try:
            _suggest_more(session, query, n - len(waiting))
        except UsageError:
            if not waiting:  # otherwise nothing new is left, and what waits is shown
                raise
        live.refresh()
        waiting = [row for row in live.suggestions(label) if live.row_of(row.id) != NOT_THERE]
    elif session.read_only and query.suggest_more:
        notes = ("Read only: what was suggested before; nothing new can be suggested.",)
    rows = np.array([live.row_of(row.id) for row in waiting], np.int64)
    places = np.flatnonzero(_passing(session, query)[rows])[:n] if len(rows) else rows
    words = f"--label {shlex.quote(label)}"
    command = f"dawnchorus label judge {session.store_words} {words}"
    if adds:
        words += f" -n {n} --strategy {query.strategy}"
        command = _command(session, "label suggest", words, query)
    found = Found(
        rows,
        f"What to judge next of {label}",
        command,
        scores=np.array([np.nan if r.score is None else r.score for r in waiting], np.float64),
        noted=waiting,
        notes=notes,
    )
    return found.take(places)


def _suggest_more(session: Session, query: ListQuery, n: int) -> None:
    """Add windows to what waits to be judged."""
    suggest_windows(
        [store.path for store in session.library.archive.stores],
        _needed_label(query),
        n,
        strategy=query.strategy,
        scorer=session.scores.probe(query.probe),
        annotations=session.live.folder,
    )


def _annotations(session: Session, query: ListQuery) -> Found:
    live, library = session.live, session.library
    live.refresh()
    one_each = {row.id: row for row in live.rows(query.label) if row.state is not None}
    keep = _passing(session, query)
    recordings = {library.facts[at].recording_id for at in np.unique(library.owner[keep])}
    noted = [
        row
        for row in one_each.values()
        if (
            keep[at] if (at := live.row_of(row.id)) != NOT_THERE else row.recording_id in recordings
        )
    ]
    noted = sorted(noted, key=lambda row: (row.path, row.start_s))[: query.k]
    rows = np.array([live.row_of(row.id) for row in noted], np.int64)
    scores = np.array([np.nan if row.score is None else row.score for row in noted], np.float64)
    title = f"Annotations of {query.label}" if query.label else "Annotations"
    words = "" if query.label is None else f" --label {shlex.quote(query.label)}"
    command = f"dawnchorus label export {shlex.quote(str(live.folder))} -o annotations.csv{words}"
    return Found(rows, title, command, scores=scores, noted=noted)


def _novel(session: Session, query: ListQuery) -> Found:
    rows = np.flatnonzero(_passing(session, query))
    notes: tuple[str, ...] = ()
    if len(rows) > MOST_NOVEL:
        notes = (f"Of {MOST_NOVEL:,} windows, spread evenly over {len(rows):,}.",)
        rows = rows[np.linspace(0, len(rows) - 1, MOST_NOVEL).astype(np.int64)]
    novelty = session.scores.novelty(rows)
    order = best(novelty, np.arange(len(rows)), len(rows))
    order = order[limited(session.library.owner[rows[order]], query.per_recording)][: query.k]
    command = f"dawnchorus cluster {session.store_words} -o map/ --novel {query.k}"
    return Found(rows[order], "Like nothing else", command, novelty=novelty[order], notes=notes)


PLACES: Final[dict[str, Callable[[Session, ListQuery], Found]]] = {
    "windows": _windows,
    "search": _search,
    "detections": _detections,
    "cluster": _cluster,
    "suggest": _suggest,
    "annotations": _annotations,
    "novel": _novel,
}


def _passing(session: Session, query: ListQuery) -> NDArray[np.bool_]:
    return passing(session.library, session.live, query.filters, query.label)


def _needed_label(query: ListQuery) -> str:
    if not query.label:
        raise UsageError("suggestions are of one label: name it")
    return query.label


def _command(session: Session, name: str, words: str, query: ListQuery) -> str:
    filters = query.filters
    parts = ["dawnchorus", name, session.store_words, words]
    parts += [f"--where site={shlex.quote(site)}" for site in filters.sites[:1]]
    parts += [f"--dates {filters.dates}"] if filters.dates else []
    parts += [f"--time-of-day {filters.time_of_day}"] if filters.time_of_day else []
    return " ".join(part for part in parts if part)
