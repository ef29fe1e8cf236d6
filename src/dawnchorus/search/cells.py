"""The nearest landmarks of a million windows, without comparing each with each.

Some landmarks are centres of cells, and each landmark is in the cells of its nearest centres. A
window is compared with the landmarks of its nearest centre alone, a tenth of all, so in a tenth of
the time. Where it lies depends on its vector and the landmarks, not on what else is placed. Few
landmarks are all compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.search.landmarks import choose_landmarks
from dawnchorus.search.whole_numbers import nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Whole = NDArray[np.int8]
    Rows = NDArray[np.int64]
    Floats = NDArray[np.float64]

N_CELLS: Final = 128
CELLS_EACH: Final = 12  # of a landmark: with one, those near the edge of a cell would be missed
LEAST: Final = 100  # landmarks in a cell
FEW: Final = 8000  # landmarks: all are compared, and the result is exact


def are_few(targets: Whole) -> bool:
    """Whether `nearest_by_cell` compares all, so that what it finds is exact."""
    return len(targets) <= FEW


def nearest_by_cell(
    queries: Whole,
    targets: Whole,
    k: int,
    *,
    groups: tuple[Rows, Rows] | None = None,
    done: Callable[[int], object] = lambda _: None,
) -> tuple[Rows, Floats]:
    """As `nearest`, of the targets of each query's cell; never nearer than the nearest of all.

    Args:
        queries: ``(n, dim)``.
        targets: ``(m, dim)``.
        k: how many, at most `LEAST`.
        groups: as of `nearest`.
        done: called with the number of queries done.
    """
    if are_few(targets):
        return nearest(queries, targets, k, groups=groups, done=done)
    centres = targets[choose_landmarks(targets, N_CELLS, 0)]
    cells = nearest(queries, centres, 1)[0][:, 0]
    rows, found = np.empty((len(queries), k), np.int64), np.empty((len(queries), k))
    for cell, own in enumerate(_members(centres, targets)):
        at = np.flatnonzero(cells == cell)
        some = None if groups is None else (groups[0][at], groups[1][own])
        columns, found[at] = nearest(queries[at], targets[own], k, groups=some, done=done)
        rows[at] = own[columns]
    return rows, found


def _members(centres: Whole, targets: Whole) -> list[Rows]:
    """Rows of the targets in each cell, rising."""
    of_target = nearest(targets, centres, CELLS_EACH)[0]
    at_least = nearest(centres, targets, LEAST)[0]
    return [
        np.union1d(np.flatnonzero((of_target == cell).any(axis=1)), own)
        for cell, own in enumerate(at_least)
    ]
