"""Windows in bins by score, and which of each bin to judge, so that a density can be estimated.

A bin is a range of scores. The upper half of the windows is halved again and again, so the bins are
fine where calls are dense: half of all windows, then a quarter, an eighth and so on, the last two
of one size. Source: Navine et al. 2024, arXiv 2402.15360, whose bins are logarithmic as well.

In a bin every window has the same chance to be drawn; only so does the share of calls among the
judged ones stand for the bin. They are spread over recordings and time all the same: every
``k``-th window is taken, in the order of recordings (shuffled) and time (systematic sampling,
Cochran 1977, Sampling Techniques, chapter 8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

MOST_BINS: Final = 8  # the top one then holds one window in 128
LEAST_IN_A_BIN: Final = 16  # windows; fewer cannot be told from the bin below
LEAST_JUDGED: Final = 10  # of a bin, on average: what a bin costs


def n_bins_for(n_windows: int, n_judge: int) -> int:
    """How many bins, for so many windows of which so many will be judged; from 1 to 8."""
    # the top bin of n holds 1 / 2**(n - 1) of the windows
    by_windows = int(np.log2(max(n_windows / LEAST_IN_A_BIN, 1))) + 1
    return max(1, min(MOST_BINS, by_windows, n_judge // LEAST_JUDGED))


def bin_edges(scores: NDArray[np.floating], n_bins: int) -> Floats:
    """Scores at which bins begin, from the second bin on.

    Args:
        scores: ``(windows,)``.
        n_bins: asked for. Windows of one score share a bin, so there may be fewer.

    Returns:
        ``(bins - 1,)`` ascending; the first bin has no lower end, the last no upper one.

    Raises:
        UsageError: There are no windows, a score is not a number, or there is less than one bin.
    """
    values = _checked(scores)
    if n_bins < 1:
        raise UsageError(f"bins: need at least 1, got {n_bins}")
    shares = 1 - 0.5 ** np.arange(1, n_bins)
    # an edge is a score that occurs, so that it means the same in every number format
    edges = np.unique(np.quantile(values, shares, method="higher"))
    inside: Floats = edges[edges > values.min()]
    return inside


def bins_of(scores: NDArray[np.floating], edges: Floats) -> Integers:
    """The bin of each window, ``(windows,)`` from 0; a score on an edge is above it."""
    bins: Integers = np.searchsorted(edges, _checked(scores), side="right").astype(np.int64)
    return bins


def allocate(sizes: Integers, n_judge: int) -> Integers:
    """How many windows of each bin to judge.

    As the square root of a bin's size: between equally many, which wastes the large bins, and in
    proportion, which wastes the bins that have the calls.

    Args:
        sizes: ``(bins,)`` windows of each bin.
        n_judge: of all bins together.

    Returns:
        ``(bins,)``, at most ``sizes``; the sum is ``n_judge``, or all windows if there are fewer.
    """
    counts = np.zeros(len(sizes), np.int64)
    n_judge = min(n_judge, int(sizes.sum()))
    while (left := n_judge - int(counts.sum())) > 0:
        is_open = counts < sizes
        weights = np.sqrt(sizes) * is_open
        more = np.floor(left * weights / weights.sum()).astype(np.int64)
        if not more.any():  # the last few go to the bins with the highest scores
            more[np.flatnonzero(is_open)[::-1][:left]] = 1
        counts = np.minimum(counts + more, sizes)
    return counts


def draw_windows(
    bins: Integers, recordings: NDArray[Any], n_judge: int, *, drawn: Flags, seed: int
) -> Integers:
    """Rows of windows to judge, ascending; none that was drawn before.

    Args:
        bins: ``(windows,)`` from `bins_of`; windows of a recording in the order of time.
        recordings: ``(windows,)`` what each window belongs to.
        n_judge: windows to draw.
        drawn: ``(windows,)`` which were drawn before; they count towards the share of their bin.
        seed: the same seed and windows give the same rows.
    """
    if n_judge < 1:
        raise UsageError(f"windows to judge: need at least 1, got {n_judge}")
    n_bins = int(bins.max()) + 1
    sizes = np.bincount(bins, minlength=n_bins)
    before = np.bincount(bins[drawn], minlength=n_bins)
    missing = _still_missing(sizes, before, n_judge)
    generator = np.random.default_rng(seed)
    order = _shuffled_recordings(recordings, generator)
    rows = [
        _every_kth(order[(bins[order] == one) & ~drawn[order]], int(count), generator)
        for one, count in enumerate(missing)
    ]
    return np.sort(np.concatenate(rows))


def _still_missing(sizes: Integers, before: Integers, n_judge: int) -> Integers:
    """Windows to draw of each bin, so that with those of before the bins have their share."""
    n_judge = min(n_judge, int((sizes - before).sum()))
    total = int(before.sum()) + n_judge
    while True:
        missing = np.maximum(allocate(sizes, total) - before, 0)
        if int(missing.sum()) <= n_judge:
            break
        total -= 1  # bins that have more than their share already: all others get less
    rest = n_judge - int(missing.sum())
    filled: Integers = missing + allocate(sizes - before - missing, rest)
    return filled


def _shuffled_recordings(recordings: NDArray[Any], generator: np.random.Generator) -> Integers:
    """Rows by recording, recordings in random order, the windows of each as they were."""
    _, codes = np.unique(recordings, return_inverse=True)
    places = generator.permutation(int(codes.max()) + 1)
    order: Integers = np.argsort(places[codes], kind="stable").astype(np.int64)
    return order


def _every_kth(rows: Integers, n: int, generator: np.random.Generator) -> Integers:
    """``n`` of the rows in even steps from a random start, all with the same chance."""
    places = (np.arange(n) + generator.random()) * (len(rows) / max(n, 1))
    # at the very end rounding may lead one past the last row
    return rows[np.minimum(places.astype(np.int64), len(rows) - 1)]


def _checked(scores: NDArray[np.floating]) -> Floats:
    values = np.asarray(scores, np.float64)
    if values.ndim != 1 or not len(values):
        raise UsageError(f"scores: need one of each window, got an array {values.shape}")
    n_bad = int((~np.isfinite(values)).sum())
    if n_bad:
        raise UsageError(f"scores: {n_bad} of {len(values)} are not a number; they have no bin")
    return values
