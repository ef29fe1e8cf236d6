"""Numbers of steps that are read some steps later, as on a GPU, change nothing but when they are.

A lag needs an optimiser that leaves weights alone when a step was broken; that of a CPU does so
too, so that all of this runs without a GPU.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dawnchorus.errors import RunInterruptedError, TrainingError
from dawnchorus.training.numbers import LAG, StepNumbers, lag_of, send
from dawnchorus.training.optimizer import can_fuse, make_optimizer
from toy_training import N_STEPS, Net, Toy, config, run_in, steps_of


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dawnchorus.training.loop.draw_curves", lambda *_: None)  # takes a second


def lagging(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    monkeypatch.setattr("dawnchorus.training.loop.lag_of", lambda *_, **__: steps)


def weights(toy: Toy) -> list[torch.Tensor]:
    return [p.detach().clone() for p in toy.module.parameters()]


@pytest.mark.parametrize("lag", [1, 3, 99])
@pytest.mark.parametrize("changes", [{}, {"accumulate": 2}, {"log_every": 5}], ids=str)
def test_a_run_is_the_same_with_any_lag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lag: int, changes: dict[str, Any]
) -> None:
    at_once, later = Toy(stages=True, dropout=0.3), Toy(stages=True, dropout=0.3)
    first, state = run_in(tmp_path / "first", at_once, **changes)
    lagging(monkeypatch, lag)
    second, other = run_in(tmp_path / "second", later, **changes)
    names = ("loss", "bias", "grad_norm", "lr")
    assert steps_of(first, *names) == steps_of(second, *names)
    assert len(steps_of(second, "loss")) == (N_STEPS if not changes.get("log_every") else 3)
    assert state == other
    assert all(map(torch.equal, weights(at_once), weights(later)))


def test_a_broken_step_changes_no_weight_though_nobody_has_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {"broken": range(3, 6), "broken_row": 2}
    at_once, later = Toy(**broken), Toy(**broken)  # type: ignore[arg-type]
    first, state = run_in(tmp_path / "first", at_once, log_every=100, checkpoint_every=100)
    lagging(monkeypatch, 4)
    second, other = run_in(tmp_path / "second", later, log_every=100, checkpoint_every=100)
    assert state["skipped"] == other["skipped"] == 3
    assert other["skipped_in_a_row"] == 0
    assert all(map(torch.equal, weights(at_once), weights(later)))
    skipped = [[r for r in run.records() if r.get("event") == "skipped"] for run in (first, second)]
    assert skipped[0] == skipped[1]
    assert "clip-3-2" in skipped[1][0]["clips"]
    # the teacher of pretraining follows a student that has not moved
    assert later.followed == list(range(1, N_STEPS + 1))


def test_many_broken_steps_end_the_run_no_later_than_the_lag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lagging(monkeypatch, 2)
    toy = Toy(broken=range(3, 40))
    with pytest.raises(TrainingError, match=r"not finite in 6 steps in a row.*step 9.*clip-8-0"):
        run_in(tmp_path, toy, steps=40, log_every=100, validate_every=100, checkpoint_every=100)
    assert max(toy.followed) == 9 + 2
    assert all(torch.isfinite(p).all() for p in toy.module.parameters())


@pytest.mark.parametrize("stop_at", [0, 4, 9])
def test_a_run_that_was_stopped_with_steps_unread_resumes_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    whole, resumed = Toy(broken=range(4, 5)), Toy(broken=range(4, 5))
    _, state = run_in(tmp_path / "whole", whole)
    lagging(monkeypatch, 3)
    rare = {"log_every": 7, "checkpoint_every": 100}
    with pytest.raises(RunInterruptedError, match=f"stopped after step {stop_at + 1};"):
        run_in(tmp_path / "parts", Toy(broken=range(4, 5), stop_at=stop_at), **rare)
    _, other = run_in(tmp_path / "parts", resumed, **rare)
    assert other["skipped"] == state["skipped"] == 1
    assert all(map(torch.equal, weights(resumed), weights(whole)))


def test_whoever_watches_sees_every_step_and_may_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lagging(monkeypatch, 2)
    seen: list[int] = []

    def watch(step: int, losses: Any) -> None:
        assert set(losses) == {"loss", "bias"}
        seen.append(step)
        if step == 6:
            raise TrainingError("enough")

    toy = Toy()
    task = toy.task
    monkeypatch.setattr(toy, "task", lambda: replace(task(), watch=watch))
    with pytest.raises(TrainingError, match="enough"):
        run_in(tmp_path, toy, log_every=100, validate_every=100, checkpoint_every=100)
    assert seen == list(range(7))
    assert max(toy.followed) == 7 + 2


def test_only_cuda_lags_and_spread_weights_never_do() -> None:
    parameter = torch.zeros(2, requires_grad=True)
    assert lag_of(parameter, spread=False) == 0
    assert LAG > 1
    assert can_fuse(Net())
    assert make_optimizer(Net(), config()).defaults["fused"]
    numbers, arrived = send(torch.arange(5.0))
    assert arrived is None
    step = StepNumbers(
        step=1, rate=0.1, clips=[["a"]], names=["loss", "bias"], on_the_way=numbers, arrived=None
    )
    assert step.read() == ({"loss": 0.0, "bias": 1.0}, True, 3.0, [4.0])
