"""Tasks of the corpus, on a small one of the same layout, and how tasks are found by name."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

import raw_samples
from dawnchorus.benchmark.prepare import data_folder, load_items, prepare
from dawnchorus.benchmark.tasks.registry import find_tasks
from dawnchorus.errors import TaskError, UsageError


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    raw_samples.corpus(tmp_path)
    return tmp_path


def test_twelve_tasks_are_read_alike_under_both_protocols(corpus: Path) -> None:
    tasks = find_tasks(["local/*"])
    assert len(tasks) == 12
    for task in tasks:
        made = load_items(task, corpus, "strict")
        assert made.items == load_items(task, corpus, "paper").items
        assert made.classes == ("robin", "wren")
        assert made.multi_label is (task.kind == "detection")
        assert made.counts["items kept"] == len(made.items)
        assert prepare(task, corpus, "strict") == corpus / "manifest.parquet"


def test_windows_without_a_call_stay(corpus: Path) -> None:
    [task] = find_tasks(["local/scene_detection"])
    assert [i.labels for i in load_items(task, corpus, "strict").items if i.id == "empty"] == [()]


def test_the_corpus_may_lie_in_a_folder_called_local(corpus: Path, tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    (above / "local").symlink_to(corpus)
    [task] = find_tasks(["local/digits"])
    assert data_folder(task, above) == above / "local"
    assert len(load_items(task, above, "paper").items) == 4


def test_what_is_no_corpus_is_said_so(corpus: Path, tmp_path: Path) -> None:
    [task] = find_tasks(["local/digits"])
    with pytest.raises(TaskError, match="no such manifest"):
        load_items(task, tmp_path / "nowhere", "paper")
    table = pq.read_table(corpus / "manifest.parquet")
    pq.write_table(table.drop(["tasks"]), corpus / "manifest.parquet")
    with pytest.raises(TaskError, match="no column tasks; is this the corpus"):
        load_items(task, corpus, "paper")


def test_tasks_are_found_by_pattern_once_and_in_order() -> None:
    ids = [task.id for task in find_tasks(["local/finch_*", "local/digits", "local/digits"])]
    assert ids[0] == "local/digits"
    assert len(ids) == len(set(ids)) == 5


def test_an_unknown_task_is_answered_with_near_names() -> None:
    with pytest.raises(UsageError, match="did you mean local/digits"):
        find_tasks(["locl/digit"])
    with pytest.raises(UsageError, match=r"local/\*"):
        find_tasks(["zzz"])
