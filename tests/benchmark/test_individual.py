"""Individual identification on small samples of the published layouts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import raw_samples
from dawnchorus.benchmark.tasks import individual
from dawnchorus.errors import TaskError

TASKS = {task.id.partition("/")[2]: task for task in individual.TASKS}


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    raw_samples.stowell2019(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["chiffchaff", "little_owl", "tree_pipit"])
def test_birds_are_tested_in_another_year(birds: Path, name: str) -> None:
    items = TASKS[name].build(birds, "paper")
    test = [item for item in items.items if item.split == "test"]
    assert len(test) == 24
    assert all("_tst_" in item.path and "-fg/" in item.path for item in test)
    assert items.classes == ("PC1101", "PC1102", "PC1103")


def test_val_is_cut_by_clip_under_paper_and_by_day_under_strict(birds: Path) -> None:
    sizes = {}
    for protocol in ("paper", "strict"):
        items = TASKS["chiffchaff"].build(birds, protocol).items  # type: ignore[arg-type]
        sides: dict[str, set[str]] = {}
        for item in items:
            sides.setdefault(item.group, set()).add(item.split)
        sizes[protocol] = Counter(item.split for item in items)
        assert all(len(splits) == 1 for splits in sides.values()) is (protocol == "strict")
    assert sizes["paper"] == {"train": 28, "val": 8, "test": 24}
    assert sizes["strict"]["val"] % 4 == 0  # whole days of four clips


def test_a_day_of_one_bird_is_its_group(birds: Path) -> None:
    groups = {item.group for item in TASKS["chiffchaff"].build(birds, "strict").items}
    assert {"PC1101 day1", "test year PC1103 day2"} <= groups


def test_clips_whose_names_tell_no_day_are_counted(birds: Path) -> None:
    for path in [*birds.rglob("*.wav"), *birds.rglob("*.csv")]:
        if path.suffix == ".wav":
            path.rename(path.with_name(path.name.replace("day", "take")))
        else:
            path.write_text(path.read_text().replace("day", "take"))
    items = TASKS["chiffchaff"].build(birds, "strict")
    assert items.counts["clips whose names tell no day"] == 36


@pytest.mark.parametrize(("marks", "said"), [("1,1,", "for 2 individuals"), (",,", "for 0 indiv")])
def test_a_clip_of_several_or_no_birds_is_refused(birds: Path, marks: str, said: str) -> None:
    path = birds / "csv/pipit-acrossyear-fg-trn.csv"
    lines = path.read_text().splitlines()
    lines[1] = lines[1].split(",")[0] + "," + marks
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(TaskError, match=said):
        TASKS["tree_pipit"].build(birds, "paper")


def test_a_missing_list_or_clip_is_named(birds: Path) -> None:
    lost = next((birds / "littleowls-fg").glob("*.wav"))
    lost.unlink()
    with pytest.raises(TaskError, match=rf"1 of its \d+ files are not there, such as {lost.name}"):
        TASKS["little_owl"].build(birds, "paper")
    (birds / "csv/littleowl-acrossyear-fg-trn.csv").unlink()
    with pytest.raises(TaskError, match=r"no list littleowl-acrossyear-fg-trn\.csv below it"):
        TASKS["little_owl"].build(birds, "paper")


def test_macaques_keep_their_published_split(tmp_path: Path) -> None:
    raw_samples.macaques(tmp_path)
    items = TASKS["macaques"].build(tmp_path, "strict")
    assert Counter(item.split for item in items.items) == {"train": 64, "val": 16, "test": 32}
    assert all((item.split == "test") == item.path.startswith("valid/") for item in items.items)
    assert items.quirks == ("random_clip_split",)
    assert len(items.classes) == 8


def test_another_split_of_macaques_is_refused(tmp_path: Path) -> None:
    raw_samples.macaques(tmp_path)
    table = tmp_path / "annotations.csv"
    table.write_text(table.read_text().replace(",valid", ",test"))
    with pytest.raises(TaskError, match="splits test, need train and valid"):
        TASKS["macaques"].build(tmp_path, "paper")
