"""The best of the windows that a sketch chooses, and how many of the best it misses."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.errors import UsageError
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.search.best import FINE_STEP, Candidates, limited
from dawnchorus.search.exact import Neighbours, exact_best
from dawnchorus.search.kept import keep, kept_contents
from dawnchorus.search.merged import NO_ROW, rescored
from dawnchorus.search.scan import Question, unit_directions
from dawnchorus.search.sketch import candidates_for, open_sketch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.progress import Progress
    from dawnchorus.search.archive import Archive
    from dawnchorus.search.sketch import Sketch
    from dawnchorus.search.workers import Workers

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]

RECALL_AT: Final = 10  # neighbours of each window that a sketch is measured on
RECALL_QUERIES: Final = 100
RECALL_NAME: Final = "sketch-recall.json"
SAME_SIZE: Final = 1.1  # an archive that grew by less has the recall that was measured


def sketched_best(
    archive: Archive,
    directions: Floats,
    limits: tuple[int, int | None],
    progress: Progress,
    *,
    workers: Workers,
) -> Neighbours:
    """The best of the windows that a sketch chooses; all windows where those are too few.

    Raises:
        UsageError: A store lies behind a URL: its parts are read whole for a single window.
    """
    if archive.is_remote:
        raise UsageError("sketch: stores behind URLs are streamed, every window is scored; use off")
    k, per_recording = limits
    sketch, mean = open_sketch(archive, progress), archive.mean()
    recall = measured_recall(archive, sketch, mean, progress, workers=workers)
    question = Question(directions, mean, k, per_recording)
    chosen = sketch.nearest(directions, candidates_for(k))
    owners = archive.recording_numbers()
    parts = [
        _of_candidates(archive, question, query, rows, owners) for query, rows in enumerate(chosen)
    ]
    rows, scores, percentiles = (np.stack(values) for values in zip(*parts, strict=True))
    # one noisy recording may have filled the list of a query
    short = (rows[:, -1] == NO_ROW) & (per_recording is not None)
    short &= np.array([len(some) for some in chosen]) < archive.n_windows
    if short.any():
        whole = exact_best(archive, directions[short], limits, progress, workers=workers)
        rows[short], scores[short] = whole.rows, whole.scores
        percentiles[short] = whole.percentiles
    return Neighbours(rows, scores, percentiles, is_exact=False, recall=recall)


def _of_candidates(
    archive: Archive, question: Question, query: int, rows: Rows, owners: NDArray[np.int32]
) -> tuple[Rows, Floats, NDArray[np.float64]]:
    """The best of a query's candidates; percentiles as if all other windows scored lower."""
    empty = np.zeros(len(rows), np.int32)
    some = rescored(archive, question, query, Candidates(empty, rows, owners[rows]))
    best = limited(some, question.k, question.per_recording)
    n = len(best.rows)
    ranked = np.sort(-some.steps.astype(np.int64))
    n_better = np.searchsorted(ranked, -best.steps.astype(np.int64), side="left")
    n_same = np.searchsorted(ranked, -best.steps.astype(np.int64), side="right") - n_better
    padded = np.full(question.k, NO_ROW, np.int64)
    scores, percentiles = np.full(question.k, np.nan, np.float32), np.full(question.k, np.nan)
    padded[:n], scores[:n] = best.rows, best.steps * np.float32(FINE_STEP)
    percentiles[:n] = 100 * (1 - (n_better + n_same / 2) / archive.n_windows)
    return padded, scores, percentiles


def measured_recall(
    archive: Archive,
    sketch: Sketch,
    mean: Floats,
    progress: Progress = NO_PROGRESS,
    *,
    workers: Workers,
) -> float:
    """Share of the `RECALL_AT` best of random windows that a sketch keeps.

    Measured on `RECALL_QUERIES` windows drawn with a fixed seed, kept beside the first store, and
    measured again when the archive has grown by a tenth, or other windows pass.
    """
    key, store = _recall_key(archive), archive.stores[0].path
    for content in kept_contents(store, RECALL_NAME):
        known = _known_recall(content, key, archive.n_windows)
        if known is not None:
            return known
    recall = _recall(archive, sketch, mean, progress, workers)
    progress.message(
        f"the sketch keeps {recall:.1%} of the {RECALL_AT} nearest windows, measured on "
        f"{min(RECALL_QUERIES, archive.n_windows)} random windows of this archive"
    )
    values = {"key": key, "n_windows": archive.n_windows, "recall": recall}
    keep(store, RECALL_NAME, json.dumps(values).encode())
    return recall


def _known_recall(content: bytes, key: str, n_windows: int) -> float | None:
    """What was measured, if it was of these windows, or of nearly as many of them."""
    try:
        known = json.loads(content)
        grown = n_windows / int(known["n_windows"])
        is_same = known["key"] == key and 1 / SAME_SIZE <= grown <= SAME_SIZE
        return float(known["recall"]) if is_same else None
    except (ValueError, KeyError, TypeError, ZeroDivisionError):
        return None


def _recall_key(archive: Archive) -> str:
    names = "\n".join(str(store.path) for store in archive.stores)
    return hashlib.sha256(f"{names}\n{archive.rule!r}".encode()).hexdigest()[:16]


def _recall(
    archive: Archive, sketch: Sketch, mean: Floats, progress: Progress, workers: Workers
) -> float:
    n = min(RECALL_QUERIES, archive.n_windows)
    picked = np.sort(np.random.default_rng(0).choice(archive.n_windows, n, replace=False))
    directions = unit_directions(archive.take(picked), mean).astype(np.float32)
    has_direction = directions.any(axis=1)
    picked, directions = picked[has_direction], directions[has_direction]
    if not len(picked):
        return 1.0
    # one more: the window itself is always found and does not count
    exact = exact_best(archive, directions, (RECALL_AT + 1, None), progress, workers=workers)
    chosen = sketch.nearest(directions, candidates_for(RECALL_AT))
    kept = [
        np.isin(rows[(rows != itself) & (rows != NO_ROW)][:RECALL_AT], some)
        for rows, itself, some in zip(exact.rows, picked, chosen, strict=True)
    ]
    shares = np.concatenate(kept)
    return float(shares.mean()) if len(shares) else 1.0
