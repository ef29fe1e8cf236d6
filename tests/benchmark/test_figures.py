"""The published tables are whole, and their means are the means of their cells."""

from __future__ import annotations

import csv
import math
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.benchmark.figures import (
    AGGREGATES,
    PROBED_WITH,
    PUBLISHED_AS,
    figures_for,
    paper_schedule,
    published_figures,
    read_figures,
)
from dawnchorus.benchmark.tasks.registry import all_tasks
from dawnchorus.configs import ScheduleConfig
from dawnchorus.errors import UsageError
from dawnchorus.models.card import known_cards


def test_every_cell_of_the_five_tables_is_there_once() -> None:
    cells = [(cell.model, cell.task, cell.measure) for cell in published_figures().figures]
    assert len(cells) == len(set(cells)) == 20 * (11 + 18 + 10 + 14 + 16)
    assert len(published_figures().models) == 20


def test_every_aggregate_is_the_mean_of_its_tasks() -> None:
    n_checked = 0
    for cell in published_figures().figures:
        if cell.task not in AGGREGATES or cell.value is None:
            continue
        parts = [
            published_figures().of(cell.model, task, cell.measure) for task in AGGREGATES[cell.task]
        ]
        values = [part.value for part in parts if part is not None and part.value is not None]
        assert len(values) == len(parts), cell
        assert abs(float(np.mean(values)) - cell.value) < 0.001, cell
        n_checked += 1
    assert n_checked == 20 * 11 - 2  # BirdNET has no BirdSet


@pytest.mark.parametrize(
    ("task", "measure", "value"),
    [
        ("mean/individual", "accuracy", 0.456),
        ("mean/beans_detection", "beans_map", 0.356),
        ("mean/birdset", "beans_map", 0.255),
        ("individual/tree_pipit", "accuracy", 0.326),
        ("birdset/HSN", "beans_map", 0.328),
    ],
)
def test_cells_of_the_check_are_as_printed(task: str, measure: str, value: float) -> None:
    cell = published_figures().of("sl-EAT-all", task, measure)
    assert cell is not None
    assert cell.value == value


def test_missing_and_doubtful_cells_say_so() -> None:
    missing = [cell for cell in published_figures().figures if cell.value is None]
    assert {cell.model for cell in missing} == {"BirdNET"}
    assert len(missing) == 7 * 2 + 2
    assert all(cell.note for cell in missing)
    doubtful = {(cell.model, cell.task) for cell in published_figures().figures if cell.doubtful}
    assert ("BirdMAE (pretrained)", "repertoire/giant_otters") in doubtful
    assert ("EffNetB0-AudioSet", "beans/watkins") in doubtful
    assert len(doubtful) == 3


def test_every_row_names_its_protocol() -> None:
    text = files("dawnchorus.benchmark").joinpath("published.csv").read_text(encoding="utf-8")
    assert {row["protocol"] for row in csv.DictReader(text.splitlines())} == {"paper"}


def test_models_that_can_be_loaded_are_published_ones() -> None:
    assert set(PUBLISHED_AS.values()) <= set(published_figures().models)
    assert set(PUBLISHED_AS) <= set(known_cards())
    assert set(PROBED_WITH) <= set(PUBLISHED_AS.values())


def test_a_published_model_is_probed_as_it_was() -> None:
    usual = paper_schedule("esp_aves2_sl_eat_all_ssl_all")
    assert usual == paper_schedule("anything") == ScheduleConfig.paper()
    assert (usual.batch_size, usual.n_epochs, usual.learning_rates) == (32, 900, (1e-3,))
    assert paper_schedule("esp_aves2_eat_bio").batch_size == 64
    tuned = paper_schedule("eat_base_epoch30_finetune_as2m")
    assert (tuned.batch_size, tuned.n_epochs, tuned.learning_rates) == (32, 300, (3e-4,))


def test_every_published_task_is_a_task_with_that_measure() -> None:
    for cell in published_figures().figures:
        if cell.task in AGGREGATES:
            continue
        asked = all_tasks()[cell.task].measures_under("paper")
        have = {asked.probe, "retrieval_roc_auc" if asked.retrieval else None}
        assert cell.measure in have | ({"nmi"} if asked.clustering else set()), cell


def test_a_table_of_a_user_is_read_long_or_wide(tmp_path: Path) -> None:
    long, wide = tmp_path / "long.csv", tmp_path / "wide.csv"
    long.write_text("model,task,measure,value\nother,local/esc50,nmi,0.5\nother,local/esc50,ami,\n")
    wide.write_text(
        "task,encoder,probe_metric,probe,accuracy_plain,retrieval_auc,nmi\n"
        "local/esc50,other,accuracy (macro),0.7,0.6,0.8,0.5\n"
        "local/scene_detection,other,mAP (macro),0.4,,0.6,\n"
    )
    figures = figures_for("strict", read_figures(long))
    assert figures.value("other", "local/esc50", "nmi") == 0.5
    assert math.isnan(figures.value("other", "local/esc50", "ami"))
    assert math.isnan(figures.value("another", "local/esc50", "nmi"))
    assert not figures_for("paper", read_figures(long)).of("other", "local/esc50", "nmi")
    assert {(f.task[6:], f.measure): f.value for f in read_figures(wide)} == {
        ("esc50", "macro_recall"): 0.7,
        ("esc50", "accuracy"): 0.6,
        ("esc50", "retrieval_roc_auc"): 0.8,
        ("esc50", "nmi"): 0.5,
        ("scene_detection", "cmap"): 0.4,
        ("scene_detection", "retrieval_roc_auc"): 0.6,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model,task\na,b\n", "need columns model, task, measure and value, found model, task"),
        ("model,task,measure,value\na,b,c,many\n", "a value is not a number"),
    ],
)
def test_a_table_that_is_no_table_of_figures_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_figures(tmp_path / "a.csv")
    with pytest.raises(UsageError, match="cannot be read as CSV"):
        read_figures(tmp_path / "b.csv")
