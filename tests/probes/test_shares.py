"""Exact bounds of shares, and what items of one recording are worth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betainc
from scipy.stats import beta

from dawnchorus.probes.shares import (
    chance_of_at_least,
    clustered_share,
    group_sums,
    least_items,
    least_shares,
    lower_bound,
)


@given(st.floats(1, 1e5), st.floats(0.001, 1), st.floats(1e-9, 1))
def test_the_chance_of_so_many_successes_is_scipy_s(n: float, share: float, p: float) -> None:
    k = share * n
    assert chance_of_at_least(k, n, p) == pytest.approx(betainc(k, n - k + 1, p), abs=1e-9)


@given(st.integers(1, 400), st.data())
def test_the_interval_of_independent_items_is_clopper_and_pearson_s(
    n: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(0, n))
    _, low, high = clustered_share(np.arange(n) < k, np.arange(n))
    assert low == pytest.approx(beta.ppf(0.025, k, n - k + 1) if k else 0, abs=1e-6)
    assert high == pytest.approx(beta.ppf(0.975, k + 1, n - k) if k < n else 1, abs=1e-6)


def test_clips_of_one_recording_are_worth_less_than_as_many_of_their_own() -> None:
    hits = np.array([True] * 15 + [False] * 5)
    alone = clustered_share(hits, np.arange(20))
    together = clustered_share(hits, np.arange(20) // 5)  # whole recordings right or wrong
    assert together[0] == 0.75
    assert together[1] < alone[1]
    assert together[2] > alone[2]
    # all right: as sure as the recordings are many, not the clips
    few = clustered_share(np.ones(20, bool), np.arange(20) // 5)
    assert few[1] == pytest.approx(0.025 ** (1 / 4), abs=1e-6)


def test_one_error_does_not_make_items_worth_more_than_none() -> None:
    group = np.repeat(np.arange(10), 10)
    hits = np.ones(100, bool)
    without = float(group_sums(hits, group).n_effective()[0])
    hits[5] = False
    assert without == pytest.approx(10)
    # the spread that is seen would make them 99
    assert float(group_sums(hits, group).n_effective()[0]) < 1.3 * without


@pytest.mark.parametrize("n_groups", [10, 30])
@pytest.mark.parametrize(("mean", "alike"), [(0.8, 5.0), (0.9, 1.0), (0.95, 20.0), (0.5, 1.0)])
def test_the_interval_of_a_share_covers_the_true_one_as_often_as_it_says(
    n_groups: int, mean: float, alike: float
) -> None:
    rng = np.random.default_rng(5)
    covered, n_draws = 0, 300
    for _ in range(n_draws):
        rate = rng.beta(mean * alike, (1 - mean) * alike, n_groups)
        sizes = 1 + rng.poisson(4, n_groups)
        group = np.repeat(np.arange(n_groups), sizes)
        _, low, high = clustered_share(rng.random(len(group)) < rate[group], group)
        covered += low <= mean <= high
    assert covered / n_draws >= 0.93  # 0.95, less two standard errors of 300 draws


def test_the_least_share_that_shows_a_target_is_the_exact_test_s() -> None:
    n_effective = np.array([15.0, 16.0, 29.0, 64.0, 150.0, 3000.0])
    found = least_shares(n_effective, 0.9, 0.8)
    for n, share in zip(n_effective.tolist(), found.tolist(), strict=True):
        k = np.arange(1, n + 1)
        passes = k[betainc(k, n - k + 1, 0.9) <= 0.2]
        assert np.isinf(share) if not len(passes) else np.ceil(share * n) == passes[0]
    assert least_items(0.9, 0.8) == pytest.approx(np.log(0.2) / np.log(0.9))
    assert lower_bound(0.0, 20.0, 0.9) == 0.0
