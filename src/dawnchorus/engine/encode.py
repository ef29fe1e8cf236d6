"""A model made ready for a run: batches of windows to vectors or logits, timed and watched."""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from dawnchorus.audio.frontend import FRAME_SAMPLES
from dawnchorus.engine.canary import Canary, check_model
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.models.load import load_model, resolve_device

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.configs import EmbedConfig, LayerSelection, Pooling
    from dawnchorus.models.encoder import Encoder, EncoderOutput

DEFAULT_MODEL: Final = "dawnchorus_eat_tiny"


@contextmanager
def ready_model(model: str | Path | Encoder, config: EmbedConfig) -> Iterator[Encoder]:
    """Load a model by name, or lend a loaded one: in eval mode for the run, then as it was.

    A loaded model stays on its device unless ``config.device`` names one, and keeps its precision.
    """
    if isinstance(model, str | Path):
        yield load_model(model, device=config.device, precision=config.precision)
        return
    if not isinstance(model, nn.Module):
        yield model
        return
    if config.device != "auto":
        model.to(resolve_device(config.device))
    training = model.training
    model.eval()
    try:
        yield model
    finally:
        model.train(training)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which weights and labels made a result, and under which licence."""

    weights_sha256: str | None
    labels_sha256: str | None
    licence: str | None
    precision: str
    device: str


def model_identity(model: Encoder) -> ModelIdentity:
    """What the loader noted on the model; a model made in memory is known by its tensors."""
    noted: dict[str, Any] = vars(model)
    weights = noted.get("weights_sha256")
    device, precision = "cpu", "float32"
    if isinstance(model, nn.Module):
        weights = weights or f"tensors-{_tensors_sha256(model)}"
        for parameter in model.parameters():
            device, precision = str(parameter.device), str(parameter.dtype).removeprefix("torch.")
            break
    labels = None if model.labels is None else "\n".join(model.labels)
    return ModelIdentity(
        weights_sha256=weights,
        labels_sha256=None if labels is None else hashlib.sha256(labels.encode()).hexdigest(),
        licence=noted.get("licence"),
        precision=precision,
        device=device,
    )


def _tensors_sha256(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def own_choices(model: Encoder, config: EmbedConfig) -> tuple[Pooling, LayerSelection | None]:
    """Pooling and layers: the user's, else the model's own."""
    own = model.config if isinstance(model, EAT) else None
    pooling = config.pooling or (own.pooling if own else "mean")
    return pooling, config.layers or (own.embedding_layers if own else None)


class BatchEncoder:
    """Windows to vectors or logits; ``seconds`` says how long frontend and encoder took.

    On a CPU the two are told apart for our own models; elsewhere all counts as encoder.
    """

    def __init__(
        self, model: Encoder, *, pooling: Pooling = "mean", layers: LayerSelection | None = None
    ) -> None:
        """Keep the model and what is wanted of it."""
        self._model = model
        self._pooling = pooling
        self._layers = layers
        self._canary = Canary(model.name)
        self.seconds = {"frontend": 0.0, "encoder": 0.0}

    def check(self, window: int, *, of_logits: bool = False) -> int:
        """Run two test sounds through the model before any recording; returns the size of a result.

        Raises:
            WeightsError: Outputs are not finite, of another size than declared, or the same for
            both. UsageError: The model does not take windows of this length, or has no such layer.
        """
        n_classes = len(self._model.labels or ())
        expected = n_classes if of_logits else (None if self._layers else self._model.dim)
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
        """Pooled embeddings, those of several layers joined, ``(batch, dim)``."""
        trim = self._pooling in {"valid", "cls"}
        with torch.inference_mode():
            out = self._encode(waveforms, lengths, trim=trim)
            pooled = [out.pool(self._pooling, layer) for layer in out.layers or (None,)]
            values = torch.cat(pooled, dim=-1).float().cpu().numpy()
        self._canary.check(waveforms, values)
        return values

    def logits(self, waveforms: Tensor, lengths: Tensor) -> NDArray[np.float32]:
        """Logits ``(batch, classes)``.

        Raises:
            UsageError: The model has no head.
        """
        model = self._model
        trim = isinstance(model, EAT) and model.config.head_pooling in {"valid", "cls"}
        with torch.inference_mode():
            out = self._encode(waveforms, lengths, trim=trim)
        if out.logits is None:
            raise UsageError(f"{model.name}: this encoder has no classifier, so it names nothing")
        values = out.logits.float().cpu().numpy()
        self._canary.check(waveforms, values)
        return values

    def _encode(self, waveforms: Tensor, lengths: Tensor, *, trim: bool) -> EncoderOutput:
        # a window with less than one frame of sound is one frame, the rest of it silence
        lengths = lengths.clamp_min(min(FRAME_SAMPLES, waveforms.shape[1]))
        model = self._model
        if not isinstance(model, EAT):
            return self._timed_encode(waveforms, lengths)
        if trim or model.config.padded_frames is not None:
            # these see no padding, or always the same of it, so short batches may be short
            waveforms = waveforms[:, : int(lengths.max())]
        if waveforms.device.type != model.cls_token.device.type:
            return self._timed_encode(waveforms, lengths)
        before = time.perf_counter()
        features, n_frames = model.features(waveforms, lengths)
        after = time.perf_counter()
        out = model.encode_features(features, n_frames, self._layers)
        self.seconds["frontend"] += after - before
        self.seconds["encoder"] += time.perf_counter() - after
        return out

    def _timed_encode(self, waveforms: Tensor, lengths: Tensor) -> EncoderOutput:
        before = time.perf_counter()
        out = self._model.encode(waveforms, lengths, self._layers)
        self.seconds["encoder"] += time.perf_counter() - before
        return out
