"""The density of each stratum: a site, a night, an hour.

A stratum has too few judged windows of its own. What is known of a bin elsewhere helps, but may not
be taken as it is: where an animal calls less, windows of one score hold it less often too. If the
sound of calls and of all else is the same everywhere, Bayes' rule says how much less: the odds of
every bin are multiplied by one and the same factor. So each stratum has a shift of all its
log-odds. It is drawn from what was judged in the stratum and from a normal distribution whose width
follows from how far the strata differ (an empirical Bayes estimate with a flat prior on the width).
Source: prior shift as in Saerens et al. 2002, Neural Computation 14; hierarchical logits as in
Gelman et al. 2013, Bayesian Data Analysis, chapters 5 and 16. Navine et al. 2024 take a bin's share
to be the same everywhere, which is a width of 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.labelling.density import (
    USUAL,
    Density,
    Settings,
    blind_note,
    check_counts,
    interval,
    raw_shares,
)
from dawnchorus.labelling.posterior import (
    JudgedWindows,
    RecordingWeights,
    WeightedCounts,
    draw_calls,
    draw_shares,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

LEAST_RECORDINGS: Final = 2  # of a stratum; one alone says nothing of how recordings differ
SHIFTS: Final = np.linspace(-8, 8, 49)  # of log-odds: a factor of 3,000 either way
WIDTHS: Final = np.array([0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0])
CLOSE: Final = 1e-12  # shares this close to 0 or 1 have no log-odds worth telling apart
MOST_DRAWS: Final = 1000  # a thousand strata would take minutes with more
ELSEWHERE: Final = "no window judged here; estimated from how other strata differ"


def stratum_densities(
    sizes: Integers,
    n_recordings: Integers,
    judged: JudgedWindows,
    strata: Integers,
    settings: Settings = USUAL,
) -> list[Density]:
    """The density of each stratum.

    Args:
        sizes: ``(strata, bins)`` windows.
        n_recordings: ``(strata,)`` recordings that have a window in the stratum.
        judged: in all strata.
        strata: ``(judged,)`` the stratum of each.
        settings: of the draws, of which at most 1,000 are made.

    Raises:
        UsageError: Nothing was judged, or more of a bin than it has.
    """
    check_counts(sizes.sum(axis=0), judged)
    together = _Strata(sizes, judged, strata, settings)
    return [
        together.density(stratum)
        if n_recordings[stratum] >= LEAST_RECORDINGS
        else _too_few(int(sizes[stratum].sum()), int((strata == stratum).sum()))
        for stratum in range(len(sizes))
    ]


class _Strata:
    """Judged windows of several strata, and what one stratum may learn of the others."""

    def __init__(
        self, sizes: Integers, judged: JudgedWindows, strata: Integers, settings: Settings
    ) -> None:
        self._sizes, self._judged, self._strata = sizes, judged, strata
        self._settings = settings
        self._generator = np.random.default_rng(settings.seed)
        n_draws = min(settings.n_draws, MOST_DRAWS)
        self._weights = RecordingWeights(judged.recordings, n_draws, self._generator)
        self._all = self._weights.counts(judged)
        self._chances = width_chances(*_tables(judged, strata), settings.prior)

    def density(self, stratum: int) -> Density:
        here = self._strata == stratum
        own, sizes = self._judged.only(here), self._sizes[stratum]
        has_others = not here.all()
        calls = draw_calls(sizes, own, self._shares(own, has_others=has_others), self._generator)
        low, high = interval(calls, sizes, self._judged.n_present > 0, self._settings.level)
        n_windows, n_judged = int(sizes.sum()), len(own.bins)
        method = "own" if not has_others else "own and others" if n_judged else "others"
        blind = np.flatnonzero((sizes > 0) & (self._judged.n_judged == 0))
        if len(blind):
            note = blind_note(blind, sizes)
            return Density(n_windows, n_judged, np.nan, low, high, method, note)
        value = self._expected(own, sizes) / n_windows
        note = "" if n_judged else ELSEWHERE
        return Density(n_windows, n_judged, value, min(low, value), max(high, value), method, note)

    def _shares(self, own: JudgedWindows, *, has_others: bool) -> Floats:
        """Draws of the stratum's share of each bin, ``(draws, bins)``."""
        prior, generator = self._settings.prior, self._generator
        counts = self._weights.counts(own)
        if not has_others:
            return draw_shares(counts, (prior, prior), generator)
        # without its own windows, which would otherwise be believed twice; a difference of sums
        # may be less than 0 by rounding
        others = WeightedCounts(
            np.maximum(self._all.present - counts.present, 0),
            np.maximum(self._all.absent - counts.absent, 0),
        )
        elsewhere = _log_odds(draw_shares(others, (prior, prior), generator))
        chances = shift_chances(elsewhere, counts.present, counts.absent, self._chances)
        # one shift a draw: where the sum of the chances passes a uniform number
        passed = np.cumsum(chances, axis=1) < generator.random((len(chances), 1))
        shift = SHIFTS[np.minimum(passed.sum(axis=1), len(SHIFTS) - 1)]
        return _shares_of(elsewhere + shift[:, None])

    def _expected(self, own: JudgedWindows, sizes: Integers) -> float:
        """Expected windows with the call: judged ones, and of the others by the mean shift.

        The shares that are shifted are those of the judged windows as they are. The prior has no
        part in them, since of a rare call it would be most of the estimate.
        """
        overall = raw_shares(self._judged)
        log_odds = _log_odds(overall)
        n_absent = (own.n_judged - own.n_present).astype(float)
        counts = own.n_present.astype(float), n_absent
        chances = shift_chances(log_odds[None], counts[0][None], counts[1][None], self._chances)
        shifted = chances[0] @ _shares_of(log_odds + SHIFTS[:, None])
        # a single stratum is what was judged in it, and nobody tells it to be otherwise
        shares = overall if len(own.bins) == len(self._judged.bins) else shifted
        return float(own.n_present.sum() + (sizes - own.n_judged) @ shares)


def shift_chances(log_odds: Floats, present: Floats, absent: Floats, widths: Floats) -> Floats:
    """How likely each of `SHIFTS` is for a stratum, ``(draws, shifts)``.

    Args:
        log_odds: ``(draws, bins)`` of the call elsewhere.
        present: ``(draws, bins)`` judged windows of the stratum with the call, or their weight.
        absent: ``(draws, bins)`` without.
        widths: ``(widths,)`` how likely each of `WIDTHS` is.
    """
    logs = _log_chances(log_odds, present, absent)
    chances = np.exp(logs - logs.max(axis=1, keepdims=True)) * (widths @ _normal())
    normal: Floats = chances / chances.sum(axis=1, keepdims=True)
    return normal


def width_chances(present: Integers, n_judged: Integers, prior: float) -> Floats:
    """How likely each of `WIDTHS` is, by how far the strata differ, ``(widths,)``.

    Args:
        present: ``(strata, bins)`` judged windows with the call.
        n_judged: ``(strata, bins)`` judged windows.
        prior: of the shares that a stratum is compared with.
    """
    # each stratum against the others, so that it is not its own witness
    others, n_others = present.sum(axis=0) - present, n_judged.sum(axis=0) - n_judged
    means = (others + prior) / (n_others + 2 * prior)
    # bins of which nothing is known elsewhere do not tell how far strata differ
    use = (n_others > 0).astype(float)
    logs = _log_chances(_log_odds(means), present * use, (n_judged - present) * use)
    peaks = logs.max(axis=1, keepdims=True)
    by_width = np.log(np.exp(logs - peaks) @ _normal().T + 1e-300).sum(axis=0)
    chances = np.exp(by_width - by_width.max())
    normal: Floats = chances / chances.sum()
    return normal


def _log_chances(log_odds: Floats, present: Floats, absent: Floats) -> Floats:
    """Of counts under each shift, ``(draws, shifts)``."""
    logs = np.zeros((len(log_odds), len(SHIFTS)))
    for one in range(log_odds.shape[1]):
        yes, no = present[:, one, None], absent[:, one, None]
        if not (yes.any() or no.any()):
            continue  # nothing judged here, which is most bins of most strata
        at = log_odds[:, one, None] + SHIFTS
        # minus the logs of a share and of the rest are log(1 + exp(-at)) and that + at
        logs -= (yes + no) * np.logaddexp(0, -at) + no * at
    return logs


def _normal() -> Floats:
    """The chance of each shift under each width, ``(widths, shifts)``."""
    heights = np.exp(-0.5 * (SHIFTS / WIDTHS[:, None]) ** 2)
    normal: Floats = heights / heights.sum(axis=1, keepdims=True)
    return normal


def _log_odds(shares: Floats) -> Floats:
    inside = np.clip(shares, CLOSE, 1 - CLOSE)
    odds: Floats = np.log(inside) - np.log1p(-inside)
    return odds


def _shares_of(log_odds: Floats) -> Floats:
    shares: Floats = np.exp(-np.logaddexp(0, -log_odds))
    return shares


def _tables(judged: JudgedWindows, strata: Integers) -> tuple[Integers, Integers]:
    """Windows with the call, and judged ones, of each stratum that has any; ``(strata, bins)``."""
    of_each = [judged.only(strata == stratum) for stratum in np.unique(strata)]
    return np.array([o.n_present for o in of_each]), np.array([o.n_judged for o in of_each])


def _too_few(n_windows: int, n_judged: int) -> Density:
    note = f"one recording; a density needs {LEAST_RECORDINGS}"
    return Density(n_windows, n_judged, np.nan, np.nan, np.nan, "none", note)
