"""A split is a partition of groups: seeded, near its shares, and the same whatever ids are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.clips.manifest import SPLITS, Manifest, with_column
from dawnchorus.clips.split import DEFAULT_GROUPS, group_numbers, split_manifest
from dawnchorus.errors import TaskError, UsageError
from random_clips import HERE, LABELS

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}
TIES = ("path", *DEFAULT_GROUPS)
SOME = settings(max_examples=20)


def clips_of(seed: int, n: int, **columns: list[Any]) -> Manifest:
    """Clips that share files, recordists and individuals with each other, some by way of others."""
    rng = np.random.default_rng(seed)

    def drawn(least: int) -> list[str | None]:
        return [None if k < 0 else str(k) for k in rng.integers(least, max(n // 2, 1), n)]

    starts = rng.integers(0, 9, n) / 4
    filled: dict[str, Any] = {
        "id": [f"c{row}" for row in range(n)],
        "path": [f"{name}.wav" for name in drawn(0)],
        "labels": [rng.permutation(LABELS)[: rng.integers(0, 3)].tolist() for _ in range(n)],
        "start_s": starts,
        "stop_s": starts + rng.integers(1, 9, n) / 4,
        **{name: pa.array(drawn(-n), pa.string()) for name in DEFAULT_GROUPS},
    }
    return Manifest(pa.table({**filled, **columns}), HERE)


MANIFESTS = st.builds(clips_of, st.integers(0, 2**32), st.integers(1, 40))


def sides(clips: Manifest, shares: dict[str, float] = SHARES, **options: Any) -> list[str]:
    found: list[str] = split_manifest(clips, shares, **options)[0].table["split"].to_pylist()
    return found


def plain_groups(clips: Manifest, columns: tuple[str, ...]) -> set[frozenset[int]]:
    """Rows that share a cell, joined one by one."""
    groups = [{row} for row in range(len(clips))]
    cells = [clips.table[name].to_pylist() for name in columns]
    for row in range(len(clips)):
        for other in range(row):
            if any(cell[row] and cell[row] == cell[other] for cell in cells):
                joined = groups[row] | groups[other]
                for member in joined:
                    groups[member] = joined
    return {frozenset(group) for group in groups}


def as_sets(numbers: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(numbers == number).tolist()) for number in np.unique(numbers)}


@SOME
@given(clips=MANIFESTS)
def test_groups_are_those_of_a_plain_search(clips: Manifest) -> None:
    for columns in ((), ("recordist",), DEFAULT_GROUPS):
        numbers = group_numbers(clips, columns)
        assert as_sets(numbers) == plain_groups(clips, ("path", *columns))
        assert set(numbers.tolist()) == set(range(len(set(numbers.tolist()))))


@SOME
@given(clips=MANIFESTS, seed=st.integers(0, 2**32))
def test_groups_do_not_depend_on_the_order_of_rows(clips: Manifest, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(clips))
    shuffled = as_sets(group_numbers(clips.take(order), DEFAULT_GROUPS))
    moved_back = {frozenset(order[list(group)].tolist()) for group in shuffled}
    assert moved_back == as_sets(group_numbers(clips, DEFAULT_GROUPS))


@SOME
@given(clips=MANIFESTS, seed=st.integers(0, 99))
def test_every_clip_has_one_side_and_every_group_lies_on_one(clips: Manifest, seed: int) -> None:
    found = sides(clips, seed=seed)
    assert set(found) <= set(SPLITS)
    for group in plain_groups(clips, TIES):
        assert len({found[row] for row in group}) == 1


@SOME
@given(clips=MANIFESTS, seed=st.integers(0, 99), factor=st.sampled_from([0.125, 2.0, 1024.0]))
def test_shares_count_in_proportion_and_in_any_order(
    clips: Manifest, seed: int, factor: float
) -> None:
    shares = {"train": 6.0, "val": 1.0, "test": 1.0}
    larger = {name: factor * shares[name] for name in reversed(shares)}
    assert sides(clips, larger, seed=seed) == sides(clips, shares, seed=seed)
    two = {"train": 3.0, "test": 1.0}
    assert sides(clips, {**two, "val": 0.0}, seed=seed) == sides(clips, two, seed=seed)


@SOME
@given(clips=MANIFESTS, seed=st.integers(0, 99))
def test_only_ties_and_labels_decide_not_what_things_are_called(clips: Manifest, seed: int) -> None:
    table = with_column(clips.table, "id", pa.array([f"new {row}" for row in range(len(clips))]))
    named = [[f"the {label}" for label in clip.labels] for clip in clips]
    table = with_column(table, "labels", pa.array(named, pa.list_(pa.string())))
    table = with_column(table, "path", pa.array([f"deep/{clip.path}" for clip in clips]))
    renamed = Manifest(table, HERE)
    assert sides(renamed, seed=seed) == sides(clips, seed=seed)


@SOME
@given(clips=MANIFESTS, seed=st.integers(0, 99))
def test_splitting_changes_nothing_but_the_split(clips: Manifest, seed: int) -> None:
    made, _ = split_manifest(clips, SHARES, seed=seed)
    before, after = (one.table.drop_columns("split") for one in (clips, made))
    assert after.equals(before)
    assert clips.table["split"].null_count == len(clips)


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=30),
    shares=st.lists(st.integers(1, 8), min_size=2, max_size=3),
    seed=st.integers(0, 9),
)
@SOME
def test_no_side_is_further_from_its_share_than_the_largest_group(
    sizes: list[int], shares: list[int], seed: int
) -> None:
    recordists = [str(number) for number, size in enumerate(sizes) for _ in range(size)]
    n = len(recordists)
    clips = clips_of(
        0, n, path=[f"{row}" for row in range(n)], labels=pa.array([[]] * n, pa.list_(pa.string())),
        recordist=recordists, group=[None] * n, individual=[None] * n,
    )  # fmt: skip
    wanted = dict(zip(SPLITS, map(float, shares), strict=False))
    _, report = split_manifest(clips, wanted, seed=seed)
    assert (report.n_groups, report.largest_group) == (len(sizes), max(sizes))
    for side in report.sides:
        excess = side.n_clips - n * wanted[side.name] / sum(shares)
        assert -max(sizes) * (len(shares) - 1) - 1e-9 <= excess <= max(sizes) + 1e-9


@SOME
@given(clips=MANIFESTS, seed=st.integers(0, 99))
def test_the_report_counts_what_the_manifest_says(clips: Manifest, seed: int) -> None:
    made, report = split_manifest(clips, SHARES, seed=seed)
    every = {label for clip in clips for label in clip.labels}
    groups = plain_groups(clips, TIES)
    assert (report.columns, report.n_groups) == (TIES, len(groups))
    assert report.largest_group == max(map(len, groups))
    assert [side.name for side in report.sides] == list(SPLITS)
    for side in report.sides:
        rows = [row for row, clip in enumerate(made) if clip.split == side.name]
        held = {label for row in rows for label in clips[row].labels}
        assert side.n_clips == len(rows)
        assert side.n_groups == sum(bool(group & set(rows)) for group in groups)
        assert side.hours == round(sum(clips[row].duration_s for row in rows) / 3600, 3)
        assert (side.n_labels, side.missing) == (len(held), tuple(sorted(every - held)))


@SOME
@given(clips=MANIFESTS, seed=st.integers(0, 99), fixed=st.sampled_from(SPLITS))
def test_what_is_kept_stays_and_takes_its_group_with_it(
    clips: Manifest, seed: int, fixed: str
) -> None:
    given_split = pa.array([fixed, *[None] * (len(clips) - 1)], pa.string())
    begun = Manifest(with_column(clips.table, "split", given_split), HERE)
    kept = sides(begun, seed=seed, existing="keep")
    (own,) = (group for group in plain_groups(clips, TIES) if 0 in group)
    assert {kept[row] for row in own} == {fixed}
    # what is split already is as it would be if nothing were asked
    whole = Manifest(with_column(clips.table, "split", pa.array(kept)), HERE)
    assert sides(whole, seed=seed + 1, existing="keep") == kept
    assert sides(begun, seed=seed, existing="replace") == sides(clips, seed=seed)


@pytest.mark.parametrize("n", [3, 4, 9])
@pytest.mark.parametrize("cover", [True, False])
def test_a_label_of_as_many_groups_as_sides_is_on_each_of_them(n: int, *, cover: bool) -> None:
    labels = [["common"]] * 200 + [["rare"]] * n
    paths = [f"{row}" for row in range(len(labels))]
    nothing = dict.fromkeys(DEFAULT_GROUPS, [None] * len(labels))
    clips = clips_of(0, len(labels), path=paths, labels=labels, **nothing)
    for seed in range(5):
        _, report = split_manifest(
            clips, {"train": 98, "val": 1, "test": 1}, cover=cover, seed=seed
        )
        without = [side.name for side in report.sides if "rare" in side.missing]
        assert without == ([] if cover else ["val", "test"])


def test_a_label_that_rarer_ones_lead_about_is_said_to_be_missing() -> None:
    # "common" has four groups, and in each a label of that group alone decides
    labels = [["common", f"only here {row}"] for row in range(4)] + [["other"]] * 200
    nothing = dict.fromkeys(DEFAULT_GROUPS, [None] * len(labels))
    paths = [f"{row}" for row in range(len(labels))]
    clips = clips_of(0, len(labels), path=paths, labels=labels, **nothing)
    made, report = split_manifest(clips, {"train": 98, "val": 1, "test": 1})
    on = {clip.split for clip in made if "common" in clip.labels}
    assert on == {"train"}
    for side in report.sides:
        assert ("common" in side.missing) == (side.name not in on)
        assert "other" not in side.missing


def test_columns_of_any_type_hold_clips_together_and_empty_cells_do_not() -> None:
    n = 60
    nothing = dict.fromkeys(DEFAULT_GROUPS, [None] * n)
    night = pa.array([row // 6 if row < 30 else None for row in range(n)], pa.int64())
    clips = clips_of(1, n, path=[f"{row}" for row in range(n)], night=night, **nothing)
    _, report = split_manifest(clips, SHARES, by=["night"])
    assert (report.columns, report.n_groups, report.largest_group) == (("path", "night"), 35, 6)
    _, alone = split_manifest(clips, SHARES, by=[])
    assert (alone.columns, alone.n_groups) == (("path",), n)


def test_an_empty_manifest_is_split_into_empty_sides() -> None:
    made, report = split_manifest(clips_of(0, 4)[:0], SHARES)
    assert (len(made), report.n_groups, report.largest_group) == (0, 0, 0)
    assert [(side.n_clips, side.hours, side.missing) for side in report.sides] == [(0, 0.0, ())] * 3


def test_a_refusal_names_the_manifest_and_what_to_do() -> None:
    clips = clips_of(0, 4, split=["val", None, None, None])
    clips.named = "mine.parquet"
    with pytest.raises(TaskError, match=r"^mine\.parquet: 1 clips .*; keep it or replace it"):
        split_manifest(clips, SHARES)
    with pytest.raises(UsageError, match=r"^mine\.parquet: no column 'site'; columns: .*'path'"):
        split_manifest(clips, SHARES, by=["recordist", "site"])
    with pytest.raises(UsageError, match=r"split 'dev'; the sides are train, val, test"):
        split_manifest(clips, {"train": 1.0, "dev": 0.0})
