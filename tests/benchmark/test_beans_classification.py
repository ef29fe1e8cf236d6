"""The classification sets of BEANS on small samples of their own layouts."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from sklearn.model_selection import train_test_split

import raw_samples
from dawnchorus.benchmark.tasks import beans_classification as sets
from dawnchorus.benchmark.tasks.base import TaskItems
from dawnchorus.benchmark.tasks.beans_readers import ClassificationQuirks
from dawnchorus.errors import TaskError

TASKS = {task.id.partition("/")[2]: task for task in sets.TASKS}


def made(folder: Path, name: str, protocol: str = "paper") -> TaskItems:
    if not folder.exists():
        getattr(raw_samples, name)(folder)
    return TASKS[name].build(folder, protocol)  # type: ignore[arg-type]


def sides(items: TaskItems) -> Counter[str]:
    return Counter(item.split for item in items.items)


def test_clips_are_split_as_the_scripts_of_beans_split_them(tmp_path: Path) -> None:
    items = made(tmp_path / "x", "watkins")
    paths = [item.path for item in items.items]
    labels = [item.labels[0] for item in items.items]
    train, rest = train_test_split(
        list(range(len(paths))), test_size=0.4, random_state=42, stratify=labels
    )
    val, test = train_test_split(
        rest, test_size=0.5, random_state=42, stratify=[labels[i] for i in rest]
    )
    for split, indices in (("train", train), ("val", val), ("test", test)):
        found = [item.path for item in items.items if item.split == split]
        assert found == [paths[i] for i in sorted(indices)]
    assert items.quirks == ("random_clip_split",)


def test_the_seal_of_two_clips_is_dropped_and_counted(tmp_path: Path) -> None:
    items = made(tmp_path / "x", "watkins")
    assert items.counts["rows read"] == 122
    assert items.counts["dropped: clips of Weddell_Seal, which has 2"] == 2
    assert len(items.classes) == 31
    assert items.classes[3] == "Beluga,_White_Whale"


@pytest.mark.parametrize("name", ["watkins", "bats", "dogs", "humbugdb"])
def test_strict_tears_no_group_where_paper_does(tmp_path: Path, name: str) -> None:
    for protocol, torn in (("paper", True), ("strict", False)):
        items = made(tmp_path / "x", name, protocol)
        held: dict[str, set[str]] = {}
        for item in items.items:
            held.setdefault(item.group, set()).add(item.split)
        assert any(len(splits) > 1 for splits in held.values()) is torn
        labels = {split: set() for split in ("train", "val", "test")}
        for item in items.items:
            labels[item.split].update(item.labels)
        assert labels["train"] == labels["val"] == labels["test"]


def test_a_tape_a_day_and_a_session_are_groups(tmp_path: Path) -> None:
    groups = {name: {i.group for i in made(tmp_path / name, name).items} for name in TASKS}
    assert "50000" in groups["watkins"]
    assert groups["bats"] == {"120601", "120602", "120603", "120604"}
    assert "Mac-2-A" in groups["dogs"]
    assert "an dirus recording 3.wav" in groups["humbugdb"]
    assert len(groups["cbi"]) == 10
    assert "5000" in groups["esc50"]
    assert len(groups["speech_commands"]) == 6


def test_a_class_from_one_day_is_left_out_of_strict_and_counted(tmp_path: Path) -> None:
    items = made(tmp_path / "x", "bats", "strict")
    assert "231" not in items.classes
    assert items.counts["dropped: clips of 231, which has 1 groups, need 3"] == 5
    assert "231" in made(tmp_path / "x", "bats").classes


def test_rare_mosquitoes_are_others_and_unknown_ones_no_background(tmp_path: Path) -> None:
    paper = made(tmp_path / "x", "humbugdb")
    counts = Counter(item.labels[0] for item in paper.items)
    assert counts["others"] == 100
    assert counts["an dirus"] == 101
    assert counts["non-mosquito"] == 70 + 35
    strict = made(tmp_path / "x", "humbugdb", "strict")
    assert strict.counts["dropped: mosquitoes of unknown species"] == 35
    assert strict.quirks == ()
    assert paper.quirks == ("random_clip_split", "missing_species_is_no_mosquito")


def test_recordists_are_dealt_out_by_the_published_draw(tmp_path: Path) -> None:
    items = made(tmp_path / "x", "cbi")
    names = [f"Recordist {who}" for who in range(10)]
    random.seed(42)
    random.shuffle(names)
    of = {item.group: item.split for item in items.items}
    assert [of[name] for name in names] == ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    assert {item.stop_s for item in items.items} == {10.0}
    assert made(tmp_path / "x", "cbi", "strict").items == items.items


def test_folds_and_lists_are_kept(tmp_path: Path) -> None:
    assert sides(made(tmp_path / "e", "esc50")) == {"train": 60, "val": 20, "test": 20}
    words = made(tmp_path / "s", "speech_commands")
    assert sides(words) == {"train": 20, "val": 20, "test": 20}
    assert len(words.classes) == 35


def test_a_quirk_can_be_switched_alone(tmp_path: Path) -> None:
    raw_samples.humbugdb(tmp_path)
    chosen = ClassificationQuirks(random_clip_split=False)
    items = TASKS["humbugdb"].build.func(  # type: ignore[attr-defined]
        tmp_path,
        "paper",
        quirks=chosen,
        **TASKS["humbugdb"].build.keywords,  # type: ignore[attr-defined]
    )
    assert items.quirks == ("missing_species_is_no_mosquito",)


def test_a_label_that_beans_does_not_know_is_refused(tmp_path: Path) -> None:
    raw_samples.dogs(tmp_path)
    table = tmp_path / "annotations.csv"
    table.write_text(table.read_text().replace(",Zoe", ",Zoey"))
    with pytest.raises(TaskError, match="beans/dogs: labels that are no class of BEANS: Zoey"):
        TASKS["dogs"].build(tmp_path, "paper")


def test_another_table_is_refused_by_its_columns(tmp_path: Path) -> None:
    raw_samples.table(tmp_path / "annotations.csv", ("file", "dog"), [("a.aif", "Mac")])
    with pytest.raises(TaskError, match="no column filename, name; its columns are file, dog"):
        TASKS["dogs"].build(tmp_path, "paper")
