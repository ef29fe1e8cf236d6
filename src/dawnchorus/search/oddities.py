"""Windows that are there twice, and windows that are like nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.errors import UsageError
from dawnchorus.search.cells import are_few, nearest_by_cell
from dawnchorus.search.whole_numbers import nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Whole = NDArray[np.int8]
    Rows = NDArray[np.int64]
    Floats = NDArray[np.float64]

CONFIRMED_AT_ONCE: Final = 1000
TENTH: Final = 10  # neighbour by which strangeness is measured: nine recordings of one oddity


def strangeness(
    vectors: Whole,
    recordings: Rows,
    references: Rows,
    wanted: tuple[Rows, int] | None = None,
    done: Callable[[int], object] = lambda _: None,
) -> Floats:
    """How far each window is from the tenth nearest one of other recordings: 1 - cosine.

    A recording's own windows do not count, or a cricket that sings all night in one would be
    familiar. Where other recordings have fewer than ten windows, the farthest of them counts.

    Args:
        vectors: ``(n, dim)``.
        recordings: ``(n,)`` the recording of each, as a number.
        references: rows that windows are compared with: the landmarks of a map, spread over all
            there is; all rows where there are few.
        wanted: ``(n,)`` such as the site of each window, as a number, and how many of each are
            wanted: the strangest so many are exact, and no other is as strange. Others may be said
            to be stranger than they are, where there are many references. None: all are exact,
            which takes ten times as long.
        done: called with the number of windows done.

    Returns:
        ``(n,)``; nan where no other recording is among the references.
    """
    targets, groups = vectors[references], (recordings, recordings[references])
    if wanted is None or are_few(targets):
        return _farthest(nearest(vectors, targets, TENTH, groups=groups, done=done)[1])
    near = nearest_by_cell(vectors, targets, TENTH, groups=groups, done=done)[1]
    found = _farthest(near)

    def make_exact(rows: Rows) -> None:
        some = (recordings[rows], groups[1])
        found[rows] = _farthest(nearest(vectors[rows], targets, TENTH, groups=some)[1])

    # a cell with fewer than ten windows of other recordings says too little
    make_exact(np.flatnonzero(np.isinf(near[:, -1])))
    for group in np.unique(wanted[0]):
        _confirm(found, np.flatnonzero(wanted[0] == group), wanted[1], make_exact)
    return found


def _farthest(near: Floats) -> Floats:
    """Distance to the last neighbour of each that is one; nan without any."""
    lowest = np.where(np.isfinite(near), near, np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(lowest), 1 - lowest, np.nan)


def _confirm(found: Floats, rows: Rows, n: int, make_exact: Callable[[Rows], None]) -> None:
    """Make the largest of some values exact, where none is smaller than it should be."""
    rows = rows[np.argsort(-found[rows], kind="stable")]  # nan last
    for start in range(0, len(rows), CONFIRMED_AT_ONCE):
        exact = found[rows[:start]]
        if start >= n and np.sort(exact)[-n] >= found[rows[start]]:
            break
        make_exact(rows[start : start + CONFIRMED_AT_ONCE])


def percentiles_within(values: Floats, groups: Rows) -> Floats:
    """The percentile of each value among those of its group, 0 to 100; nan stays nan.

    Args:
        values: ``(n,)``.
        groups: ``(n,)`` such as the site of each window, as a number.
    """
    found = np.full(len(values), np.nan)
    for group in np.unique(groups):
        rows = np.flatnonzero((groups == group) & np.isfinite(values))
        rising = np.sort(values[rows])
        below = np.searchsorted(rising, values[rows], side="left")
        equal = np.searchsorted(rising, values[rows], side="right") - below - 1
        # of the others in the group; those with the same value count half
        found[rows] = 100 * (below + equal / 2) / max(len(rows) - 1, 1)
    return found


def nearest_elsewhere(
    vectors: Whole, recordings: Rows, done: Callable[[int], object] = lambda _: None
) -> tuple[Rows, Floats]:
    """The most similar window in another recording, and its cosine.

    Args:
        vectors: ``(n, dim)``.
        recordings: ``(n,)`` the recording of each, as a number.
        done: called with the number of windows done.

    Returns:
        Rows and cosines, ``(n,)``; -1 and nan where there is no other recording.
    """
    best, near = nearest(vectors, vectors, 1, groups=(recordings, recordings), done=done)
    is_there = np.isfinite(near[:, 0])
    return np.where(is_there, best[:, 0], -1), np.where(is_there, near[:, 0], np.nan)


def duplicate_pairs(rows: Rows, near: Floats, threshold: float) -> list[tuple[int, int, float]]:
    """Pairs of windows of different recordings that are alike, the most alike first.

    Args:
        rows: of `nearest_elsewhere`.
        near: of `nearest_elsewhere`.
        threshold: lowest cosine, above 0 and at most 1.

    Raises:
        UsageError: The threshold is not between 0 and 1.
    """
    if not 0 < threshold <= 1:
        raise UsageError(f"duplicates: need a cosine over 0, at most 1, got {threshold}")
    pairs = {
        (min(row, int(rows[row])), max(row, int(rows[row]))): float(near[row])
        for row in np.flatnonzero(near >= threshold).tolist()
    }
    return sorted(
        ((one, other, value) for (one, other), value in pairs.items()),
        key=lambda pair: (-pair[2], pair[:2]),
    )
