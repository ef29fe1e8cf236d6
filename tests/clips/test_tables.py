"""Joining, filtering and splitting manifests: nothing is lost unsaid, no group is on two sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.clips.filter import filter_manifest, licence_terms
from dawnchorus.clips.join import join_manifests
from dawnchorus.clips.manifest import Manifest
from dawnchorus.clips.split import group_numbers, split_manifest
from dawnchorus.errors import TaskError, UsageError

HERE = Path("/data")


def manifest(folder: Path = HERE, named: str = "manifest", **columns: list[Any]) -> Manifest:
    n = len(next(iter(columns.values())))
    filled = {
        "id": [f"c{i}" for i in range(n)],
        "path": [f"{i}.wav" for i in range(n)],
        "labels": [["wren"]] * n,
        **columns,
    }
    return Manifest(pa.table(filled), folder, named=named)


def test_joined_paths_are_relative_to_the_new_folder_and_columns_are_united() -> None:
    one = manifest(HERE / "one", path=["a.wav", "../b.wav"], mood=["glad", "sad"])
    two = manifest(HERE / "two", id=["d"], path=["/elsewhere/c.wav"], licence=["CC0"])
    joined, report = join_manifests([one, two], HERE)
    assert [clip.path for clip in joined] == ["one/a.wav", "b.wav", "/elsewhere/c.wav"]
    assert joined.table["mood"].to_pylist() == ["glad", "sad", None]
    assert joined.table["licence"].to_pylist() == [None, None, "CC0"]
    assert (report.n_clips, report.n_clashing, report.n_duplicates) == (3, 0, 0)


def test_clashing_ids_are_refused_or_told_apart_by_prefix() -> None:
    one, two = (manifest(HERE / name, path=[f"{name}.wav"]) for name in ("one", "two"))
    with pytest.raises(TaskError, match="1 ids are in more than one manifest, such as 'c0'"):
        join_manifests([one, two], HERE)
    joined, report = join_manifests([one, two], HERE, prefix=True)
    assert [clip.id for clip in joined] == ["one/c0", "two/c0"]
    assert report.n_clashing == 1


def test_clips_of_the_same_span_are_reported_and_dropped_when_asked() -> None:
    one = manifest(path=["a.wav", "a.wav"], start_s=[0.0, 1.0], stop_s=[1.0, 2.0])
    two = manifest(id=["x", "y"], path=["a.wav", "b.wav"], start_s=[1.0, 1.0], stop_s=[2.0, 2.0])
    joined, report = join_manifests([one, two], HERE)
    assert (len(joined), report.duplicates) == (4, (("a.wav", "c1", "x"),))
    joined, report = join_manifests([one, two], HERE, drop_duplicates=True)
    assert [clip.id for clip in joined] == ["c0", "c1", "y"]
    assert report.n_clips == 3


def test_two_spellings_of_a_path_are_one_recording_wherever_manifests_name_it() -> None:
    spelled = ["a.wav", "./a.wav", "x/../a.wav", ".//a.wav", "/data/a.wav", ".\\a.wav"]
    ids = [f"c{n}" for n in range(len(spelled))]
    starts = [float(n) for n in range(len(spelled))]
    columns = {"id": ids, "path": spelled, "start_s": starts, "stop_s": [n + 1 for n in starts]}
    clips = manifest(**columns)
    assert {clip.path for clip in clips} == {"a.wav"}
    assert len(set(group_numbers(clips, ()).tolist())) == 1
    one, two = manifest(path=["x/./b.wav"]), manifest(id=["other"], path=["x//b.wav"])
    assert join_manifests([one, two], HERE)[1].n_duplicates == 1
    assert manifest(path=["s3://b//./a.wav"])[0].path == "s3://b//./a.wav"


def test_files_of_unknown_length_are_duplicates_as_well() -> None:
    joined, report = join_manifests([manifest(path=["a"]), manifest(id=["x"], path=["a"])], HERE)
    assert (len(joined), report.n_duplicates) == (2, 1)


def test_a_column_of_two_types_is_said() -> None:
    with pytest.raises(TaskError, match="different types"):
        join_manifests([manifest(mood=["glad"]), manifest(id=["x"], mood=[[1]])], HERE)


TABLE = manifest(
    labels=[["wren"], ["wren", "Fin, finback whale"], [], ["robin"], ["wren"]],
    licence=["CC BY 4.0", "CC BY-NC-SA 4.0", None, "", "https://creativecommons.org/publicdomain"],
    source=["xc", "watkins", "xc", "inat", None],
    duration_s=[1.0, 20.0, 5.0, None, 0.5],
    recorded_at=["2020-05-01", "2024-01-01", None, "2021", "2019-12"],
    species_key=[1, 2, None, 4, 5],
)


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ("source=xc", "02"),
        ("source=xc|inat", "023"),
        ("source!=xc", "134"),
        ("source=", "4"),
        ("source!=", "0123"),
        ("labels=wren", "014"),
        ("labels!=wren", "23"),
        ("labels=Fin, finback whale", "1"),
        ("labels=", "2"),
        ("labels~^ro", "3"),
        ("duration_s<=5", "024"),
        ("species_key>2", "34"),
        ("species_key=", "2"),
        ("recorded_at>=2020", "013"),
        ("licence~NC", "1"),
        ("licence=", "23"),
    ],
)
def test_a_rule_keeps_what_it_says(rule: str, kept: str) -> None:
    found, report = filter_manifest(TABLE, where=[rule])
    assert [clip.id for clip in found] == [f"c{i}" for i in kept]
    assert report.dropped == ((rule, 5 - len(kept)),)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("colour=red", "no column 'colour'; columns: id, "),
        ("wren", "need COLUMN=VALUE"),
        ("duration_s<long", "'long' is not a number"),
        ("source~(", "not a regular expression"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        filter_manifest(TABLE, where=[rule])


def test_licences_lengths_and_label_counts_are_rules_that_are_counted_in_turn() -> None:
    found, report = filter_manifest(TABLE, forbid=["nc", "nd"])
    assert [clip.id for clip in found] == ["c0", "c4"]
    assert report.dropped == (
        ("licence without nc", 1), ("licence without nd", 0), ("licence known", 2)
    )  # fmt: skip
    assert licence_terms("http://creativecommons.org/licenses/by-nc-nd/4.0/") == {"nc", "nd"}
    assert licence_terms("Attribution-NonCommercial-NoDerivatives 4.0") == {"nc", "nd"}
    assert licence_terms("CC_BY_NC_4_0") == {"nc"}
    assert licence_terms("Ndebele archive") == set()
    found, _ = filter_manifest(TABLE, length_s=(1.0, None))
    assert [clip.id for clip in found] == ["c0", "c1", "c2"]  # unknown is not kept
    found, _ = filter_manifest(TABLE, n_labels=(1, 1))
    assert [clip.id for clip in found] == ["c0", "c3", "c4"]


def test_rare_labels_go_and_clips_that_had_no_other() -> None:
    found, report = filter_manifest(TABLE, min_clips=2)
    assert [(clip.id, clip.labels) for clip in found] == [
        ("c0", ("wren",)), ("c1", ("wren",)), ("c2", ()), ("c4", ("wren",))
    ]  # fmt: skip
    assert report.n_labels_removed == 2
    assert report.dropped == (("labels on at least 2 clips", 1),)


SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}
LABELS = ["wren", "robin", "great tit", "rare"]


@st.composite
def grouped(draw: st.DrawFn) -> Manifest:
    n = draw(st.integers(2, 60))
    number = st.integers(0, max(1, n // 2))
    maybe = st.one_of(st.none(), number.map(str))
    return manifest(
        path=[f"{draw(number)}.wav" for _ in range(n)],
        start_s=[float(i) for i in range(n)],
        labels=draw(
            st.lists(st.lists(st.sampled_from(LABELS), max_size=2), min_size=n, max_size=n)
        ),
        recordist=pa.array(draw(st.lists(maybe, min_size=n, max_size=n)), pa.string()),
        individual=pa.array(draw(st.lists(maybe, min_size=n, max_size=n)), pa.string()),
    )


@given(grouped(), st.integers(0, 99))
def test_no_file_recordist_or_individual_is_on_two_sides(clips: Manifest, seed: int) -> None:
    made, report = split_manifest(clips, SHARES, seed=seed)
    sides = made.table["split"].to_pylist()
    assert None not in sides
    for name in ("path", "recordist", "individual"):
        held: dict[str, set[str]] = {}
        for value, side in zip(made.table[name].to_pylist(), sides, strict=True):
            if value is not None:
                held.setdefault(value, set()).add(side)
        assert all(len(found) == 1 for found in held.values()), name
    assert sum(side.n_clips for side in report.sides) == len(clips)
    assert sum(side.n_groups for side in report.sides) == report.n_groups
    again, _ = split_manifest(clips, SHARES, seed=seed)
    assert again.table["split"].to_pylist() == sides


@given(st.lists(st.sampled_from(LABELS), min_size=1, max_size=40), st.integers(0, 99))
def test_every_class_is_in_train_when_nothing_ties_clips_together(
    labels: list[str], seed: int
) -> None:
    clips = manifest(labels=[[label] for label in labels])
    _, report = split_manifest(clips, SHARES, seed=seed)
    assert report.sides[0].name == "train"
    assert report.sides[0].missing == ()
    for label in set(labels):
        if labels.count(label) >= 3:
            assert all(label not in side.missing for side in report.sides)


def test_shares_are_met_for_each_label() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(LABELS, 2000, p=[0.6, 0.25, 0.1, 0.05])
    recordist = [f"r{i}" for i in rng.integers(0, 400, 2000)]
    clips = manifest(labels=[[label] for label in labels], recordist=recordist)
    made, report = split_manifest(clips, {"train": 8, "val": 1, "test": 1})
    assert report.columns == ("path", "recordist")
    for side, share in zip(report.sides, (0.8, 0.1, 0.1), strict=True):
        assert side.n_clips / 2000 == pytest.approx(share, abs=0.01)
        part = made.where(split=side.name)
        for label in LABELS:
            n_all = (labels == label).sum()
            n_here = sum(label in clip.labels for clip in part)
            assert n_here / n_all == pytest.approx(share, abs=0.03), (side.name, label)
    other, _ = split_manifest(clips, SHARES, seed=1)
    assert other.table["split"].to_pylist() != made.table["split"].to_pylist()


def test_a_split_that_is_there_is_refused_kept_or_replaced() -> None:
    columns: dict[str, Any] = {"recordist": ["a", "a", "b", "c"], "split": ["test", *[None] * 3]}
    clips = manifest(**columns)
    with pytest.raises(TaskError, match="1 clips have a split already"):
        split_manifest(clips, SHARES)
    kept, _ = split_manifest(clips, SHARES, existing="keep")
    assert kept.table["split"].to_pylist()[:2] == ["test", "test"]
    split_manifest(clips, SHARES, existing="replace")
    torn = manifest(**{**columns, "split": ["test", "train", None, None]})
    with pytest.raises(TaskError, match="group of clip 'c0' is on two sides"):
        split_manifest(torn, SHARES, existing="keep")
    with pytest.raises(TaskError, match="'c0' is in test, which has no share"):
        split_manifest(clips, {"train": 8, "val": 2}, existing="keep")


def test_shares_and_columns_that_make_no_sense_are_refused() -> None:
    for shares in ({"train": 1.0}, {"train": 2.0, "val": -1.0}, {"train": 1.0, "val": 0.0}):
        with pytest.raises(UsageError, match="at least two sides"):
            split_manifest(TABLE, shares)
    with pytest.raises(UsageError, match="split 'dev'"):
        split_manifest(TABLE, {"train": 1.0, "dev": 1.0})
    with pytest.raises(UsageError, match="no column 'site'"):
        split_manifest(TABLE, SHARES, by=["site"])


def test_a_large_group_is_reported() -> None:
    clips = manifest(recordist=["a"] * 9 + ["b"])
    made, report = split_manifest(clips, SHARES)
    assert (report.n_groups, report.largest_group) == (2, 9)
    assert len({clip.split for clip in made.where(recordist="a")}) == 1
