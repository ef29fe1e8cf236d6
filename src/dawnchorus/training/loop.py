"""The training loop on Lightning Fabric: steps, schedule, checkpoints, validation, log.

A step's batch, augmentation and dropout are functions of the seed and the step, so a run that was
killed and resumed has the losses of one that was not, bit for bit on a CPU.
"""

from __future__ import annotations

import math
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import torch

from dawnchorus.errors import DependencyError, RunInterruptedError, TrainingError
from dawnchorus.training.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from dawnchorus.training.schedule import warmup_cosine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from torch import Tensor, nn

    from dawnchorus.configs import TrainConfig
    from dawnchorus.training.run import RunFolder

BatchT = TypeVar("BatchT")
MAX_SKIPPED_IN_A_ROW = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Generic[BatchT]):
    """What the loop needs to know of what it trains.

    Attributes:
        module: everything that has weights, a teacher's included; all of it goes into checkpoints.
        draw: ``(step, part, n_parts)`` to one of the equal parts of the step's batch, a function of
            nothing else; called from another thread, ahead of time. A part for each process and
            each accumulated piece: together they are the batch that one process would have drawn.
        losses: module (as it is wrapped for several devices) and batch to named losses, ``loss``
            among them; each is a mean over the clips, so that parts can be averaged.
        describe: names of a batch's clips, for error messages.
        size: clips in a batch.
        validate: named scores; the first one, higher is better, chooses the best checkpoint.
        after_step: called with the number of steps done, after each step of the optimiser.
    """

    module: nn.Module
    draw: Callable[[int, int, int], BatchT]
    losses: Callable[[Any, BatchT], Mapping[str, Tensor]]
    describe: Callable[[BatchT], list[str]]
    size: Callable[[BatchT], int]
    validate: Callable[[], Mapping[str, float]]
    after_step: Callable[[int], None] = lambda _step: None


def train(
    task: Task[BatchT],
    config: TrainConfig,
    run: RunFolder,
    *,
    say: Callable[[Mapping[str, Any]], None] = lambda _record: None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Train to the end, from the latest checkpoint if there is one.

    Args:
        task: what to train.
        config: the run's options.
        run: an opened run folder.
        say: called with each record that goes to the log.
        clock: seconds, for rates.

    Returns:
        The last state: step, best score, skipped steps.

    Raises:
        TrainingError: Several losses in a row were not finite, or the checkpoint is damaged.
        RunInterruptedError: Ctrl-C; a checkpoint was written first.
    """
    fabric = _fabric(config)
    optimizer = make_optimizer(task.module, config)
    state: dict[str, Any] = {"step": 0, "best": None, "skipped": 0}
    found = latest_checkpoint(run.checkpoints)
    if found is not None:
        state = load_checkpoint(found, task.module, optimizer)
        say({"event": "resume", "step": state["step"], "checkpoint": found.name})
    module, optimizer = fabric.setup(task.module, optimizer)
    loop = _Loop(task, config, run, fabric, module, optimizer, state, say, clock)
    with ThreadPoolExecutor(1) as ahead:
        try:
            loop.run_to_end(ahead)
        except KeyboardInterrupt as stop:
            loop.save()
            raise RunInterruptedError(
                f"{run.path}: stopped at step {state['step']}; the same command resumes"
            ) from stop
    return state


def make_optimizer(module: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices and kernels only."""
    trained = [p for p in module.parameters() if p.requires_grad]
    decayed = [p for p in trained if p.ndim >= 2]
    plain = [p for p in trained if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}]
    if plain:
        groups.append({"params": plain, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas)


def _fabric(config: TrainConfig) -> Any:  # Any: Fabric, imported late
    try:
        from lightning_fabric import Fabric  # noqa: PLC0415  an extra
    except ImportError as error:
        raise DependencyError("lightning-fabric", "train", "training") from error
    mixed = config.precision == "bfloat16"
    return Fabric(
        accelerator=config.device, devices=1, precision="bf16-mixed" if mixed else "32-true"
    )


@dataclass
class _Loop(Generic[BatchT]):
    task: Task[BatchT]
    config: TrainConfig
    run: RunFolder
    fabric: Any
    module: Any
    optimizer: Any
    state: dict[str, Any]
    say: Callable[[Mapping[str, Any]], None]
    clock: Callable[[], float]
    skipped_in_a_row: int = 0

    def run_to_end(self, ahead: ThreadPoolExecutor) -> None:
        config, state = self.config, self.state
        since, clips, waited = self.clock(), 0, 0.0
        coming = ahead.submit(self.task.draw, state["step"], 0, 1)
        while state["step"] < config.steps:
            asked = self.clock()
            batch = coming.result()
            waited += self.clock() - asked
            if state["step"] + 1 < config.steps:
                coming = ahead.submit(self.task.draw, state["step"] + 1, 0, 1)
            record = self._step(batch)
            state["step"] += 1
            clips += self.task.size(batch)
            if state["step"] % config.log_every == 0 or state["step"] == config.steps:
                spent = max(self.clock() - since, 1e-9)
                left = (config.steps - state["step"]) * spent / config.log_every
                self._log(
                    {
                        **record,
                        "clips_per_s": round(clips / spent, 1),
                        "data_wait": round(waited / spent, 3),
                        "left_s": round(left),
                    }
                )
                since, clips, waited = self.clock(), 0, 0.0
            self._keep()

    def _step(self, batch: BatchT) -> dict[str, Any]:
        step = self.state["step"]
        # dropout of a step must not depend on the steps before it
        torch.manual_seed(self.config.seed * 1_000_003 + step)
        rate = warmup_cosine(
            step,
            peak=self.config.learning_rate,
            final=self.config.final_learning_rate,
            warmup=self.config.warmup_steps,
            total=self.config.steps,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.task.module.train()
        with self.fabric.autocast():
            losses = self.task.losses(self.module, batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(losses["loss"])
        trained = [p for p in self.task.module.parameters() if p.grad is not None]
        norm = float(torch.nn.utils.clip_grad_norm_(trained, self.config.clip_norm or math.inf))
        values = {name: round(float(value.detach()), 5) for name, value in losses.items()}
        if math.isfinite(values["loss"]) and math.isfinite(norm):
            self.optimizer.step()
            self.task.after_step(step + 1)
            self.skipped_in_a_row = 0
        else:
            self._skip(batch)
        return {"step": step + 1, **values, "grad_norm": round(norm, 3), "lr": rate}

    def _skip(self, batch: BatchT) -> None:
        self.state["skipped"] += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row > MAX_SKIPPED_IN_A_ROW:
            names = ", ".join(self.task.describe(batch)[:5])
            raise TrainingError(
                f"{self.run.path}: the loss was not finite {self.skipped_in_a_row} steps in a row, "
                f"at step {self.state['step']}; clips of the last batch: {names} ...; lower "
                "learning_rate"
            )

    def _keep(self) -> None:
        config, step = self.config, self.state["step"]
        last = step == config.steps
        if step % config.validate_every == 0 or last:
            self._validate()
        if step % config.checkpoint_every == 0 or last:
            self.save()

    def _validate(self) -> None:
        self.task.module.eval()
        with torch.inference_mode():
            scores = dict(self.task.validate())
        self._log(
            {"step": self.state["step"], **{f"val_{k}": round(v, 5) for k, v in scores.items()}}
        )
        score = next(iter(scores.values()), -math.inf)
        if self.state["best"] is None or score > self.state["best"]:
            self.state["best"] = score
            self.save()
            shutil.rmtree(self.run.best, ignore_errors=True)
            shutil.copytree(self._folder(), self.run.best)

    def _folder(self) -> Path:
        return self.run.checkpoints / f"step-{self.state['step']:07d}"

    def save(self) -> None:
        save_checkpoint(self._folder(), self.task.module, self.optimizer.optimizer, self.state)
        prune_checkpoints(self.run.checkpoints, self.config.keep_checkpoints)

    def _log(self, record: Mapping[str, Any]) -> None:
        self.run.log(record)
        self.say(record)
