"""Where batches are computed: on each lane one at a time, with a copy of the model on its device.

A CUDA device has two lanes, each with a stream and pinned memory of its own: while one waits for
its results, the batch of the other is computed and its next one copied. The only wait of a batch is
the one for results that are to be written. All lanes of a device share one set of weights. MPS goes
through the plain lane, which waits for its copies; it has never been tried on such a machine.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from copy import deepcopy
from itertools import chain
from typing import TYPE_CHECKING, Final, cast

import torch
from torch import Tensor, nn

from dawnchorus.engine.encoding.workers import replicas
from dawnchorus.errors import DeviceError, UsageError
from dawnchorus.models.encoder import facts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from dawnchorus.models.encoder import Encoder

EVERY_GPU: Final = "cuda:all"


class Lane:
    """A model on a device, for one batch at a time; copies to and from the device wait."""

    def __init__(self, model: Encoder, device: torch.device | None = None) -> None:
        """``device`` None: wherever the model takes its input."""
        self.model = model
        self.device = device

    def computing(self) -> AbstractContextManager[None]:
        """All that a batch needs happens within."""
        return nullcontext()

    def send(self, waveforms: Tensor) -> Tensor:
        """Waveforms ``(batch, samples)`` of the host, where the model takes them."""
        return waveforms if self.device is None else waveforms.to(self.device)

    def fetch(self, values: Tensor) -> Tensor:
        """Results as float32 on the host, complete."""
        return values.float().cpu()

    def free(self) -> None:
        """Give back memory that is held for later, after some was missing."""
        if self.device is not None and self.device.type == "mps":
            torch.mps.empty_cache()


class CudaLane(Lane):
    """As `Lane`, on a stream of its own; nothing waits before the results do."""

    def __init__(self, model: Encoder, device: torch.device) -> None:
        """The weights must have arrived on the device."""
        super().__init__(model, device)
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's
        # blocking: a thread that waits must not take the core that reads recordings
        self._done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self._to, self._from = _Pinned(), _Pinned()

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Everything goes to this lane's stream; the setting is the thread's."""
        with torch.cuda.device(self.device), torch.cuda.stream(self._stream):
            yield

    def send(self, waveforms: Tensor) -> Tensor:
        """A copy that is on its way when this returns."""
        # the copy before it from the same memory has arrived: its results were fetched
        pinned = self._to.like(waveforms).copy_(waveforms)
        return pinned.to(cast("torch.device", self.device), non_blocking=True)

    def fetch(self, values: Tensor) -> Tensor:
        """The one wait of a batch."""
        values = values.float()
        pinned = self._from.like(values).copy_(values, non_blocking=True)
        self._done.record(self._stream)
        self._done.synchronize()
        return pinned.clone()  # the next batch writes to the same memory

    def free(self) -> None:
        """Wait for what is under way, since it holds memory and reads from ours."""
        self._stream.synchronize()
        torch.cuda.empty_cache()


class _Pinned:
    """Memory of the host that a GPU can copy from and to by itself; grows, and is kept."""

    def __init__(self) -> None:
        self._memory = torch.empty(0)

    def like(self, values: Tensor) -> Tensor:
        """Room for as many values, in their shape; what was there is lost."""
        if self._memory.numel() < values.numel():
            self._memory = torch.empty(values.numel(), pin_memory=torch.cuda.is_available())
        return self._memory[: values.numel()].view(values.shape)


def several_devices(name: str) -> list[torch.device]:
    """Every GPU for ``cuda:all``; any other name says nothing of several, so that none is given.

    Raises:
        DeviceError: There is no GPU.
    """
    if name != EVERY_GPU:
        return []
    if not torch.cuda.is_available():
        raise DeviceError(
            f"device {name!r} was asked for, and torch sees no CUDA device here; use cpu or auto"
        )
    return _gpus()


def _gpus() -> list[torch.device]:
    return [torch.device("cuda", number) for number in range(torch.cuda.device_count())]


def first_device(name: str) -> str:
    """Where a model is loaded to before it is copied to other devices; errors as above."""
    return next(map(str, several_devices(name)), name)


def open_lanes(model: Encoder, n_workers: int, devices: Sequence[torch.device] = ()) -> list[Lane]:
    """Lanes in the order in which they are to be used: the first batches go to different devices.

    Args:
        model: as it was loaded; it serves the first device.
        n_workers: lanes of each device.
        devices: where copies of it go; none: only where it is.

    Raises:
        UsageError: Several devices, and no more than one copy of this model may be used at once.
    """
    if not (facts_of(model).copies_share_weights and isinstance(model, nn.Module)):
        if len(devices) > 1:
            raise UsageError(
                f"{model.name}: of this encoder it is not known whether copies may run side by "
                f"side; name one device, such as cuda:0"
            )
        return [Lane(model)] * n_workers
    places = list(devices) or [next(model.parameters()).device]
    copies = [model, *(_copied_to(model, device) for device in places[1:])]
    by_device = [
        [_lane(replica, device) for replica in replicas(copy, n_workers)]
        for copy, device in zip(copies, places, strict=True)
    ]
    for device in places:
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # weights arrive on another stream than the lanes'
    return list(chain.from_iterable(zip(*by_device, strict=True)))


def _copied_to(model: Encoder, device: torch.device) -> Encoder:
    """A copy with weights of its own, which hold no gradients."""
    copy = cast("nn.Module", deepcopy(model)).to(device)
    return cast("Encoder", copy.requires_grad_(requires_grad=False))


def _lane(model: Encoder, device: torch.device) -> Lane:
    return CudaLane(model, device) if device.type == "cuda" else Lane(model, device)
