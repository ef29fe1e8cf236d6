"""Which card belongs to a weights file, and whether the file is what the card says.

A card is taken from beside the weights, from the header of the file, or from the known models, by
what the file holds or, for released files, by its name. Two that contradict each other are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.errors import UsageError, WeightsError
from dawnchorus.models.card import CARD_FILE, LABELS_FILE, Card, known_cards
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.label_facts import LabelFacts
from dawnchorus.models.layouts import OURS, infer_shape
from dawnchorus.models.weights_file import tensors_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from dawnchorus.models.sources import ModelSource
    from dawnchorus.models.weights_file import WeightsFile

# where a card was found, as `dawnchorus verify` prints it
BESIDE: Final = "beside the weights"
INSIDE: Final = "in the header of the weights file"
BY_CONTENT: Final = "of a known model, by its content"
BY_LOCATION: Final = "of a known model, which it was asked for as"
ASKED: Final = "of the model that it was loaded as"
BY_NAME: Final = "of a known model, by its name"
NONE: Final = "none"
OTHER_WEIGHTS: Final = (
    "these are not the weights that the card describes: the file is damaged, a newer upload, or "
    "another model's. Get weights and card again, from one place; weights written by dawnchorus "
    "also load alone, in a folder without card.yaml"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a weights file is.

    Attributes:
        card: that describes it; None: a released layout of which nothing more is known.
        card_from: where the card was found, for people to read.
        warnings: what was assumed.
    """

    card: Card | None
    card_from: str
    warnings: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether its bytes were checked to be those of a model that this package knows."""
        return self.card_from in {BY_CONTENT, BY_LOCATION}


def identify(
    source: ModelSource, weights: WeightsFile, tensors: Mapping[str, Tensor], sha256: str
) -> Identity:
    """Find the card of a weights file, and compare the file with it.

    Args:
        source: where the parts lie.
        weights: the file, as it was inspected.
        tensors: of the file, by their names in it.
        sha256: of the file.

    Raises:
        WeightsError: The file is not the one that its card describes, two cards contradict each
            other, or it is a file of this package without a card.
        UsageError: The card beside it is not a card.
    """
    identity = _find(source, weights, tensors, sha256)
    card = identity.card
    # a card that was found by a name alone is a guess, with a warning; it is no reason to refuse
    if card is None or identity.card_from == BY_NAME:
        return identity
    _check_file(weights, sha256, card)
    # the hash of the file covers the tensors, which take long to hash
    if card.sha256 is None and card.tensors_sha256 not in {None, tensors_sha256(tensors)}:
        raise WeightsError(
            f"{weights.path}: its tensors are not those of its card, {card.name}: they were "
            "changed after it was written; get the file again, or write the model again"
        )
    return identity


def _check_file(weights: WeightsFile, sha256: str, card: Card) -> None:
    size = weights.path.stat().st_size
    if card.n_bytes is not None and size != card.n_bytes:
        raise WeightsError(
            f"{weights.path}: {size} bytes, the card of {card.name} says {card.n_bytes}; "
            f"{OTHER_WEIGHTS}"
        )
    if card.sha256 is not None and sha256 != card.sha256:
        raise WeightsError(
            f"{weights.path}: sha256 {sha256[:16]}..., the card of {card.name} says "
            f"{card.sha256[:16]}...; {OTHER_WEIGHTS}"
        )


def _find(
    source: ModelSource, weights: WeightsFile, tensors: Mapping[str, Tensor], sha256: str
) -> Identity:
    """The card that counts most; the order is that of docs/how-to/models.md."""
    if source.must_match and source.named is not None:
        return Identity(card=source.named, card_from=BY_LOCATION)
    inside = weights.header.card
    if source.loaded_as is not None:
        return _loaded_as(source, source.loaded_as, inside)
    known = next((card for card in known_cards().values() if card.sha256 == sha256), None)
    if source.card_file is not None:
        card = Card.read(source.card_file)
        for other, whose in ((inside, INSIDE), (known, BY_CONTENT)):
            if other is not None:
                _refuse_contradiction(source, card, other, whose)
        return Identity(card=card, card_from=BY_CONTENT if known == card else BESIDE)
    if known is not None:
        return Identity(card=known, card_from=BY_CONTENT)
    if inside is not None:
        return Identity(card=inside, card_from=INSIDE)
    if weights.layout == OURS:
        return _find_ours(source, weights, tensors)
    return _find_released(source, weights, sha256)


def card_beside(source: ModelSource) -> Card:
    """The card of a model whose settings are wanted without its weights.

    Raises:
        UsageError: It has none.
    """
    if source.card_file is not None:
        return Card.read(source.card_file)
    if source.named is None:
        raise UsageError(
            f"{source.name}: has no card, so it does not say what checkpoint_path is to be loaded "
            f"as; name a known model, or a folder with {CARD_FILE}"
        )
    return source.named


def _differences(card: Card, other: Card) -> dict[str, tuple[object, object]]:
    """Settings in which two cards differ, with both values."""
    mine, theirs = (one.config.model_dump(mode="json") for one in (card, other))
    differing = {key: (mine[key], theirs[key]) for key in mine if mine[key] != theirs[key]}
    # a known model's card leaves the number of classes to the file
    if 0 in differing.get("n_classes", ()):
        del differing["n_classes"]
    return differing


def _loaded_as(source: ModelSource, card: Card, inside: Card | None) -> Identity:
    """Settings of one model for the weights of a file; a card of the file's own must agree."""
    beside = None if source.card_file is None else Card.read(source.card_file)
    for own, whose in ((beside, BESIDE), (inside, INSIDE)):
        for key, (value, theirs) in ({} if own is None else _differences(card, own)).items():
            if key != "n_classes":
                raise WeightsError(
                    f"{source.weights}: its card {whose} says {key} {theirs!r}, {card.name} "
                    f"has {value!r}; load the file by itself, without checkpoint_path"
                )
    config = card.config.model_copy(update={"n_classes": 0})  # the classes are the file's
    # nothing that was measured on the model's own weights holds for these
    unsealed = dict.fromkeys(("sha256", "n_bytes", "tensors_sha256", "fingerprint", "hub"))
    levels = card.label_facts.model_dump(include={"level", "levels"})
    facts = {"config": config, "label_facts": LabelFacts(**levels)}
    return Identity(card=card.model_copy(update={**facts, **unsealed}), card_from=ASKED)


def _refuse_contradiction(source: ModelSource, card: Card, other: Card, whose: str) -> None:
    if card.name != other.name and card.name in known_cards():
        raise WeightsError(
            f"{source.card_file}: says {card.name}, the card {whose} {other.name}; remove "
            f"{CARD_FILE} to load the weights as they are"
        )
    for key, (value, theirs) in _differences(card, other).items():
        raise WeightsError(
            f"{source.card_file}: says {key} {value!r}, the card {whose} ({other.name}) says "
            f"{theirs!r}; one of them is of another model. Remove {CARD_FILE} to load the "
            "weights as they were written"
        )


def _find_ours(
    source: ModelSource, weights: WeightsFile, tensors: Mapping[str, Tensor]
) -> Identity:
    """The bundled weights, written again by another program, are still known by their tensors."""
    digest = tensors_sha256(tensors)
    for card in known_cards().values():
        if card.tensors_sha256 == digest:
            alone = card.model_copy(update={"sha256": None, "n_bytes": None})
            return Identity(card=alone, card_from=BY_CONTENT)
    raise WeightsError(
        f"{weights.path}: weights in dawnchorus's own layout without their card, which says the "
        "window, padding, input statistics and pooling that the tensors do not show; copy "
        f"{CARD_FILE} and {LABELS_FILE} from where the file came from into {source.location}, or "
        "load the folder or repository that holds all three"
    )


def _find_released(source: ModelSource, weights: WeightsFile, sha256: str) -> Identity:
    card = source.named
    if card is None:
        return Identity(card=None, card_from=NONE)
    if card.sha256 in {None, sha256}:
        return Identity(card=card, card_from=BY_NAME)
    return Identity(
        card=card,
        card_from=BY_NAME,
        warnings=(
            f"{weights.path}: not the file that the card of {card.name} describes (sha256 "
            f"{sha256[:16]}..., there {str(card.sha256)[:16]}...); its name says so, and the "
            f"settings of that card are assumed: {_settings(card.config)}",
        ),
    )


def config_of(identity: Identity, weights: WeightsFile) -> tuple[EATConfig, tuple[str, ...]]:
    """The config of a model, from its card and file, and warnings of what was assumed.

    The number of classes is the file's: cards of released models do not know it, and a head may
    be missing.

    Raises:
        WeightsError: The file claims what no EAT has, or its classes are not those of its card.
    """
    source, card = str(weights.path), identity.card
    shape = infer_shape(weights.shapes, source)
    if card is None:
        config = _checked({}, shape, source)
        return config, (
            f"{source}: no card belongs to these weights; what the file does not show is assumed: "
            f"{_settings(config)}. Put {CARD_FILE} beside it to say otherwise",
        )
    n_classes = shape.get("n_classes", 0)
    if card.config.n_classes not in {0, n_classes}:
        raise WeightsError(
            f"{source}: a classifier of {n_classes} classes, the card of {card.name} says "
            f"{card.config.n_classes}; these are weights of another model"
        )
    head_norm = {name: shape[name] for name in ("head_norm_eps",) if name in shape}
    return _checked(card.config.model_dump(), {"n_classes": n_classes, **head_norm}, source), ()


def _checked(base: dict[str, Any], changes: dict[str, Any], source: str) -> EATConfig:
    try:
        return EATConfig(**{**base, **changes})
    except UsageError as error:
        raise WeightsError(f"{source}: {error}") from error


def _settings(config: EATConfig) -> str:
    padding = f"padded to {config.padded_frames} frames" if config.padded_frames else "never padded"
    return (
        f"normalization {config.normalization}, a window of {config.window_s:g} s {padding}, "
        f"{config.n_heads} heads of attention, the classifier on {config.head_pooling}"
    )
