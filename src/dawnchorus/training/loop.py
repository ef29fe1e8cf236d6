"""The training loop on Lightning Fabric: stages, steps, validation, checkpoints, log.

A step's batch and whatever else is random about it are functions of the seed and the step, and each
row's of its number. So a run that was killed and resumed has the losses of one that was not, bit
for bit on a CPU, and any number of processes and accumulated pieces train on the same batches.
"""

from __future__ import annotations

import math
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Generic

import torch

from dawnchorus.errors import RunInterruptedError, TrainingError
from dawnchorus.interrupt import stop_on_signals
from dawnchorus.training import devices
from dawnchorus.training.checkpoint import (
    Checkpoint,
    latest_checkpoint,
    load_checkpoint,
    prune_checkpoints,
    save_best,
    save_checkpoint,
    step_folder,
)
from dawnchorus.training.curves import draw_curves
from dawnchorus.training.loggers import open_loggers
from dawnchorus.training.numbers import StepNumbers, lag_of, send
from dawnchorus.training.optimizer import (
    gradient_norm,
    load_optimizer,
    make_optimizer,
    module_tensors,
    optimizer_tensors,
    set_rate,
)
from dawnchorus.training.schedule import Stage, only_stage
from dawnchorus.training.speed import SpeedMeter
from dawnchorus.training.trainable import BatchT, Trainable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from torch import Tensor

    from dawnchorus.configs import TrainConfig
    from dawnchorus.training.run import RunFolder

MAX_SKIPPED_IN_A_ROW: Final = 5
MAX_NAMED: Final = 20  # clips in a message
DRAW_EVERY_S: Final = 30.0  # the curves, which take a second
SEED_STRIDE: Final = (
    1_000_003  # between steps; parts of one step have seeds of their own in between
)


def train(
    trainable: Trainable[BatchT],
    config: TrainConfig,
    run: RunFolder,
    *,
    fabric: Any = None,  # Any: Fabric, imported late
    say: Callable[[Mapping[str, Any]], None] = lambda _record: None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Train to the end, from the latest checkpoint if there is one.

    Args:
        trainable: what to train.
        config: the run's options.
        run: an opened run folder.
        fabric: as `launch` gives it; None: launched here.
        say: called with each record that goes to the log, in the first process.
        clock: seconds, for rates.

    Returns:
        The last state: step, best score, skipped steps.

    Raises:
        TrainingError: Several losses in a row were not finite, no checkpoint can be read, or
            another process trains in the folder.
        RunInterruptedError: Ctrl-C or SIGTERM; a checkpoint was written first.
    """
    fabric = fabric or devices.launch(config)
    stages = tuple(trainable.stages) or (only_stage(config),)
    trainable = replace(trainable, stages=stages)
    talk = say if devices.is_first() else (lambda _record: None)
    loop = _Loop(trainable, config, run, fabric, talk, SpeedMeter(clock))
    # first the signals: what the run's folder holds by now is worth a word at any moment
    with stop_on_signals() as loop.stop, run.alone():
        loop.resume()
        if loop.state["finished"]:
            return loop.state
        with (
            open_loggers(config, run.path, step=loop.state["step"]) as loop.to_loggers,
            ThreadPoolExecutor(1) as ahead,
        ):
            loop.run_to_end(ahead)
    return loop.state


@dataclass
class _Loop(Generic[BatchT]):
    trainable: Trainable[BatchT]
    config: TrainConfig
    run: RunFolder
    fabric: Any
    say: Callable[[Mapping[str, Any]], None]
    meter: SpeedMeter
    state: dict[str, Any] = field(default_factory=dict)
    stop: threading.Event | None = None
    stopped: bool = False
    to_loggers: Callable[[int, Mapping[str, Any]], None] = lambda _step, _values: None
    wrapped: Any = None
    optimizer: Any = None
    saved_step: int | None = None
    drawn_s: float | None = None  # when the curves were
    moments: Mapping[str, Tensor] | None = None  # of the optimiser, from a checkpoint
    lag: int = 0  # steps after which a step's numbers are read
    unread: deque[StepNumbers] = field(default_factory=deque)
    record: dict[str, Any] = field(default_factory=dict)  # of the last step that was read

    def resume(self) -> None:
        """Take the state of the latest whole checkpoint, or that of a run not yet begun."""
        self.state = {
            "step": 0, "best": None, "best_step": None, "validations_since_best": 0,
            "skipped": 0, "skipped_in_a_row": 0, "finished": False,
        }  # fmt: skip
        latest, passed_over = latest_checkpoint(self.run.checkpoints)
        for folder in passed_over:
            self.say({"event": "checkpoint is not whole, passed over", "checkpoint": folder.name})
        if latest is not None:
            checkpoint = load_checkpoint(latest)
            self._put_back(latest, checkpoint)
            self.state |= {key: checkpoint.state[key] for key in self.state}
            self.saved_step = self.state["step"]
            # it ended, and was extended since
            self.state["finished"] &= self.state["step"] == self.n_steps or self._has_stalled()
            if not self.state["finished"]:
                self.say({"event": "resume", "step": self.state["step"]})
        # steps after the checkpoint are done again, and must not stand in the log twice
        self.run.rewind_log(self.state["step"])
        devices.wait_for_all()

    def _put_back(self, folder: Path, checkpoint: Checkpoint) -> None:
        try:
            self.trainable.module.load_state_dict(dict(checkpoint.model))
        except RuntimeError as error:
            raise TrainingError(f"{folder}: holds another model: {error}") from error
        self.moments = checkpoint.optimizer

    def run_to_end(self, ahead: ThreadPoolExecutor) -> None:
        """Go through the stages that are left."""
        if self.config.compile:
            self.trainable.module.compile()
        first = 0
        for stage in self.trainable.stages:
            last = first + stage.n_steps
            if first <= self.state["step"] < last and not self.state["finished"]:
                self._begin(stage, is_resumed=self.state["step"] > first)
                self._run_stage(stage, first, ahead)
            first = last

    def _begin(self, stage: Stage, *, is_resumed: bool) -> None:
        """Wrap the module again, so that the wrapper sees what the stage trains."""
        stage.prepare()
        if self.wrapped is None or self.config.strategy != "fsdp":  # which sees it in each step
            self.wrapped = self.fabric.setup_module(self.trainable.module)
        optimizer = make_optimizer(self.trainable.module, self.config, stage.scale)
        if is_resumed and self.moments is not None:
            load_optimizer(self.trainable.module, optimizer, self.moments)
        self.moments = None
        parameter = next(self.trainable.module.parameters())
        self.lag = lag_of(parameter, spread=self.config.strategy == "fsdp")
        self.optimizer = self.fabric.setup_optimizers(optimizer)
        if len(self.trainable.stages) > 1:
            self._log({"event": f"stage {stage.name}", "step": self.state["step"]})

    def _run_stage(self, stage: Stage, first: int, ahead: ThreadPoolExecutor) -> None:
        coming = self._draw(ahead, self.state["step"])
        last = first + stage.n_steps
        while self.state["step"] < last and not self.state["finished"]:
            with self.meter.waiting():
                pieces = coming.result()
            # drawn by another thread while this step computes
            if self.state["step"] + 1 < last:
                coming = self._draw(ahead, self.state["step"] + 1)
            self._step(pieces, stage.rate(self.state["step"] - first))
            self.state["step"] += 1
            self.meter.count(devices.n_processes() * sum(map(self.trainable.size, pieces)))
            self._read(0 if self._is_due() or self.state["step"] == last else self.lag)
            self._keep()

    def _draw(self, ahead: ThreadPoolExecutor, step: int) -> Future[list[BatchT]]:
        """This process's pieces of a step's batch."""
        n = self.config.accumulate
        # part i of n_parts is the same clips however many processes share them
        first, n_parts = devices.rank() * n, devices.n_processes() * n
        return ahead.submit(
            lambda: [self.trainable.draw(step, first + i, n_parts) for i in range(n)]
        )

    @property
    def n_steps(self) -> int:
        """Length of the whole run."""
        return sum(stage.n_steps for stage in self.trainable.stages)

    def _step(self, batches: Sequence[BatchT], rate: float) -> None:
        """Take a step. With a lag, nothing in it waits for the device."""
        set_rate(self.optimizer, rate)
        self.trainable.module.train()
        self.optimizer.zero_grad(set_to_none=True)
        losses = [self._backward(batches, number) for number in range(len(batches))]
        norm = gradient_norm(self.trainable.module, self.config.clip_norm).float()
        names = list(losses[0])
        means = self._means(losses)
        pieces = torch.stack([piece["loss"] for piece in losses])
        host, arrived = send(torch.cat([means, norm[None].to(means.device), pieces]))
        clips = [self.trainable.describe(batch) for batch in batches]
        self.unread.append(
            StepNumbers(
                step=self.state["step"] + 1, rate=rate, clips=clips, names=names,
                on_the_way=host, arrived=arrived,
            )
        )  # fmt: skip
        if self.lag:
            sound = means[names.index("loss")].isfinite() & norm.isfinite()
            # the optimiser leaves all weights as they are where this is 1
            self.optimizer.optimizer.found_inf = (~sound).float()
        # the means are the same in all processes, so that all skip a step or none does
        if self.lag or self._read(0):
            self.optimizer.step()
            self.trainable.after_step(self.state["step"] + 1)

    def _read(self, n_left: int) -> bool:
        """Read the numbers of all steps but the last ``n_left``; whether the last was sound."""
        sound = True
        while len(self.unread) > n_left:
            numbers = self.unread.popleft()
            values, asked, norm, pieces = numbers.read()
            # one of the processes had the signal, and all read it after the same step
            self.stopped |= asked
            values = {name: _short(value) for name, value in values.items()}
            self.trainable.watch(numbers.step - 1, values)
            sound = math.isfinite(values["loss"]) and math.isfinite(norm)
            if sound:
                self.state["skipped_in_a_row"] = 0
            else:
                self._skip(numbers, pieces)
            self.record = {
                "step": numbers.step, **values, "grad_norm": _short(norm), "lr": numbers.rate,
            }  # fmt: skip
        return sound

    def _backward(self, batches: Sequence[BatchT], number: int) -> dict[str, Tensor]:
        # whatever takes torch's own random numbers must not depend on the steps before it
        part = devices.rank() * len(batches) + number
        step = self.config.seed * SEED_STRIDE + self.state["step"]
        torch.manual_seed(step * SEED_STRIDE + part)
        # gradients travel between processes once a step, with its last piece
        with self.fabric.no_backward_sync(self.wrapped, enabled=number + 1 < len(batches)):
            losses = self.trainable.losses(self.wrapped, batches[number])
            self.fabric.backward(losses["loss"] / len(batches))
        return {name: value.detach().float() for name, value in losses.items()}

    def _means(self, losses: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """Each loss, averaged over pieces and processes, as all of them see it; and who stops."""
        names = list(losses[0])
        stacked = torch.stack([torch.stack([piece[name] for name in names]) for piece in losses])
        # processes get a signal at different times, and must all stop after the same step
        asked = stacked.new_tensor([float(self.stop is not None and self.stop.is_set())])
        return devices.mean_over_processes(torch.cat([stacked.mean(dim=0), asked]))

    def _skip(self, numbers: StepNumbers, pieces: Sequence[float]) -> None:
        """Count, name and log a step that changed nothing."""
        self.state["skipped"] += 1
        self.state["skipped_in_a_row"] += 1
        broken = [
            name
            for names, loss in zip(numbers.clips, pieces, strict=True)
            if not math.isfinite(loss)
            for name in names
        ]
        everywhere = [name for names in devices.gather(broken) for name in names]
        clips = everywhere or [name for names in numbers.clips for name in names]
        step = numbers.step
        self._log({"event": "skipped", "step": step, "clips": clips[:MAX_NAMED]})
        if self.state["skipped_in_a_row"] > MAX_SKIPPED_IN_A_ROW:
            more = f" and {len(clips) - MAX_NAMED} more" if len(clips) > MAX_NAMED else ""
            raise TrainingError(
                f"{self.run.path}: the loss or its gradient was not finite in "
                f"{self.state['skipped_in_a_row']} steps in a row, last in step {step} with the "
                f"clips {', '.join(clips[:MAX_NAMED])}{more}; lower learning_rate, or look at them"
            )

    def _is_due(self) -> bool:
        """Whether something needs the numbers of the step that was just taken."""
        config, step = self.config, self.state["step"]
        every = (config.log_every, config.validate_every, config.checkpoint_every)
        # alone, nobody has to be told that somebody asked to stop
        asked = self.stop is not None and self.stop.is_set() and devices.n_processes() == 1
        return asked or any(step % n == 0 for n in every)

    def _keep(self) -> None:
        """After a step: log, validate and save what is due, and stop if somebody asked for it."""
        config, step = self.config, self.state["step"]
        last = step == self.n_steps
        if step % config.log_every == 0 or last:
            self._log({**self.record, **self.meter.report(self.n_steps - step)})
        if step % config.validate_every == 0 or last:
            with self.meter.aside():
                self._validate()
                self.state["finished"] |= last
                self._draw_curves()
        if step % config.checkpoint_every == 0 or self.state["finished"] or self.stopped:
            self._read(0)  # where another process was asked to stop, steps are still unread
            with self.meter.aside():
                self.save()
        if self.stopped and not self.state["finished"]:
            raise RunInterruptedError(
                f"{self.run.path}: stopped after step {step}; the same command resumes"
            )

    def _validate(self) -> None:
        self.trainable.module.eval()
        with torch.no_grad():
            scores = dict(self.trainable.validate())
        step = self.state["step"]
        self._log({"step": step, **{f"val_{name}": _short(s) for name, s in scores.items()}})
        if scores:
            self._judge(next(iter(scores.values())))

    def _draw_curves(self) -> None:
        """Draw the log, unless that was done a moment ago and more is to come."""
        now = self.meter.clock()
        early = self.drawn_s is not None and now - self.drawn_s < DRAW_EVERY_S
        if not devices.is_first() or (early and not self.state["finished"]):
            return
        note = draw_curves(self.run.records(), self.run.path / "curves.png")
        if note is not None and self.drawn_s is None:
            self.say({"event": note})
        self.drawn_s = now

    def _judge(self, score: float) -> None:
        state = self.state
        if state["best"] is None or score > state["best"]:
            state |= {"best": score, "best_step": state["step"], "validations_since_best": 0}
            # before the checkpoint that knows of it: after a kill in between, the steps that are
            # done again find it again
            self._write(lambda checkpoint: save_best(self.run.best, checkpoint))
            return
        state["validations_since_best"] += 1
        if self._has_stalled():
            state["finished"] = True
            self._log({"event": "stopped early", "step": state["step"], "best": state["best"]})

    def _has_stalled(self) -> bool:
        patience = self.config.patience
        return patience is not None and self.state["validations_since_best"] >= patience

    def save(self) -> None:
        """Write a checkpoint of this step, unless there is one."""
        if self.saved_step == self.state["step"]:
            return
        self._write(self._save)
        self.saved_step = self.state["step"]

    def _save(self, checkpoint: Checkpoint) -> None:
        self.run.sync_log()
        save_checkpoint(step_folder(self.run.checkpoints, self.state["step"]), checkpoint)
        prune_checkpoints(self.run.checkpoints, self.config.keep_checkpoints)

    def _write(self, write: Callable[[Checkpoint], None]) -> None:
        """Gather the whole state, which takes every process, and write it from the first one."""
        checkpoint = Checkpoint(
            model=module_tensors(self.trainable.module),
            optimizer=optimizer_tensors(self.trainable.module, self.optimizer.optimizer),
            state=dict(self.state),
            beside=self.trainable.beside,
            metadata=self.trainable.metadata,
        )
        if devices.is_first():
            write(checkpoint)
        devices.wait_for_all()

    def _log(self, record: Mapping[str, Any]) -> None:
        self.run.log(record)
        self.say(record)
        if devices.is_first() and "event" not in record:
            self.to_loggers(record["step"], record)


def _short(value: float) -> float:
    """All digits that a float32 has."""
    return float(f"{value:.9g}")
