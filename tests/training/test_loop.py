"""A run stops, resumes, skips and refuses as promised: the real loop on a toy."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dawnchorus.errors import RunInterruptedError, TrainingError, UsageError
from dawnchorus.training.loop import _Loop
from dawnchorus.training.schedule import config_rate
from toy_training import N_HEAD_STEPS, N_STEPS, Toy, config, run_in, steps_of


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dawnchorus.training.loop.draw_curves", lambda *_: None)  # takes a second


@pytest.mark.parametrize("stop_at", [0, 4, 5, 9])
def test_a_resumed_run_ends_as_one_that_was_never_stopped(tmp_path: Path, stop_at: int) -> None:
    whole = Toy(stages=True, dropout=0.3)
    run, _ = run_in(tmp_path / "whole", whole)
    with pytest.raises(RunInterruptedError, match=f"stopped after step {stop_at + 1};"):
        run_in(tmp_path / "parts", Toy(stages=True, dropout=0.3, stop_at=stop_at))
    resumed = Toy(stages=True, dropout=0.3)
    parts, state = run_in(tmp_path / "parts", resumed)
    assert state["step"] == N_STEPS
    assert steps_of(parts, "loss", "lr") == steps_of(run, "loss", "lr")
    for ours, theirs in zip(resumed.module.parameters(), whole.module.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_ctrl_c_while_a_checkpoint_is_read_is_answered_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed = _Loop.resume

    def then_signal(loop: _Loop[Any]) -> None:
        resumed(loop)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(_Loop, "resume", then_signal)
    with pytest.raises(RunInterruptedError, match="the same command resumes"):
        run_in(tmp_path, Toy())


def test_losses_fall(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path, Toy(), steps=150, validate_every=1000)
    losses = [loss for _, loss in steps_of(run, "loss")]
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])


def test_accumulated_pieces_give_the_losses_of_the_whole_batch(tmp_path: Path) -> None:
    whole, _ = run_in(tmp_path / "whole", Toy())
    pieces, _ = run_in(tmp_path / "pieces", Toy(), accumulate=4)
    for ours, theirs in zip(steps_of(pieces, "loss"), steps_of(whole, "loss"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)


def test_the_best_model_is_kept_apart(tmp_path: Path) -> None:
    run, state = run_in(tmp_path, Toy(scores={1: 0.7, 2: 0.3}))
    kept = json.loads((run.best / "state.json").read_text())
    assert (kept["best"], kept["best_step"]) == (state["best"], 6) == (0.7, 6)
    assert sorted(path.name for path in run.best.iterdir()) == [
        "card.yaml", "model.safetensors", "state.json",
    ]  # fmt: skip


def test_the_last_checkpoints_are_kept_and_nothing_hidden(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path, Toy(), checkpoint_every=3)
    assert sorted(p.name for p in run.checkpoints.iterdir()) == ["step-0000009", "step-0000012"]


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path, Toy())
    before = run.log_path.read_text()
    run_in(tmp_path, Toy())
    assert run.log_path.read_text() == before


def test_a_run_ends_when_validation_gets_no_better(tmp_path: Path) -> None:
    scores = {1: 0.1, 2: 0.5, 3: 0.4, 4: 0.5, 5: 0.6}
    run, state = run_in(tmp_path, Toy(scores=scores), validate_every=2, patience=2)
    assert state["step"] == 8
    assert (state["best"], state["best_step"]) == (0.5, 4)
    _, again = run_in(tmp_path, Toy(scores=scores), validate_every=2, patience=2)
    assert again["step"] == 8
    assert max(step for step, _ in steps_of(run, "loss")) == 8


def test_stages_have_their_own_rates_and_train_their_own_parameters(tmp_path: Path) -> None:
    toy = Toy(stages=True)
    before = {name: p.clone() for name, p in toy.module.named_parameters()}
    run, _ = run_in(tmp_path, toy, checkpoint_every=N_HEAD_STEPS, keep_checkpoints=9)
    rates = dict(steps_of(run, "lr"))
    assert rates[1] == 0.1
    assert rates[N_HEAD_STEPS] == pytest.approx(0.05 * (1 + math.cos(math.pi * 4 / N_STEPS)))
    assert rates[N_HEAD_STEPS + 1] == pytest.approx(0.01)  # a fresh warm-up
    assert not torch.equal(toy.module.blocks[0].weight, before["blocks.0.weight"])
    kept = load_file(run.checkpoints / f"step-{N_HEAD_STEPS:07d}" / "model.safetensors")
    assert torch.equal(kept["blocks.0.weight"], before["blocks.0.weight"])
    assert not torch.equal(kept["head.weight"], before["head.weight"])
    moments = load_file(run.checkpoints / f"step-{N_HEAD_STEPS:07d}" / "optimizer.safetensors")
    assert {name.split(".")[0] for name in moments} == {"head"}


def test_a_broken_step_is_skipped_counted_and_named(tmp_path: Path) -> None:
    toy = Toy(broken=range(3, 6), broken_row=2)
    run, state = run_in(tmp_path, toy)
    assert state["skipped"] == 3
    assert toy.followed == [1, 2, 3, *range(7, N_STEPS + 1)]
    skipped = [record for record in run.records() if record.get("event") == "skipped"]
    assert [record["step"] for record in skipped] == [4, 5, 6]
    assert "clip-3-2" in skipped[0]["clips"]
    assert all(torch.isfinite(p).all() for p in toy.module.parameters())


def test_many_broken_steps_in_a_row_end_the_run_by_name(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"not finite in 6 steps in a row.*step 9.*clip-8-0"):
        run_in(tmp_path, Toy(broken=range(3, 20)))


def test_another_config_in_the_same_folder_is_refused_by_key(tmp_path: Path) -> None:
    run_in(tmp_path, Toy())
    with pytest.raises(UsageError, match=r"learning_rate \(0.05 then, 0.1 now\)"):
        run_in(tmp_path, Toy(), learning_rate=0.1)
    with pytest.raises(UsageError, match=r"noise.probability \(0.0 then, 0.1 now\)"):
        run_in(tmp_path, Toy(), noise={"probability": 0.1})
    run_in(tmp_path, Toy(), log_every=3)


def test_a_run_is_extended_where_it_is_asked_for_and_to_more_steps_alone(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path, Toy())
    with pytest.raises(UsageError, match=r"steps \(12 then, 18 now\).*--extend"):
        run_in(tmp_path, Toy(), steps=18)
    with pytest.raises(UsageError, match=r"steps \(12 then, 6 now\)"):
        run_in(tmp_path, Toy(), steps=6, extend=True)
    with pytest.raises(UsageError, match=r"learning_rate \(0.05 then, 0.1 now\)"):
        run_in(tmp_path, Toy(), steps=18, learning_rate=0.1, extend=True)
    before = steps_of(run, "loss", "lr")
    _, state = run_in(tmp_path, Toy(), steps=18, extend=True)
    assert state["step"] == 18
    after = steps_of(run, "loss", "lr")
    assert after[:12] == before
    assert [step for step, *_ in after] == list(range(1, 19))
    drawn_anew = [config_rate(config(steps=18), n, total=18) for n in range(12, 18)]
    assert [rate for *_, rate in after[12:]] == pytest.approx(drawn_anew, rel=1e-5)
    assert {"event": "extended", "before": 12, "steps": 18} in run.records()
    done = run.log_path.read_text()
    run_in(tmp_path, Toy(), steps=18)  # and then it is a run of 18 steps
    assert run.log_path.read_text() == done


def damage_last(folder: Path) -> Path:
    newest = max(folder.glob("step-*"))
    weights = newest / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:40])
    return newest


def test_a_checkpoint_that_is_cut_short_is_passed_over(tmp_path: Path) -> None:
    whole, _ = run_in(tmp_path / "whole", Toy())
    run, _ = run_in(tmp_path / "cut", Toy())
    damage_last(run.checkpoints)
    _, state = run_in(tmp_path / "cut", Toy())
    assert state["step"] == N_STEPS
    assert steps_of(run, "loss") == steps_of(whole, "loss")


def test_a_run_does_not_begin_again_when_no_checkpoint_is_whole(tmp_path: Path) -> None:
    run, _ = run_in(tmp_path, Toy(), keep_checkpoints=1)
    newest = damage_last(run.checkpoints)
    with pytest.raises(TrainingError, match=newest.name):
        run_in(tmp_path, Toy(), keep_checkpoints=1)
