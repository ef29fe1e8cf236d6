"""A toy to train, on the real loop; as a program it trains on several processes.

``python toy_training.py FOLDER SCENARIO...`` runs each of `SCENARIOS` into FOLDER/SCENARIO.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dawnchorus.configs import DataConfig, TrainConfig
from dawnchorus.errors import TrainingError
from dawnchorus.training import loop
from dawnchorus.training.loop import train
from dawnchorus.training.run import RunFolder
from dawnchorus.training.schedule import Stage, warmup_cosine
from dawnchorus.training.trainable import Trainable

N_STEPS, BATCH, WIDTH = 12, 8, 4
N_HEAD_STEPS = 5
ToyBatch = tuple[int, Tensor, Tensor]  # step, numbers of the rows, rows

# several processes: what differs from `config()`
SCENARIOS: dict[str, dict[str, Any]] = {
    "ddp": {"devices": 2},
    "ddp_pieces": {"devices": 2, "accumulate": 2},
    "ddp_stages": {"devices": 2},
    "ddp_broken": {"devices": 2},
    "fsdp": {"devices": 2, "strategy": "fsdp"},
    "fsdp_stages": {"devices": 2, "strategy": "fsdp", "accumulate": 2},
}


def config(**changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "name": "toy",
        "steps": N_STEPS,
        "learning_rate": 0.05,
        "warmup_steps": 3,
        "device": "cpu",
        "buckets": [{"crop_s": 1.0, "batch_size": BATCH}],
        "data": DataConfig(root="nowhere"),
        "checkpoint_every": 5,
        "validate_every": 6,
        "log_every": 1,
    }
    return TrainConfig(**{**values, **changes})


class Net(nn.Module):
    """Two "blocks" and a head; each row may be blinded in some places, which is its own affair."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        inner = x
        for block in self.blocks:
            inner = torch.tanh(block(inner))
        off = self.head(inner).squeeze(1) - x.sum(1)
        return {"loss": off.square().mean(), "bias": off.mean()}


class Toy:
    """Least squares on rows that are functions of step and number."""

    def __init__(
        self,
        *,
        stop_at: int | None = None,
        broken: range = range(0),
        broken_row: int = 0,
        scores: dict[int, float] | None = None,
        stages: bool = False,
        dropout: float = 0.0,
    ) -> None:
        torch.manual_seed(0)
        self.module = Net()
        self.dropout = dropout
        self.stop_at = stop_at
        self.broken, self.broken_row = broken, broken_row
        self.scores = scores
        self.stages = self._stages() if stages else ()
        self.n_validations = 0
        self.followed: list[int] = []

    def draw(self, step: int, part: int, n_parts: int) -> ToyBatch:
        share = BATCH // n_parts
        numbers = range(part * share, (part + 1) * share)
        rows = [np.random.default_rng([step, n]).standard_normal(WIDTH) for n in numbers]
        return step, torch.tensor(numbers), torch.from_numpy(np.stack(rows)).float()

    def losses(self, module: Any, batch: ToyBatch) -> dict[str, Tensor]:
        step, numbers, x = batch
        if step == self.stop_at:
            signal.raise_signal(signal.SIGINT)
        if self.dropout:
            x = nn.functional.dropout(x, self.dropout)
        found: dict[str, Tensor] = module(x)
        if step in self.broken and self.broken_row in numbers:
            return {**found, "loss": found["loss"] * float("nan")}
        return found

    def validate(self) -> dict[str, float]:
        self.n_validations += 1
        if self.scores is not None:
            return {"score": self.scores[self.n_validations]}
        weight = self.module.head.weight
        whole = weight.full_tensor() if hasattr(weight, "full_tensor") else weight
        return {"score": float(-whole.square().sum())}

    def _stages(self) -> tuple[Stage, ...]:
        def only_head() -> None:
            self.module.blocks.requires_grad_(False)

        def everything() -> None:
            self.module.requires_grad_(True)

        return (
            Stage(
                name="head",
                n_steps=N_HEAD_STEPS,
                rate=lambda s: warmup_cosine(s, peak=0.1, final=0.0, warmup=0, total=N_STEPS),
                prepare=only_head,
            ),
            Stage(
                name="all",
                n_steps=N_STEPS - N_HEAD_STEPS,
                rate=lambda s: warmup_cosine(s, peak=0.02, final=0.0, warmup=2, total=7),
                prepare=everything,
            ),
        )

    def task(self) -> Trainable[ToyBatch]:
        return Trainable(
            module=self.module,
            draw=self.draw,
            losses=self.losses,
            describe=lambda batch: [f"clip-{batch[0]}-{int(n)}" for n in batch[1]],
            size=lambda batch: len(batch[1]),
            validate=self.validate,
            after_step=self.followed.append,
            stages=self.stages,
            beside={"card.yaml": b"name: toy\n"},
        )


def run_in(
    folder: Path, toy: Toy, *, extend: bool = False, **changes: Any
) -> tuple[RunFolder, dict[str, Any]]:
    run = RunFolder(folder)
    run.open(config(**changes), extend=extend)
    return run, train(toy.task(), config(**changes), run)


def steps_of(run: RunFolder, *names: str) -> list[tuple[Any, ...]]:
    """Step and named values of each record of a step."""
    records = [record for record in run.records() if "loss" in record]
    return [tuple(record[name] for name in ("step", *names)) for record in records]


def note_threads(folder: Path) -> None:
    """Write down which of the process's threads are there, Python's own and others."""
    tasks = Path("/proc/self/task")
    names = (
        [(one / "comm").read_text().strip() for one in tasks.iterdir()] if tasks.exists() else []
    )
    (folder / f"threads-{os.environ.get('LOCAL_RANK', '0')}.json").write_text(json.dumps(names))


def main() -> None:
    loop.draw_curves = lambda *_: None  # takes a second
    folder = Path(sys.argv[1])
    atexit.register(note_threads, folder)  # the first one runs last
    for name in sys.argv[2:]:
        broken = range(3, 20) if name == "ddp_broken" else range(0)
        toy = Toy(stages=name.endswith("stages"), broken=broken, broken_row=BATCH - 1)
        try:
            run_in(folder / name, toy, **SCENARIOS[name])
        except TrainingError as error:
            (folder / name / "error.json").write_text(json.dumps(str(error)))


if __name__ == "__main__":
    main()
