"""`load_model`: from a name, file or folder to a model that is right, or an error that says why."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import torch

from dawnchorus.errors import DeviceError, UsageError, WeightsError
from dawnchorus.labels import read_label_map
from dawnchorus.models import checkpoints, fingerprint, hub
from dawnchorus.models.card import (
    CARD_FILE,
    LABELS_FILE,
    WEIGHTS_FILE,
    Card,
    bundled_folder,
    known_cards,
)
from dawnchorus.models.eat import EAT, EATConfig
from dawnchorus.models.plugins import load_plugin, plugin_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.configs import Precision

Normalization = Literal["released"] | tuple[float, float] | None
HUB_PREFIX: Final = "hf://"
WEIGHT_SUFFIXES: Final = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the parts of a model lie on disk."""

    name: str
    weights: Path
    labels: Path | None = None
    card: Card | None = None
    is_new: bool = False  # downloaded just now
    must_match: bool = False  # came from the place on the card, so it has to be the card's file


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model, and how its weights fitted."""

    model: EAT
    source: Source
    fit: checkpoints.Loaded


@torch.inference_mode(mode=False)  # wherever it is called, the model can be trained later
def load_model(
    name: str | Path,
    device: str = "auto",
    *,
    return_features_only: bool = False,
    normalization: Normalization = None,
    precision: Precision = "float32",
) -> Any:  # Any: an EAT, or another package's encoder
    """Load a model, ready to use.

    Args:
        name: a card's name (``dawnchorus models`` lists them), a weights file, a folder with
            ``model.safetensors``, a run folder, ``hf://owner/repo[/file]``, or another package's
            encoder.
        device: ``auto`` takes CUDA, then Apple's MPS, then the CPU; anything else must be there.
        return_features_only: calling the model gives tokens, not logits.
        normalization: None for the card's constants; ``released`` for those that the released
            library's ``load_model`` really uses; or (mean, std).
        precision: of the weights; results are float32.

    Returns:
        An :class:`~dawnchorus.models.eat.EAT` in evaluation mode.

    Raises:
        UsageError: There is no such model.
        WeightsError: The weights do not fit exactly, or are not the ones that the card describes.
        DownloadError: The weights are neither here nor reachable.
        DeviceError: The device is not there.
    """
    chosen = resolve_device(device)
    if str(name) in plugin_names():
        return load_plugin(str(name), str(chosen))
    loaded = open_model(name, normalization=normalization)
    model = loaded.model
    model.return_features_only = return_features_only
    if precision == "bfloat16":
        model = model.to(torch.bfloat16)
    return model.to(chosen).eval()


@torch.inference_mode(mode=False)
def open_model(name: str | Path, *, normalization: Normalization = None) -> LoadedModel:
    """As `load_model`, on the CPU, with how the weights fitted."""
    source = find_source(name)
    sha256 = checkpoints.sha256_of(source.weights)
    if source.must_match and source.card is not None:
        hub.check_file(source.weights, sha256, source.card)
    mapped, ignored, layout = _read(source.weights)
    config = _config(source, mapped)
    labels = None if source.labels is None else read_label_map(source.labels)
    if labels is not None and len(labels) != config.n_classes:
        raise WeightsError(
            f"{source.labels}: {len(labels)} labels, the classifier in {source.weights.name} has "
            f"{config.n_classes} classes; this is the label map of another model"
        )
    constants = _constants(source, normalization)
    if constants is not None:
        config = config.model_copy(update={"normalization": constants})
    model = EAT(config, name=source.name, labels=labels, initialise=False)
    n_matched = checkpoints.load_into(model, mapped, str(source.weights))
    model.eval()
    model.weights_sha256 = sha256
    model.licence = source.card.licence if source.card else None
    if source.is_new and source.card and source.card.fingerprint and normalization is None:
        fingerprint.check(model, source.card.fingerprint)
    fit = checkpoints.Loaded(layout=layout, n_matched=n_matched, ignored=ignored)
    return LoadedModel(model=model, source=source, fit=fit)


def _read(path: Path) -> tuple[checkpoints.Tensors, tuple[str, ...], str]:
    tensors = checkpoints.read_checkpoint(path)
    if any(name.startswith("model.cls_token") for name in tensors):  # a checkpoint of a run
        others = ("further.", "to_embedding.", "to_logits.", "to_bands.", "teacher.", "decoder.")
        tensors = {name: value for name, value in tensors.items() if not name.startswith(others)}
    mapped, ignored = checkpoints.map_names(tensors, str(path))
    return mapped, ignored, checkpoints.detect_layout(tensors)


def _config(source: Source, mapped: checkpoints.Tensors) -> EATConfig:
    found = checkpoints.infer_shape(mapped, str(source.weights))
    if source.card is None:
        return EATConfig(**found)
    # the classes are the file's: cards do not know them, and a head may be missing
    keep: dict[str, Any] = {
        name: found[name] for name in ("n_classes", "head_norm_eps") if name in found
    }
    return source.card.config.model_copy(update={"n_classes": 0, **keep})


def _constants(source: Source, normalization: Normalization) -> tuple[float, float] | None:
    if normalization != "released":
        return normalization
    if source.card is None or source.card.released_normalization is None:
        raise UsageError(
            f"normalization='released': the released library's constants for {source.name} are not "
            f"known; give (mean, std)"
        )
    return source.card.released_normalization


def find_source(name: str | Path) -> Source:
    """Find a model's files, downloading them if they are only on a hub.

    Raises:
        UsageError: There is no such model.
        DownloadError: It is on a hub that cannot be reached.
    """
    path = Path(name)
    if str(name).startswith(HUB_PREFIX):
        return _hub_source(str(name))
    if path.is_dir():
        return _folder_source(path)
    if path.suffix in WEIGHT_SUFFIXES or path.is_file():
        return _file_source(path)
    card = known_cards().get(str(name))
    if card is None:
        raise unknown_model(str(name))
    folder = bundled_folder(card.name)
    if folder is not None:
        return replace(_folder_source(folder), must_match=True)
    if card.hub is None:
        raise UsageError(f"{name}: its card names no place to get the weights from")
    weights, is_new = hub.fetch(card.hub.repo, card.hub.file)
    labels = hub.fetch(card.hub.repo, card.hub.label_map)[0] if card.hub.label_map else None
    return Source(
        name=card.name,
        weights=weights,
        labels=labels,
        card=card,
        is_new=is_new,
        must_match=True,
    )


def unknown_model(name: str) -> UsageError:
    """The error for a name that means nothing, with the nearest one that does."""
    known = [*known_cards(), *plugin_names()]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return UsageError(
        f"no model, file or folder is called {name!r}.{hint} Known models: {', '.join(known)}"
    )


def _hub_source(address: str) -> Source:
    parts = address.removeprefix(HUB_PREFIX).split("/")
    if len(parts) < 2 or not all(parts):
        raise UsageError(f"{address}: need hf://owner/repo or hf://owner/repo/file")
    repo, file = "/".join(parts[:2]), "/".join(parts[2:]) or f"{parts[1]}.safetensors"
    by_place = {(card.hub.repo, card.hub.file): card for card in known_cards().values() if card.hub}
    card = by_place.get((repo, file))
    weights, is_new = hub.fetch(repo, file)
    labels = None
    if card is not None and card.hub is not None and card.hub.label_map:
        labels = hub.fetch(repo, card.hub.label_map)[0]
    name = card.name if card else parts[1]
    return Source(
        name=name,
        weights=weights,
        labels=labels,
        card=card,
        is_new=is_new,
        must_match=card is not None,
    )


def _folder_source(folder: Path) -> Source:
    for inner in (folder, folder / "export"):
        found = _weights_in(inner)
        if found:
            weights = found[0]
            card = Card.read(inner / CARD_FILE) if (inner / CARD_FILE).is_file() else None
            labels = inner / LABELS_FILE
            return Source(
                name=card.name if card else folder.resolve().name,
                weights=weights,
                labels=labels if labels.is_file() else None,
                card=card or _card_of(weights),
            )
    raise WeightsError(
        f"{folder}: no weights in this folder; need {WEIGHTS_FILE}, or one other weights file"
    )


def _weights_in(folder: Path) -> Sequence[Path]:
    if (folder / WEIGHTS_FILE).is_file():
        return [folder / WEIGHTS_FILE]
    found = sorted(path for path in folder.glob("*") if path.suffix in WEIGHT_SUFFIXES)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise WeightsError(f"{folder}: several weights files ({names}); name one of them")
    return found


def _file_source(path: Path) -> Source:
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    labels = path.with_name(LABELS_FILE)
    beside = path.with_name(CARD_FILE)
    return Source(
        name=path.stem,
        weights=path,
        labels=labels if labels.is_file() else None,
        card=Card.read(beside) if beside.is_file() else _card_of(path),
    )


def _card_of(weights: Path) -> Card | None:
    """The known card of a file that keeps its published name, so that constants are not guessed."""
    for card in known_cards().values():
        if card.hub and Path(card.hub.file).name == weights.name != WEIGHTS_FILE:
            return card
    return None


def resolve_device(device: str) -> torch.device:
    """A device that is there.

    Raises:
        DeviceError: It was asked for by name and is not there; there is no silent fallback.
        UsageError: It is no name of a device.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"device {device!r}: need auto, cpu, cuda, cuda:N or mps") from error
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
