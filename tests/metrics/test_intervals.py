"""An interval holds the truth as often as it says, draws whole groups, and says when it cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from dawnchorus import metrics
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.metrics.intervals import student_t
from scored_data import multi


def mean_of(values: np.ndarray) -> Any:
    return lambda items: float(np.mean(values[items]))


def test_an_interval_of_95_percent_holds_the_truth_about_as_often() -> None:
    rng, held = np.random.default_rng(0), 0
    groups = np.repeat(np.arange(40), 3)
    for _ in range(100):  # three clips of one recording say nearly the same
        values = np.repeat(rng.standard_normal(40), 3) + 0.1 * rng.standard_normal(120)
        found = metrics.bootstrap(mean_of(values), groups, n=150)
        held += found.low < 0 < found.high
    assert 88 <= held <= 99


@pytest.mark.parametrize("n_groups", [5, 8])
@pytest.mark.parametrize("how", [metrics.bootstrap, metrics.jackknife])
def test_few_groups_widen_the_interval_until_it_holds_the_truth(how: Any, n_groups: int) -> None:
    rng, held = np.random.default_rng(0), 0
    groups = np.repeat(np.arange(n_groups), 3)
    more = {"n": 300} if how is metrics.bootstrap else {}
    for _ in range(200):
        values = np.repeat(rng.standard_normal(n_groups), 3) + 0.1 * rng.standard_normal(
            len(groups)
        )
        found = how(mean_of(values), groups, **more)
        held += found.low < 0 < found.high
    assert 0.9 * 200 <= held <= 0.99 * 200  # without widening 0.82 of five groups


def test_four_groups_have_no_interval_and_it_is_said_why() -> None:
    for how in (metrics.bootstrap, metrics.jackknife):
        found = how(mean_of(np.arange(8.0)), np.arange(8) // 2)
        assert (found.value, found.n_groups) == (3.5, 4)
        assert np.isnan([found.low, found.high]).all()
        assert found.reason == "4 groups; an interval needs 5"


def test_student_s_quantiles_are_scipy_s() -> None:
    for p in (0.9, 0.95, 0.975):
        for freedom in (4, 5, 10, 40):
            assert student_t(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=5e-3)


def test_drawing_clips_would_make_the_interval_far_too_narrow() -> None:
    values = np.repeat(np.random.default_rng(0).standard_normal(40), 9)
    by_group = metrics.bootstrap(mean_of(values), np.repeat(np.arange(40), 9), n=300)
    by_clip = metrics.bootstrap(mean_of(values), np.arange(360), n=300)
    assert by_group.high - by_group.low == pytest.approx(3 * (by_clip.high - by_clip.low), rel=0.2)
    assert by_group.value == by_clip.value == pytest.approx(values.mean())
    assert (by_group.n_groups, by_clip.n_groups) == (40, 360)


def test_draws_are_whole_groups_as_many_as_there_are() -> None:
    groups = np.array(["b", "a", "b", "c", "a", "b", "d", "e"])
    seen: list[np.ndarray] = []

    def note(items: np.ndarray) -> float:
        seen.append(items)
        return 0.5

    metrics.bootstrap(note, groups, n=30)
    assert seen[0].tolist() == list(range(8))
    for items in seen[1:]:
        often = np.bincount(items, minlength=8)
        assert often[0] == often[2] == often[5]
        assert often[1] == often[4]
        assert often[0] + often[1] + often[3] + often[6] + often[7] == 5
    assert len(seen) == 31


def test_the_seed_decides_and_the_order_of_items_does_not() -> None:
    rng = np.random.default_rng(0)
    values, groups = rng.standard_normal(30), rng.integers(0, 8, 30)
    found = metrics.bootstrap(mean_of(values), groups, n=50)
    assert metrics.bootstrap(mean_of(values), groups, n=50) == found
    assert metrics.bootstrap(mean_of(values), groups, n=50, seed=1).low != found.low
    order = rng.permutation(30)
    moved = metrics.bootstrap(mean_of(values[order]), groups[order], n=50)
    assert (moved.low, moved.high) == pytest.approx((found.low, found.high))
    wide = metrics.bootstrap(mean_of(values), groups, n=50, level=0.99)
    assert wide.low < found.low < found.value < found.high < wide.high


def test_one_group_has_a_value_and_no_interval() -> None:
    found = metrics.bootstrap(mean_of(np.arange(4.0)), np.zeros(4))
    assert (found.value, found.n_groups) == (1.5, 1)
    assert np.isnan([found.low, found.high]).all()
    assert "one group" in found.reason
    both = metrics.paired_bootstrap(mean_of(np.arange(4.0)), mean_of(np.ones(4)), np.zeros(4))
    assert both.difference == 0.5
    assert np.isnan([both.low, both.high, both.share_first_better]).all()
    assert both.reason == found.reason


def test_draws_without_a_score_are_counted_and_too_many_leave_no_interval() -> None:
    truth = np.array([1, 1] + [0] * 10)  # the positives lie in two groups of twelve
    scores = np.arange(12.0)
    found = metrics.bootstrap(lambda i: metrics.roc_auc(truth[i], scores[i]), np.arange(12))
    assert np.isnan(found.low)
    assert found.n_undefined == pytest.approx(1000 * (10 / 12) ** 12, abs=40)
    assert f"{found.n_undefined} of 1000 draws" in found.reason
    often = np.arange(12) % 2
    few = metrics.bootstrap(lambda i: metrics.roc_auc(often[i], scores[i]), np.arange(12))
    assert few.n_undefined < 10
    assert few.low < few.value < few.high
    with pytest.raises(TaskError, match="positive"):
        metrics.bootstrap(lambda i: metrics.roc_auc(truth[i] * 0, scores[i]), np.arange(12))


def test_two_models_are_compared_on_the_same_draws() -> None:
    rng = np.random.default_rng(0)
    hard, groups = rng.standard_normal(60), np.arange(60) // 2
    better, worse = mean_of(hard + 0.1), mean_of(hard)
    found = metrics.paired_bootstrap(better, worse, groups, n=100)
    assert (found.difference, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert found.share_first_better == 1
    assert metrics.paired_bootstrap(worse, better, groups, n=100).share_first_better == 0
    noise = rng.standard_normal(60)
    there = metrics.paired_bootstrap(mean_of(noise), worse, groups, n=100)
    back = metrics.paired_bootstrap(worse, mean_of(noise), groups, n=100)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.share_first_better == pytest.approx(1 - back.share_first_better)
    same = metrics.paired_bootstrap(worse, worse, groups, n=100)
    assert (same.low, same.high, same.share_first_better) == (0, 0, 0)


def test_a_mean_over_classes_has_an_interval_around_it() -> None:
    truth, scores = multi(0)
    truth[:20], scores[:20] = multi(1, 20)
    for name in ("cmap", "beans_map", "macro_roc_auc", "micro_average_precision", "call_roc_auc"):
        found = metrics.bootstrap(metrics.statistic(name, truth, scores), np.arange(40), n=100)
        assert found.low < found.value < found.high, name


def test_copies_of_an_item_in_a_draw_do_not_push_the_interval_off_the_value() -> None:
    rng = np.random.default_rng(0)
    truth = np.zeros((400, 60), bool)
    for k in range(60):  # by chance alone each of a few positives finds its own copy
        truth[rng.choice(400, 8, replace=False), k] = True
    statistic = metrics.statistic("cmap", truth, rng.standard_normal(truth.shape))
    found = metrics.bootstrap(statistic, np.arange(400), n=60)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("wrong", [{"n": 0}, {"level": 1.0}, {"level": 0.0}])
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="bootstrap"):
        metrics.bootstrap(mean_of(np.ones(3)), np.arange(3), **wrong)
    with pytest.raises(TaskError, match="group"):
        metrics.bootstrap(mean_of(np.ones(3)), np.ones((3, 1)))
