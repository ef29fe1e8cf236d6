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
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Whole = NDArray[np.int8]
    Rows = NDArray[np.int64]

LARGEST: Final = 127
MOST_EXACT: Final = 2**24 // LARGEST**2  # dimensions
BLOCK_NUMBERS: Final = 1 << 22  # of products held at once: 16 MB, near what caches hold
SPARE: Final = 8  # picked by rounded cosines beyond those wanted
ROUNDING: Final = 1e-6  # more than float32 rounds a quotient by


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
    return (_wide(left) @ _wide(right).T).numpy() / (
        lengths(left)[:, None] * lengths(right)[None, :]
    )


def nearest(
    queries: Whole,
    targets: Whole,
    k: int,
    *,
    groups: tuple[Rows, Rows] | None = None,
    done: Callable[[int], object] = lambda _: None,
) -> tuple[Rows, NDArray[np.float64]]:
    """The ``k`` nearest targets of each query; of equally near ones the first.

    Args:
        queries: ``(n, dim)``.
        targets: ``(m, dim)``.
        k: how many, at most ``m``.
        groups: ``(n,)`` and ``(m,)``, the group of each query and target, such as its recording;
            those of one group are not compared.
        done: called with the number of queries done.

    Returns:
        Rows of targets and their cosines, ``(n, k)``, nearest first; -inf where there are fewer
        targets of other groups than ``k``.
    """
    k = min(k, len(targets))
    rows, found = np.empty((len(queries), k), np.int64), np.empty((len(queries), k))
    wide, right = _wide(targets).T, lengths(targets)
    for start, stop in blocks(len(queries), len(targets)):
        block = queries[start:stop]
        products = _wide(block) @ wide
        if groups is not None:
            same = groups[0][start:stop, None] == groups[1][None, :]
            products.masked_fill_(torch.from_numpy(same), -torch.inf)
        rows[start:stop], found[start:stop] = _best(products, lengths(block), right, k)
        done(stop - start)
    return rows, found


def highest(queries: Whole, targets: Whole) -> NDArray[np.float64]:
    """The cosine of each query with its nearest target, ``(n,)``, to within 1e-6.

    Rounded in one way, so the same on every machine, and twice as fast as `nearest`.
    """
    found = np.empty(len(queries))
    wide = _wide(targets).T
    right = torch.from_numpy(lengths(targets)).to(wide.dtype)
    for start, stop in blocks(len(queries), len(targets)):
        block = queries[start:stop]
        best = (_wide(block) @ wide).div_(right).amax(dim=1)
        found[start:stop] = best.numpy() / lengths(block)
    return found


def _wide(vectors: Whole) -> torch.Tensor:
    """In numbers whose sums of products are exact."""
    kind = torch.float32 if vectors.shape[1] <= MOST_EXACT else torch.float64
    return torch.from_numpy(vectors).to(kind)


def _best(
    products: torch.Tensor, left: NDArray[np.float64], right: NDArray[np.float64], k: int
) -> tuple[Rows, NDArray[np.float64]]:
    """Columns of the ``k`` largest cosines of each row, falling; of equal ones the first column."""
    m = products.shape[1]
    # Rounded cosines choose some more than k, exact ones order them: all 20,000 in double
    # precision would take longer than the products.
    rough, columns = (products / torch.from_numpy(right).to(products.dtype)).topk(min(k + SPARE, m))
    picked = np.sort(columns.numpy(), axis=1)
    near = np.take_along_axis(products.numpy(), picked, axis=1) / (left[:, None] * right[picked])
    order = np.argsort(-near, axis=1, kind="stable")[:, :k]
    rows = np.take_along_axis(picked, order, axis=1)
    found = np.take_along_axis(near, order, axis=1)
    if picked.shape[1] < m and k:
        # where the last of those picked may equal the k-th but for rounding, others may as well
        edge = found[:, -1] * left
        unsure = rough[:, -1].numpy() >= edge - ROUNDING * np.abs(edge)
        for at in np.flatnonzero(unsure & np.isfinite(edge)):
            values = products[at].numpy() / (left[at] * right)
            among = np.flatnonzero(values >= found[at, -1])
            rows[at] = among[np.argsort(-values[among], kind="stable")[:k]]
            found[at] = values[rows[at]]
    return rows, found


def blocks(n_rows: int, n_columns: int) -> Iterator[tuple[int, int]]:
    """Start and stop of rows whose products with all columns fit in memory."""
    size = max(1, BLOCK_NUMBERS // max(n_columns, 1))
    for start in range(0, n_rows, size):
        yield start, min(start + size, n_rows)
