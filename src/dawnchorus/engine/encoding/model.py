"""A model made ready for a run: loaded or lent, what identifies it, and what is read from it."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from torch import nn

from dawnchorus.engine.encoding.lanes import first_device
from dawnchorus.errors import UsageError
from dawnchorus.models.load import load_model, resolve_device
from dawnchorus.models.weights_file import weights_sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dawnchorus.configs import EmbedConfig
    from dawnchorus.models.encoder import Encoder

DEFAULT_MODEL: Final = "dawnchorus_eat_tiny"


@contextmanager
def ready_model(model: str | Path | Encoder, config: EmbedConfig) -> Iterator[Encoder]:
    """Load a model by name, or lend a loaded one: in eval mode for the run, then as it was.

    A loaded model stays on its device unless ``config.device`` names one, and keeps its precision.

    Raises:
        UsageError: A loaded model is of another precision or backend than the config names.
    """
    # what is neither a name nor a model is refused by the loader, in words
    if isinstance(model, str | Path) or not hasattr(model, "encode"):
        yield load_model(
            cast("str | Path", model),
            device=first_device(config.device),
            precision=config.precision,
            backend=config.backend or "torch",
        )
        return
    of_model = model_identity(model).backend
    if config.backend not in (None, of_model):
        raise UsageError(
            f"{model.name}: was loaded with the backend {of_model}, {config.backend} was asked "
            f"for; load it with backend={config.backend!r}, or leave the backend out"
        )
    if not isinstance(model, nn.Module):
        yield model
        return
    # auto: a loaded model stays where its owner put it
    if config.device != "auto":
        model.to(resolve_device(first_device(config.device)))
    of_model = model_identity(model).precision
    if config.precision not in ("auto", of_model):
        raise UsageError(
            f"{model.name}: was loaded in {of_model}, {config.precision} was asked for; load it "
            f"with precision={config.precision!r}, or leave the precision out"
        )
    training = model.training
    # dropout and drop path must not touch a stored vector
    model.eval()
    try:
        yield model
    finally:
        model.train(training)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which weights and labels made a result, in which precision, and under which licence."""

    weights_sha256: str | None
    labels_sha256: str | None
    licence: str | None
    precision: str
    device: str
    backend: str


def model_identity(model: Encoder) -> ModelIdentity:
    """What the loader noted on the model; a model made in memory is known by its tensors."""
    noted: dict[str, Any] = vars(model)
    device, precision = "cpu", noted.get("precision", "float32")
    if isinstance(model, nn.Module):
        for parameter in model.parameters():
            device, precision = str(parameter.device), str(parameter.dtype).removeprefix("torch.")
            break
    # by the names in their order, as the columns of scores are
    labels = None if model.labels is None else "\n".join(model.labels)
    return ModelIdentity(
        weights_sha256=weights_sha256_of(model),
        labels_sha256=None if labels is None else hashlib.sha256(labels.encode()).hexdigest(),
        licence=noted.get("licence"),
        precision=precision,
        device=device,
        backend=noted.get("backend", "torch"),
    )


def labels_of(model: Encoder) -> Sequence[str]:
    """What a model can name.

    Raises:
        UsageError: Nothing.
    """
    # a model may have labels and a head that is known to be wrong; its card says why
    refused = getattr(model, "no_logits", None)
    if refused is not None:
        raise UsageError(f"{model.name}: names nothing: {refused}")
    if not model.labels:
        raise UsageError(
            f"{model.name}: this model has no labels, so it names nothing; use embed alone, or a "
            "model with a classifier (dawnchorus models lists them)"
        )
    return model.labels
