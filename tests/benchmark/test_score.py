"""Scores with intervals, as a row of results holds them."""

from __future__ import annotations

import numpy as np

from dawnchorus import metrics
from dawnchorus.benchmark.scores import LEVEL, interval
from dawnchorus.benchmark.task_data import LabelledItems
from dawnchorus.configs.benchmark import BenchmarkConfig


def test_an_interval_ends_at_1_where_the_draws_go_past_it() -> None:
    groups = np.array([f"r{k // 4}" for k in range(40)])

    def distinct(rows: np.ndarray) -> float:
        """1 of all items, and less of any draw."""
        return len(np.unique(rows)) / len(rows)

    config = BenchmarkConfig(models=("m",), tasks=("t",), data=".", n_bootstrap=200)
    plain = metrics.bootstrap(distinct, groups, n=200, level=LEVEL)
    assert plain.high > 1
    found = interval(
        "accuracy",
        distinct,
        LabelledItems(np.ones((40, 1), np.int8), groups, groups),
        config,
    )
    assert found.high == 1.0
    assert found.low == plain.low
