"""What a run would be, before anything is started; then two steps of each stage for real.

`plan_run` needs shapes only, `check_fits` refuses what the machine cannot hold, `saved_bytes`
measures what a few clips take, `try_steps` trains.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from dawnchorus.errors import UsageError
from dawnchorus.machine import free_memory
from dawnchorus.models.load import resolve_device
from dawnchorus.training import devices
from dawnchorus.training.loop import train
from dawnchorus.training.run import RunFolder
from dawnchorus.training.schedule import only_stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dawnchorus.configs import TrainConfig
    from dawnchorus.training.schedule import Stage
    from dawnchorus.training.trainable import BatchT, Trainable

N_TRIED: Final = 2  # steps of each stage
MB: Final = 2**20
OF_THE_MODEL: Final = ("weights", "gradients", "moments")


def plan_run(
    trainable: Trainable[BatchT], config: TrainConfig, *, data: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """What a run would be, from its module's shapes alone: it may be on torch's meta device.

    Args:
        trainable: what would be trained; nothing is drawn or computed.
        config: the run's.
        data: what is known of the data, passed on; ``decoded_mb`` of it counts as memory where
            sounds are kept there.

    Returns:
        ``run``, ``parameters``, ``memory_mb``, ``batch``, ``schedule`` and ``data``.
    """
    stages = tuple(trainable.stages) or (only_stage(config),)
    device = resolve_device(config.device)
    parameters = parameters_of(trainable.module, stages)  # the last stage trains most
    in_memory = data.get("decoded_mb", 0) if config.data.sounds == "memory" else 0
    return {
        "run": {"name": config.name, "steps": config.steps, "device": str(device)},
        "parameters": parameters,
        "memory_mb": {
            **memory_of(trainable.module, config),
            "decoded sounds": in_memory,
            "free in the machine": free_memory() // MB,
            **({"free on the GPU": free_on_gpu(device)} if device.type == "cuda" else {}),
        },
        "batch": batch_of(config),
        "schedule": schedule_of(stages),
        "data": dict(data),
    }


def free_on_gpu(device: torch.device) -> int:
    """Memory of a CUDA device that nobody holds, in MB."""
    return round(torch.cuda.mem_get_info(device)[0] / MB)


def check_fits(memory_mb: Mapping[str, int], config: TrainConfig) -> None:
    """Refuse a run that this machine cannot hold, before it is started.

    Args:
        memory_mb: as in `plan_run`: for one process, and ``activations`` where they were measured.
        config: the run's.

    Raises:
        UsageError: It needs more memory than is free; the message says how much and for what.
    """
    parts = {name: memory_mb.get(name, 0) for name in (*OF_THE_MODEL, "activations")}
    sounds = {"decoded sounds": memory_mb["decoded sounds"]}
    # on a GPU only the sounds need the machine's memory, on a CPU everything does
    if "free on the GPU" in memory_mb:
        _refuse_over(memory_mb["free on the GPU"], parts, "on the GPU", config, 1)
    else:
        sounds |= parts
    _refuse_over(memory_mb["free in the machine"], sounds, "in memory", config, config.devices)


def _refuse_over(
    free: int, parts: Mapping[str, int], where: str, config: TrainConfig, n_processes: int
) -> None:
    needed = sum(parts.values()) * n_processes
    if needed <= free:
        return
    shown = ", ".join(f"{name} {value:,}" for name, value in parts.items() if value)
    each = f" for each of {n_processes} processes" if n_processes > 1 else ""
    raise UsageError(
        f"{config.name}: a run needs some {needed:,} MB {where} ({shown}{each}), {free:,} MB are "
        "free; lower batch_size or raise accumulate, set data.sounds: files, or choose a smaller "
        "size"
    )


def saved_bytes(trainable: Trainable[BatchT], batch: BatchT, config: TrainConfig) -> int:
    """Bytes that autograd keeps of a batch for the backward pass, parameters not counted.

    The batch is computed on the CPU, in the run's precision; torch's random state stays as it was.
    """
    seen: dict[int, int] = {}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        # two tensors may be views of one storage, which is kept once
        if not isinstance(tensor, nn.Parameter):
            storage = tensor.untyped_storage()
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    half = config.precision == "bfloat16"
    with (
        torch.random.fork_rng(devices=[]),
        torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=half),
    ):
        # bound, so that nothing is freed and its address counted for another tensor
        losses = trainable.losses(trainable.module, batch)
        n_bytes = sum(seen.values())
        del losses
    return n_bytes


def try_steps(trainable: Trainable[BatchT], config: TrainConfig, *, fabric: Any) -> dict[str, Any]:
    """Train two steps of each stage for real, in a folder that goes away again.

    Args:
        trainable: it is trained a little, so make another one for the run itself.
        config: the run's.
        fabric: as `launch` gives it.
    """
    stages = tuple(trainable.stages) or (only_stage(config),)
    # few steps, no scores: what is tried is whether a step runs, and how fast
    short = tuple(replace(stage, n_steps=min(N_TRIED, stage.n_steps)) for stage in stages)
    tried = replace(trainable, stages=short, validate=dict)
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


def parameters_of(module: nn.Module, stages: tuple[Stage, ...]) -> dict[str, int]:
    """How many parameters there are, and how many each stage trains."""
    counts = {"all": sum(p.numel() for p in module.parameters())}
    for stage in stages:
        stage.prepare()  # it freezes what the stage does not train
        trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
        counts[f"trained in stage {stage.name}" if len(stages) > 1 else "trained"] = trained
    return counts


def memory_of(module: nn.Module, config: TrainConfig) -> dict[str, int]:
    """Weights, gradients and AdamW's two moments of one process, without activations, in MB."""
    share = config.devices * config.nodes if config.strategy == "fsdp" else 1
    # a replica each with ddp; fsdp spreads weights, gradients and moments over all processes
    weights = sum(p.numel() * p.element_size() for p in module.parameters()) / share
    trained = sum(p.numel() * p.element_size() for p in module.parameters() if p.requires_grad)
    parts = {
        "weights": round(weights / MB),
        "gradients": round(trained / share / MB),
        "moments": round(2 * trained / share / MB),
    }
    return {**parts, "together": sum(parts.values())}


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
        # dense where the warm-up is, which is where most schedules go wrong
        for step in sorted({0, last // 100, last // 20, last // 10, last // 4, last // 2, last}):
            if step >= 0:
                rates[f"step {first + step + 1}"] = stage.rate(step)
        first += stage.n_steps
    return rates
