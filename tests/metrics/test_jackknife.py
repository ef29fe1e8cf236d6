"""Intervals of partitions: leave one group out, and score clusters again without clustering."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    normalized_mutual_info_score,
)

from dawnchorus.errors import TaskError, UsageError
from dawnchorus.metrics import clustering, jackknife

ORACLES = {
    "nmi": normalized_mutual_info_score,
    "ami": adjusted_mutual_info_score,
    "ari": adjusted_rand_score,
}


def test_of_a_mean_it_is_the_standard_error_of_the_mean() -> None:
    values = np.random.default_rng(0).standard_normal(30)
    found = jackknife(lambda items: float(values[items].mean()), np.arange(30))
    reach = stats.t.ppf(0.975, 29) * values.std(ddof=1) / np.sqrt(30)
    assert found.low == pytest.approx(values.mean() - reach, rel=1e-4)
    assert found.high == pytest.approx(values.mean() + reach, rel=1e-4)


def test_groups_are_left_out_whole_and_many_of_them_in_sets() -> None:
    values = np.random.default_rng(0).standard_normal(300)
    groups = np.repeat(np.arange(100), 3)
    sizes = []

    def mean(items: np.ndarray) -> float:
        sizes.append(len(items))
        assert (np.bincount(groups[items], minlength=100) % 3 == 0).all()
        return float(values[items].mean())

    found = jackknife(mean, groups)
    assert len(sizes) == 41
    by_group = values.reshape(100, 3).mean(1)
    reach = 1.96 * by_group.std(ddof=1) / 10
    assert found.high - found.value == pytest.approx(reach, rel=0.35)


def test_one_group_has_no_interval_and_a_lost_class_says_so() -> None:
    vectors = np.concatenate([np.zeros((6, 2)), np.ones((6, 2))])
    vectors += 0.01 * np.random.default_rng(0).standard_normal((12, 2))
    found = clustering(vectors, np.repeat(["a", "b"], 6))
    assert "one group" in jackknife(found.statistic("nmi"), np.zeros(12)).reason
    by_class = jackknife(found.statistic("nmi"), np.array([0] * 6 + [1, 2, 3, 4, 4, 4]))
    assert by_class.value == 1.0
    assert np.isnan(by_class.low)
    assert "undefined without 1 of 5" in by_class.reason
    with pytest.raises(TaskError):
        found.statistic("ari")(np.arange(6))


@pytest.mark.parametrize("measure", ORACLES)
def test_a_statistic_is_the_mean_over_seeds_of_the_oracle(measure: str) -> None:
    rng = np.random.default_rng(3)
    classes = rng.integers(0, 4, 60)
    found = clustering(rng.standard_normal((60, 5)) + classes[:, None] / 2, classes, seeds=(0, 1))
    statistic = found.statistic(measure)
    assert statistic(np.arange(60)) == pytest.approx(getattr(found, measure).mean())
    items = rng.permutation(60)[:25]
    wanted = [ORACLES[measure](classes[items], run[items]) for run in found.clusters]
    assert statistic(items) == pytest.approx(np.mean(wanted))
    with pytest.raises(UsageError):
        found.statistic("purity")
