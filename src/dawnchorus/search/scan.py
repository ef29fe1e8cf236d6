"""One part of a store against queries: the score of each of its windows, and the best of them.

A scan knows one part and no store, so that it runs in any thread or process, and gives the same
numbers in each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from dawnchorus.errors import StoreError
from dawnchorus.search.best import Candidates, as_steps, limited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dawnchorus.search.part_vectors import PartVectors, Stored

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]

# At once: 3 MB of 768 float32, which stay in the processor's cache between the conversion of
# float16 and the product; blocks of 8,192 rows took twice as long.
CACHED_ROWS: Final = 1024
N_BINS: Final = 1 << 14  # of the distribution of scores, -1 to 1
# A squared length below this share of the two that it is the difference of is mostly rounding
CANCELLED: Final = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is looked for.

    Attributes:
        directions: ``(queries, dim)`` float32 unit vectors.
        mean: ``(dim,)`` float32, removed from every window.
        k: how many of the best are kept.
        per_recording: how many of one recording at most; None: no limit.
    """

    directions: Floats
    mean: Floats
    k: int
    per_recording: int | None


@dataclass(frozen=True, slots=True, eq=False)
class PartRows:
    """The windows of a part that are searched.

    Attributes:
        part: where their vectors are.
        squares: ``(rows of the part,)`` squared length of every vector.
        in_part: ``(n,)`` rows in the part, ascending.
        rows: ``(n,)`` rows in the archive.
        recordings: ``(n,)`` a number for each recording.
    """

    part: PartVectors
    squares: Floats
    in_part: Rows
    rows: Rows
    recordings: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class PartBest:
    """The best windows of a part for each query, and ``(queries, N_BINS)`` how many score what."""

    best: list[Candidates]
    counts: Rows


def scan(
    task: PartRows, question: Question, floors: NDArray[np.int64], device: torch.device
) -> PartBest:
    """Score the windows of a part and keep the best.

    Args:
        task: the windows.
        question: what is looked for.
        floors: ``(queries,)`` what is below need not be kept.
        device: where products are made.

    Raises:
        StoreError: The part is missing, damaged, or a score is not a number.
    """
    scores = part_scores(task, question, device)
    best = []
    for query, floor in enumerate(floors):
        steps = as_steps(scores[query])
        passes = np.flatnonzero(steps >= floor)
        some = Candidates(steps[passes], task.rows[passes], task.recordings[passes])
        best.append(limited(some, question.k, question.per_recording))
    return PartBest(best, histograms(scores))


def bin_of(scores: NDArray[np.floating]) -> Rows:
    """The bin of each score in a distribution."""
    bins: Rows = np.clip((scores + 1.0) * (N_BINS / 2), 0, N_BINS - 1).astype(np.int64)
    return bins


def histograms(scores: Floats) -> Rows:
    """How many of ``(queries, n)`` scores are in each bin, ``(queries, N_BINS)``."""
    n_queries = len(scores)
    codes = bin_of(scores) + N_BINS * np.arange(n_queries)[:, None]
    return np.bincount(codes.ravel(), minlength=n_queries * N_BINS).reshape(n_queries, N_BINS)


def part_scores(task: PartRows, question: Question, device: torch.device) -> Floats:
    """Cosines of the windows of a part with each query, ``(queries, n)`` float32.

    For a unit vector q, the cosine of x - m is (q.x - q.m) / |x - m|. The length comes from
    |x|^2 - 2 x.m + |m|^2, where |x|^2 is known and x.m is one more product beside q.x; removing
    the mean from each vector first took as long again. A window that equals the mean has no
    direction, and scores 0.

    Raises:
        StoreError: The part is missing, damaged, or a score is not a number.
    """
    sides = torch.from_numpy(np.vstack([question.directions, question.mean])).to(device)
    dots = np.empty((len(sides), len(task.in_part)), np.float32)
    at = 0
    for block in _blocks(task, device):
        dots[:, at : at + len(block)] = (sides @ block.T).cpu().numpy()
        at += len(block)
    mean_square = np.float32(question.mean @ question.mean)
    squares = task.squares[task.in_part]
    lengths = squares - 2 * dots[-1] + mean_square
    cancelled = lengths <= CANCELLED * (squares + mean_square)
    lengths[cancelled] = 1.0  # these are computed again below
    scores: Floats = dots[:-1] - (question.directions @ question.mean)[:, None]
    scores /= np.sqrt(lengths)
    if cancelled.any():
        vectors = task.part.take(task.in_part[cancelled])
        scores[:, cancelled] = cosines(vectors, question.mean, question.directions).T
    if not np.isfinite(scores).all():
        raise StoreError(
            f"{task.part.path}: a vector holds a number that is not finite, or what is kept of "
            "the part is wrong; run: dawnchorus store check"
        )
    return np.clip(scores, -1.0, 1.0, out=scores)


def cosines(vectors: Floats, mean: Floats, directions: Floats) -> Floats:
    """Cosines ``(n, queries)`` in double precision: what a score is, however it was found first."""
    return (unit_directions(vectors, mean) @ directions.astype(np.float64).T).astype(np.float32)


def unit_directions(vectors: Floats, mean: Floats) -> NDArray[np.float64]:
    """``(n, dim)`` vectors from the mean, of length 1; of a vector that equals it, zeros."""
    centred = vectors.astype(np.float64) - mean
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    # shorter than this is what float16 rounds away
    floor = 1e-6 * np.linalg.norm(mean)
    units: NDArray[np.float64] = np.divide(
        centred, length, out=np.zeros_like(centred), where=length > floor
    )
    return units


def _blocks(task: PartRows, device: torch.device) -> Iterator[torch.Tensor]:
    """Vectors of the windows in order, ``(m, dim)`` float32 on the device.

    On a processor the block is the same memory each time.
    """
    pieces = [torch.from_numpy(piece) for piece in _wanted(task)]
    if device.type != "cpu":
        yield torch.cat(pieces).to(device).float()
        return
    dim = pieces[0].shape[1]
    buffer = torch.empty((CACHED_ROWS, dim), dtype=torch.float32)
    n_held = 0
    for piece in pieces:
        for first in range(0, len(piece), CACHED_ROWS):
            some = piece[first : first + CACHED_ROWS]
            if n_held + len(some) > CACHED_ROWS:
                yield buffer[:n_held]
                n_held = 0
            buffer[n_held : n_held + len(some)].copy_(some)
            n_held += len(some)
    yield buffer[:n_held]


def _wanted(task: PartRows) -> Iterator[Stored]:
    """The wanted rows of each piece of a part; whole pieces are not copied."""
    first = 0
    for piece in task.part.pieces():
        low, high = np.searchsorted(task.in_part, [first, first + len(piece)])
        if high - low == len(piece):
            yield piece
        elif high > low:
            yield piece[task.in_part[low:high] - first]
        first += len(piece)
