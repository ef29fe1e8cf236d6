"""What judged windows say of a bin's share of calls: draws from the posterior.

Source: Navine, Denton, Weldy and Hart 2024, All thresholds barred, arXiv 2402.15360. In each bin of
scores some windows are judged; the share of calls in it has a Beta prior with both parameters 0.1;
the density is the sum over bins of the bin's windows times its share.

Windows of one recording are not independent: if one holds the call, the next one likely does. So
recordings are drawn, not windows, by the Bayesian bootstrap (Rubin 1981, Annals of Statistics 9):
each has an exponential weight in each draw, and the prior has gamma weights beside them. Where each
recording gave one judged window, a sum of ``k`` weights is a gamma variable and the share exactly
Navine's Beta(k + 0.1, n - k + 0.1). Where recordings gave several that agree, the spread is wider.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

PRIOR: Final = 0.1
N_DRAWS: Final = 4000
TINY: Final = 1e-300  # a gamma variable of a tiny shape may be 0; two of them are no share


@dataclass(frozen=True, slots=True)
class JudgedWindows:
    """Windows that were drawn at random in their bin and then judged.

    Attributes:
        bins: ``(judged,)`` from 0.
        recordings: ``(judged,)`` what each belongs to, any values.
        present: ``(judged,)`` whether the call is in it.
        n_bins: how many bins there are.
    """

    bins: Integers
    recordings: NDArray[Any]
    present: Flags
    n_bins: int

    def __post_init__(self) -> None:
        """Refuse arrays of different lengths, and bins that do not exist."""
        lengths = {len(self.bins), len(self.recordings), len(self.present)}
        if len(lengths) > 1:
            raise UsageError(f"judged windows: need arrays of one length, got {sorted(lengths)}")
        if len(self.bins) and not 0 <= self.bins.min() <= self.bins.max() < self.n_bins:
            raise UsageError(f"judged windows: need bins from 0 to {self.n_bins - 1}")

    def only(self, keep: Flags) -> JudgedWindows:
        """Some of them."""
        return JudgedWindows(
            self.bins[keep], self.recordings[keep], self.present[keep], self.n_bins
        )

    @property
    def n_judged(self) -> Integers:
        """``(bins,)``."""
        return np.bincount(self.bins, minlength=self.n_bins).astype(np.int64)

    @property
    def n_present(self) -> Integers:
        """``(bins,)`` judged windows with the call."""
        return np.bincount(self.bins[self.present], minlength=self.n_bins).astype(np.int64)


@dataclass(frozen=True, slots=True)
class WeightedCounts:
    """Judged windows of each bin, weighed in each draw.

    Attributes:
        present: ``(draws, bins)`` weight of those with the call.
        absent: ``(draws, bins)`` weight of the others.
    """

    present: Floats
    absent: Floats


class RecordingWeights:
    """The weight of each recording in each draw, the same for all bins and strata."""

    def __init__(
        self, recordings: NDArray[Any], n_draws: int, generator: np.random.Generator
    ) -> None:
        """Draw the weights of all recordings that have a judged window."""
        self._names = np.unique(recordings)
        self._weights = generator.exponential(size=(n_draws, len(self._names)))

    def counts(self, judged: JudgedWindows) -> WeightedCounts:
        """Weighted counts of judged windows of these recordings."""
        at = np.searchsorted(self._names, judged.recordings)
        table = np.zeros((2, len(self._names), judged.n_bins))
        np.add.at(table, (judged.present.astype(np.int64), at, judged.bins), 1)
        used = np.unique(at)  # a stratum has a few of all recordings
        absent, present = (self._weights[:, used] @ side[used] for side in table)
        return WeightedCounts(present, absent)


def draw_shares(
    counts: WeightedCounts,
    prior: tuple[Floats | float, Floats | float],
    generator: np.random.Generator,
) -> Floats:
    """Draws of each bin's share of calls, ``(draws, bins)``.

    Args:
        counts: what was judged.
        prior: windows with and without the call that are worth as much as what is known before;
            numbers, or one for each draw and bin.
        generator: of the draws.
    """
    shape = counts.present.shape
    with_call = counts.present + generator.gamma(prior[0], size=shape)
    without = counts.absent + generator.gamma(prior[1], size=shape)
    # both 0 by rounding: shapes that small put all weight on one end, the likelier one
    zero = (with_call + without) < TINY
    with_call = np.where(zero, np.asarray(prior[0]) > np.asarray(prior[1]), with_call)
    shares: Floats = with_call / np.where(zero, 1.0, with_call + without)
    return shares


def draw_calls(
    sizes: Integers, judged: JudgedWindows, shares: Floats, generator: np.random.Generator
) -> Integers:
    """Draws of how many windows of each bin hold the call, ``(draws, bins)``.

    What was judged is known. Only the other windows are uncertain, so a bin that was judged whole
    is no longer.

    Args:
        sizes: ``(bins,)`` windows of each bin.
        judged: those of them that were judged.
        shares: ``(draws, bins)`` from `draw_shares`.
        generator: of the draws.
    """
    others = np.broadcast_to(sizes - judged.n_judged, shares.shape)
    return judged.n_present + generator.binomial(others, shares)
