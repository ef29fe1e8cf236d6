"""Windows that are there twice, and windows that are like nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.errors import UsageError
from dawnchorus.search.whole_numbers import blocks, cosines

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Whole = NDArray[np.int8]
    Rows = NDArray[np.int64]
    Floats = NDArray[np.float64]

TENTH: Final = 10  # neighbour by which strangeness is measured: nine recordings of one oddity


def strangeness(
    vectors: Whole,
    recordings: Rows,
    references: Rows,
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
        done: called with the number of windows done.

    Returns:
        ``(n,)``; nan where no other recording is among the references.
    """
    found = np.full(len(vectors), np.nan)
    others = recordings[references]
    for start, stop in blocks(len(vectors), len(references)):
        near = cosines(vectors[start:stop], vectors[references])
        near[recordings[start:stop, None] == others[None, :]] = -np.inf
        tenth = min(TENTH, near.shape[1])
        ranked = -np.partition(-near, tenth - 1, axis=1)[:, :tenth]
        # fewer than ten others: the last that is one
        lowest = np.where(np.isfinite(ranked), ranked, np.inf).min(axis=1)
        found[start:stop] = np.where(np.isfinite(lowest), 1 - lowest, np.nan)
        done(stop - start)
    return found


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
    rows = np.full(len(vectors), -1)
    found = np.full(len(vectors), np.nan)
    for start, stop in blocks(len(vectors), len(vectors)):
        near = cosines(vectors[start:stop], vectors)
        near[recordings[start:stop, None] == recordings[None, :]] = -np.inf
        best = near.argmax(axis=1)
        value = near[np.arange(len(near)), best]
        there = np.isfinite(value)
        rows[start:stop][there], found[start:stop][there] = best[there], value[there]
        done(stop - start)
    return rows, found


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
