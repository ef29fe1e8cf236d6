"""Torch's own random numbers from a seed, for what draws them by itself: fresh weights, dropout."""

from __future__ import annotations

from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

# reentrant: what is seeded may itself build something that is
_ONE_AT_A_TIME: Final = RLock()


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Have torch draw fresh weights and dropout from a seed; leave its own state as it was.

    That state is one for all threads of a process, so only one is in here at a time.
    """
    # fork_rng without a list would save the state of every GPU of the machine
    devices = [device] if device is not None and device.type == "cuda" else []
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
