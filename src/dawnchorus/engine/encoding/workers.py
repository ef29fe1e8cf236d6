"""How the cores that a run may use are shared out.

On a CPU each core encodes batches of its own: a batch split over all cores stops at every operation
until the slowest is through, and the reading thread makes one of them slow.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from copy import deepcopy
from itertools import chain
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from dawnchorus.engine.encoding.device_batch import device_batch, free_on
from dawnchorus.errors import UsageError
from dawnchorus.machine import n_cores
from dawnchorus.models.encoder import facts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dawnchorus.models.encoder import Encoder

CPU_BATCH: Final = 8  # measured for the tiny size; larger batches leave the caches
GPU_BATCH: Final = 64  # where nothing is known of its memory, as on MPS
CUDA_LANES: Final = 2  # one is computed while the other's results and sound are copied
LEAST_MOST_WORKERS: Final = 16  # so that a command for a small server runs on a laptop too
MOST_A_CORE: Final = 4


def batch_size(model: Encoder, wanted: int | None, window: int | None = None) -> int:
    """Windows (of ``window`` samples) to encode at once: what fits a core's cache, or a GPU."""
    if wanted:
        return wanted
    if _on_cpu(model):
        return CPU_BATCH
    free = free_on(model)
    if free is None or window is None:
        return GPU_BATCH
    return device_batch(model, window, free=free, n_lanes=CUDA_LANES)


def n_workers(model: Encoder, wanted: int | None) -> int:
    """Batches to encode at once on a device: one a core for our models on a CPU, two on CUDA.

    Raises:
        UsageError: More are wanted than this machine's cores could ever be kept busy with.
    """
    most = max(LEAST_MOST_WORKERS, MOST_A_CORE * (os.cpu_count() or 1))
    if wanted is not None and wanted > most:
        raise UsageError(
            f"workers {wanted}: each is a thread with a batch of windows in memory, and this "
            f"machine has {os.cpu_count() or 1} cores; need 1 to {most}, or leave it out"
        )
    if not facts_of(model).copies_share_weights:
        return 1  # other encoders may not bear two threads
    if not _on_cpu(model):
        return CUDA_LANES if free_on(model) is not None else 1
    return wanted or n_cores()


def _on_cpu(model: Encoder) -> bool:
    return not isinstance(model, nn.Module) or all(
        p.device.type == "cpu" for p in model.parameters()
    )


def replicas(model: Encoder, count: int) -> list[Encoder]:
    """The model ``count`` times, with one set of weights; hooks on one do not fire on another."""
    if not (facts_of(model).copies_share_weights and isinstance(model, nn.Module)):
        return [model] * count
    # deepcopy looks tensors up here before it copies them, so only modules are copied
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    return [model, *(deepcopy(model, dict(shared)) for _ in range(count - 1))]


@contextmanager
def one_core_each(count: int) -> Iterator[None]:
    """While several workers share the cores, each of torch's operations keeps to one."""
    # a setting of the whole process, so it is put back
    before = torch.get_num_threads()
    if count > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
