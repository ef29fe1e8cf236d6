"""How many windows hold the call, without a threshold.

Everything here takes and gives arrays; ``posterior`` says what the method is, ``strata_density``
what is known of a site, a night or an hour.

The lower end of an interval is ours. The prior gives a bin in which nobody heard a call some share
of calls all the same, and over eight bins that adds up to far more than there are of a very rare
call: the lower end then lies above the truth. So the lower end counts no calls in bins where
nobody has heard one. ``benchmarks/call_density.py`` shows the coverage with and without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.errors import UsageError
from dawnchorus.labelling.posterior import (
    N_DRAWS,
    PRIOR,
    JudgedWindows,
    RecordingWeights,
    draw_calls,
    draw_shares,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

LEVEL: Final = 0.9


@dataclass(frozen=True, slots=True)
class Density:
    """How much of some windows holds the call.

    Attributes:
        n_windows: of them.
        n_judged: of these, with a clear verdict.
        density: share of the windows with the call; nan where there is none to give.
        low: nan where there is no interval.
        high: nan where there is no interval.
        method: ``own``: from windows judged among these; ``own and others``: with what was judged
            in other strata; ``others``: from that alone; ``none``.
        note: what a reader must know; empty where there is nothing.
    """

    n_windows: int
    n_judged: int
    density: float
    low: float
    high: float
    method: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Of an estimate.

    Attributes:
        level: share of the posterior between low and high.
        prior: both parameters of the Beta prior of each bin.
        n_draws: from the posterior.
        seed: of the draws.
    """

    level: float = LEVEL
    prior: float = PRIOR
    n_draws: int = N_DRAWS
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what gives no interval."""
        if not 0 < self.level < 1 or self.prior <= 0 or self.n_draws < 100:
            raise UsageError(
                "density: need 0 < level < 1, prior > 0 and 100 draws or more, got "
                f"{self.level}, {self.prior} and {self.n_draws}"
            )


USUAL: Final = Settings()


@dataclass(frozen=True, slots=True)
class CallDraws:
    """Draws from the posterior of how many windows of each bin hold the call.

    Attributes:
        calls: ``(draws, bins)``.
        sizes: ``(bins,)`` windows of each bin.
        judged: what was judged of them.
    """

    calls: Integers
    sizes: Integers
    judged: JudgedWindows

    def density(self, level: float) -> Density:
        """Of all windows."""
        n_windows, n_judged = int(self.sizes.sum()), int(self.judged.n_judged.sum())
        low, high = interval(self.calls, self.sizes, self.judged.n_present > 0, level)
        blind = np.flatnonzero((self.sizes > 0) & (self.judged.n_judged == 0))
        if len(blind):
            note = blind_note(blind, self.sizes)
            return Density(n_windows, n_judged, np.nan, low, high, "own", note)
        value = float(self.sizes @ raw_shares(self.judged)) / n_windows
        return Density(n_windows, n_judged, value, min(low, value), max(high, value), "own")


def draw_density(sizes: Integers, judged: JudgedWindows, settings: Settings = USUAL) -> CallDraws:
    """Draw how many windows of each bin hold the call.

    Args:
        sizes: ``(bins,)`` windows of each bin, judged or not.
        judged: windows that were drawn at random in their bin.
        settings: of the draws.

    Raises:
        UsageError: Nothing was judged, or more of a bin than it has.
    """
    check_counts(sizes, judged)
    generator = np.random.default_rng(settings.seed)
    weights = RecordingWeights(judged.recordings, settings.n_draws, generator)
    shares = draw_shares(weights.counts(judged), (settings.prior, settings.prior), generator)
    return CallDraws(draw_calls(sizes, judged, shares, generator), sizes, judged)


def interval(
    calls: Integers, sizes: Integers, is_heard: NDArray[np.bool_], level: float
) -> tuple[float, float]:
    """Lower and upper end of a density, with equal weight left out on both sides.

    Args:
        calls: ``(draws, bins)`` windows with the call.
        sizes: ``(bins,)`` windows.
        is_heard: ``(bins,)`` whether the call was heard in a judged window of the bin.
        level: share of the draws between the ends, were all bins heard.
    """
    tail = (1 - level) / 2
    n_windows = sizes.sum()
    low = np.quantile(calls[:, is_heard].sum(axis=1), tail) / n_windows
    high = np.quantile(calls.sum(axis=1), 1 - tail) / n_windows
    return float(low), float(high)


def raw_shares(judged: JudgedWindows) -> Floats:
    """Share with the call of each bin's judged windows; 0 where none was judged."""
    shares: Floats = judged.n_present / np.maximum(judged.n_judged, 1)
    return shares


def blind_note(blind: NDArray[Any], sizes: Integers) -> str:
    """What is to be said of bins in which nothing was judged."""
    names = ", ".join(str(one + 1) for one in blind)
    share = sizes[blind].sum() / sizes.sum()
    return (
        f"no window judged in bin {names} with {share:.1%} of the windows, so any number of "
        "these may hold the call"
    )


def check_counts(sizes: Integers, judged: JudgedWindows) -> None:
    """Refuse what nothing can be said of.

    Raises:
        UsageError: Nothing was judged, or more of a bin than it has.
    """
    if not len(judged.bins):
        raise UsageError("density: no window was judged; judge some of each bin first")
    if sizes.shape != (judged.n_bins,) or (judged.n_judged > sizes).any():
        raise UsageError(
            f"density: bins of {sizes.tolist()} windows, of which {judged.n_judged.tolist()} were "
            "judged; need as many bins, and no more judged than there are"
        )
