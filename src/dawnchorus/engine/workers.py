"""How many cores a run may use, and how they are shared out.

On a CPU each core encodes batches of its own: a batch split over all cores stops at every operation
until the slowest is through, and the reading thread makes one of them slow.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from copy import deepcopy
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dawnchorus.models.encoder import Encoder

CGROUP: Final = Path("/sys/fs/cgroup")
CPU_BATCH: Final = 8  # measured for the tiny size; larger batches leave the caches
GPU_BATCH: Final = 64
LEAST_MOST_WORKERS: Final = 16  # so that a command for a small server runs on a laptop too
MOST_A_CORE: Final = 4
ALLOTTED: Final = ("SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS")  # what a scheduler or user allows


def n_cores(environment: Mapping[str, str] = os.environ, cgroup: Path = CGROUP) -> int:
    """Cores that this process may use: affinity, container quota, SLURM and OMP_NUM_THREADS."""
    affinity = getattr(os, "sched_getaffinity", None)
    limits = [len(affinity(0)) if affinity else os.cpu_count() or 1]
    quota = _quota(cgroup)
    if quota:
        limits.append(quota)
    limits += [int(environment[key]) for key in ALLOTTED if environment.get(key, "").isdecimal()]
    return max(1, min(limits))


def _quota(cgroup: Path) -> int | None:
    """Whole cores of a container's quota, None without one; version 2, then version 1."""
    try:
        allowed, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            allowed = (cgroup / "cpu/cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text(encoding="ascii").strip()
        except OSError:
            return None
    if not (allowed.isdecimal() and period.isdecimal() and int(period)):
        return None  # "max" or -1: no quota
    return max(1, int(allowed) // int(period))


def batch_size(model: Encoder, wanted: int | None) -> int:
    """Windows to encode at once: what fits a core's cache, or fills a GPU."""
    return wanted or (CPU_BATCH if _on_cpu(model) else GPU_BATCH)


def n_workers(model: Encoder, wanted: int | None) -> int:
    """Batches to encode at once: one a core for our models on a CPU, else one.

    Raises:
        UsageError: More are wanted than this machine's cores could ever be kept busy with.
    """
    most = max(LEAST_MOST_WORKERS, MOST_A_CORE * (os.cpu_count() or 1))
    if wanted is not None and wanted > most:
        raise UsageError(
            f"workers {wanted}: each is a thread with a batch of windows in memory, and this "
            f"machine has {os.cpu_count() or 1} cores; need 1 to {most}, or leave it out"
        )
    if not isinstance(model, EAT) or not _on_cpu(model):
        return 1  # a GPU is filled by one; a foreign encoder may not bear two threads
    return wanted or n_cores()


def _on_cpu(model: Encoder) -> bool:
    return not isinstance(model, nn.Module) or all(
        p.device.type == "cpu" for p in model.parameters()
    )


def replicas(model: Encoder, count: int) -> list[Encoder]:
    """The model ``count`` times, with one set of weights; hooks on one do not fire on another."""
    if not isinstance(model, EAT):
        return [model] * count
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    return [model, *(deepcopy(model, dict(shared)) for _ in range(count - 1))]


@contextmanager
def one_core_each(count: int) -> Iterator[None]:
    """While several workers share the cores, each of torch's operations keeps to one."""
    before = torch.get_num_threads()
    if count > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
