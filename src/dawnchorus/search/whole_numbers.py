"""Vectors as whole numbers, so that their products are exact, and the same on every machine.

A sum of floating-point products depends on the order in which a processor adds, so the nearest of
two equally near neighbours differs from machine to machine, and with it a cluster or a map. A sum
of whole numbers below 2**24 is exact in float32 in any order: 127 * 127 * 1040 is below that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Whole = NDArray[np.int8]

LARGEST: Final = 127
MOST_EXACT: Final = 2**24 // LARGEST**2  # dimensions
BLOCK_NUMBERS: Final = 1 << 24  # of products held at once: 64 MB


def as_whole_numbers(vectors: Floats, mean: Floats) -> Whole:
    """Directions from a mean, each scaled so that its largest number is 127.

    The cosine of two of them differs by 0.002 at most (768 dimensions, measured).

    Args:
        vectors: ``(n, dim)``.
        mean: ``(dim,)``, removed first.

    Returns:
        ``(n, dim)`` int8; a vector that equals the mean is all zeros, and near nothing.

    Raises:
        UsageError: A vector is not finite.
    """
    centred = vectors - mean
    largest = np.abs(centred).max(axis=1, keepdims=True, initial=0.0)
    if not np.isfinite(largest).all():
        row = int(np.flatnonzero(~np.isfinite(largest[:, 0]))[0])
        raise UsageError(
            f"vector {row} holds values that are not finite; store check names its part"
        )
    # a direction shorter than this is rounding of float16, not sound
    scale = np.divide(LARGEST, largest, out=np.zeros_like(largest), where=largest > 1e-6)
    numbers: Whole = np.rint(centred * scale).astype(np.int8)
    return numbers


def lengths(vectors: Whole) -> NDArray[np.float64]:
    """Their lengths, ``(n,)``; 1 for those that are all zeros, so that one can divide."""
    squares = np.einsum("nd,nd->n", vectors, vectors, dtype=np.int64)
    roots: NDArray[np.float64] = np.sqrt(np.maximum(squares, 1).astype(np.float64))
    return roots


def cosines(left: Whole, right: Whole) -> NDArray[np.float64]:
    """Cosines ``(n, m)`` of two sets of whole vectors, exact but for one rounding."""
    kind = torch.float32 if left.shape[1] <= MOST_EXACT else torch.float64
    products = torch.from_numpy(left).to(kind) @ torch.from_numpy(right).to(kind).T
    return products.numpy() / (lengths(left)[:, None] * lengths(right)[None, :])


def nearest(
    queries: Whole, targets: Whole, k: int, *, apart: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The ``k`` nearest targets of each query; of equally near ones the first.

    Args:
        queries: ``(n, dim)``.
        targets: ``(m, dim)``.
        k: how many, at most ``m``.
        apart: queries are the targets, and nothing is its own neighbour.

    Returns:
        Rows of targets and their cosines, ``(n, k)``, nearest first.
    """
    k = min(k, len(targets) - apart)
    rows = np.empty((len(queries), k), np.int64)
    found = np.empty((len(queries), k))
    for start, stop in blocks(len(queries), len(targets)):
        near = cosines(queries[start:stop], targets)
        if apart:
            near[np.arange(stop - start), np.arange(start, stop)] = -np.inf
        rows[start:stop], found[start:stop] = _best(near, k)
    return rows, found


def _best(near: NDArray[np.float64], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Columns of the ``k`` largest of each row, falling; of equal ones the first column."""
    if k == 0:
        return np.empty((len(near), 0), np.int64), np.empty((len(near), 0))
    # argpartition may keep any of those equal to the k-th: all of them are looked at
    edge = np.partition(near, -k, axis=1)[:, -k]
    rows = np.empty((len(near), k), np.int64)
    for at, (values, lowest) in enumerate(zip(near, edge, strict=True)):
        columns = np.flatnonzero(values >= lowest)
        rows[at] = columns[np.argsort(-values[columns], kind="stable")[:k]]
    return rows, np.take_along_axis(near, rows, axis=1)


def blocks(n_rows: int, n_columns: int) -> Iterator[tuple[int, int]]:
    """Start and stop of rows whose products with all columns fit in memory."""
    size = max(1, BLOCK_NUMBERS // max(n_columns, 1))
    for start in range(0, n_rows, size):
        yield start, min(start + size, n_rows)
