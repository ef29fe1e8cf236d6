"""A run stops, resumes and refuses as promised; the model is a toy, the loop is the real one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dawnchorus.configs import DataConfig, TrainConfig
from dawnchorus.errors import RunInterruptedError, TrainingError, UsageError
from dawnchorus.training.loop import Task, train
from dawnchorus.training.run import RunFolder

N_STEPS = 12


def config(**changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "name": "toy",
        "steps": N_STEPS,
        "learning_rate": 0.05,
        "warmup_steps": 3,
        "device": "cpu",
        "data": DataConfig(root="nowhere"),
        "checkpoint_every": 5,
        "validate_every": 6,
        "log_every": 1,
    }
    return TrainConfig(**{**values, **changes})


class Toy:
    """Least squares with dropout, so that random numbers matter to the losses."""

    def __init__(self, *, stop_at: int | None = None, broken_from: int | None = None) -> None:
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.stop_at = stop_at
        self.broken_from = broken_from

    def draw(self, step: int, _part: int, _n_parts: int) -> tuple[int, Tensor]:
        return step, torch.randn(6, 4, generator=torch.Generator().manual_seed(step))

    def losses(self, module: nn.Module, batch: tuple[int, Tensor]) -> dict[str, Tensor]:
        step, x = batch
        if step == self.stop_at:
            raise KeyboardInterrupt
        loss = (module(x).squeeze(1) - x.sum(1)).square().mean()
        if self.broken_from is not None and step >= self.broken_from:
            loss = loss * float("nan")
        return {"loss": loss}

    def task(self) -> Task[tuple[int, Tensor]]:
        return Task(
            module=self.module,
            draw=self.draw,
            losses=self.losses,
            describe=lambda batch: [f"clip-{batch[0]}"],
            size=lambda batch: len(batch[1]),
            validate=lambda: {"score": float(-self.module[0].weight.square().sum())},
        )


def run_in(folder: Path, toy: Toy, **changes: Any) -> tuple[RunFolder, dict[str, Any]]:
    run = RunFolder(folder)
    run.open(config(**changes))
    return run, train(toy.task(), config(**changes), run)


def losses_of(run: RunFolder) -> list[float]:
    records = [json.loads(line) for line in run.log_path.read_text().splitlines()]
    return [record["loss"] for record in records if "loss" in record]


@pytest.mark.parametrize("stop_at", [1, 5, 7, 11])
def test_a_resumed_run_ends_as_one_that_was_never_stopped(tmp_path: Path, stop_at: int) -> None:
    whole = Toy()
    run, _ = run_in(tmp_path / "whole", whole)
    with pytest.raises(RunInterruptedError, match=f"step {stop_at}"):
        run_in(tmp_path / "parts", Toy(stop_at=stop_at))
    resumed = Toy()
    parts, state = run_in(tmp_path / "parts", resumed)
    assert state["step"] == N_STEPS
    assert losses_of(parts) == losses_of(run)
    for ours, theirs in zip(resumed.module.parameters(), whole.module.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_losses_fall(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path, Toy(), steps=200)
    losses = losses_of(run)
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])


def test_the_best_checkpoint_is_kept_apart(tmp_path: Path) -> None:
    run, state = run_in(tmp_path, Toy())
    assert json.loads((run.best / "state.json").read_text())["best"] == state["best"]
    assert len(list(run.checkpoints.glob("step-*"))) == 2


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path, Toy())
    before = run.log_path.read_text()
    run_in(tmp_path, Toy())
    assert run.log_path.read_text() == before


def test_a_few_broken_steps_are_skipped_and_counted_then_the_run_ends_by_name(
    tmp_path: Path,
) -> None:
    with pytest.raises(TrainingError, match=r"not finite 6 steps in a row.*clip-8"):
        run_in(tmp_path, Toy(broken_from=3))


def test_another_config_in_the_same_folder_is_refused_by_key(tmp_path: Path) -> None:
    run_in(tmp_path, Toy())
    with pytest.raises(UsageError, match=r"learning_rate \(0.05 then, 0.1 now\)"):
        run_in(tmp_path, Toy(), learning_rate=0.1)
    with pytest.raises(UsageError, match=r"gain_db"):
        run_in(tmp_path, Toy(), gain_db=3.0)
    run_in(tmp_path, Toy(), log_every=3)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path, Toy())
    newest = max(run.checkpoints.glob("step-*"))
    weights = newest / "objective.safetensors"
    weights.write_bytes(weights.read_bytes()[:40])
    with pytest.raises(TrainingError, match=newest.name):
        run_in(tmp_path, Toy(), log_every=3)
