"""Windows that stand for all: few enough to compare each with each, spread over what there is.

Chosen as k-means++ chooses its first centres: the farther a window is from those chosen, the
likelier it is the next. One at a time would read all vectors once for each of 20,000, so many are
drawn in each of a few rounds (Bahmani et al. 2012, Scalable k-means++, arXiv 1203.6402).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.search.whole_numbers import LARGEST, blocks, highest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int8]

N_LANDMARKS: Final = 20_000
N_ROUNDS: Final = 8
# Distances that only say where to draw need no 768 dimensions: 64 random directions keep them
# within a tenth (Johnson and Lindenstrauss), at a twelfth of the time.
N_DIRECTIONS: Final = 64


def choose_landmarks(vectors: Whole, n_landmarks: int, seed: int) -> NDArray[np.int64]:
    """Rows of landmarks, rising; all rows where there are no more than asked for.

    Args:
        vectors: ``(n, dim)`` of `as_whole_numbers`.
        n_landmarks: how many, at least 1.
        seed: of the draws; the same seed gives the same rows on every machine.
    """
    if len(vectors) <= n_landmarks:
        return np.arange(len(vectors))
    draws = np.random.default_rng(seed)
    sketch = projected(vectors, draws)
    chosen = np.array([draws.integers(len(vectors))])
    newest = chosen
    distance = np.full(len(vectors), np.inf)
    for left in range(N_ROUNDS, 0, -1):
        if len(chosen) == n_landmarks:
            break
        np.minimum(distance, 1 - highest(sketch, sketch[newest]), out=distance)
        newest = _drawn(distance, chosen, -(-(n_landmarks - len(chosen)) // left), draws)
        chosen = np.concatenate([chosen, newest])
    return np.sort(chosen)


def projected(vectors: Whole, draws: np.random.Generator) -> Whole:
    """The same directions in fewer dimensions, ``(n, 64)``, in whole numbers again."""
    dim = vectors.shape[1]
    if dim <= N_DIRECTIONS:
        return vectors
    signs = draws.integers(0, 2, (dim, N_DIRECTIONS)).astype(np.float64) * 2 - 1
    flat = np.empty((len(vectors), N_DIRECTIONS), np.int8)
    for start, stop in blocks(len(vectors), dim):
        sums = vectors[start:stop].astype(np.float64) @ signs  # whole numbers: exact
        largest = np.maximum(np.abs(sums).max(axis=1, keepdims=True), 1.0)
        flat[start:stop] = np.rint(sums * LARGEST / largest)
    return flat


def _drawn(
    distance: NDArray[np.float64],
    chosen: NDArray[np.int64],
    n: int,
    draws: np.random.Generator,
) -> NDArray[np.int64]:
    """``n`` other rows, each as likely as it is far from those chosen."""
    # The first to ring of clocks that run as fast as each weighs are such a draw without
    # replacement (Efraimidis and Spirakis 2006).
    moments = draws.standard_exponential(len(distance))
    with np.errstate(divide="ignore"):
        moments = moments / np.maximum(distance, 0)  # a twin of a landmark rings at infinity: last
    moments[chosen] = np.nan  # and a landmark not at all: nan is sorted behind all
    return np.argsort(moments, kind="stable")[:n]
