"""Precision and recall at a threshold, held against planted truth."""

from __future__ import annotations

import numpy as np
import pytest

from call_worlds import draw_world, judge_world
from dawnchorus.errors import UsageError
from dawnchorus.labelling.density import Settings, draw_density
from dawnchorus.labelling.operating_points import operating_points
from dawnchorus.labelling.posterior import JudgedWindows
from dawnchorus.labelling.strata import bin_edges, bins_of


def test_intervals_hold_the_true_precision_and_recall() -> None:
    inside = []
    for seed in range(30):
        world = draw_world(0.1, seed=seed, n_windows=8000, n_recordings=80)
        sizes, windows = judge_world(world, 240, seed=seed)
        edges = bin_edges(world.scores, len(sizes))
        draws = draw_density(sizes, windows, Settings(n_draws=500, seed=seed))
        for point in operating_points(draws, world.scores, edges, edges[[1, 3]].tolist()):
            above = world.scores >= point.threshold
            assert point.n_above == above.sum()
            precision = world.present[above].mean()
            recall = world.present[above].sum() / world.present.sum()
            inside.append(point.precision_low <= precision <= point.precision_high)
            inside.append(point.recall_low <= recall <= point.recall_high)
    assert np.mean(inside) > 0.82


def test_everything_judged_gives_exact_counts_at_an_edge() -> None:
    scores = np.arange(8.0)
    present = np.array([0, 0, 1, 0, 1, 1, 0, 1], bool)
    edges = bin_edges(scores, 3)
    bins = bins_of(scores, edges)
    draws = draw_density(np.bincount(bins), JudgedWindows(bins, np.arange(8), present, 3))
    (point,) = operating_points(draws, scores, edges, [edges[0]])
    above = scores >= edges[0]
    assert point.precision == point.precision_low == present[above].mean()
    assert point.recall == point.recall_high == pytest.approx(present[above].sum() / 4)


def test_a_threshold_inside_a_bin_takes_its_share_of_the_calls() -> None:
    scores = np.arange(100.0)
    bins = np.zeros(100, np.int64)
    present = np.arange(100) < 20
    draws = draw_density(np.array([100]), JudgedWindows(bins, np.arange(100), present, 1))
    (point,) = operating_points(draws, scores, np.array([]), [75.0])
    assert (point.n_above, point.precision, point.recall) == (25, 0.2, 0.25)


def test_nothing_above_and_no_call_give_no_number() -> None:
    scores = np.arange(50.0)
    windows = JudgedWindows(np.zeros(50, np.int64), np.arange(50), np.zeros(50, bool), 1)
    draws = draw_density(np.array([50]), windows)
    above, all_of_them = operating_points(draws, scores, np.array([]), [99.0, 0.0])
    assert np.isnan([above.precision, above.precision_low, above.precision_high]).all()
    assert all_of_them.precision == 0
    assert np.isnan([all_of_them.recall, all_of_them.recall_low]).all()


def test_a_bin_that_nobody_judged_leaves_intervals_alone() -> None:
    scores = np.arange(100.0)
    edges = np.array([50.0])
    windows = JudgedWindows(np.ones(20, np.int64), np.arange(20), np.arange(20) < 10, 2)
    draws = draw_density(np.array([50, 50]), windows)
    (point,) = operating_points(draws, scores, edges, [50.0])
    assert np.isnan([point.precision, point.recall]).all()
    assert 0 <= point.recall_low < point.recall_high <= 1
    assert point.recall_high - point.recall_low > 0.4


def test_draws_of_other_windows_are_refused() -> None:
    windows = JudgedWindows(np.zeros(5, np.int64), np.arange(5), np.zeros(5, bool), 1)
    draws = draw_density(np.array([9]), windows)
    with pytest.raises(UsageError, match="other windows"):
        operating_points(draws, np.arange(8.0), np.array([]), [1.0])
