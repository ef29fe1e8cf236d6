"""Every window scored, and the best of them kept.

Part after part, on all cores; there is no index, and memory does not grow with the archive.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from dawnchorus.machine import n_cores
from dawnchorus.models.load import resolve_device
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.search.best import FINE_STEP, Candidates, RunningBest, as_steps, limited
from dawnchorus.search.scan import N_BINS, Question, bin_of, cosines, scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dawnchorus.progress import Progress
    from dawnchorus.search.archive import Archive
    from dawnchorus.search.scan import PartBest, PartRows

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]

QUERIES_AT_ONCE: Final = 256  # so that their scores on one part stay small
# Kept beyond what was asked for: scores of a scan are rounded, and what is kept is scored again
SPARE: Final = 64
SPARE_PER_RECORDING: Final = 2
NO_ROW: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The best windows for each query, best first; of equal ones the lowest row first.

    Attributes:
        rows: ``(queries, k)`` rows of the archive; -1 where fewer than k windows are there.
        scores: ``(queries, k)`` cosine with the query, nan where there is no window.
        percentiles: ``(queries, k)`` percentage of all windows searched that score lower, half of
            those that score the same among them; nan where there is no window.
        is_exact: every window was scored; otherwise those that a sketch chose.
        recall: of the sketch, measured on windows of these stores; None if `is_exact`.
    """

    rows: Rows
    scores: Floats
    percentiles: NDArray[np.float64]
    is_exact: bool = True
    recall: float | None = None


def exact_best(
    archive: Archive,
    directions: Floats,
    limits: tuple[int, int | None],
    device: str = "auto",
    progress: Progress = NO_PROGRESS,
) -> Neighbours:
    """The best of all windows.

    Args:
        archive: what is searched.
        directions: ``(queries, dim)`` unit vectors.
        limits: how many windows, and how many of one recording at most (None: any number).
        device: where products are made.
        progress: is told how far it is.

    Raises:
        StoreError: A part is missing or damaged.
    """
    k, per_recording = limits
    chosen = resolve_device(device)
    archive.prepare(progress)
    mean, tasks = archive.mean(), archive.part_rows()
    pieces = []
    for first in range(0, len(directions), QUERIES_AT_ONCE):
        some = directions[first : first + QUERIES_AT_ONCE]
        question = question_for(some, mean, k, per_recording)
        best = Merged(question)
        for result in _scans(tasks, question, best, chosen, progress):
            best.add(result)
        pieces.append(best.ranked(archive, k, per_recording))
    rows, scores, percentiles = (np.concatenate(v) for v in zip(*pieces, strict=True))
    return Neighbours(rows, scores, percentiles)


def question_for(directions: Floats, mean: Floats, k: int, per_recording: int | None) -> Question:
    """What a scan keeps so that the best ``k`` are among it, whatever their last digits are.

    With more of each recording than were asked for, up to ``k`` recordings before a row take
    `SPARE_PER_RECORDING` places more each.
    """
    if per_recording is None:
        return Question(directions, mean, k + SPARE, None)
    kept = k + k * SPARE_PER_RECORDING + SPARE
    return Question(directions, mean, kept, per_recording + SPARE_PER_RECORDING)


class Merged:
    """The best of the parts that were scanned so far, in any order, for each query."""

    def __init__(self, question: Question) -> None:
        """Nothing yet."""
        self.question = question
        n_queries = len(question.directions)
        self.running = RunningBest(n_queries, question.k, question.per_recording)
        self._counts = np.zeros((n_queries, N_BINS), np.int64)

    def add(self, result: PartBest) -> None:
        """Take what a scan gave."""
        self._counts += result.counts
        for query, some in enumerate(result.best):
            self.running.add(query, some)

    def ranked(
        self, archive: Archive, k: int, per_recording: int | None
    ) -> tuple[Rows, Floats, NDArray[np.float64]]:
        """Rows, scores and percentiles, as in `Neighbours`, from what was kept."""
        n_queries = len(self.question.directions)
        rows = np.full((n_queries, k), NO_ROW, np.int64)
        scores = np.full((n_queries, k), np.nan, np.float32)
        percentiles = np.full((n_queries, k), np.nan)
        for query in range(n_queries):
            best = rescored(archive, self.question, query, self.running.best[query])
            best = limited(best, k, per_recording)
            n = len(best.rows)
            rows[query, :n] = best.rows
            scores[query, :n] = best.steps * np.float32(FINE_STEP)
            percentiles[query, :n] = _percentiles(scores[query, :n], self._counts[query])
        return rows, scores, percentiles


def rescored(archive: Archive, question: Question, query: int, some: Candidates) -> Candidates:
    """The same rows in steps of `FINE_STEP`, from cosines in double precision."""
    direction = question.directions[query : query + 1]
    exact = cosines(archive.take(some.rows), question.mean, direction)[:, 0]
    return some._replace(steps=as_steps(exact, FINE_STEP))


def _percentiles(scores: Floats, counts: Rows) -> NDArray[np.float64]:
    """Of scores among those of a distribution, ``(N_BINS,)``."""
    bins = bin_of(scores)
    shares = (np.cumsum(counts) - counts / 2) / max(1, counts.sum())
    below: NDArray[np.float64] = 100 * shares[bins]
    return below


def _scans(
    tasks: Sequence[PartRows],
    question: Question,
    merged: Merged,
    device: torch.device,
    progress: Progress,
) -> Iterator[PartBest]:
    """Scans of all parts, in order, on all cores."""
    advance = progress.start("searching", sum(len(task.rows) for task in tasks), "windows")

    def result(task: PartRows) -> PartBest:
        # floors of any moment: what is below one never gets in
        return scan(task, question, merged.running.floors, device)

    # each thread has a part of its own, so torch's threads would only get in each other's way
    with ThreadPoolExecutor(n_cores(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for task, best in zip(tasks, pool.map(result, tasks), strict=True):
            yield best
            advance(len(task.rows))
