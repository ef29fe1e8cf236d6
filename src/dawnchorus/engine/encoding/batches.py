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
from dawnchorus.engine.encoding.model import model_identity
from dawnchorus.engine.encoding.workers import replicas
from dawnchorus.errors import DeviceError, UsageError
from dawnchorus.models.encoder import StagedEncoder, facts_of, readout_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.configs import Readout
    from dawnchorus.models.encoder import Encoder, EncoderOutput


@dataclass(frozen=True, slots=True)
class _OutputPart:
    """What is read from an output, and whether padding changes it: where not, it may be cut."""

    pool: Callable[[EncoderOutput], Tensor]
    trim: bool


class BatchEncoder:
    """Windows to vectors or logits, from as many threads at once as there are workers.

    ``seconds`` says how long frontend and encoder took, added up over the workers. On a CPU the two
    are distinguished for our own models; elsewhere all counts as encoder.
    """

    def __init__(
        self,
        model: Encoder,
        *,
        readout: Readout | None = None,
        n_workers: int = 1,
    ) -> None:
        """Keep the model and what is read from it; ``readout`` None: the model's own."""
        self._model = model
        self._idle: SimpleQueue[Encoder] = SimpleQueue()
        for replica in replicas(model, n_workers):
            self._idle.put(replica)
        self.n_workers = n_workers
        self.readout = readout_for(model, readout)
        self._facts = facts_of(model)
        self._canary = Canary(model.name)
        self._lock = threading.Lock()
        self._largest: int | None = None  # windows that fit into the device's memory
        self.seconds = {"frontend": 0.0, "encoder": 0.0}
        self.notes: list[str] = []

    def check(self, window: int, *, of_logits: bool = False) -> int:
        """Run two test sounds through the model before any recording; returns the size of a result.

        Raises:
            WeightsError: Outputs are not finite, of another size than declared, or the same for
            both. UsageError: The model does not take windows of this length, or has no such layer.
        """
        n_classes = len(self._model.labels or ())
        width = self._model.dim if self.readout.is_output else None
        expected = n_classes if of_logits else width
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
            DeviceError: Even half a batch does not fit into the device's memory.
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
        model = self._idle.get()
        try:
            values = self._halved_if_needed(model, waveforms, lengths, part)
        finally:
            self._idle.put(model)
        self._canary.check(waveforms, values)
        return values

    def _halved_if_needed(
        self, model: Encoder, waveforms: Tensor, lengths: Tensor, part: _OutputPart
    ) -> NDArray[np.float32]:
        """Encode; out of memory halves the batch, for the rest of the run, and only once."""
        size = self._largest or len(waveforms)
        try:
            pieces = zip(torch.split(waveforms, size), torch.split(lengths, size), strict=True)
            with torch.inference_mode():
                values = [self._encode(model, *piece, part) for piece in pieces]
            return torch.cat(values).numpy()
        except torch.OutOfMemoryError as error:
            half = len(waveforms) // 2
            if self._largest or not half:
                raise DeviceError(
                    f"{self._model.name}: {size} windows at once do not fit into the memory of "
                    f"{model_identity(model).device}; use a smaller --batch-size, or --device cpu"
                ) from error
        self._largest = half
        self.notes.append(
            f"out of memory with {len(waveforms)} windows at once: continued with {half}"
        )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return self._halved_if_needed(model, waveforms, lengths, part)

    def _encode(
        self, model: Encoder, waveforms: Tensor, lengths: Tensor, part: _OutputPart
    ) -> Tensor:
        # a window with less than one frame of sound is one frame, the rest of it silence
        lengths = lengths.clamp_min(min(FRAME_SAMPLES, waveforms.shape[1]))
        before = time.perf_counter()
        if not isinstance(model, StagedEncoder):
            out = model.encode(waveforms, lengths, self.readout.layers)
            values = part.pool(out).float().cpu()
            self._count(0.0, time.perf_counter() - before)
            return values
        if part.trim or self._facts.pads_to_window:
            # these see no padding, or always the same of it, so short batches may be short
            waveforms = waveforms[:, : int(lengths.max())]
        features, n_frames = model.features(waveforms, lengths)
        after = time.perf_counter()
        out = model.encode_features(features, n_frames, self.readout.layers)
        values = part.pool(out).float().cpu()
        if features.device.type != "cpu":
            after = before  # what a GPU was given is done only now
        self._count(after - before, time.perf_counter() - after)
        return values

    def _count(self, frontend_s: float, encoder_s: float) -> None:
        with self._lock:
            self.seconds["frontend"] += frontend_s
            self.seconds["encoder"] += encoder_s
