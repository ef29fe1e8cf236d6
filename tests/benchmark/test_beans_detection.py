"""The detection sets of BEANS on small samples of their own layouts."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import raw_samples
from dawnchorus.benchmark.tasks import beans_detection as sets
from dawnchorus.benchmark.tasks.base import TaskItems
from dawnchorus.benchmark.tasks.beans_chunks import DetectionQuirks
from dawnchorus.errors import TaskError

TASKS = {task.id.partition("/")[2]: task for task in sets.TASKS}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("beans")


@cache
def made(root: Path, name: str, protocol: str = "paper") -> TaskItems:
    if not (root / name).exists():
        getattr(raw_samples, name)(root / name)
    return TASKS[name].build(root / name, protocol)  # type: ignore[arg-type]


def at(items: TaskItems, path: str, start_s: float) -> tuple[str, ...]:
    [item] = [i for i in items.items if i.path.endswith(path) and i.start_s == start_s]
    return item.labels


def test_files_are_cut_by_time_and_windows_never_cross_a_chunk(root: Path) -> None:
    items = made(root, "dcase")
    one = [item for item in items.items if item.path.endswith("file_0.wav")]
    assert len(one) == 10 * 59
    assert {i.split for i in one if i.start_s < 360} == {"train"}
    assert {i.split for i in one if 360 <= i.start_s < 480} == {"val"}
    assert {i.split for i in one if i.start_s >= 480} == {"test"}
    # minutes of a recording are alike: intervals are drawn over recordings
    assert len({i.group for i in one if i.split == "test"}) == 1
    assert all(i.start_s // 60 == (i.stop_s - 1e-6) // 60 for i in one if i.stop_s is not None)


def test_a_window_carries_what_it_hears_and_may_be_empty(root: Path) -> None:
    items = made(root, "dcase")
    assert at(items, "file_0.wav", 60.0) == ("AMRE",)
    assert at(items, "file_0.wav", 62.0) == ("BBWA",)  # 3.5 to 4.3 of the minute
    assert at(items, "file_0.wav", 55.0) == ()  # UNK is absent under paper
    assert at(items, "file_0.wav", 57.0) == ()  # AGGM has too few


def test_strict_leaves_out_borders_the_uncertain_and_queries(root: Path) -> None:
    paper, strict = made(root, "dcase"), made(root, "dcase", "strict")
    assert "Q" in paper.classes
    assert "Q" not in strict.classes
    assert not [i for i in strict.items if i.path.endswith("query.wav")]
    assert strict.counts["dropped: files that know only a query"] == 1
    assert strict.counts["dropped: chunks at a border"] == 4
    kept = {i.start_s // 60 for i in strict.items if i.path.endswith("file_0.wav")}
    assert kept == {0, 1, 2, 3, 4, 5, 7, 9}
    assert strict.counts["dropped: windows with an uncertain annotation"] == 2 * 8 * 2
    assert paper.quirks == ("adjacent_chunks", "uncertain_is_absent", "query_is_a_class")
    assert strict.quirks == ()


def test_enabirds_has_a_none_class_and_other_birds_only_under_paper(root: Path) -> None:
    paper, strict = made(root, "enabirds"), made(root, "enabirds", "strict")
    assert len(paper.classes) == 35
    assert paper.classes[-2:] == ("OTHR", "None")
    assert len(strict.classes) == 33
    assert "OTHR" in at(paper, "Segment_01.wav", 49.0)
    assert "OTHR" not in at(strict, "Segment_01.wav", 49.0)
    assert not any("None" in item.labels for item in paper.items)
    assert at(paper, "Segment_01.wav", 55.0) == ()


def test_silence_can_be_made_a_class(root: Path) -> None:
    made(root, "enabirds")
    build = TASKS["enabirds"].build
    items = build.func(  # type: ignore[attr-defined]
        root / "enabirds",
        "paper",
        quirks=DetectionQuirks(none_on_empty_windows=True),
        **build.keywords,  # type: ignore[attr-defined]
    )
    assert at(items, "Segment_01.wav", 55.0) == ("None",)
    assert "none_on_empty_windows" in items.quirks


@pytest.mark.parametrize("name", ["hiceas", "rfcx"])
def test_paper_hears_half_of_a_ten_second_window_and_strict_all(root: Path, name: str) -> None:
    heard = {}
    for protocol in ("paper", "strict"):
        items = made(root, name, protocol)
        heard[protocol] = {i.stop_s - i.start_s for i in items.items if i.stop_s is not None}
    assert heard == {"paper": {5.0}, "strict": {10.0}}
    ids = [[item.id for item in made(root, name, p).items] for p in ("paper", "strict")]
    assert ids[0] == ids[1]


def test_the_lists_of_hiceas_are_found_by_file_name(root: Path) -> None:
    items = made(root, "hiceas", "strict")
    assert Counter(i.split for i in items.items) == {"train": 6, "val": 6, "test": 6}
    assert at(items, "wav/train_0.wav", 0.0) == ("1",)
    assert at(items, "wav/train_0.wav", 10.0) == ()


def test_recordings_of_rfcx_lie_on_one_side_and_all_are_kept(root: Path) -> None:
    items = made(root, "rfcx")
    assert len(items.items) == 20 * 11
    assert Counter(i.split for i in items.items if i.start_s == 0) == {
        "train": 12,
        "val": 4,
        "test": 4,
    }
    assert at(items, "000000001.flac", 0.0) == ("0", "1", "2", "3", "4")


def test_gibbons_keep_every_third_minute_of_whole_files(root: Path) -> None:
    items = made(root, "hainan_gibbons")
    assert {i.start_s // 60 for i in items.items} == {0, 3}
    files = sorted({i.path for i in items.items})
    split = {i.path: i.split for i in items.items}
    assert [split[f] for f in files] == ["train"] * 6 + ["val"] * 3 + ["test"] * 2
    assert at(items, files[0], 2.0) == ("1",)
    assert at(items, files[0], 38.0) == ("1",)  # a call of no known type


def test_strict_leaves_out_windows_with_a_call_of_no_known_type(root: Path) -> None:
    items = made(root, "hainan_gibbons", "strict")
    assert items.counts["annotations of no known type"] == 44
    assert not [i for i in items.items if i.start_s == 38.0]


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    raw_samples.sound(tmp_path / "Train/a.wav")
    with pytest.raises(TaskError, match=r"g_a\.data: cannot be read"):
        TASKS["hainan_gibbons"].build(tmp_path, "paper")


def test_an_unknown_label_is_refused(tmp_path: Path) -> None:
    raw_samples.hiceas(tmp_path)
    lines = tmp_path / "train.jsonl"
    lines.write_text(lines.read_text().replace('"label": 1', '"label": 2'))
    with pytest.raises(TaskError, match="beans/hiceas: labels that are no class of BEANS: 2"):
        TASKS["hiceas"].build(tmp_path, "paper")
