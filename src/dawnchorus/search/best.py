"""The best rows of many that come in pieces, with a limit for each recording.

Scores are compared in steps of `STEP`, finer than their rounding matters and coarser than what two
ways of adding differ by, so that windows that are equal stay equal and the first of them comes
first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEP: Final = 2.0**-20
FINE_STEP: Final = 2.0**-24  # of scores that are final; every multiple of it is a float32
LOWEST: Final = -(2**31)  # below every score


class Candidates(NamedTuple):
    """Some rows and their scores for one query, all of one length.

    Attributes:
        steps: int32, the score in units of `STEP`.
        rows: int64.
        recordings: int32, a number for each recording.
    """

    steps: NDArray[np.int32]
    rows: NDArray[np.int64]
    recordings: NDArray[np.int32]

    def at(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Candidates:
        """Some of them."""
        return Candidates(self.steps[index], self.rows[index], self.recordings[index])

    def joined(self, other: Candidates) -> Candidates:
        """These and others."""
        return Candidates(
            np.concatenate([self.steps, other.steps]),
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.recordings, other.recordings]),
        )


def as_steps(scores: NDArray[np.floating], step: float = STEP) -> NDArray[np.int32]:
    """Scores in units of a step."""
    steps: NDArray[np.int32] = np.rint(scores / step).astype(np.int32)
    return steps


def limited(candidates: Candidates, k: int, per_recording: int | None) -> Candidates:
    """The best ``k``, best first, of equal ones the lowest row, a few of each recording at most."""
    order = np.lexsort((candidates.rows, -candidates.steps.astype(np.int64)))
    if per_recording is not None:
        order = order[_rank_in_group(candidates.recordings[order]) < per_recording]
    return candidates.at(order[:k])


def _rank_in_group(groups: NDArray[np.int32]) -> NDArray[np.int64]:
    """How many before each are of its group."""
    by_group = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[by_group], prepend=-1))
    sizes = np.diff(starts, append=len(groups))
    rank = np.empty(len(groups), np.int64)
    rank[by_group] = np.arange(len(groups)) - np.repeat(starts, sizes)
    return rank


class RunningBest:
    """The best so far, for several queries.

    The best of a whole are the best of the bests of its pieces, also with a limit for each
    recording: more windows of a recording, or better ones of others, only push rows out.

    Attributes:
        floors: ``(queries,)`` steps that a row must reach to get in.
        best: what was kept, for each query.
    """

    def __init__(self, n_queries: int, k: int, per_recording: int | None) -> None:
        """Nothing yet; at most ``k`` rows for each query, of one recording ``per_recording``."""
        self._k, self._per_recording = k, per_recording
        empty = np.zeros(0, np.int32)
        nothing = Candidates(empty, np.zeros(0, np.int64), empty)
        self.floors = np.full(n_queries, LOWEST, np.int64)
        self.best = [nothing] * n_queries

    def add(self, query: int, candidates: Candidates) -> None:
        """Take further rows for a query."""
        if not len(candidates.rows):
            return
        joined = self.best[query].joined(candidates)
        self.best[query] = limited(joined, self._k, self._per_recording)
        if len(self.best[query].rows) == self._k:
            self.floors[query] = self.best[query].steps[-1]
