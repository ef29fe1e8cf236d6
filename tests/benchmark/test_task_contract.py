"""What every task of the registry keeps, on a small sample of its own layout."""

from __future__ import annotations

import re
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest

import raw_samples
from dawnchorus.benchmark.prepare import data_folder, load_items, manifest_path, prepare
from dawnchorus.benchmark.tasks import beans_chunks, beans_readers, birdset, repertoire
from dawnchorus.benchmark.tasks.base import Protocol, Task, TaskItems
from dawnchorus.benchmark.tasks.checks import positives
from dawnchorus.benchmark.tasks.registry import all_tasks
from dawnchorus.clips.manifest import read_manifest
from dawnchorus.errors import TaskError

TASKS = list(all_tasks().values())
PROTOCOLS: tuple[Protocol, ...] = ("paper", "strict")
both = pytest.mark.parametrize("protocol", PROTOCOLS)
every = pytest.mark.parametrize("task", TASKS, ids=[task.id for task in TASKS])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sets")


def small(task: Task, root: Path) -> Task:
    """The task on its sample, which has fewer rows than were published."""
    raw_samples.lay_out(root, task)
    return replace(task, n_rows=None)


@both
@every
def test_items_keep_the_contract_run_after_run(root: Path, task: Task, protocol: Protocol) -> None:
    own = small(task, root)
    first = prepare(own, root, protocol).read_bytes()  # refuses what breaks the contract
    made = load_items(own, root, protocol)
    again = own.build(data_folder(own, root), protocol)
    assert again == made
    assert len({item.id for item in made.items}) == len(made.items) > 0
    assert {label for item in made.items for label in item.labels} <= set(made.classes)
    assert all(item.group and not item.path.startswith("/") for item in made.items)
    assert all(item.stop_s is None or item.start_s < item.stop_s for item in made.items)
    assert "test" in {item.split for item in made.items}
    if task.measures_under(protocol).probe:
        assert {item.split for item in made.items} == {"train", "val", "test"}
    assert made.counts["items kept"] == len(made.items)
    assert made.counts["rows read"] > 0
    manifest = read_manifest(manifest_path(own, root, protocol))
    assert all(manifest.locate(path).is_file() for path in {clip.path for clip in manifest})
    assert manifest_path(own, root, protocol).read_bytes() == first
    if protocol == "strict":
        strict_contract(own, again)


def strict_contract(task: Task, made: TaskItems) -> None:
    """No group is torn, each class is trained, silence is no class."""
    sides: dict[str, set[str]] = {}
    for item in made.items:
        sides.setdefault(item.group, set()).add(item.split)
    assert all(len(splits) == 1 for splits in sides.values())
    if task.measures_under("strict").probe:
        assert all(n["train"] for n in positives(made).values())
    assert "None" not in made.classes


@pytest.mark.parametrize("id", ["beans/watkins", "beans/dcase", "birdset/HSN"])
def test_a_manifest_made_twice_has_the_same_bytes(root: Path, id: str) -> None:
    own = small(all_tasks()[id], root)
    first = prepare(own, root, "strict").read_bytes()
    assert prepare(own, root, "strict").read_bytes() == first


@every
def test_a_task_says_where_it_comes_from(task: Task) -> None:
    for field in fields(task):
        value = getattr(task, field.name)
        if isinstance(value, str):
            assert value.strip(), field.name
    assert re.fullmatch(r"[a-z]+/\w+", task.id)
    assert task.downloads


@every
def test_an_empty_folder_is_told_what_to_fetch(tmp_path: Path, task: Task) -> None:
    with pytest.raises(TaskError) as caught:
        prepare(task, tmp_path, "paper")
    assert task.downloads[0].file in str(caught.value)
    assert str(data_folder(task, tmp_path)) in str(caught.value)
    assert not list(tmp_path.rglob("*.parquet"))


def test_rows_that_are_missing_are_counted_against_the_published_set(root: Path) -> None:
    task = all_tasks()["beans/dogs"]
    raw_samples.lay_out(root, task)
    with pytest.raises(TaskError, match="120 rows were read, 693 were published"):
        prepare(task, root, "paper")


def test_a_failed_preparation_leaves_the_old_manifest(root: Path, tmp_path: Path) -> None:
    task = small(all_tasks()["individual/macaques"], root)
    shutil.copytree(data_folder(task, root), data_folder(task, tmp_path))
    before = prepare(task, tmp_path, "paper").read_bytes()
    (data_folder(task, tmp_path) / "annotations.csv").write_text("filename,class\na,b\n")
    with pytest.raises(TaskError, match="no column split"):
        prepare(task, tmp_path, "paper")
    assert manifest_path(task, tmp_path, "paper").read_bytes() == before


def test_the_guide_names_every_task_and_every_switch() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "reference" / "tasks.md").read_text(
        encoding="utf-8"
    )
    tasks = [id for id in all_tasks() if not re.match("local/|.*_bird", id)]
    kinds = (
        beans_readers.ClassificationQuirks,
        beans_chunks.DetectionQuirks,
        birdset.BirdsetQuirks,
        repertoire.RepertoireQuirks,
    )
    switches = {field.name for kind in kinds for field in fields(kind)}
    assert not [name for name in (*tasks, *sorted(switches)) if f"`{name}`" not in guide]
