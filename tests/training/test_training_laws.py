"""Schedules at their ends, optimiser groups, the speed meter's sums, and damaged checkpoints."""

from __future__ import annotations

import itertools
import json
import math
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dawnchorus.errors import TrainingError
from dawnchorus.training.checkpoint import (
    Checkpoint,
    latest_checkpoint,
    load_checkpoint,
    load_tensors,
    prune_checkpoints,
    save_best,
    save_checkpoint,
    step_folder,
)
from dawnchorus.training.curves import SMOOTHED_OVER, _smooth, curves_of, draw_curves
from dawnchorus.training.loggers import OPENERS, open_loggers
from dawnchorus.training.optimizer import (
    gradient_norm,
    load_optimizer,
    make_optimizer,
    module_tensors,
    optimizer_tensors,
    set_rate,
)
from dawnchorus.training.schedule import config_rate, only_stage, warmup_cosine
from dawnchorus.training.speed import SpeedMeter
from toy_training import Net, Toy, config, run_in

STATE: dict[str, Any] = {
    "step": 7, "best": 0.5, "best_step": 3, "validations_since_best": 1,
    "skipped": 0, "skipped_in_a_row": 0, "finished": False,
}  # fmt: skip
FILES = ("model.safetensors", "optimizer.safetensors", "state.json")


def checkpoint(step: int, **more: Any) -> Checkpoint:
    return Checkpoint(
        model={"weight": torch.full((3,), float(step))},
        optimizer={"weight.exp_avg": torch.arange(3.0) + step},
        state={**STATE, "step": step},
        **more,
    )


def saved(folder: Path, *steps: int) -> list[Path]:
    folders = [step_folder(folder, step) for step in steps]
    for each, step in zip(folders, steps, strict=True):
        save_checkpoint(each, checkpoint(step))
    return folders


@given(
    peak=st.floats(1e-6, 1),
    share=st.floats(0, 1),
    warmup=st.integers(0, 20),
    rest=st.integers(1, 30),
    start=st.none() | st.floats(0, 1),
)
def test_a_rate_rises_to_its_peak_and_falls_to_its_end(
    peak: float, share: float, warmup: int, rest: int, start: float | None
) -> None:
    final, total = peak * share, warmup + rest

    def rate(step: int) -> float:
        return warmup_cosine(step, peak=peak, final=final, warmup=warmup, total=total, start=start)

    rising = [rate(step) for step in range(warmup + 1)]
    falling = [rate(step) for step in range(warmup, total + 3)]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(rising))
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(falling))
    assert rate(warmup) == pytest.approx(peak)
    assert falling[-3:] == pytest.approx([final] * 3)
    if warmup and start is not None:
        assert rate(0) == pytest.approx(start * peak)
    elif warmup:
        assert rate(0) == pytest.approx(peak / warmup)
        assert rate(warmup - 1) == pytest.approx(peak)  # no step of the rise is at rate 0


def test_a_run_that_is_all_warm_up_ends_at_the_peak_and_then_at_the_end() -> None:
    rates = [warmup_cosine(s, peak=1.0, final=0.2, warmup=4, total=4) for s in range(6)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 0.2])


def test_the_only_stage_has_the_schedule_of_the_config() -> None:
    settled = config(final_learning_rate=0.01, warmup_from=0.5)
    stage = only_stage(settled, lambda name: 0.5 if name == "head" else 1.0)
    assert stage.n_steps == settled.steps == 12
    assert stage.rate(0) == pytest.approx(0.5 * 0.05)
    assert stage.rate(3) == pytest.approx(0.05)
    middle = 0.01 + 0.5 * 0.04 * (1 + math.cos(math.pi * 5 / 9))
    assert stage.rate(8) == pytest.approx(middle) == config_rate(settled, 8, total=12)
    assert [stage.scale(name) for name in ("head", "tail")] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("decay_on", "want"), [("matrices", {2: 0.1, 1: 0.0}), ("all", {2: 0.1, 1: 0.1})]
)
def test_what_decays_is_what_the_config_says(decay_on: str, want: dict[int, float]) -> None:
    net = Net()
    made = make_optimizer(net, config(weight_decay=0.1, weight_decay_on=decay_on))
    decays = {p.ndim: group["weight_decay"] for group in made.param_groups for p in group["params"]}
    assert decays == want
    assert sum(len(group["params"]) for group in made.param_groups) == len(list(net.parameters()))


def test_each_group_has_its_share_of_the_rate_and_frozen_weights_none() -> None:
    net = Net()
    net.blocks[0].requires_grad_(False)
    made = make_optimizer(net, config(), lambda name: 1.0 if name.startswith("head") else 0.25)
    set_rate(made, 0.4)
    rates = {id(p): group["lr"] for group in made.param_groups for p in group["params"]}
    want = {"head": 0.4, "blocks.1": pytest.approx(0.1)}
    for name, parameter in net.named_parameters():
        if name.startswith("blocks.0"):
            assert id(parameter) not in rates
        else:
            assert rates[id(parameter)] == want[name.rpartition(".")[0]], name
    net.requires_grad_(False)
    with pytest.raises(TrainingError, match="every parameter is frozen"):
        make_optimizer(net, config())


def one_step(net: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    rows = torch.randn(5, 4, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    net(rows)["loss"].backward()
    optimizer.step()


def test_an_optimiser_that_was_put_back_takes_the_same_next_step() -> None:
    torch.manual_seed(0)
    first, second = Net(), Net()
    ours = make_optimizer(first, config(weight_decay=0.1))
    for seed in range(3):
        one_step(first, ours, seed)
    second.load_state_dict(module_tensors(first))
    theirs = make_optimizer(second, config(weight_decay=0.1))
    tensors = optimizer_tensors(first, ours)
    assert {name.rpartition(".")[2] for name in tensors} == {"step", "exp_avg", "exp_avg_sq"}
    load_optimizer(second, theirs, tensors)
    for seed in (7, 8):
        one_step(first, ours, seed)
        one_step(second, theirs, seed)
    for name, value in module_tensors(first).items():
        assert torch.equal(value, module_tensors(second)[name]), name
    with pytest.raises(KeyError, match="head"):
        load_optimizer(second, theirs, {k: v for k, v in tensors.items() if "head" not in k})


@pytest.mark.parametrize(("clip_to", "after"), [(None, 5.0), (10.0, 5.0), (1.0, 1.0)])
def test_gradients_are_scaled_down_and_never_up(clip_to: float | None, after: float) -> None:
    pair = nn.ParameterList([nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))])
    pair[0].grad = torch.tensor([3.0, 4.0])
    assert gradient_norm(pair, clip_to) == pytest.approx(5.0)
    assert float(pair[0].grad.norm()) == pytest.approx(after, rel=1e-5)
    assert pair[1].grad is None


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_rates_are_of_the_time_that_was_spent_on_training() -> None:
    clock = Clock()
    meter = SpeedMeter(clock)
    for _ in range(4):
        with meter.waiting():
            clock.now += 0.5
        clock.now += 1.5
        meter.count(8)
    with meter.aside():
        clock.now += 1000
    report = meter.report(steps_left=10)
    assert (report["clips_per_s"], report["data_wait"], report["left_s"]) == (4.0, 0.25, 20)
    clock.now += 2
    meter.count(2)
    assert meter.report(1)["clips_per_s"] == 1.0  # since the last report only
    with suppress(RuntimeError), meter.waiting():
        clock.now += 3
        raise RuntimeError
    clock.now += 1
    assert meter.report(0)["data_wait"] == 0.75  # an error's wait counts, and no step divides by 0


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fault", ["gone", "empty", "cut", "foreign", "folder"])
def test_any_damaged_file_of_a_checkpoint_is_named(tmp_path: Path, name: str, fault: str) -> None:
    (folder,) = saved(tmp_path, 7)
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if fault == "folder":
        path.mkdir()
    elif fault != "gone":
        path.write_bytes({"empty": b"", "cut": content[:-9], "foreign": b"%PDF-1.7"}[fault])
    with pytest.raises(TrainingError, match=rf"{name}: this checkpoint cannot be read") as caught:
        load_checkpoint(folder)
    assert f"remove {folder} to continue from the one before" in str(caught.value)
    with pytest.raises(TrainingError, match=r"no earlier checkpoint is whole; remove"):
        latest_checkpoint(tmp_path)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(damaged=st.sets(st.sampled_from([2, 5, 9, 10, 1_000_000])), name=st.sampled_from(FILES))
def test_the_last_whole_checkpoint_is_taken_and_the_later_ones_named(
    tmp_path_factory: pytest.TempPathFactory, damaged: set[int], name: str
) -> None:
    folder = tmp_path_factory.mktemp("run")
    steps = [2, 5, 9, 10, 1_000_000]
    for each, step in zip(saved(folder, *steps), steps, strict=True):
        if step in damaged:
            (each / name).write_bytes((each / name).read_bytes()[:-1])
    whole = [step for step in steps if step not in damaged]
    if not whole:
        with pytest.raises(TrainingError, match="step-1000000: files are missing or cut short"):
            latest_checkpoint(folder)
        return
    found, passed_over = latest_checkpoint(folder)
    assert found == step_folder(folder, whole[-1])
    assert passed_over == [step_folder(folder, s) for s in reversed(steps) if s > whole[-1]]
    assert load_checkpoint(found).state["step"] == whole[-1]


def test_a_checkpoint_comes_back_as_it_went(tmp_path: Path) -> None:
    folder = step_folder(tmp_path, 3)
    model: dict[str, Tensor] = {
        "a": torch.randn(2, 3, generator=torch.Generator().manual_seed(1)),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "empty": torch.zeros(0, 4),
    }
    beside = {"card.yaml": "name: дрозд\n".encode(), "labels.json": b"[]"}
    save_checkpoint(folder, Checkpoint(model=model, optimizer={}, state=STATE, beside=beside))
    back = load_checkpoint(folder)
    assert set(back.model) == set(model)
    for name, value in model.items():
        assert torch.equal(back.model[name], value)
        assert back.model[name].dtype == value.dtype
    assert back.optimizer == {}
    assert {key: back.state[key] for key in STATE} == STATE
    assert {name: (folder / name).read_bytes() for name in beside} == beside
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert back.state["files"] == {name: sizes[name] for name in sizes if name != "state.json"}


def test_a_damaged_checkpoint_is_replaced_by_the_same_step(tmp_path: Path) -> None:
    (folder,) = saved(tmp_path, 4)
    (folder / FILES[0]).write_bytes(b"")
    (folder / "left.over").touch()
    saved(tmp_path, 4)
    assert latest_checkpoint(tmp_path) == (folder, [])
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000004"]


def test_a_checkpoint_that_cannot_be_written_is_an_error_with_its_folder(tmp_path: Path) -> None:
    blocked = tmp_path / "checkpoints"
    blocked.write_text("a file")
    with pytest.raises(TrainingError, match=r"step-0000004: the checkpoint cannot be written"):
        save_checkpoint(step_folder(blocked, 4), checkpoint(4))


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_pruning_keeps_the_last_ones_and_removes_what_is_half_written(
    tmp_path: Path, keep: int
) -> None:
    saved(tmp_path, 1, 20, 3)
    (tmp_path / ".step-0000021").mkdir()
    (tmp_path / ".step-0000021" / "model.safetensors").touch()
    (tmp_path / "notes.txt").touch()
    prune_checkpoints(tmp_path, keep)
    want = [f"step-{step:07d}" for step in (1, 3, 20)][-keep:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", *want]
    assert latest_checkpoint(tmp_path)[0] == step_folder(tmp_path, 20)


def test_no_checkpoint_is_a_fresh_start(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) == (None, [])
    assert latest_checkpoint(tmp_path / "never made") == (None, [])


def test_the_best_model_is_replaced_whole_and_nothing_hidden_stays(tmp_path: Path) -> None:
    best = tmp_path / "best"
    for step in (3, 9):
        save_best(best, checkpoint(step, beside={"card.yaml": f"step: {step}\n".encode()}))
        assert float(load_tensors(best / FILES[0])["weight"][0]) == step
        assert (best / "card.yaml").read_text() == f"step: {step}\n"
        assert json.loads((best / "state.json").read_text())["step"] == step
        assert sorted(p.name for p in best.iterdir()) == ["card.yaml", FILES[0], "state.json"]


@pytest.mark.parametrize(
    ("scores", "patience", "ends_after", "best_at"),
    [
        ([0.5, 0.5, 0.5, 0.5], 1, 2, 1),  # as good is not better
        ([0.1, 0.2, 0.3, 0.4], 1, 4, 4),
        ([0.5, 0.4, 0.6, 0.5], 2, 4, 3),  # a better one begins the count again
        ([0.5, 0.4, 0.3, 0.9], 3, 4, 4),  # at the last moment
        ([0.5, 0.4, 0.3, 0.9], None, 4, 4),
    ],
)
def test_a_run_ends_after_so_many_validations_that_are_no_better(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scores: list[float],
    patience: int | None,
    ends_after: int,
    best_at: int,
) -> None:
    monkeypatch.setattr("dawnchorus.training.loop.draw_curves", lambda *_: None)
    by_number = dict(enumerate(scores, start=1))
    run, state = run_in(tmp_path, Toy(scores=by_number), validate_every=3, patience=patience)
    assert (state["step"], state["best_step"]) == (3 * ends_after, 3 * best_at)
    assert state["finished"]
    stops = [r["step"] for r in run.records() if r.get("event") == "stopped early"]
    assert stops == ([3 * ends_after] if 3 * ends_after < 12 else stops)


def test_curves_are_of_numbers_and_leave_events_and_texts_out() -> None:
    log = [
        {"event": "data", "step": 0, "loss": 9.0},
        {"step": 1, "loss": 1.0, "lr": 0.1, "left_s": 5, "memory_mb": 3, "note": "x"},
        {"step": 2, "val_map": 0.5},
        {"step": 3, "loss": 0.5, "lr": 0.2},
    ]
    curves = curves_of(log)
    assert curves == {
        "loss": ([1, 3], [1.0, 0.5]),
        "lr": ([1, 3], [0.1, 0.2]),
        "val_map": ([2], [0.5]),
    }


def test_a_log_without_numbers_makes_no_picture(tmp_path: Path) -> None:
    assert draw_curves([{"event": "data"}], tmp_path / "curves.png") is None
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=80))
def test_a_smoothed_curve_is_the_mean_around_each_point(values: list[float]) -> None:
    smooth = _smooth(values)
    half = SMOOTHED_OVER // 2
    assert len(smooth) == len(values)
    for at, mean in enumerate(smooth):
        near = [value for i, value in enumerate(values) if abs(i - at) <= half]
        assert mean == pytest.approx(math.fsum(near) / len(near), abs=1e-9)
        assert min(near) - 1e-9 <= mean <= max(near) + 1e-9


def test_loggers_get_numbers_alone_and_all_of_them_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: dict[str, list[Any]] = {"wandb": [], "mlflow": []}

    def opener(name: str) -> Any:
        @contextmanager
        def opened(*_: Any) -> Any:
            yield lambda step, values: heard[name].append((step, dict(values)))
            heard[name].append("closed")

        return opened

    for name in heard:
        monkeypatch.setitem(OPENERS, name, opener(name))  # type: ignore[misc]  # a stand-in
    with open_loggers(config(loggers=("wandb", "mlflow")), tmp_path, step=0) as log:
        log(3, {"step": 3, "loss": 1, "name": "x", "clips": ["a"], "best": None})
    assert heard["wandb"] == heard["mlflow"] == [(3, {"loss": 1.0}), "closed"]
