"""Vocal repertoires on small samples of the published layouts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import raw_samples
from dawnchorus.benchmark.tasks import repertoire
from dawnchorus.benchmark.tasks.base import TaskItems
from dawnchorus.benchmark.tasks.splits import by_key
from dawnchorus.errors import TaskError

TASKS = {task.id.partition("/")[2]: task for task in repertoire.TASKS}


def made(folder: Path, name: str, protocol: str = "paper") -> TaskItems:
    if not folder.exists():
        getattr(raw_samples, (TASKS[name].folder or TASKS[name].id).partition("/")[2])(folder)
    return TASKS[name].build(folder, protocol)  # type: ignore[arg-type]


def test_zebra_finch_types_are_merged_under_paper_and_song_is_unknown(tmp_path: Path) -> None:
    items = made(tmp_path / "x", "zebra_finch")
    assert items.classes == ("alarm", "contact", "distress", "nest", "unknown")
    labels = {Path(item.path).name.split("-")[1]: item.labels[0] for item in items.items}
    assert {labels[code] for code in ("So", "Ne", "Be", "Dc", "12")} == {"unknown"}
    assert labels["LT"] == "contact"


def test_zebra_finch_types_are_those_of_the_article_under_strict(tmp_path: Path) -> None:
    items = made(tmp_path / "x", "zebra_finch", "strict")
    assert len(items.classes) == 11
    labels = {Path(item.path).name.split("-")[1]: item.labels[0] for item in items.items}
    assert labels["Dc"] == "DC"
    assert items.counts["dropped: calls of no published type"] == 1
    sides: dict[str, set[str]] = {}
    for item in items.items:
        sides.setdefault(item.group, set()).add(item.split)
    assert all(len(splits) == 1 for splits in sides.values())
    assert len(sides) == 5


def test_each_bird_and_type_is_split_eight_to_one_to_one() -> None:
    keys = ["a"] * 20 + ["b"] * 3 + ["c"] * 2 + ["d"] * 10
    found = {
        key: Counter(s for k, s in zip(keys, by_key(keys), strict=True) if k == key)
        for key in "abcd"
    }
    assert found["a"] == {"train": 16, "val": 2, "test": 2}
    assert found["b"] == {"train": 1, "val": 1, "test": 1}
    assert found["c"] == {"train": 2}
    assert found["d"] == {"train": 8, "val": 1, "test": 1}


def test_otter_twins_are_joined_under_strict(tmp_path: Path) -> None:
    assert len(made(tmp_path / "x", "giant_otters").classes) == 6
    strict = made(tmp_path / "x", "giant_otters", "strict")
    assert strict.classes == ("Ascending scream", "Hum", "Suckling call", "Whine")
    assert {item.split for item in strict.items} == {"test"}
    assert strict.quirks == ("one_table",)


def test_a_table_of_otters_is_taken_before_names(tmp_path: Path) -> None:
    raw_samples.touch(tmp_path, "giant_otters/a.wav", "giant_otters/b.wav")
    rows = [("x/a.wav", "Hum"), ("x/b.wav", "hum")]
    raw_samples.table(tmp_path / "giant_otters_annotations_test.csv", ("path", "label"), rows)
    items = made(tmp_path, "giant_otters")
    assert [(i.path, i.labels) for i in items.items] == [
        ("giant_otters/a.wav", ("Hum",)),
        ("giant_otters/b.wav", ("hum",)),
    ]


def test_a_syllable_is_counted_from_the_start_of_its_sequence(tmp_path: Path) -> None:
    items = made(tmp_path / "x", "bengalese_finch")
    of_song = [item for item in items.items if item.path == "Bird2/Wave/0.wav"]
    assert [item.start_s for item in of_song[:2]] == [1.0, 1.1]
    assert of_song[6].start_s == 3.0
    assert of_song[6].stop_s == 3.05
    assert items.classes == ("0", "1", "2")
    assert len(items.items) == 60


def test_songs_are_whole_under_strict(tmp_path: Path) -> None:
    for protocol, whole in (("paper", False), ("strict", True)):
        sides: dict[str, set[str]] = {}
        for item in made(tmp_path / "x", "bengalese_finch", protocol).items:
            sides.setdefault(item.group, set()).add(item.split)
        assert all(len(splits) == 1 for splits in sides.values()) is whole


def test_syllables_are_split_seventy_to_fifteen_to_fifteen(tmp_path: Path) -> None:
    items = made(tmp_path / "x", "bengalese_finch_bird7").items
    assert Counter(item.split for item in items) == {"train": 42, "val": 9, "test": 9}
    assert {item.path.split("/")[0] for item in items} == {"Bird7"}


def test_only_certain_calls_of_southern_residents_are_kept(tmp_path: Path) -> None:
    items = made(tmp_path / "x", "killer_whale")
    assert items.classes == ("S01", "S02iii", "S16", "S44")
    assert len(items.items) == 10
    assert items.counts["dropped: calls of other whales"] == 2
    assert items.counts["dropped: calls of no single certain type"] == 6
    assert items.items[1].path == "audio/boundary_pass/boundary_pass_1.wav"
    assert (items.items[1].start_s, items.items[1].stop_s) == (3.0, 4.2)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [("</Sequences>", "", "cannot be read as an annotation"), ("800<", "8O0<", "need a number")],
)
def test_a_damaged_annotation_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    made(tmp_path / "x", "bengalese_finch")
    source = tmp_path / "x/Bird2/Annotation.xml"
    source.write_text(source.read_text().replace(old, new))
    with pytest.raises(TaskError, match=said):
        made(tmp_path / "x", "bengalese_finch")
