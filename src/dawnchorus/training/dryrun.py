"""What a run would be: its size, its schedule, and two steps of each stage trained for real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dawnchorus.training import devices
from dawnchorus.training.loop import Task, train
from dawnchorus.training.run import RunFolder
from dawnchorus.training.schedule import only_stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from dawnchorus.configs import TrainConfig
    from dawnchorus.training.schedule import Stage

BatchT = TypeVar("BatchT")
N_TRIED: Final = 2  # steps of each stage
MB: Final = 2**20


def dry_run(
    task: Task[BatchT],
    config: TrainConfig,
    *,
    fabric: Any = None,  # Any: Fabric, imported late
    data: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Say what a run would be, and train two steps of each stage; nothing is left behind.

    Args:
        task: what would be trained; it is trained a little, so make it anew for the run itself.
        config: the run's.
        fabric: as `launch` gives it; None: launched here.
        data: what is known of the data, passed on.

    Returns:
        ``parameters``, ``memory``, ``batch``, ``schedule``, ``data`` and ``tried``, each a mapping.
    """
    fabric = fabric or devices.launch(config)
    stages = tuple(task.stages) or (only_stage(config),)
    found = {
        "run": {"name": config.name, "steps": config.steps, "device": str(fabric.device)},
        "parameters": parameters_of(task.module, stages),
        "memory_mb": memory_of(task.module, config),
        "batch": batch_of(config),
        "schedule": schedule_of(stages),
        "data": dict(data or {}),
    }
    return {**found, "tried": _try(task, config, stages, fabric)}


def parameters_of(module: nn.Module, stages: tuple[Stage, ...]) -> dict[str, int]:
    """How many parameters there are, and how many each stage trains."""
    found = {"all": sum(p.numel() for p in module.parameters())}
    for stage in stages:
        stage.prepare()
        trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
        found[f"trained in stage {stage.name}" if len(stages) > 1 else "trained"] = trained
    return found


def memory_of(module: nn.Module, config: TrainConfig) -> dict[str, int]:
    """Weights, gradients and AdamW's two moments of one process, without activations, in MB."""
    share = config.devices * config.nodes if config.strategy == "fsdp" else 1
    held = sum(p.numel() * p.element_size() for p in module.parameters()) / share
    trained = sum(p.numel() * p.element_size() for p in module.parameters() if p.requires_grad)
    found = {
        "weights": round(held / MB),
        "gradients": round(trained / share / MB),
        "moments": round(2 * trained / share / MB),
    }
    return {**found, "together": sum(found.values())}


def batch_of(config: TrainConfig) -> dict[str, Any]:
    """Clips and seconds of sound in a step, and in what each process computes at once."""
    parts = config.devices * config.nodes * config.accumulate
    return {
        "clips a step": [bucket.batch_size for bucket in config.buckets],
        "seconds of each": [bucket.crop_s for bucket in config.buckets],
        "processes": config.devices * config.nodes,
        "pieces a process": config.accumulate,
        "clips a piece": [bucket.batch_size // parts for bucket in config.buckets],
        "precision": config.precision,
    }


def schedule_of(stages: tuple[Stage, ...]) -> dict[str, float]:
    """The learning rate at a few steps, counted from 1 over the whole run."""
    rates, first = {}, 0
    for stage in stages:
        last = stage.n_steps - 1
        for step in sorted({0, last // 100, last // 20, last // 10, last // 4, last // 2, last}):
            if step >= 0:
                rates[f"step {first + step + 1}"] = stage.rate(step)
        first += stage.n_steps
    return rates


def _try(
    task: Task[BatchT], config: TrainConfig, stages: tuple[Stage, ...], fabric: Any
) -> dict[str, Any]:
    short = tuple(replace(stage, n_steps=min(N_TRIED, stage.n_steps)) for stage in stages)
    tried = replace(task, stages=short, validate=dict)
    quiet = config.model_copy(update={"log_every": 1, "loggers": ()})
    with TemporaryDirectory(prefix="dawnchorus-") as folder:
        run = RunFolder(Path(folder))
        run.open(config)
        train(tried, quiet, run, fabric=fabric)
        records = [record for record in run.records() if "loss" in record]
    return {
        "steps": len(records),
        "losses": [record["loss"] for record in records],
        "clips_per_s": [record["clips_per_s"] for record in records],
        "peak_memory_mb": devices.peak_memory_mb(),
    }
