"""Preparing a task: what is asked for, refused, written and read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dawnchorus.benchmark.prepare import data_folder, load_items, prepare, what_to_fetch
from dawnchorus.benchmark.tasks.base import Download, Item, Measures, Protocol, Task, TaskItems
from dawnchorus.errors import TaskError

ITEMS = (
    Item("a", "audio/a.wav", 0.0, None, ("wren",), "train", "1"),
    Item("b", "audio/b.wav", 0.5, 2.0, ("Robin, blue",), "train", "2"),
    Item("c", "audio/a.wav", 1.0, 2.0, ("wren",), "val", "3"),
    Item("d", "audio/é.wav", 0.0, 2.0, ("wren",), "test", "4"),
)
CLASSES = ("wren", "Robin, blue")


def task_of(items: tuple[Item, ...] = ITEMS, classes: tuple[str, ...] = CLASSES) -> Task:
    def build(_: Path, protocol: Protocol) -> TaskItems:
        quirks = ("odd",) if protocol == "paper" else ()
        return TaskItems("toy/birds", protocol, classes, False, items, {"read": 4}, quirks)

    return Task(
        id="toy/birds",
        version="1",
        title="two birds",
        kind="classification",
        source="somewhere",
        licence="CC0 1.0",
        citation="nobody, 2025",
        split_rule="given",
        window_rule="given",
        native_rate_hz=None,
        crop_s=None,
        measures=Measures(probe="accuracy", retrieval="within", clustering=True),
        downloads=(Download("birds.zip", "https://example.org", "the sounds", makes="audio"),),
        build=build,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    audio = tmp_path / "toy" / "birds" / "audio"
    audio.mkdir(parents=True)
    for item in ITEMS:
        (audio / Path(item.path).name).write_bytes(b"sound")
    return tmp_path


@pytest.mark.parametrize("protocol", ["paper", "strict"])
def test_items_come_back_as_they_were_made(root: Path, protocol: Protocol) -> None:
    task = task_of()
    path = prepare(task, root, protocol)
    assert path.parent == data_folder(task, root) == root / "toy" / "birds"
    assert load_items(task, root, protocol) == task.build(path.parent, protocol)


def test_the_protocols_have_manifests_of_their_own(root: Path) -> None:
    paths = {prepare(task_of(), root, protocol) for protocol in ("paper", "strict")}
    assert len(paths) == 2
    assert load_items(task_of(), root, "paper").quirks == ("odd",)
    assert load_items(task_of(), root, "strict").quirks == ()


def test_a_manifest_of_another_version_is_made_anew(root: Path) -> None:
    prepare(task_of(), root, "paper")
    later = replace(task_of(ITEMS[:1] + ITEMS[2:], ("wren",)), version="2")
    assert load_items(later, root, "paper").classes == ("wren",)


def test_loading_prepares_what_was_not_prepared(root: Path) -> None:
    assert load_items(task_of(), root, "paper").items == ITEMS


def test_missing_data_are_named_with_their_place_and_licence(tmp_path: Path) -> None:
    with pytest.raises(TaskError) as caught:
        prepare(task_of(), tmp_path, "paper")
    for part in ("birds.zip", "https://example.org", "CC0 1.0", str(tmp_path / "toy" / "birds")):
        assert part in str(caught.value)
    assert "need birds.zip" in what_to_fetch(task_of(), tmp_path)


def test_an_archive_that_was_not_unpacked_is_told_so(tmp_path: Path) -> None:
    folder = tmp_path / "toy" / "birds"
    folder.mkdir(parents=True)
    (folder / "birds.zip").write_bytes(b"zip")
    with pytest.raises(TaskError, match=r"unpack .*birds\.zip there, so that audio is"):
        prepare(task_of(), tmp_path, "paper")


@pytest.mark.parametrize(
    ("facts", "said"),
    [({"n_bytes": 4}, "has 3 bytes, need 4"), ({"sha256": "0" * 64}, "sha256 differs")],
)
def test_an_archive_that_is_not_the_published_one_is_refused(
    root: Path, facts: dict[str, object], said: str
) -> None:
    (root / "toy" / "birds" / "birds.zip").write_bytes(b"zip")
    task = task_of()
    wrong = replace(task, downloads=(replace(task.downloads[0], **facts),))  # type: ignore[arg-type]
    with pytest.raises(TaskError, match=said):
        prepare(wrong, root, "paper")


def test_a_lost_sound_is_named(root: Path) -> None:
    (root / "toy" / "birds" / "audio" / "b.wav").unlink()
    (root / "toy" / "birds" / "audio" / "é.wav").write_bytes(b"")
    with pytest.raises(TaskError, match=r"2 of 3 sound files .*audio/b\.wav, audio/é\.wav"):
        prepare(task_of(), root, "paper")
    assert not list(root.rglob("*.parquet"))


A, B, C, D = ITEMS


@pytest.mark.parametrize(
    ("items", "classes", "said"),
    [
        ((), CLASSES, "no items were found"),
        ((A, B, C, replace(D, id="a")), CLASSES, "1 ids are there more than once: a"),
        (ITEMS, ("wren",), "labels that are no class: Robin, blue"),
        (ITEMS, (*CLASSES, "wren"), "there twice"),
        ((A, B, replace(C, labels=()), D), CLASSES, "each item needs one label"),
        ((A, B, D), CLASSES, "no item is in val"),
    ],
)
def test_items_that_cannot_be_scored_are_refused(
    root: Path, items: tuple[Item, ...], classes: tuple[str, ...], said: str
) -> None:
    with pytest.raises(TaskError, match=said):
        prepare(task_of(items, classes), root, "paper")


def test_only_strict_refuses_torn_groups_and_classes_without_training(root: Path) -> None:
    torn = task_of((A, B, C, replace(D, group="1")))
    lost = task_of(ITEMS, (*CLASSES, "owl"))
    for task, said in ((torn, "1 groups lie in more than one split: 1"), (lost, "positive: owl")):
        prepare(task, root, "paper")
        with pytest.raises(TaskError, match=said):
            prepare(task, root, "strict")


def test_a_foreign_manifest_is_not_taken_for_ours(root: Path) -> None:
    path = prepare(task_of(), root, "paper")
    pq.write_table(pq.read_table(path).replace_schema_metadata({}), path)
    with pytest.raises(TaskError, match="not a task's manifest"):
        load_items(task_of(), root, "paper")
