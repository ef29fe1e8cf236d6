"""Numbers of a step on their way from the device, which does not stand still for them.

A loop that reads every loss waits for a GPU in each step, and the GPU then waits for the loop. Here
a step's numbers are copied while the next ones are computed, and read some steps later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

LAG: Final = 8  # steps; a GPU's queue is never empty, and a fault is noticed within seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class StepNumbers:
    """What a step gave, while it is on its way.

    Attributes:
        step: counted from 1.
        rate: learning rate it was done with.
        clips: names of each piece's clips.
        names: of the first numbers.
        on_the_way: the numbers on the host: a mean for each name, whether a process was asked to
            stop, the gradient's norm, and the loss of each piece of this process.
        arrived: is passed when they are there; None: they are.
    """

    step: int
    rate: float
    clips: Sequence[Sequence[str]]
    names: Sequence[str]
    on_the_way: Tensor
    arrived: torch.cuda.Event | None

    def read(self) -> tuple[dict[str, float], bool, float, list[float]]:
        """Means by name, whether to stop, the norm, and the losses of the pieces; waits."""
        if self.arrived is not None:
            self.arrived.synchronize()
        values = self.on_the_way.tolist()
        n = len(self.names)
        return (
            dict(zip(self.names, values, strict=False)),
            values[n] > 0,
            values[n + 1],
            values[n + 2 :],
        )


def send(numbers: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    """Begin to copy numbers to the host; the event is passed when they are there."""
    if not numbers.is_cuda:
        return numbers, None
    host = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
    host.copy_(numbers, non_blocking=True)
    arrived = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # torch's
    arrived.record()
    return host, arrived


def lag_of(parameter: Tensor, *, spread: bool) -> int:
    """Steps between a step and the reading of its numbers; 0: they are read before it is taken.

    A step whose loss or gradient is no number must change no weight, though nobody has read it
    yet: fused optimisers for CUDA see to that on the device. ``spread``: weights are shared out
    over processes (FSDP), which they do not see to.
    """
    return LAG if parameter.is_cuda and not spread else 0
