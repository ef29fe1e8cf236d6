"""Bins by score, and which windows of each are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.errors import UsageError
from dawnchorus.labelling.strata import allocate, bin_edges, bins_of, draw_windows, n_bins_for

SCORES = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=200).map(np.array)


def test_bins_hold_a_half_a_quarter_and_so_on_the_last_two_alike() -> None:
    scores = np.random.default_rng(0).permutation(1600).astype(np.float32)
    bins = bins_of(scores, bin_edges(scores, 5))
    assert np.bincount(bins).tolist() == [800, 400, 200, 100, 100]
    assert scores[bins == 4].min() > scores[bins == 3].max()


@given(SCORES, st.integers(1, 10))
def test_no_bin_is_empty_and_equal_scores_share_one(scores: np.ndarray, n_bins: int) -> None:
    edges = bin_edges(scores, n_bins)
    bins = bins_of(scores, edges)
    assert len(edges) < n_bins
    assert np.bincount(bins, minlength=len(edges) + 1).min() > 0
    for score in np.unique(scores):
        assert len(set(bins[scores == score].tolist())) == 1
    order = np.argsort(scores)
    assert (np.diff(bins[order]) >= 0).all()


def test_windows_without_any_difference_are_one_bin() -> None:
    assert bin_edges(np.zeros(50), 8).tolist() == []
    assert bins_of(np.zeros(3), np.array([])).tolist() == [0, 0, 0]


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match="2 of 4 are not a number"):
        bin_edges(np.array([0.1, np.nan, np.inf, 0.2]), 3)
    with pytest.raises(UsageError, match="one of each window"):
        bin_edges(np.zeros((2, 2)), 3)
    with pytest.raises(UsageError, match="one of each window"):
        bin_edges(np.array([]), 3)
    with pytest.raises(UsageError, match="at least 1, got 0"):
        bin_edges(np.arange(3.0), 0)


@pytest.mark.parametrize(
    ("n_windows", "n_judge", "n_bins"),
    [(1_000_000, 200, 8), (1_000_000, 50, 5), (64, 200, 3), (10, 200, 1), (1000, 3, 1)],
)
def test_bins_are_as_many_as_windows_and_verdicts_allow(
    n_windows: int, n_judge: int, n_bins: int
) -> None:
    assert n_bins_for(n_windows, n_judge) == n_bins


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=9).map(np.array), st.integers(0, 3000))
def test_all_that_is_asked_for_is_shared_among_the_bins(sizes: np.ndarray, n_judge: int) -> None:
    counts = allocate(sizes, n_judge)
    assert counts.sum() == min(n_judge, sizes.sum())
    assert (counts <= sizes).all()
    assert (counts >= 0).all()


def test_a_bin_gets_its_share_by_the_root_of_its_size() -> None:
    assert allocate(np.array([1600, 400, 100]), 70).tolist() == [40, 20, 10]
    # what a small bin cannot take goes to the others
    assert allocate(np.array([1600, 400, 10]), 250).tolist() == [160, 80, 10]


@given(st.data())
def test_windows_are_drawn_once_and_as_many_as_asked_for(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 120))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    bins = rng.integers(0, 3, n)
    recordings, drawn = rng.integers(0, 9, n), rng.random(n) < 0.3
    n_judge = data.draw(st.integers(1, 150))
    rows = draw_windows(bins, recordings, n_judge, drawn=drawn, seed=1)
    assert len(set(rows.tolist())) == len(rows) == min(n_judge, (~drawn).sum())
    assert not drawn[rows].any()
    again = draw_windows(bins, recordings, n_judge, drawn=drawn, seed=1)
    assert rows.tolist() == again.tolist() == sorted(rows.tolist())


def test_every_window_of_a_bin_has_the_same_chance() -> None:
    # one recording has most of the windows of the bin: each of its windows counts like any other
    recordings = np.repeat([0, 1, 2], [80, 15, 5])
    bins, drawn = np.zeros(100, np.int64), np.zeros(100, bool)
    n_times = np.zeros(100)
    for seed in range(2000):
        n_times[draw_windows(bins, recordings, 20, drawn=drawn, seed=seed)] += 1
    # a fifth each; five standard deviations of a share of 2,000
    assert np.abs(n_times / 2000 - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / 2000)


def test_drawn_windows_are_spread_over_recordings_and_time() -> None:
    recordings = np.repeat(np.arange(20), 50)
    bins, drawn = np.zeros(1000, np.int64), np.zeros(1000, bool)
    rows = draw_windows(bins, recordings, 40, drawn=drawn, seed=3)
    assert np.bincount(recordings[rows]).tolist() == [2] * 20
    assert {abs(int(a) - int(b)) for a, b in rows.reshape(20, 2)} == {25}


def test_a_second_draw_fills_the_bins_up_to_their_share() -> None:
    bins = np.repeat([0, 1], [900, 100])
    drawn = np.zeros(1000, bool)
    first = draw_windows(bins, np.arange(1000), 40, drawn=drawn, seed=0)
    assert np.bincount(bins[first]).tolist() == [30, 10]
    drawn[first] = True
    second = draw_windows(bins, np.arange(1000), 40, drawn=drawn, seed=0)
    assert np.bincount(bins[second]).tolist() == [30, 10]
    # a bin that was judged too often gets none, and the others no more than was asked for
    drawn = bins == 1
    third = draw_windows(bins, np.arange(1000), 40, drawn=drawn, seed=0)
    assert np.bincount(bins[third], minlength=2).tolist() == [40, 0]


def test_no_window_to_judge_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1, got 0"):
        draw_windows(np.zeros(3, np.int64), np.arange(3), 0, drawn=np.zeros(3, bool), seed=0)
