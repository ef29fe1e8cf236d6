"""Devices and processes: Lightning Fabric for the config, and what processes tell each other.

Processes are started by Fabric itself (``devices: 2``), by torchrun or by SLURM; a process's rank
is torch.distributed's, 0 where there is only one.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psutil
import torch
from torch import distributed, nn

from dawnchorus.errors import DependencyError, UsageError
from dawnchorus.models.load import resolve_device

if TYPE_CHECKING:
    from dawnchorus.configs import TrainConfig

T = TypeVar("T")
LEAVE_S: Final = 0.1  # for threads of the group to end
WATCH_S: Final = 0.5  # between looks at the parent process
PARENT: Final = "DAWNCHORUS_PARENT"  # environment: number of the first process
RANK_NAMES: Final = ("RANK", "LOCAL_RANK")  # of torchrun, of Fabric


def launch(config: TrainConfig) -> Any:  # Any: Fabric, imported late
    """Fabric for a run; with several devices, the other processes run from here on too.

    Raises:
        DependencyError: Fabric is not installed.
        DeviceError: The device is not there.
        UsageError: As many processes as were started elsewhere do not fit the config.
    """
    try:
        from lightning_fabric import Fabric  # noqa: PLC0415  an extra
    except ImportError as error:
        raise DependencyError("lightning-fabric", "train", "training") from error
    device = resolve_device(config.device)
    _check_started(config)
    # alone, neither a group nor a strategy is needed: the loop is then plain torch
    several = config.devices * config.nodes > 1
    if several:
        _end_with_parent()
    fabric = Fabric(
        accelerator=device.type,
        # a list names one device, such as cuda:1; a number counts them
        devices=config.devices if device.index is None else [device.index],
        num_nodes=config.nodes,
        strategy=_strategy(config) if several else "auto",
        precision="bf16-mixed" if config.precision == "bfloat16" else "32-true",
    )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its banners are no news
    fabric.launch()
    if several:
        atexit.register(_leave)
    return fabric


def _end_with_parent() -> None:
    """Let no process outlive the one that started it, however that one ends.

    A process that waits for the others of its group does not notice that the first one was killed:
    some were seen waiting minutes later.
    """
    if is_first():
        os.environ[PARENT] = str(os.getpid())  # Fabric's processes inherit it
        return
    parent = int(os.environ.get(PARENT, os.getppid()))  # of torchrun and SLURM: their launcher
    threading.Thread(target=_watch, args=(parent,), name="dawnchorus-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while _is_alive(parent):
        time.sleep(WATCH_S)
    os._exit(1)  # whatever it is doing waits for others, who are gone


def _is_alive(number: int) -> bool:
    try:
        # a killed process stays as a zombie until its own parent has noticed
        return bool(psutil.Process(number).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _leave() -> None:
    """End the group's threads while Python still runs.

    One of gloo's that lets go of a tensor after that is thrown out by the interpreter and takes the
    process with it ("terminate called without an active exception").
    """
    if distributed.is_initialized():
        distributed.destroy_process_group()
    gc.collect()  # a wrapped module holds the group, and so its threads
    time.sleep(LEAVE_S)  # torch's caches hold that of FSDP: its threads wait for this one's lock


def _check_started(config: TrainConfig) -> None:
    """Torchrun sets both; a mismatch would make every process train everything by itself."""
    # Fabric sets WORLD_SIZE for processes of its own; this name is torchrun's alone
    started = os.environ.get("WORLD_SIZE") if "TORCHELASTIC_RUN_ID" in os.environ else None
    wanted = config.devices * config.nodes
    if started is not None and int(started) != wanted:
        raise UsageError(
            f"torchrun started {started} processes, the config has devices x nodes = {wanted}; "
            f"set devices to those on one machine, and nodes"
        )
    if config.devices > 1 and ":" in config.device:
        raise UsageError(f"device {config.device} is one; for {config.devices} devices leave it")


def _strategy(config: TrainConfig) -> Any:
    from lightning_fabric.strategies.model_parallel import (  # noqa: PLC0415  an extra
        ModelParallelStrategy,
    )

    if config.strategy != "fsdp":
        return "ddp"
    return ModelParallelStrategy(
        parallelize_fn=_shard,
        data_parallel_size=config.devices * config.nodes,
        tensor_parallel_size=1,
    )


def _shard(module: nn.Module, mesh: Any) -> nn.Module:
    """Spread weights, gradients and moments over the processes, block by block (FSDP 2)."""
    from torch.distributed.fsdp import fully_shard  # noqa: PLC0415  only torch >= 2.6 for several

    # a block at a time is gathered for its forward pass, so that the whole never is
    for part in list(module.modules()):
        if isinstance(part, nn.ModuleList):
            for block in part:
                fully_shard(block, mesh=mesh["data_parallel"])
    fully_shard(module, mesh=mesh["data_parallel"])
    return module


def rank() -> int:
    """Number of this process; before `launch`, as whoever started it has set it."""
    if _several():
        return distributed.get_rank()
    return int(next((os.environ[name] for name in RANK_NAMES if name in os.environ), 0))


def n_processes() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _several() else 1


def is_first() -> bool:
    """Whether this process is the one that writes files and talks."""
    return rank() == 0


def gather(value: T) -> list[T]:
    """Every process's value, in all of them, in the order of their ranks."""
    if not _several():
        return [value]
    values: list[Any] = [None] * n_processes()
    distributed.all_gather_object(values, value)
    return values


def wait_for_all() -> None:
    """Return when every process has come here."""
    if _several():
        gather(None)


def mean_over_processes(values: torch.Tensor) -> torch.Tensor:
    """The mean of a tensor over the processes, the same in all of them."""
    if _several():
        distributed.all_reduce(values)
        values /= n_processes()
    return values


def _several() -> bool:
    return distributed.is_available() and bool(distributed.is_initialized())


def peak_memory_mb() -> int | None:
    """Most memory used so far: of the CUDA device if there is one, else of the process."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return round(torch.cuda.max_memory_allocated() / 2**20)
    try:
        import resource  # noqa: PLC0415  not on Windows
    except ImportError:
        return None
    # macOS counts bytes, Linux kilobytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))
