"""Which models there are and what is known of them, in Python; names follow the released library.

Nothing is loaded or downloaded but where a function says so, and nothing is printed but on request.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dawnchorus.errors import UsageError, WeightsError
from dawnchorus.labels import LabelMapping, read_label_map
from dawnchorus.models.address import HUB_PREFIX
from dawnchorus.models.card import (
    WEIGHTS_FILE,
    Card,
    bundled_folder,
    known_card,
    known_cards,
)
from dawnchorus.models.class_labels import known_labels
from dawnchorus.models.encoder import Encoder, ReleasedLayers
from dawnchorus.models.load import load_model, open_model
from dawnchorus.models.plugins import meant_by, plugin_names, register, registered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.models.plugins import Maker

SPECIAL_LAYERS = ("last_layer", "all", "output")


def list_models() -> dict[str, dict[str, Any]]:
    """What is known of each model that has a name; ``dawnchorus models`` prints it.

    Returns:
        Name to ``description``, ``has_trained_classifier``, ``checkpoint_path``, ``num_classes``
        (None where the card leaves it to the file) and ``model_type``.
    """
    cards = {name: _facts(card) for name, card in known_cards().items()}
    others = [name for name in (*plugin_names(), *registered()) if name not in cards]
    return cards | {name: _of_no_card(name) for name in dict.fromkeys(others)}


def describe_model(name: str | Path, verbose: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - released order
    """Everything that a model's card says, and what `list_models` says under ``_metadata``.

    Args:
        name: a known or registered name, or a file, folder or address, which is then opened.
        verbose: print it too.

    Raises:
        UsageError: There is no such model, or it is another package's encoder, without a card.
        WeightsError: No card belongs to the weights.
    """
    card = card_of(name)
    description = card.model_dump(mode="json") | {"_metadata": {"name": str(name), **_facts(card)}}
    if verbose:
        shown = [
            f"{key}: {value}" for key, value in description.items() if value not in (None, "", [])
        ]
        print("\n".join(shown))  # noqa: T201 - verbose means that
    return description


def card_of(name: str | Path) -> Card:
    """The card of a known model, without its weights, or the one that belongs to some weights.

    Raises:
        UsageError: There is no such model, or it is another package's encoder, without a card.
        WeightsError: No card belongs to the weights.
    """
    model = meant_by(name)
    if str(model) in plugin_names():
        raise UsageError(f"{model}: an encoder of another package has no card; load it and look")
    card = known_card(str(model))
    if card is None or Path(model).exists():
        card = open_model(model).identity.card
    if card is None:
        raise WeightsError(
            f"{model}: no card belongs to these weights, so nothing is known of them but what "
            f"`dawnchorus verify {model}` reads off the file"
        )
    return card


def load_label_mapping(model_or_path: str | Path) -> LabelMapping | None:
    """Labels of a model, without its weights where it is a known one.

    Args:
        model_or_path: a name, folder or address of a model, or the label map itself (``.json``).

    Returns:
        ``label_to_index`` and ``index_to_label``; None for a model without labels.

    Raises:
        UsageError: There is no such model.
        WeightsError: The label map is damaged.
        DownloadError: It is on a hub that cannot be reached.
    """
    model = meant_by(model_or_path)
    if Path(model).suffix == ".json":
        return LabelMapping(read_label_map(Path(model)))
    card = known_card(str(model))
    labels: Sequence[str] | None
    if card is None or Path(model).exists():
        labels = load_model(model, "cpu").labels
    else:
        labels = known_labels(card, download=True)
    return None if labels is None else LabelMapping(labels)


def list_model_layers(model: str | Path | Encoder, device: str = "cpu") -> dict[str, Any]:
    """Layers of a model that probes and ``encode`` take by name or number.

    Args:
        model: a loaded model, or what `load_model` takes; a known model is not loaded for it.
        device: to load it on, where it has to be loaded.

    Returns:
        ``layers`` and ``all``: names in the order of their numbers; ``last_layer``: what that
        stands for; ``special_options``: words that may be given instead.
    """
    encoder: object = model
    if isinstance(model, str | Path):
        card = known_card(str(meant_by(model)))
        if card is not None and not Path(model).exists():
            return _layers([f"blocks.{i}.attn.proj" for i in range(card.config.n_layers)])
        encoder = load_model(model, device)
    if isinstance(encoder, ReleasedLayers):
        return _layers(encoder.released_layers(["all"]))
    if not isinstance(encoder, Encoder):
        raise UsageError(f"model: need a name or an encoder, got {type(encoder).__name__}")
    return _layers(list(range(encoder.n_layers)))


def _layers(names: Sequence[str | int]) -> dict[str, Any]:
    return {
        "layers": list(names),
        "last_layer": names[-1],
        "all": list(names),
        "special_options": list(SPECIAL_LAYERS),
    }


def register_model(name: str, model: str | Path | Maker) -> None:
    """Give a model a name, for `load_model` and everything else in this program.

    Args:
        name: that is not a known model's.
        model: its file, folder or ``hf://`` address; or a function that takes a device and returns
            an encoder. A name that was registered before stands for the new one, with a warning.

    Raises:
        UsageError: The name is taken, or it is nothing that can be loaded.
    """
    if not name or name in known_cards() or (name in plugin_names() and name not in registered()):
        raise UsageError(f"register_model: {name!r} is a known model's name; choose another")
    if not (callable(model) or isinstance(model, str | Path)):
        raise UsageError(
            f"register_model: need a path, an hf:// address or a function of a device, got "
            f"{type(model).__name__}; a model of your own is lambda device: model.to(device)"
        )
    # registering again is what a notebook does when a cell is run again
    if name in registered():
        warnings.warn(f"{name}: was registered before, and stands for the new model now",
                      UserWarning, stacklevel=2)  # fmt: skip
    register(name, model)


def _facts(card: Card) -> dict[str, Any]:
    return {
        "description": card.title or card.description,
        "has_trained_classifier": card.has_classifier,
        "checkpoint_path": _checkpoint(card),
        "num_classes": card.config.n_classes or None,
        "model_type": "eat",
    }


def _checkpoint(card: Card) -> str | None:
    folder = bundled_folder(card.name)
    if folder is not None:
        return str(folder / WEIGHTS_FILE)
    return f"{HUB_PREFIX}{card.hub.repo}/{card.hub.file}" if card.hub else None


def _of_no_card(name: str) -> dict[str, Any]:
    model = meant_by(name)
    return {
        "description": "encoder of another package" if model == name else "registered",
        "has_trained_classifier": None,
        "checkpoint_path": None if model == name else str(model),
        "num_classes": None,
        "model_type": None,
    }
