"""BirdSet on small samples of both layouts of its hub."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import raw_samples
from dawnchorus.benchmark.tasks import birdset
from dawnchorus.benchmark.tasks.base import TaskItems
from dawnchorus.benchmark.tasks.birdset import BirdsetQuirks, event_starts
from dawnchorus.benchmark.tasks.birdset_hub import HubRow
from dawnchorus.errors import TaskError

TASKS = {task.id.partition("/")[2]: task for task in birdset.TASKS}
ROW = HubRow(
    path="train/XC1.ogg",
    codes=("gcrfin",),
    events=((1.0, 2.0), (10.0, 11.0), (10.5, 11.0), (28.0, 29.5)),
    clusters=(-1, 0, 0, 0),
    length_s=30.0,
    recordist="Person 1",
)


def made(folder: Path, subset: str = "HSN", protocol: str = "paper") -> TaskItems:
    if not folder.exists():
        raw_samples.birdset(folder, subset)
    return TASKS[subset].build(folder, protocol)  # type: ignore[arg-type]


def test_paper_hears_the_first_five_seconds_of_each_recording(tmp_path: Path) -> None:
    items = made(tmp_path / "x")
    focal = [item for item in items.items if item.split != "test"]
    assert len(focal) == 38
    assert {(item.start_s, item.stop_s) for item in focal} == {(0.0, 5.0)}
    assert Counter(item.split for item in focal) == {"train": 30, "val": 8}


def test_strict_hears_pieces_around_events_and_counts_recordings_without(tmp_path: Path) -> None:
    items = made(tmp_path / "x", protocol="strict")
    focal = [item for item in items.items if item.split != "test"]
    assert items.counts["dropped: recordings without an event"] == 1
    assert items.counts["dropped: recordings of no bird"] == 1
    assert {item.start_s for item in focal} <= {8.0, 8.25, 25.0}
    assert all(item.stop_s is not None and item.stop_s <= 30.0 for item in focal)


def test_events_that_are_close_give_one_piece_and_noise_none() -> None:
    starts = event_starts(ROW)
    assert len(starts) == 2
    assert starts[0] in (8.0, 8.25)
    assert starts[1] == 25.0  # 26.25, moved before the end
    assert event_starts(ROW) == starts
    assert event_starts(replace(ROW, clusters=(-1, -1, -1, -1))) == ()


def test_a_recording_gives_at_most_five_pieces() -> None:
    many = tuple((10.0 * at, 10.0 * at + 1) for at in range(20))
    row = replace(ROW, events=many, clusters=(3,) * 20, length_s=300.0)
    assert len(event_starts(row)) == 5


def test_a_short_recording_is_one_piece_from_its_start() -> None:
    row = replace(ROW, events=((0.5, 1.0),), clusters=(0,), length_s=2.0)
    assert event_starts(row) == (0.0,)


def test_silence_is_a_class_in_four_subsets_and_only_under_paper(tmp_path: Path) -> None:
    for subset, with_none in (("HSN", True), ("UHH", False)):
        items = made(tmp_path / subset, subset)
        assert ("None" in items.classes) is with_none
        empty = [item for item in items.items if item.path.endswith("_000_005.ogg")]
        assert {item.labels for item in empty} == {("None",) if with_none else ()}
    strict = made(tmp_path / "HSN", protocol="strict")
    assert "None" not in strict.classes
    assert [i for i in strict.items if not i.labels and i.split == "test"]


def test_a_bird_that_is_never_trained_is_no_class_under_strict(tmp_path: Path) -> None:
    paper, strict = made(tmp_path / "x"), made(tmp_path / "x", protocol="strict")
    assert len(paper.classes) == 22
    assert len(strict.classes) == 6
    assert strict.counts["dropped: classes without a training piece"] == 15
    assert strict.counts["labels taken off, of dropped classes"] == 14
    assert all(
        item.labels == () or set(item.labels) <= set(strict.classes) for item in strict.items
    )


def test_a_recordist_is_on_one_side_under_strict(tmp_path: Path) -> None:
    sides: dict[str, set[str]] = {}
    for item in made(tmp_path / "x", protocol="strict").items:
        sides.setdefault(item.group, set()).add(item.split)
    assert all(len(splits) == 1 for splits in sides.values())
    assert {"val"} in sides.values()


def test_test_clips_are_grouped_by_soundscape(tmp_path: Path) -> None:
    items = [item for item in made(tmp_path / "x").items if item.split == "test"]
    assert len(items) == 16
    assert {i.group for i in items} == {f"HSN_001_2015070{n}_061805" for n in (0, 1)}
    assert {(i.start_s, i.stop_s) for i in items} == {(0.0, None)}


def test_both_layouts_of_the_hub_give_the_same_items(tmp_path: Path) -> None:
    raw_samples.birdset_with_sounds(tmp_path / "b", "HSN")
    one, other = made(tmp_path / "a"), made(tmp_path / "b")
    assert (tmp_path / "b/audio/train/XC1.ogg").read_bytes() == b"sound of XC1.ogg"

    def facts(items: TaskItems) -> list[tuple[object, ...]]:
        return [(Path(i.path).name, i.start_s, i.labels, i.split, i.group) for i in items.items]

    assert facts(one) == facts(other)


def test_a_sound_that_was_cut_short_is_written_again(tmp_path: Path) -> None:
    raw_samples.birdset_with_sounds(tmp_path / "b", "HSN")
    made(tmp_path / "b")
    sound = tmp_path / "b/audio/train/XC1.ogg"
    sound.write_bytes(b"so")
    made(tmp_path / "b")
    assert sound.read_bytes() == b"sound of XC1.ogg"
    assert not [p for p in sound.parent.iterdir() if p.name.startswith(".")]


def test_a_code_outside_the_list_is_refused(tmp_path: Path) -> None:
    raw_samples.birdset(tmp_path / "x", "HSN")
    table = tmp_path / "x/HSN_metadata_test_5s.parquet"
    rows = pq.read_table(table).to_pylist()
    rows[3]["ebird_code_multilabel"] = ["zzzzzz"]
    pq.write_table(pq.read_table(table).from_pylist(rows), table)
    with pytest.raises(TaskError, match="eBird code 'zzzzzz' is not in the list of 21 codes"):
        made(tmp_path / "x")


def test_an_archive_that_was_not_unpacked_is_named(tmp_path: Path) -> None:
    raw_samples.birdset(tmp_path / "x", "HSN")
    next((tmp_path / "x/train").rglob("XC1.ogg")).unlink()
    with pytest.raises(TaskError, match=r"1 of its 38 files are not there, such as XC1\.ogg"):
        made(tmp_path / "x")


def test_a_quirk_can_be_switched_alone(tmp_path: Path) -> None:
    raw_samples.birdset(tmp_path / "x", "HSN")
    build = TASKS["HSN"].build
    items = build.func(
        tmp_path / "x", "paper", quirks=BirdsetQuirks(none_class=False), **build.keywords
    )  # type: ignore[attr-defined]
    assert items.quirks == ("first_5_s", "recordings_split", "untrained_classes")
    assert len(items.classes) == 21
