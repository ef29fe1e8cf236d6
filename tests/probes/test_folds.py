"""Folds hold groups together and spread classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.errors import TaskError
from dawnchorus.probes.folds import grouped_folds, split_lone_groups


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


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9), st.integers(2, 5), st.integers(2, 25))
def test_every_item_is_held_out_once_and_groups_stay_whole(seed: int, n: int, groups: int) -> None:
    draw = np.random.default_rng(seed)
    group = np.concatenate([np.arange(groups), draw.integers(0, groups, 40)])
    y = draw.integers(0, 2, (len(group), 3))
    fold_of = grouped_folds(y, group, n_folds=n, seed=seed)
    assert set(fold_of) == set(range(min(n, groups)))
    assert all(len(set(fold_of[group == g])) == 1 for g in range(groups))


def test_a_rare_class_is_in_every_fold() -> None:
    y = np.eye(3)[[0] * 80 + [1] * 15 + [2] * 5]
    fold_of = grouped_folds(y, n_folds=5)
    for fold in range(5):
        np.testing.assert_array_equal(y[fold_of == fold].sum(axis=0), [16, 3, 1])


def test_folds_depend_on_the_seed_alone() -> None:
    y = np.eye(2)[np.arange(40) % 2]
    same = [grouped_folds(y, n_folds=4, seed=seed).tolist() for seed in (0, 0, 1)]
    assert same[0] == same[1] != same[2]


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(24)))
def test_the_order_of_items_changes_no_fold_of_equal_groups(order: list[int]) -> None:
    """Numbers of groups are what the draw goes by, so a table may be sorted as one likes."""
    groups, y = np.arange(24) // 3, np.eye(2)[np.arange(24) % 2]
    plain = grouped_folds(y, groups, n_folds=4)
    np.testing.assert_array_equal(grouped_folds(y[order], groups[order], n_folds=4), plain[order])


def test_a_group_is_split_only_where_a_class_is_in_no_other() -> None:
    y = np.eye(2)[[0] * 6 + [1] * 6]
    group = np.array(["night"] * 6 + ["dawn"] * 3 + ["noon"] * 3)
    numbers, lone = split_lone_groups(y, group)
    assert lone == ("night",)
    assert len(set(numbers[:6])) == 6
    assert len(set(numbers[6:9])) == len(set(numbers[9:])) == 1
    fold_of = grouped_folds(y, numbers, n_folds=2)
    for fold in range(2):
        assert (y[fold_of == fold].sum(axis=0) == 3).all()
