"""How many windows hold the call: held against Navine's posterior, and against planted truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from call_worlds import CallWorld, draw_world, judge_world
from dawnchorus.errors import UsageError
from dawnchorus.labelling.density import Density, Settings, draw_density
from dawnchorus.labelling.posterior import (
    JudgedWindows,
    RecordingWeights,
    WeightedCounts,
    draw_calls,
    draw_shares,
)
from dawnchorus.labelling.strata_density import (
    SHIFTS,
    WIDTHS,
    shift_chances,
    stratum_densities,
    width_chances,
)

QUICK = Settings(n_draws=500)


def judged(
    bins: list[int], present: list[int], n_bins: int, recordings: object = None
) -> JudgedWindows:
    names = np.arange(len(bins)) if recordings is None else np.array(recordings)
    return JudgedWindows(np.array(bins, np.int64), names, np.array(present, bool), n_bins)


@pytest.mark.parametrize(("k", "n"), [(0, 20), (3, 12), (30, 60), (8, 9)])
def test_one_window_a_recording_gives_the_beta_posterior(k: int, n: int) -> None:
    windows = judged([0] * n, [1] * k + [0] * (n - k), 1)
    generator = np.random.default_rng(1)
    counts = RecordingWeights(windows.recordings, 4000, generator).counts(windows)
    shares = draw_shares(counts, (0.1, 0.1), generator)[:, 0]
    assert stats.kstest(shares, stats.beta(k + 0.1, n - k + 0.1).cdf).pvalue > 0.001


def test_recordings_of_one_mind_give_a_wider_interval_than_independent_windows() -> None:
    present = [1] * 30 + [0] * 30
    apart = judged([0] * 60, present, 1)
    # six recordings of ten windows, each all present or all absent
    together = judged([0] * 60, present, 1, np.repeat(np.arange(6), 10))
    widths = []
    for windows in (apart, together):
        density = draw_density(np.array([100_000]), windows).density(0.9)
        widths.append(density.high - density.low)
        assert density.density == 0.5
    assert widths[0] == pytest.approx(2 * 1.645 * 0.5 / np.sqrt(60), rel=0.1)
    assert 2.4 < widths[1] / widths[0] < 3.4  # about the root of ten


def test_each_bin_counts_by_its_windows_not_by_its_judgements() -> None:
    windows = judged([0] * 10 + [1] * 10, [0] * 9 + [1] + [1] * 8 + [0] * 2, 2)
    density = draw_density(np.array([9000, 1000]), windows).density(0.9)
    assert density.density == pytest.approx(0.9 * 0.1 + 0.1 * 0.8)
    assert density.low < 0.17 < density.high
    assert (density.n_windows, density.n_judged, density.method) == (10_000, 20, "own")


def test_what_was_judged_whole_is_certain() -> None:
    windows = judged([0, 0, 0, 1, 1], [0, 1, 0, 1, 1], 2)
    density = draw_density(np.array([3, 2]), windows).density(0.9)
    assert (density.low, density.density, density.high) == (0.6, 0.6, 0.6)


def test_the_lower_end_lies_below_the_quantile_that_believes_in_unheard_calls() -> None:
    # the call was heard in one bin of nine; the prior puts some in the other, larger ones
    windows = judged(list(np.repeat(np.arange(9), 12)), [0] * 96 + [1] * 4 + [0] * 8, 9)
    sizes = np.array([20_000] * 8 + [1_000])
    draws = draw_density(sizes, windows)
    density = draws.density(0.9)
    heard = np.quantile(draws.calls[:, 8], 0.05) / sizes.sum()
    plain = np.quantile(draws.calls.sum(axis=1), 0.05) / sizes.sum()
    assert density.low == pytest.approx(heard, rel=1e-9)
    assert density.low < 0.7 * plain
    assert density.low < density.density == pytest.approx(1_000 / 3 / sizes.sum())
    # the upper end believes in them: they may be there
    high = np.quantile(draws.calls.sum(axis=1), 0.95) / sizes.sum()
    assert density.high == pytest.approx(high, rel=1e-9)


def test_the_lower_end_counts_no_calls_where_none_was_heard() -> None:
    # eight bins without a call: the prior alone would put calls in some of them in every draw
    windows = judged(list(np.repeat(np.arange(8), 12)), [0] * 96, 8)
    draws = draw_density(np.full(8, 10_000), windows)
    density = draws.density(0.9)
    assert (density.low, density.density) == (0.0, 0.0)
    assert np.quantile(draws.calls.sum(axis=1) / 80_000, 0.05) > 0.0001
    assert 0.01 < density.high < 0.08


def test_a_bin_that_nobody_judged_is_said_and_wide() -> None:
    windows = judged([1] * 40, [1] * 20 + [0] * 20, 2)
    density = draw_density(np.array([6000, 4000]), windows).density(0.9)
    assert np.isnan(density.density)
    assert "no window judged in bin 1 with 60.0% of the windows" in density.note
    assert density.low < 0.25
    assert density.high > 0.75
    # a bin without windows needs no verdict
    assert draw_density(np.array([0, 4000]), windows).density(0.9).note == ""


def test_a_wider_level_gives_a_wider_interval() -> None:
    draws = draw_density(np.array([5000]), judged([0] * 50, [1] * 10 + [0] * 40, 1))
    inner, outer = draws.density(0.5), draws.density(0.95)
    assert outer.low < inner.low < 0.2 < inner.high < outer.high


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 60))
def test_the_density_lies_in_its_interval_and_all_lie_between_nothing_and_all(
    seed: int, n_bins: int, n: int
) -> None:
    rng = np.random.default_rng(seed)
    bins = np.concatenate([np.arange(n_bins), rng.integers(0, n_bins, n)])
    present, names = rng.random(len(bins)) < rng.random(), rng.integers(0, 5, len(bins))
    windows = JudgedWindows(bins, names, present, n_bins)
    sizes = windows.n_judged + rng.integers(0, 500, n_bins)
    density = draw_density(sizes, windows, QUICK).density(0.9)
    assert 0 <= density.low <= density.density <= density.high <= 1
    # what was judged is known
    assert density.low >= 0
    assert density.high * sizes.sum() >= present.sum() - 1e-9
    # one seed, one answer
    assert draw_density(sizes, windows, QUICK).density(0.9) == density


@pytest.mark.parametrize("density", [0.3, 0.003])
def test_intervals_hold_the_planted_truth(density: float) -> None:
    n_inside = 0
    for seed in range(60):
        world = draw_world(density, seed=seed, n_windows=8000, n_recordings=80)
        sizes, windows = judge_world(world, 160, seed=seed)
        found = draw_density(sizes, windows, QUICK).density(0.9)
        n_inside += found.low <= world.present.mean() <= found.high
    # 90% of 60, less three standard deviations
    assert n_inside >= 47


def strata_of(world: CallWorld, n: int) -> np.ndarray:
    strata: np.ndarray = world.recordings % n
    return strata


def estimates(world: CallWorld, n_strata: int, seed: int, n_judge: int = 200) -> list[Density]:
    sizes, windows, bins, rows = judge_world(world, n_judge, seed=seed, whole=True)
    strata = strata_of(world, n_strata)
    table = np.zeros((n_strata, len(sizes)), np.int64)
    np.add.at(table, (strata, bins), 1)
    n_recordings = np.bincount(np.arange(world.n_recordings) % n_strata, minlength=n_strata)
    return stratum_densities(table, n_recordings, windows, strata[rows], QUICK)


def test_strata_hold_their_planted_truth_though_they_differ() -> None:
    inside = []
    for seed in range(12):
        world = draw_world(
            0.1, seed=seed, n_windows=12_000, n_recordings=60, site_spread=1.5, n_sites=6
        )
        for stratum, found in enumerate(estimates(world, 6, seed)):
            truth = world.present[strata_of(world, 6) == stratum].mean()
            inside.append(found.low <= truth <= found.high)
    assert np.mean(inside) > 0.8


def test_strata_of_one_kind_learn_from_each_other() -> None:
    world = draw_world(0.2, seed=5, n_windows=12_000, n_recordings=120)
    found = estimates(world, 12, 0)
    alone_width = 2 * 1.645 * np.sqrt(0.2 * 0.8 / (200 / 12))
    assert np.median([one.high - one.low for one in found]) < 0.8 * alone_width
    assert {one.method for one in found} == {"own and others"}


def test_a_stratum_of_one_recording_gets_a_note_instead_of_a_number() -> None:
    windows = judged([0] * 30, [1, 0] * 15, 1)
    strata = np.array([0] * 20 + [1] * 10)
    first, second = stratum_densities(
        np.array([[500], [100]]), np.array([8, 1]), windows, strata, QUICK
    )
    assert first.note == ""
    assert 0.2 < first.density < 0.8
    assert second.note == "one recording; a density needs 2"
    assert np.isnan([second.density, second.low, second.high]).all()
    assert (second.n_windows, second.n_judged, second.method) == (100, 10, "none")


def test_a_stratum_without_a_verdict_is_wide_and_says_so() -> None:
    rng = np.random.default_rng(0)
    strata = np.repeat(np.arange(5), 20)
    present = rng.random(100) < np.array([0.05, 0.9, 0.3, 0.6, 0.1])[strata]
    windows = judged([0] * 100, present.tolist(), 1)
    found = stratum_densities(np.full((6, 1), 400), np.full(6, 9), windows, strata, QUICK)
    assert found[5].method == "others"
    assert "no window judged here" in found[5].note
    assert found[5].high - found[5].low > 0.6
    assert found[1].high - found[1].low < 0.4


def test_one_stratum_alone_is_the_same_as_all_windows() -> None:
    windows = judged([0] * 30 + [1] * 30, [0] * 28 + [1] * 2 + [1] * 15 + [0] * 15, 2)
    sizes = np.array([3000, 1000])
    pooled = draw_density(sizes, windows).density(0.9)
    (only,) = stratum_densities(sizes[None], np.array([30]), windows, np.zeros(60, np.int64))
    assert only.density == pytest.approx(pooled.density)
    assert only.method == "own"
    assert only.low == pytest.approx(pooled.low, abs=0.01)
    assert only.high == pytest.approx(pooled.high, abs=0.01)


def test_how_far_strata_differ_follows_from_what_was_judged_in_them() -> None:
    n_judged = np.full((10, 1), 20)
    alike = width_chances(np.full((10, 1), 6), n_judged, 0.1)
    apart = width_chances(20 * (np.arange(10) % 2)[:, None], n_judged, 0.1)
    assert alike.sum() == pytest.approx(1)
    assert alike @ WIDTHS < 0.5
    assert apart @ WIDTHS > 2


def test_a_shift_is_found_by_scipys_binomial() -> None:
    present, absent = np.array([[3.0, 1.0]]), np.array([[7.0, 2.0]])
    log_odds = np.array([[-2.0, 0.5]])
    only_one = (WIDTHS == 1.0).astype(float)
    shares = special.expit(log_odds + SHIFTS[:, None])
    want = stats.binom.pmf([3, 1], [10, 3], shares).prod(axis=1) * stats.norm.pdf(SHIFTS)
    got = shift_chances(log_odds, present, absent, only_one)[0]
    assert got == pytest.approx(want / want.sum(), abs=1e-9)


def test_shares_of_vanishing_shapes_are_on_the_likelier_side() -> None:
    zeros = WeightedCounts(np.zeros((50, 2)), np.zeros((50, 2)))
    parts = (np.array([1e-9, 2e-9]), np.array([2e-9, 1e-9]))
    shares = draw_shares(zeros, parts, np.random.default_rng(0))
    assert shares.mean(axis=0).tolist() == [0.0, 1.0]


def test_calls_are_what_was_heard_and_draws_of_the_rest() -> None:
    windows = judged([0, 0, 1], [1, 0, 1], 2)
    shares = np.array([[0.0, 1.0], [1.0, 0.0]])
    calls = draw_calls(np.array([10, 5]), windows, shares, np.random.default_rng(0))
    assert calls.tolist() == [[1, 5], [9, 1]]


def test_nonsense_is_refused() -> None:
    windows = judged([0, 0], [1, 0], 1)
    with pytest.raises(UsageError, match="no window was judged"):
        draw_density(np.array([5]), judged([], [], 1))
    with pytest.raises(UsageError, match="no more judged than there are"):
        draw_density(np.array([1]), windows)
    with pytest.raises(UsageError, match="as many bins"):
        draw_density(np.array([5, 5]), windows)
    with pytest.raises(UsageError, match="arrays of one length"):
        JudgedWindows(np.zeros(2, np.int64), np.zeros(3), np.zeros(2, bool), 1)
    with pytest.raises(UsageError, match="bins from 0 to 0"):
        judged([1], [1], 1)
    for bad in ({"level": 1.0}, {"prior": 0.0}, {"n_draws": 10}):
        with pytest.raises(UsageError, match="0 < level < 1"):
            Settings(**bad)
