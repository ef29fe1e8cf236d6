"""Folds keep groups whole and spread classes; of equal trials the surer one wins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.probes.choose import Trial, best_of, cut_lone_groups, folds


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9), st.integers(2, 5), st.integers(2, 25))
def test_every_item_is_held_out_once_and_groups_stay_whole(seed: int, n: int, groups: int) -> None:
    draw = np.random.default_rng(seed)
    group = np.concatenate([np.arange(groups), draw.integers(0, groups, 40)])
    y = draw.integers(0, 2, (len(group), 3))
    parts = folds(y, group, n, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(group)))
    owners = [set(group[part]) for part in parts]
    assert sum(map(len, owners)) == len(set(group))
    assert len(parts) == min(n, groups)


def test_a_rare_class_is_in_every_fold() -> None:
    y = np.eye(3)[[0] * 80 + [1] * 15 + [2] * 5]
    for part in folds(y, None, 5, 0):
        np.testing.assert_array_equal(y[part].sum(axis=0), [16, 3, 1])


def test_folds_depend_on_the_seed_alone() -> None:
    y = np.eye(2)[np.arange(40) % 2]
    same = [np.concatenate(folds(y, None, 4, seed)).tolist() for seed in (0, 0, 1)]
    assert same[0] == same[1] != same[2]


@pytest.mark.parametrize(("ties", "epoch"), [("loss", 2), ("first", 1)])
def test_of_equal_epochs_the_surer_or_the_first_is_kept(ties: str, epoch: int) -> None:
    trial = Trial({}, [0.5, 0.8, 0.8, 0.7], [1.0, 0.9, 0.6, 0.5])
    assert trial.best(ties)[2] == epoch
    worse = Trial({}, [0.7], [0.1])
    assert best_of([worse, trial], ties) == (trial, epoch)


def test_a_group_is_cut_only_where_a_class_is_in_no_other() -> None:
    y = np.eye(2)[[0] * 6 + [1] * 6]
    group = np.array(["night"] * 6 + ["dawn"] * 3 + ["noon"] * 3)
    whole, cut = cut_lone_groups(y, group)
    assert cut == ("night",)
    assert len(set(whole[:6])) == 6
    assert len(set(whole[6:9])) == len(set(whole[9:])) == 1
    for part in folds(y, whole, 2, 0):
        assert (y[part].sum(axis=0) == 3).all()
