"""What both kinds of run share: the report, the data in the log, how they read a config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dawnchorus.cli.train_flags import TrainFlags
from dawnchorus.cli.train_output import dry_run_text, line_of, summary
from dawnchorus.configs import PosttrainConfig, PretrainConfig
from dawnchorus.errors import TrainingError
from dawnchorus.recipes.collapse import check_rank
from dawnchorus.recipes.posttrain import POSTTRAINING
from dawnchorus.recipes.pretrain import PRETRAINING
from dawnchorus.recipes.run import RunKind, _report_data
from dawnchorus.recipes.training_data import TrainingData
from dawnchorus.training.run import RunFolder, TrainReport

VALUES = {"name": "x", "steps": 2, "learning_rate": 0.1, "data": {"root": "."}}
KINDS = [(PRETRAINING, PretrainConfig), (POSTTRAINING, PosttrainConfig)]


@pytest.mark.parametrize(("kind", "config"), KINDS)
def test_a_config_may_be_given_or_read_from_a_file_that_builds_on_another(
    kind: RunKind[Any], config: type[Any], tmp_path: Path
) -> None:
    given = config(**VALUES)
    assert kind.read(given) is given
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(VALUES | {"steps": 7}))
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"base": "base.yaml", "steps": 2}))
    assert kind.read(tmp_path / "run.yaml") == given
    assert kind.read(str(tmp_path / "run.yaml")) == given


def data(**facts: object) -> TrainingData:
    return TrainingData(source=None, validation=[], facts=facts)  # type: ignore[arg-type]


def test_the_data_are_reported_each_time_and_logged_once(tmp_path: Path) -> None:
    run, said = RunFolder(tmp_path), []
    for _ in range(2):  # a run, and its resumption
        _report_data(run, data(clips=3), said.append)
    assert said == [{"event": "data", "clips": 3}] * 2
    assert run.records() == said[:1]
    _report_data(run, data(clips=4), said.append)
    assert len(run.records()) == 2


def report(**values: Any) -> TrainReport:
    usual = {"run": Path("r"), "export": Path("r/export"), "steps": 9, "skipped_steps": 1}
    return TrainReport(**(usual | {"best_score": 0.5, "n_parameters": 70} | values))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "9 steps, 1 skipped; 70 parameters"),
        ({"n_labels": 3}, "9 steps, 1 skipped, best validation mAP 0.500; 70 parameters, 3 labels"),
        (
            {"n_labels": 3, "best_score": None},
            "9 steps, 1 skipped, best validation mAP none; 70 parameters, 3 labels",
        ),
    ],
)
def test_a_run_ends_with_what_its_kind_has(values: dict[str, Any], text: str) -> None:
    assert summary(report(**values)) == text


def test_flags_replace_keys_of_the_file_and_leave_the_rest_of_the_data() -> None:
    recipe = {"steps": 9, "data": {"root": "a", "manifest": "m.parquet"}}
    merged = TrainFlags(data=Path("b"), steps=2).over(recipe)
    assert merged == {"steps": 2, "data": {"root": "b", "manifest": "m.parquet"}}
    assert recipe["data"] == {"root": "a", "manifest": "m.parquet"}
    assert TrainFlags().over(recipe) == recipe


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ({"event": "resume", "step": 3}, "resume: step 3"),
        ({"event": "done"}, "done"),
        ({"step": 4, "val_map": 0.51234, "val_loss": 2.0},
         "step 4  validation: map 0.5123, loss 2"),
        (
            {"step": 4, "loss": 0.25, "frame": 0.125, "lr": 1e-3, "grad_norm": 1.0,
             "clips_per_s": 12.5, "data_wait": 0.02, "left_s": 120, "memory_mb": 300},
            "step 4/9  loss 0.25  (frame 0.125)  lr 0.001  12.5 clips/s  2% data wait  300 MB  "
            "2 min left",
        ),
    ],
)  # fmt: skip
def test_a_record_of_the_log_is_one_line(record: dict[str, Any], line: str) -> None:
    assert line_of(record, 9) == line


def test_a_dry_run_is_shown_section_by_section() -> None:
    text = dry_run_text({"run": {"steps": 1000, "device": "cpu"}, "batch": {"clips": [32, 16]}})
    assert text.splitlines() == [
        "run",
        "  steps   1,000",
        "  device  cpu",
        "batch",
        "  clips  32, 16",
    ]


def test_embeddings_in_a_few_directions_end_a_run_with_what_to_do() -> None:
    config = PretrainConfig(**VALUES, collapse={"min_rank": 5})
    check_rank(5.0, 100, config)
    with pytest.raises(TrainingError, match=r"after step 100 .* is 4.9, need at least 5 .*larger"):
        check_rank(4.9, 100, config)
