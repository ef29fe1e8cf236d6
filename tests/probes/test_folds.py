"""Folds hold groups together and spread classes."""

from __future__ import annotations

import numpy as np
import pytest

from dawnchorus.errors import TaskError
from dawnchorus.probes.folds import grouped_folds


@pytest.mark.parametrize("seed", range(5))
def test_no_group_lies_in_two_folds_and_every_class_in_as_many_as_it_can(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 40, 200)
    truth = np.eye(4, dtype=int)[groups % 4]
    folds = grouped_folds(truth, groups, n_folds=5, seed=seed)
    for group in np.unique(groups):
        assert len(np.unique(folds[groups == group])) == 1
    for k in range(4):
        assert set(folds[truth[:, k] == 1]) == set(range(5))
    sizes = np.bincount(folds)
    assert sizes.max() < 2 * sizes.min()


def test_fewer_groups_give_fewer_folds_and_one_group_none() -> None:
    truth = np.ones((6, 1), int)
    assert set(grouped_folds(truth, np.array(list("aabbcc")), n_folds=5)) == {0, 1, 2}
    with pytest.raises(TaskError, match="1 group"):
        grouped_folds(truth, np.zeros(6))


def test_items_without_any_label_are_spread_too() -> None:
    truth = np.zeros((20, 2), int)
    truth[:4, 0] = 1
    folds = grouped_folds(truth, None, n_folds=4)
    assert np.bincount(folds[4:]).tolist() == [4, 4, 4, 4]
