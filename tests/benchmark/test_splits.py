"""Splits: no group is torn, every class is dealt out in proportion, nothing hangs on the order."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from dawnchorus.benchmark.tasks import splits
from dawnchorus.errors import DependencyError, TaskError

SIDES = ("train", "val", "test")
SEEDS = st.integers(0, 10_000)
SHARES = st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.2, 0.0), (0.5, 0.25, 0.25), (0.7, 0.0, 0.3)])


def birds(seed: int) -> tuple[list[list[str]], list[str]]:
    """Clips of some birds in recordings of unequal size; some have several labels, or none."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 60))
    groups = [f"recording {g}" for g in rng.integers(0, max(2, n // 3), n)]
    labels = [[f"bird {b}" for b in rng.permutation(5)[: rng.integers(0, 3)]] for _ in range(n)]
    return labels, groups


def rows_of(split: Sequence[str], side: str) -> list[int]:
    return [at for at, name in enumerate(split) if name == side]


@settings(max_examples=25)
@given(SEEDS, SHARES)
def test_no_group_is_on_two_sides_and_no_side_without_a_share_is_used(
    seed: int, shares: tuple[float, float, float]
) -> None:
    labels, groups = birds(seed)
    split = splits.grouped(labels, groups, shares)
    sides: dict[str, set[str]] = defaultdict(set)
    for group, side in zip(groups, split, strict=True):
        sides[group].add(side)
    assert {len(found) for found in sides.values()} == {1}
    assert set(split) <= {side for side, share in zip(SIDES, shares, strict=True) if share}


@settings(max_examples=25)
@given(SEEDS, SHARES)
def test_a_label_of_three_recordings_is_on_every_side(
    seed: int, shares: tuple[float, float, float]
) -> None:
    # a label of its own for each recording's bird, so that no rarer one takes its groups first
    rng = np.random.default_rng(seed)
    bird_of = [f"bird {b}" for b in rng.integers(0, 5, 20)]
    recordings = rng.integers(0, 20, 60)
    labels = [[bird_of[at]] for at in recordings]
    split = splits.grouped(labels, [f"recording {at}" for at in recordings], shares)
    groups_of, sides_of = defaultdict(set), defaultdict(set)
    for (label,), recording, side in zip(labels, recordings, split, strict=True):
        groups_of[label].add(recording)
        sides_of[label].add(side)
    wanted = {side for side, share in zip(SIDES, shares, strict=True) if share}
    several = [label for label, groups in groups_of.items() if len(groups) >= 3]
    assert several
    assert [label for label in several if sides_of[label] != wanted] == []


@settings(max_examples=25)
@given(SEEDS)
def test_a_folder_listed_in_another_order_is_split_alike(seed: int) -> None:
    labels, groups = birds(seed)
    order = np.random.default_rng(seed + 1).permutation(len(groups))
    first = splits.grouped(labels, groups)
    moved = splits.grouped([labels[i] for i in order], [groups[i] for i in order])
    assert [first[i] for i in order] == moved
    assert splits.grouped(labels, groups) == first  # and drawn again it is the same


def test_shares_are_kept_where_groups_are_small() -> None:
    labels = [[f"bird {at % 4}"] for at in range(400)]
    split = splits.grouped(labels, [f"recording {at}" for at in range(400)])
    assert Counter(split) == {"train": 240, "val": 80, "test": 80}
    by_bird = Counter(zip((own[0] for own in labels), split, strict=True))
    assert all(by_bird[f"bird {b}", side] == n for b in range(4) for side, n in
               (("train", 60), ("val", 20), ("test", 20)))  # fmt: skip


def test_clips_are_split_by_the_two_draws_of_the_published_scripts() -> None:
    labels = [f"bird {at % 3}" for at in range(60)]
    train, rest = train_test_split(list(range(60)), test_size=0.4, random_state=42, stratify=labels)
    val, test = train_test_split(
        rest, test_size=0.5, random_state=42, stratify=[labels[i] for i in rest]
    )
    split = splits.stratified(labels)
    assert rows_of(split, "train") == sorted(train)
    assert rows_of(split, "val") == sorted(val)
    assert rows_of(split, "test") == sorted(test)


def test_a_split_by_clip_without_classes_takes_the_same_shares_of_anything() -> None:
    split = splits.stratified(range(50), stratify=False)
    assert Counter(split) == {"train": 30, "val": 10, "test": 10}
    assert split == splits.stratified(["all alike"] * 50, stratify=False)


def test_the_draw_hangs_on_the_order_of_names_and_not_on_the_names() -> None:
    labels = [f"bird {at % 3}" for at in range(60)]
    assert splits.stratified([at % 3 for at in range(60)]) == splits.stratified(labels)
    turned = [2 - at % 3 for at in range(60)]
    assert splits.stratified(turned) != splits.stratified(labels)


@settings(max_examples=25)
@given(st.lists(st.sampled_from("abcdef"), min_size=12, max_size=60))
def test_a_fifth_of_each_class_is_validation_and_lone_clips_are_trained(labels: list[str]) -> None:
    counts = Counter(labels)
    several = sum(n for n in counts.values() if n > 1)
    n_classes = sum(n > 1 for n in counts.values())
    n_val = int(np.ceil(0.2 * several))
    if n_val < n_classes:
        with pytest.raises(TaskError, match=f"{several} clips cannot be split by class"):
            splits.train_and_val(labels)
        return
    split = splits.train_and_val(labels)
    assert Counter(split)["val"] == n_val
    assert "test" not in split
    of_val = Counter(label for label, side in zip(labels, split, strict=True) if side == "val")
    for label, n in counts.items():
        assert (of_val[label] == 0) if n == 1 else abs(of_val[label] - 0.2 * n) <= 1


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["a"] * 9 + ["b"], "10 clips cannot be split by class.*least populated class"),
        (["a", "b", "c"] * 2, "3 clips cannot be split by class"),
        ([], "0 clips cannot be split by class"),
    ],
)
def test_a_class_too_small_for_two_draws_asks_whether_the_set_is_whole(
    labels: list[str], said: str
) -> None:
    with pytest.raises(TaskError, match=f"(?s){said}.*is part of the set missing"):
        splits.stratified(labels)


@settings(max_examples=25)
@given(st.lists(st.integers(8, 30), min_size=1, max_size=4), st.integers(0, 1))
def test_shares_of_clips_are_kept_class_by_class(sizes: list[int], n_lone: int) -> None:
    labels = [f"call {k}" for k, n in enumerate(sizes) for _ in range(n)] + ["once"] * n_lone
    split = splits.shares_of_clips(labels, (0.5, 0.25, 0.25))
    counts = Counter(zip(labels, split, strict=True))
    for k, n in enumerate(sizes):
        for side, share in zip(SIDES, (0.5, 0.25, 0.25), strict=True):
            assert abs(counts[f"call {k}", side] - share * n) <= 1.5
    assert counts["once", "train"] == n_lone
    assert splits.shares_of_clips(labels, (0.5, 0.25, 0.25)) == split


@settings(max_examples=25)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), SEEDS)
@example([3, 4, 10, 19], 0)
def test_every_key_of_three_clips_is_on_all_sides_eight_to_one_to_one(
    sizes: list[int], seed: int
) -> None:
    keys = [f"bird {k}" for k, n in enumerate(sizes) for _ in range(n)]
    keys = [keys[i] for i in np.random.default_rng(seed).permutation(len(keys))]
    counts = Counter(zip(keys, splits.by_key(keys), strict=True))
    for k, n in enumerate(sizes):
        of = {side: counts[f"bird {k}", side] for side in SIDES}
        if n < 3:
            assert of == {"train": n, "val": 0, "test": 0}
            continue
        assert min(of.values()) >= 1
        # val is a tenth rounded down, and test is what eight and one tenths leave
        assert of["val"] == max(1, n // 10)
        assert of["train"] == max(1, int(n * 0.8)) - (n <= 5)
        assert sum(of.values()) == n


def test_a_key_is_drawn_alike_whatever_other_keys_there_are() -> None:
    alone = splits.by_key(["a"] * 12)
    among = splits.by_key(["b"] * 7 + ["a"] * 12 + ["c"] * 2)
    assert among[7:19] == alone


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 4)), min_size=1, max_size=30))
def test_thin_classes_are_those_of_fewer_than_three_groups(clips: list[tuple[str, int]]) -> None:
    found = splits.thin_classes([label for label, _ in clips], [str(g) for _, g in clips])
    n_groups = Counter(label for label, _ in set(clips))
    assert found == {label: n for label, n in n_groups.items() if n < 3}
    assert list(found) == sorted(found)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: splits.stratified(["a"] * 10),
        lambda: splits.train_and_val(["a"] * 10),
        lambda: splits.by_key(["a"] * 10),
        lambda: splits.shares_of_clips(["a"] * 10, (0.5, 0.25, 0.25)),
    ],
)
def test_without_scikit_learn_it_is_said_what_to_install(
    draw: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    with pytest.raises(DependencyError, match="scikit-learn"):
        draw()
    # whole groups need no draw of scikit-learn's
    assert set(splits.grouped([["a"]] * 9, [str(g) for g in range(9)])) == set(SIDES)
