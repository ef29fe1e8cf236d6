"""Every set of the catalogue: what is asked for by name, refused by name, and never leaked."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import raw_samples
from dawnchorus.benchmark.prepare import (
    check_downloads,
    data_folder,
    load_items,
    manifest_path,
    prepare,
    what_to_fetch,
)
from dawnchorus.benchmark.tasks.base import Item, Protocol, Task
from dawnchorus.benchmark.tasks.catalogue import _records
from dawnchorus.benchmark.tasks.classes import classes_of
from dawnchorus.benchmark.tasks.registry import FAMILIES, all_tasks, find_tasks
from dawnchorus.errors import AudioError, TaskError

# ten finches are one reader and one layout
TASKS = [task for id, task in all_tasks().items() if not re.search(r"_bird([1-9]|10)$", id)]
TABLES = (".csv", ".txt", ".data", ".jsonl", ".parquet")
# those that list their clips in a table; a macaque's clip knows no session, so its draw is by row
LISTED = (
    "beans/*", "birdset/POW", "birdset/UHH", "individual/chiffchaff", "repertoire/killer_whale",
    "local/bird_species", "local/scene_detection",
)  # fmt: skip
PUBLISHED = [t for t in TASKS if t.family in {"beans", "birdset"}]
both = pytest.mark.parametrize("protocol", ["paper", "strict"])
every = pytest.mark.parametrize("task", TASKS, ids=[task.id for task in TASKS])
listed = pytest.mark.parametrize("task", find_tasks(LISTED), ids=lambda task: task.id)
# all but the corpus, whose splits its makers fixed and whose table is its manifest
FETCHED = [task for task in TASKS if task.family != "local"]
fetched = pytest.mark.parametrize("task", FETCHED, ids=[task.id for task in FETCHED])
published = pytest.mark.parametrize("task", PUBLISHED, ids=[task.id for task in PUBLISHED])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sets")


def small(task: Task, root: Path) -> Task:
    raw_samples.lay_out(root, task)
    return replace(task, n_rows=None)


def items_of(task: Task, root: Path, protocol: Protocol) -> tuple[Item, ...]:
    return load_items(small(task, root), root, protocol).items


def test_every_record_of_the_catalogue_has_a_reader_and_every_task_is_there_once() -> None:
    ids = [task.id for family in FAMILIES for task in family.TASKS]
    assert Counter(ids) == Counter(all_tasks().keys())
    assert set(_records()) <= set(ids)
    assert all(_records()[id]["title"] == all_tasks()[id].title for id in _records())


@every
def test_a_download_can_be_told_from_another(task: Task) -> None:
    assert len({download.file for download in task.downloads}) == len(task.downloads)
    for download in task.downloads:
        assert download.what.strip()
        assert download.url is None or re.match(r"https?://\w", download.url)
        assert download.n_bytes is None or download.n_bytes > 0
        assert download.sha256 is None or re.fullmatch("[0-9a-f]{64}", download.sha256)
        # a path in the folder of the set, never above it
        for place in filter(None, (download.file, download.makes)):
            assert not place.startswith("/")
            assert ".." not in Path(place).parts


@every
def test_what_is_asked_fits_the_kind_of_task(task: Task) -> None:
    for protocol in ("paper", "strict"):
        asked = task.measures_under(protocol)
        single = {"accuracy", "macro_recall"}
        wanted = {
            "classification": single,
            "individual": single,
            "detection": {"beans_map", "cmap"},
            "repertoire": {None, "macro_recall"},
        }[task.kind]
        assert asked.probe in wanted
        # an item of several labels belongs to no single cluster
        assert not (asked.clustering and task.kind == "detection")
    if task.kind == "detection":
        assert task.measures_under("strict").probe == "cmap"  # absent classes are no zeros
    assert task.crop_s is None or task.crop_s > 0
    assert task.native_rate_hz is None or task.native_rate_hz >= 8000


@every
def test_what_to_fetch_says_where_from_where_to_and_what_is_there(
    root: Path, tmp_path: Path, task: Task
) -> None:
    raw_samples.lay_out(root, task)
    for place, state in ((tmp_path, "need"), (root, "have")):
        lines = what_to_fetch(task, place).splitlines()
        assert lines[0] == f"{task.id}: {task.title}"
        assert f"  licence: {task.licence}" in lines
        assert lines[-1] == f"  folder: {data_folder(task, place)}"
        told = [line for line in lines if re.match("  (have|need) ", line)]
        assert [line.split()[0] for line in told] == [state] * len(task.downloads)
        assert all(d.file in line for d, line in zip(task.downloads, told, strict=True))


@fetched
def test_an_archive_that_was_left_packed_is_to_be_unpacked(tmp_path: Path, task: Task) -> None:
    packed = next(d for d in task.downloads if d.makes and "*" not in d.file)
    archive = data_folder(task, tmp_path) / packed.file
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"")
    with pytest.raises(TaskError, match=task.id) as caught:
        check_downloads(task, archive.parent)
    assert f"unpack {archive} there, so that {packed.makes} is" in str(caught.value)
    others = [d for d in task.downloads if d is not packed and d.makes]
    assert all(d.file in str(caught.value) for d in others)


@both
@every
def test_an_empty_sound_is_named_and_nothing_is_written(
    root: Path, task: Task, protocol: Protocol
) -> None:
    own = small(task, root)
    sound = data_folder(task, root) / items_of(task, root, protocol)[-1].path
    manifest, held = manifest_path(own, root, protocol), sound.read_bytes()
    before = manifest.read_bytes()
    try:
        sound.write_bytes(b"")
        with pytest.raises((TaskError, AudioError), match=re.escape(sound.name)):
            prepare(own, root, protocol)
    finally:
        sound.write_bytes(held)
    assert manifest.read_bytes() == before


@every
def test_an_id_begins_at_one_place_under_both_protocols(root: Path, task: Task) -> None:
    quirks = load_items(small(task, root), root, "paper").quirks
    paper = {item.id: item for item in items_of(task, root, "paper")}
    strict = {item.id: item for item in items_of(task, root, "strict")}
    shared = paper.keys() & strict.keys()
    assert shared
    for id in shared:
        mine, theirs = paper[id], strict[id]
        assert (mine.path, mine.start_s) == (theirs.path, theirs.start_s)
        if "first_5_s_of_window" not in quirks:
            assert mine.stop_s == theirs.stop_s


@fetched
def test_no_sound_is_on_two_sides_under_strict(root: Path, task: Task) -> None:
    by_file: dict[str, list[Item]] = defaultdict(list)
    for item in items_of(task, root, "strict"):
        by_file[item.path].append(item)
    shared = [
        (first.id, second.id)
        for items in by_file.values()
        for first, second in combinations(items, 2)
        if first.split != second.split
        and max(first.start_s, second.start_s) < min(_stop(first), _stop(second))
    ]
    assert shared == []


def _stop(item: Item) -> float:
    return np.inf if item.stop_s is None else item.stop_s


@listed
def test_a_table_in_another_order_gives_the_same_splits_under_strict(
    root: Path, tmp_path: Path, task: Task
) -> None:
    before = items_of(task, root, "strict")
    raw, moved = data_folder(task, root), data_folder(task, tmp_path)
    moved.parent.mkdir(parents=True, exist_ok=True)
    # linked, not copied; what is shuffled is written anew
    shutil.copytree(raw, moved, copy_function=os.link, dirs_exist_ok=True)
    assert sum(map(shuffled, tables_of(moved))) > 0
    after = items_of(task, tmp_path, "strict")
    assert sorted(after, key=lambda i: i.id) == sorted(before, key=lambda i: i.id)


def tables_of(folder: Path) -> Iterator[Path]:
    yield from (
        path for path in sorted(folder.rglob("*"))
        if path.suffix in TABLES and not path.name.startswith("dawnchorus_")
    )  # fmt: skip


def shuffled(path: Path) -> bool:
    """Turn the rows of a table around; whether that changed anything."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        path.unlink()
        pq.write_table(table.take(np.arange(len(table))[::-1]), path)
        return len(table) > 1
    lines = path.read_text("utf-8").splitlines(keepends=True)
    # lists of names and lines of JSON have no header
    head = 0 if path.name.endswith("_list.txt") or path.suffix == ".jsonl" else 1
    path.unlink()
    path.write_text("".join(lines[:head] + lines[head:][::-1]), "utf-8")
    return len(lines) > head + 1


@published
def test_classes_are_the_published_ones_in_their_order(root: Path, task: Task) -> None:
    order = {name: at for at, name in enumerate(classes_of(task.id))}
    own = small(task, root)
    paper = load_items(own, root, "paper").classes
    assert paper in (classes_of(task.id), (*classes_of(task.id), "None"))  # silence, by a quirk
    strict = load_items(own, root, "strict").classes
    # classes that strict cannot train are dropped, and no other comes in their place
    assert [order[name] for name in strict] == sorted(order[name] for name in strict)


@both
@fetched
def test_a_prepared_set_needs_its_tables_no_more(
    root: Path, task: Task, protocol: Protocol
) -> None:
    made = load_items(small(task, root), root, protocol)
    nowhere = replace(task, n_rows=None, build=_must_not_build)
    assert load_items(nowhere, root, protocol) == made
    later = replace(nowhere, version=f"{task.version}.1")
    with pytest.raises(AssertionError, match="built again"):  # another version is another split
        load_items(later, root, protocol)


def _must_not_build(folder: Path, protocol: Protocol) -> None:
    raise AssertionError(f"{folder}, {protocol}: built again")


@pytest.mark.parametrize(
    "task", [task for task in TASKS if task.n_rows is not None], ids=lambda task: task.id
)
@both
def test_a_set_that_is_cut_off_is_refused_by_its_number_of_rows(
    root: Path, task: Task, protocol: Protocol
) -> None:
    n_read = load_items(small(task, root), root, protocol).counts["rows read"]
    with pytest.raises(TaskError, match=f"{n_read} rows were read, {task.n_rows} were published"):
        prepare(task, root, protocol)
    prepare(replace(task, n_rows=n_read), root, protocol)
