"""`load_model`: from a name, file or folder to a model that is right, or an error that says why."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import torch

from dawnchorus.errors import DawnChorusWarning, DeviceError, UsageError, shown
from dawnchorus.models import fingerprint
from dawnchorus.models.build import build, fill
from dawnchorus.models.card import known_card
from dawnchorus.models.class_labels import ClassLabels, find_labels
from dawnchorus.models.identify import Identity, card_beside, config_of, identify
from dawnchorus.models.layouts import infer_shape
from dawnchorus.models.plugins import load_plugin, meant_by, plugin_names
from dawnchorus.models.precision import resolve_precision, to_precision
from dawnchorus.models.sources import ModelSource, find_source
from dawnchorus.models.weights_file import WeightsFile, inspect_weights
from dawnchorus.paths import sha256_of_file

if TYPE_CHECKING:
    from dawnchorus.configs import Backend, Precision
    from dawnchorus.models.card import Card
    from dawnchorus.models.eat import EAT
    from dawnchorus.models.encoder import Model
    from dawnchorus.models.hub import Access

Normalization = Literal["released"] | tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model, where its parts came from, and how its weights fitted.

    Attributes:
        model: on the CPU, in evaluation mode.
        source: where its files lie.
        weights: the file as it was inspected, without its tensors.
        identity: the card that belongs to it.
        labels: names of its classes, or why there are none.
    """

    model: EAT
    source: ModelSource
    weights: WeightsFile
    identity: Identity
    labels: ClassLabels


@torch.inference_mode(mode=False)  # wherever it is called, the model can be trained later
def load_model(
    name: str | Path,
    device: str = "auto",
    checkpoint_path: str | Path | None = None,
    return_features_only: bool = False,  # noqa: FBT001, FBT002 - the released library's order
    *,
    normalization: Normalization = None,
    precision: Precision = "float32",
    backend: Backend = "torch",
) -> Model:
    """Load a model, ready to use.

    Args:
        name: a card's name (``dawnchorus models`` lists them), a weights file, a folder with
            ``model.safetensors``, a run folder, ``hf://owner/repo[@revision][/file]``, or another
            package's encoder.
        device: ``auto`` takes CUDA, then Apple's MPS, then the CPU; anything else must be there.
        checkpoint_path: weights that are loaded instead of the model's own: a file, a folder or an
            ``hf://`` address. Window, padding and input statistics are those of ``name``.
        return_features_only: calling the model gives tokens, not logits.
        normalization: None for the card's constants; ``released`` for those that the released
            library's ``load_model`` really uses; or (mean, std).
        precision: of the weights but the classifier's; results are float32. ``auto``: bfloat16
            where the device multiplies it, else float32. Another package's encoder has its own.
        backend: ``onnx`` computes the blocks with onnxruntime (extra ``onnx``), ``onnx-int8`` in 8
            bits as well; what that needs is exported on first use, and kept. On a CPU, in float32.

    Returns:
        The model in evaluation mode: an :class:`~dawnchorus.models.eat.EAT`, or the encoder of
        another package as that gives it.

    Raises:
        UsageError: There is no such model.
        WeightsError: The weights do not fit exactly, or are not the ones that the card describes;
            or they are of this package, and no card belongs to them.
        DownloadError: The weights are neither here nor reachable.
        DeviceError: The device is not there.
        DependencyError: The extra of the backend is not installed.
    """
    if backend != "torch":
        _check_for_backend(name, backend, device, precision)
    chosen = resolve_device("cpu" if backend != "torch" else device)
    if str(name) in plugin_names():
        if checkpoint_path is not None:
            raise UsageError(f"{name}: another package's encoder takes no checkpoint_path")
        return cast("Model", load_plugin(str(name), str(chosen)))
    loaded = open_model(name, normalization=normalization, checkpoint_path=checkpoint_path)
    model = loaded.model
    model.return_features_only = return_features_only
    if backend != "torch":
        from dawnchorus.models.backends.export import backend_encoder  # noqa: PLC0415  an extra

        return backend_encoder(model, backend, loaded.source.weights.parent)
    return to_precision(model, resolve_precision(precision, chosen), chosen).to(chosen).eval()


def _check_for_backend(name: str | Path, backend: Backend, device: str, precision: str) -> None:
    """Whether a backend can do what is asked of it besides.

    Raises:
        UsageError: It cannot.
    """
    if str(name) in plugin_names():
        raise UsageError(f"{name}: another package's encoder; only our models have other backends")
    if device not in ("auto", "cpu"):
        raise UsageError(f"backend {backend} computes on a CPU, not on {device!r}; use torch there")
    # float32 is what `load_model` is given where nobody says anything
    if precision not in ("auto", "float32"):
        raise UsageError(
            f"backend {backend} has its own precision, {precision} was asked for; leave it out, or "
            "use --backend torch"
        )


@torch.inference_mode(mode=False)  # weights made inside it could never be trained
def open_model(
    name: str | Path,
    *,
    normalization: Normalization = None,
    access: Access | None = None,
    checkpoint_path: str | Path | None = None,
) -> LoadedModel:
    """As `load_model`, on the CPU, with where its parts came from and how they fitted.

    A `DawnChorusWarning` names what was assumed.
    """
    if not isinstance(name, str | Path):
        raise UsageError(
            "a model is a name, a path or hf://owner/repo, "
            f"found {type(name).__name__} {shown(name)}"
        )
    source = find_source(checkpoint_path or name, access)
    if checkpoint_path is not None:
        settings = known_card(str(meant_by(name))) or card_beside(find_source(name, access))
        source = replace(source, loaded_as=settings, must_match=False)
    path = str(source.weights)
    weights = inspect_weights(source.weights)
    infer_shape(weights.shapes, path)  # before anything of its size is allocated
    tensors, sha256 = weights.read(), sha256_of_file(source.weights)
    identity = identify(source, weights, tensors, sha256)
    card = identity.card
    config, assumed = config_of(identity, weights)
    named = card.name if card else source.name
    model = build(config, named, weights.shapes, path)
    fill(model, {ours: tensors[name] for ours, name in weights.names.items()}, path)
    model.eval()
    # before labels are looked for: a classifier that they take off is part of the fingerprint
    _check_values(model, source, identity)
    labels = find_labels(source, weights, identity, model.config.n_classes)
    _name_classes(model, labels)
    # after the checks, which are for the card's own constants
    constants = _constants(named, card, normalization)
    if constants is not None:
        model.config = model.config.model_copy(update={"normalization": constants})
    model.weights_sha256, model.card = sha256, card
    model.licence = card.licence if card else None
    _warn(named, labels, *identity.warnings, *assumed)
    return LoadedModel(
        model=model,
        source=source,
        weights=replace(weights, tensors=None),
        identity=identity,
        labels=labels,
    )


def _check_values(model: EAT, source: ModelSource, identity: Identity) -> None:
    """Compare what a model computes with its card, unless its bytes are known to be right."""
    card = identity.card
    if card is None or card.fingerprint is None:
        return
    if source.is_new or not identity.is_known:
        fingerprint.check(model, card.fingerprint)


def _name_classes(model: EAT, labels: ClassLabels) -> None:
    """Give a model its labels; a classifier whose labels do not fit is taken off."""
    if labels.no_logits is not None:
        model.head, model.no_logits = None, labels.no_logits
        model.config = model.config.model_copy(update={"n_classes": 0, "head_norm_eps": None})
    model.labels = None if labels.labels is None else list(labels.labels)


def _warn(name: str, labels: ClassLabels, *texts: str) -> None:
    if labels.no_logits is not None:
        texts += (f"{name}: gives embeddings, no logits and no names: {labels.no_logits}",)
    for text in texts:
        warnings.warn(text, DawnChorusWarning, stacklevel=3)


def _constants(
    name: str, card: Card | None, normalization: Normalization
) -> tuple[float, float] | None:
    if normalization != "released":
        return normalization
    if card is None or card.released_normalization is None:
        raise UsageError(
            f"normalization='released': the released library's constants for {name} are not "
            f"known; give (mean, std)"
        )
    return card.released_normalization


def resolve_device(device: str) -> torch.device:
    """A device that is there.

    Raises:
        DeviceError: It was asked for by name and is not there; there is no silent fallback.
        UsageError: It is not the name of a device.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"device {device!r}: need auto, cpu, cuda, cuda:N or mps") from error
    if chosen.type == "meta":
        raise UsageError(f"device {device!r} holds shapes without values; need cpu, cuda or mps")
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            f"device {device!r} was asked for, and torch sees no CUDA device here; use cpu or auto"
        )
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device {device!r} was asked for, there are {torch.cuda.device_count()} CUDA devices"
        )
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError(f"device {device!r} was asked for, and torch sees no MPS device here")
    return chosen
