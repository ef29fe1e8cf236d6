"""Every window scored, and the best of them kept.

Part after part, on all cores or machines; there is no index, and memory does not grow with the
archive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.progress import NO_PROGRESS
from dawnchorus.search.merged import Merged, question_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.progress import Progress
    from dawnchorus.search.archive import Archive
    from dawnchorus.search.workers import Workers

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]

QUERIES_AT_ONCE: Final = 256  # so that their scores on one part stay small


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
    progress: Progress = NO_PROGRESS,
    *,
    workers: Workers,
) -> Neighbours:
    """The best of all windows.

    Args:
        archive: what is searched.
        directions: ``(queries, dim)`` unit vectors.
        limits: how many windows, and how many of one recording at most (None: any number).
        progress: is told how far it is.
        workers: who score the parts.

    Raises:
        StoreError: A part is missing or damaged.
    """
    k, per_recording = limits
    archive.prepare(progress, workers)
    mean, tasks = archive.mean(), archive.part_rows()
    pieces = []
    for first in range(0, len(directions), QUERIES_AT_ONCE):
        some = directions[first : first + QUERIES_AT_ONCE]
        question = question_for(some, mean, k, per_recording)
        best = Merged(question)
        advance = progress.start("searching", archive.n_windows, "windows")
        for n_windows, result in workers.scanned(tasks, best):
            best.add(result)
            advance(n_windows)
        pieces.append(best.ranked(archive, k, per_recording))
    rows, scores, percentiles = (np.concatenate(v) for v in zip(*pieces, strict=True))
    return Neighbours(rows, scores, percentiles)
