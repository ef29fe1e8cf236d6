"""What scans of parts gave, put together: the best rows, and how many windows score what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.search.best import FINE_STEP, Candidates, RunningBest, as_steps, limited
from dawnchorus.search.scan import N_BINS, PartBest, Question, bin_of, cosines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.search.archive import Archive

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]

# Kept beyond what was asked for: scores of a scan are rounded, and what is kept is scored again
SPARE: Final = 64
SPARE_PER_RECORDING: Final = 2
NO_ROW: Final = -1


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

    def as_one(self) -> PartBest:
        """All of it, as if it came from one part."""
        return PartBest(self.running.best, self._counts)

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
