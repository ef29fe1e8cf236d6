"""What a run leaves beside its weights: log, curves, other programs' logs; and how it talks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dawnchorus.cli.train_output import line_of
from dawnchorus.errors import DependencyError, TrainingError
from dawnchorus.training.curves import curves_of, draw_curves
from dawnchorus.training.run import RunFolder
from dawnchorus.training.speed import SpeedMeter
from toy_training import N_STEPS, Toy, config, run_in

PNG = b"\x89PNG"


def test_the_log_is_rewound_to_a_step_and_a_cut_line_is_dropped(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.log_path.write_text('{"event": "data"}\n{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    run.rewind_log(2)
    assert run.records() == [{"event": "data"}, {"step": 1}, {"step": 2}]
    run.log({"step": 3})
    assert [record.get("step") for record in run.records()] == [None, 1, 2, 3]


def test_a_second_run_in_a_folder_is_refused_and_leaves_the_first_alone(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path, Toy(), steps=6)
    before = run.log_path.read_bytes()
    with run.alone(), pytest.raises(TrainingError, match=r"another process trains in this folder"):
        run_in(tmp_path, Toy(), steps=6)
    assert run.log_path.read_bytes() == before
    run_in(tmp_path, Toy(), steps=6)  # free again


def test_curves_are_drawn_of_every_number_that_is_followed(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path, Toy())
    assert run.path.joinpath("curves.png").read_bytes().startswith(PNG)
    curves = curves_of(run.records())
    assert {"loss", "bias", "lr", "grad_norm", "clips_per_s", "data_wait", "val_score"} == set(
        curves
    )
    assert curves["loss"][0] == list(range(1, N_STEPS + 1))
    assert curves["val_score"][0] == [6, 12]


def test_without_matplotlib_there_is_a_note_and_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    note = draw_curves([{"step": 1, "loss": 1.0}], tmp_path / "curves.png")
    assert note is not None
    assert "dawnchorus[plot]" in note
    assert not list(tmp_path.iterdir())


def test_tensorboard_reads_back_what_was_logged(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path, Toy(), loggers=("tensorboard",))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("loss")]
    wanted = [(record["step"], record["loss"]) for record in run.records() if "loss" in record]
    assert [step for step, _ in found] == [step for step, _ in wanted]
    assert [value for _, value in found] == pytest.approx([value for _, value in wanted])
    assert [event.step for event in events.Scalars("val_score")] == [6, 12]


class StandIn(ModuleType):
    """Takes any call, and keeps it; it only shows which calls are made, not that they are right."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **options: Any) -> StandIn:
            self.calls.append((name, arguments, options))
            return self

        return call

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *_: object) -> None:
        self.calls.append(("exit", (), {}))


def test_wandb_is_told_every_step_and_stays_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = StandIn("wandb")
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    run_in(tmp_path, Toy(), loggers=("wandb",))
    first, *logged, last = wandb.calls
    assert first[0] == "init"
    assert first[2]["mode"] == "offline"
    assert first[2]["config"]["learning_rate"] == config().learning_rate
    assert [call[2]["step"] for call in logged if "loss" in call[1][0]] == list(range(1, 13))
    assert last[0] == "finish"


def test_mlflow_is_told_every_step_into_the_runs_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = StandIn("mlflow")
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run_in(tmp_path, Toy(), loggers=("mlflow",))
    assert str(tmp_path) in mlflow.calls[0][1][0]
    steps = [call[2]["step"] for call in mlflow.calls if call[0] == "log_metrics"]
    assert steps == [*range(1, 7), 6, *range(7, 13), 12]
    assert mlflow.calls[-1][0] == "exit"


def test_a_logger_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(DependencyError, match=r"dawnchorus\[wandb\]"):
        run_in(tmp_path, Toy(), loggers=("wandb",))


def test_rates_leave_validation_out_and_say_what_is_left() -> None:
    now = [0.0]
    meter = SpeedMeter(lambda: now[0])
    for waited, worked in ((1.0, 2.0), (0.5, 1.5)):
        with meter.waiting():
            now[0] += waited
        now[0] += worked
        meter.count(10)
    with meter.aside():
        now[0] += 100.0
    found = meter.report(steps_left=6)
    assert found["clips_per_s"] == 4.0
    assert found["data_wait"] == 0.3
    assert found["left_s"] == 15
    meter.count(10)
    now[0] += 2.0
    assert meter.report(steps_left=1)["clips_per_s"] == 5.0


def test_a_record_is_one_line_for_a_reader() -> None:
    record = {
        "step": 40, "loss": 2.34567, "labels": 0.03, "grad_norm": 1.0, "lr": 0.001,
        "clips_per_s": 61.5, "data_wait": 0.021, "left_s": 2400, "memory_mb": 1540,
    }  # fmt: skip
    assert line_of(record, 2800) == (
        "step 40/2800  loss 2.346  (labels 0.03)  lr 0.001  61.5 clips/s  2% data wait  1540 MB  "
        "40 min left"
    )
    assert line_of({"step": 40, "val_map": 0.5}, 100) == "step 40  validation: map 0.5"
    assert line_of({"event": "data", "clips": 6799, "skipped": {}}, 9) == (
        "data: clips 6,799, skipped none"
    )


def test_records_are_json(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path, Toy())
    assert all(json.loads(line) for line in run.log_path.read_text().splitlines())
