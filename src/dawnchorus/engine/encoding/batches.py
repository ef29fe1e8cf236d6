"""Batches of windows to vectors or logits: by several workers, timed, and checked."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING

import torch

from dawnchorus.audio.frontend import FRAME_SAMPLES
from dawnchorus.engine.encoding.canary import Canary, check_model
from dawnchorus.engine.encoding.lanes import open_lanes
from dawnchorus.engine.encoding.model import model_identity
from dawnchorus.errors import DeviceError, UsageError
from dawnchorus.models.encoder import StagedEncoder, facts_of, readout_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.configs import Readout
    from dawnchorus.engine.encoding.lanes import Lane
    from dawnchorus.models.encoder import Encoder, EncoderOutput


@dataclass(frozen=True, slots=True)
class _OutputPart:
    """What is read from an output, and whether padding changes it: where not, it may be cut."""

    pool: Callable[[EncoderOutput], Tensor]
    trim: bool


class BatchEncoder:
    """Windows to vectors or logits, from as many threads at once as there are workers.

    A worker is a lane of a device (see `lanes`). ``seconds`` says how long frontend and encoder
    took, added up over the workers. On a CPU the two are distinguished for our own models;
    elsewhere all counts as encoder.
    """

    def __init__(
        self,
        model: Encoder,
        *,
        readout: Readout | None = None,
        n_workers: int = 1,
        devices: Sequence[torch.device] = (),
    ) -> None:
        """Keep the model and what is read from it.

        Args:
            model: as it was loaded.
            readout: what is read from its output; None: the model's own.
            n_workers: batches at once, on each device.
            devices: the model is copied to the others of them, and a batch goes to whichever is
                idle; none: it stays where it is.

        Raises:
            UsageError: Several devices, and the model cannot be copied.
        """
        self._model = model
        # first in, first out: batches go round the devices as long as all are as fast
        self._idle: SimpleQueue[Lane] = SimpleQueue()
        lanes = open_lanes(model, n_workers, devices)
        for lane in lanes:
            self._idle.put(lane)
        self.n_workers = len(lanes)
        self.n_devices = max(len(devices), 1)
        self.device = ", ".join(map(str, devices)) or model_identity(model).device
        self.readout = readout_for(model, readout)
        self._facts = facts_of(model)
        self._canary = Canary(model.name)
        self._lock = threading.Lock()
        self._largest: int | None = None  # windows that fit into the device's memory
        self.seconds = {"frontend": 0.0, "encoder": 0.0}
        self.notes: list[str] = []

    def check(self, window: int, *, of_logits: bool = False) -> int:
        """Run two test sounds through the model before any recording; returns the size of a result.

        Every copy of it gets them: a device may be the one that computes nonsense.

        Raises:
            WeightsError: Outputs are not finite, of another size than declared, or the same for
            both. UsageError: The model does not take windows of this length, or has no such layer.
        """
        n_classes = len(self._model.labels or ())
        width = self._model.dim if self.readout.is_output else None
        expected = n_classes if of_logits else width
        for _ in range(self.n_devices):  # the lane that was idle longest is of another device
            size = check_model(
                self.logits if of_logits else self.vectors,
                name=self._model.name,
                window=window,
                sample_rate=self._model.sample_rate,
                expected=expected,
            )
        self.seconds = dict.fromkeys(self.seconds, 0.0)
        return size

    def vectors(self, waveforms: Tensor, lengths: Tensor) -> NDArray[np.float32]:
        """Pooled embeddings, those of several layers joined, ``(batch, dim)``.

        Raises:
            WeightsError: Values that cannot be right.
            DeviceError: Not even one window fits into the device's memory.
        """
        return self._run(waveforms, lengths, self._pooled())

    def vectors_and_logits(self, waveforms: Tensor, lengths: Tensor) -> NDArray[np.float32]:
        """Both of one forward pass, side by side: ``(batch, dim + classes)``; errors of both."""
        pooled, logits = self._pooled(), self._logits()
        both = _OutputPart(
            lambda out: torch.cat([pooled.pool(out).float(), logits.pool(out).float()], dim=-1),
            trim=pooled.trim and logits.trim,
        )
        return self._run(waveforms, lengths, both)

    def logits(self, waveforms: Tensor, lengths: Tensor) -> NDArray[np.float32]:
        """Logits ``(batch, classes)``; errors as for ``vectors``.

        Raises:
            UsageError: The model has no head.
        """
        return self._run(waveforms, lengths, self._logits())

    def pooled_by(
        self, waveforms: Tensor, lengths: Tensor, pool: Callable[[EncoderOutput], Tensor]
    ) -> NDArray[np.float32]:
        """Whatever ``pool`` makes of an output with the readout's layers, ``(batch, n)``.

        Padding is kept, and batches whose windows all give one result are refused as for
        ``vectors``.
        """
        return self._run(waveforms, lengths, _OutputPart(pool, trim=False))

    def _pooled(self) -> _OutputPart:
        return _OutputPart(self.readout.pool, trim=self.readout.ignores_padding)

    def _logits(self) -> _OutputPart:
        model = self._model

        def logits(out: EncoderOutput) -> Tensor:
            if out.logits is None:
                raise UsageError(f"{model.name}: this encoder has no classifier, so it names none")
            return out.logits

        return _OutputPart(logits, trim=self._facts.logits_ignore_padding)

    def _run(self, waveforms: Tensor, lengths: Tensor, part: _OutputPart) -> NDArray[np.float32]:
        lane = self._idle.get()
        try:
            with lane.computing(), torch.inference_mode():
                values = self._as_it_fits(lane, waveforms, lengths, part)
        finally:
            self._idle.put(lane)
        self._canary.check(waveforms, values)
        return values

    def _as_it_fits(
        self, lane: Lane, waveforms: Tensor, lengths: Tensor, part: _OutputPart
    ) -> NDArray[np.float32]:
        """Encode; out of memory halves the batch, for the rest of the run, until it fits."""
        while True:
            size = self._largest or len(waveforms)
            try:
                pieces = zip(torch.split(waveforms, size), torch.split(lengths, size), strict=True)
                values = [self._encode(lane, *piece, part) for piece in pieces]
                return torch.cat(values).numpy()
            except torch.OutOfMemoryError as error:
                self._halve(min(size, len(waveforms)), error)
            # after the error is gone, which holds what was computed so far
            lane.free()

    def _halve(self, size: int, error: Exception) -> None:
        with self._lock:
            if self._largest is not None and self._largest < size:
                return  # another lane has found out at the same time
            if size == 1:
                raise DeviceError(
                    f"{self._model.name}: not even 1 window fits into the memory of {self.device}; "
                    "use --precision bfloat16, shorter windows or --device cpu"
                ) from error
            self._largest = size // 2
            self.notes.append(
                f"out of memory with {size} windows at once: continued with {self._largest}"
            )

    def _encode(self, lane: Lane, waveforms: Tensor, lengths: Tensor, part: _OutputPart) -> Tensor:
        model = lane.model
        # a window with less than one frame of sound is one frame, the rest of it silence
        lengths = lengths.clamp_min(min(FRAME_SAMPLES, waveforms.shape[1]))
        before = time.perf_counter()
        if not isinstance(model, StagedEncoder):
            out = model.encode(lane.send(waveforms), lengths, self.readout.layers)
            values = lane.fetch(part.pool(out))
            self._count(0.0, time.perf_counter() - before)
            return values
        if part.trim or self._facts.pads_to_window:
            # these see no padding, or always the same of it, so short batches may be short
            waveforms = waveforms[:, : int(lengths.max())]
        # lengths stay on the host, where the model may look at them without waiting for a device
        features, n_frames = model.features(lane.send(waveforms), lengths)
        after = time.perf_counter()
        out = model.encode_features(features, n_frames, self.readout.layers)
        values = lane.fetch(part.pool(out))
        if features.device.type != "cpu":
            after = before  # what a GPU was given is done only now
        self._count(after - before, time.perf_counter() - after)
        return values

    def _count(self, frontend_s: float, encoder_s: float) -> None:
        with self._lock:
            self.seconds["frontend"] += frontend_s
            self.seconds["encoder"] += encoder_s
