"""Which card and which labels belong to a weights file, and whether it is what the card says.

A card is taken from beside the weights, from the header of the file, or from the known models, by
what the file holds or, for released files, by its name. Two that contradict each other are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.errors import UsageError, WeightsError
from dawnchorus.labels import read_label_map
from dawnchorus.models import hub
from dawnchorus.models.card import CARD_FILE, LABELS_FILE, Card, bundled_folder, known_cards
from dawnchorus.models.checkpoints import OURS, infer_shape, tensors_sha256
from dawnchorus.models.eat import EATConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.models.checkpoints import Tensors, Weights
    from dawnchorus.models.sources import Source

BESIDE: Final = "beside the weights"
INSIDE: Final = "in the header of the weights file"
BY_CONTENT: Final = "of a known model, by its content"
BY_PLACE: Final = "of a known model, which it was asked for as"
ASKED: Final = "of the model that it was loaded as"
BY_NAME: Final = "of a known model, by its name"
NONE: Final = "none"


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
        """Whether its bytes are held to be those of a model that this package knows."""
        return self.card_from in {BY_CONTENT, BY_PLACE}


def identify(source: Source, weights: Weights, tensors: Tensors, sha256: str) -> Identity:
    """Find the card of a weights file, and hold the file against it.

    Args:
        source: where the parts lie.
        weights: the file, as it was looked at.
        tensors: of the file, by their names in it.
        sha256: of the file.

    Raises:
        WeightsError: The file is not the one that its card describes, two cards contradict each
            other, or it is a file of this package without a card.
        UsageError: The card beside it is no card.
    """
    found = _find(source, weights, tensors, sha256)
    if found.card is None or found.card_from == BY_NAME:
        return found
    hub.check_file(weights.path, sha256, found.card)
    if found.card.sha256 is not None:
        return found  # which holds for the tensors too
    if found.card.tensors_sha256 not in {None, tensors_sha256(tensors)}:
        raise WeightsError(
            f"{weights.path}: its tensors are not those of its card, {found.card.name}: they were "
            "changed after it was written; get the file again, or write the model anew"
        )
    return found


def _find(source: Source, weights: Weights, tensors: Tensors, sha256: str) -> Identity:
    if source.must_match and source.named is not None:
        return Identity(card=source.named, card_from=BY_PLACE)
    inside = weights.header.card
    if source.asked_as is not None:
        return _as_asked(source, source.asked_as, inside)
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


def card_beside(source: Source) -> Card:
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


def _as_asked(source: Source, card: Card, inside: Card | None) -> Identity:
    """Settings of one model for the weights of a file; a card of the file's own must agree."""
    beside = None if source.card_file is None else Card.read(source.card_file)
    for own, whose in ((beside, BESIDE), (inside, INSIDE)):
        theirs = {} if own is None else own.config.model_dump(mode="json")
        for key, value in card.config.model_dump(mode="json").items():
            if theirs.get(key, value) != value and key != "n_classes":
                raise WeightsError(
                    f"{source.weights}: its card {whose} says {key} {theirs[key]!r}, {card.name} "
                    f"has {value!r}; load the file by itself, without checkpoint_path"
                )
    config = card.config.model_copy(update={"n_classes": 0})  # the classes are the file's
    unsealed = {"config": config, "sha256": None, "n_bytes": None, "tensors_sha256": None}
    return Identity(
        card=card.model_copy(update={**unsealed, "fingerprint": None, "hub": None}),
        card_from=ASKED,
    )


def _refuse_contradiction(source: Source, card: Card, other: Card, whose: str) -> None:
    if card.name != other.name and card.name in known_cards():
        raise WeightsError(
            f"{source.card_file}: says {card.name}, the card {whose} {other.name}; remove "
            f"{CARD_FILE} to load the weights as they are"
        )
    ours, theirs = (one.config.model_dump(mode="json") for one in (card, other))
    differing = [key for key in ours if ours[key] != theirs[key]]
    # a known model's card leaves the number of classes to the file
    if "n_classes" in differing and 0 in {ours["n_classes"], theirs["n_classes"]}:
        differing.remove("n_classes")
    if differing:
        key = differing[0]
        raise WeightsError(
            f"{source.card_file}: says {key} {ours[key]!r}, the card {whose} ({other.name}) says "
            f"{theirs[key]!r}; one of them is of another model. Remove {CARD_FILE} to load the "
            "weights as they were written"
        )


def _find_ours(source: Source, weights: Weights, tensors: Tensors) -> Identity:
    """The bundled weights, written again by another program, are still known by their tensors."""
    digest = tensors_sha256(tensors)
    for card in known_cards().values():
        if card.tensors_sha256 == digest:
            alone = card.model_copy(update={"sha256": None, "n_bytes": None})
            return Identity(card=alone, card_from=BY_CONTENT)
    raise WeightsError(
        f"{weights.path}: weights in dawnchorus's own layout without their card, which says the "
        "window, padding, input statistics and pooling that the tensors do not show; copy "
        f"{CARD_FILE} and {LABELS_FILE} from where the file came from into {source.place}, or load "
        "the folder or repository that holds all three"
    )


def _find_released(source: Source, weights: Weights, sha256: str) -> Identity:
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


def config_of(identity: Identity, weights: Weights) -> tuple[EATConfig, tuple[str, ...]]:
    """The config of a model, from its card and file, and warnings of what was assumed.

    The number of classes is the file's: cards of released models do not know it, and a head may
    be missing.

    Raises:
        WeightsError: The file claims what no EAT has, or its classes are not those of its card.
    """
    source, card = str(weights.path), identity.card
    found = infer_shape(weights.shapes, source)
    if card is None:
        config = _checked({}, found, source)
        return config, (
            f"{source}: no card belongs to these weights; what the file does not show is assumed: "
            f"{_settings(config)}. Put {CARD_FILE} beside it to say otherwise",
        )
    n_classes = found.get("n_classes", 0)
    if card.config.n_classes not in {0, n_classes}:
        raise WeightsError(
            f"{source}: a classifier of {n_classes} classes, the card of {card.name} says "
            f"{card.config.n_classes}; these are weights of another model"
        )
    keep = {name: found[name] for name in ("head_norm_eps",) if name in found}
    return _checked(card.config.model_dump(), {"n_classes": n_classes, **keep}, source), ()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsFound:
    """Names of a model's classes.

    Attributes:
        labels: in the order of the logits; None: there are none.
        labels_from: where they were found, for people to read.
        no_logits: why logits are refused; None: they are not.
    """

    labels: Sequence[str] | None = None
    labels_from: str = NONE
    no_logits: str | None = None


def labels_of(source: Source, weights: Weights, identity: Identity, n_classes: int) -> LabelsFound:
    """Find the names of a model's classes.

    A map that is missing or of another length takes logits and names away, not embeddings.

    Raises:
        WeightsError: A label map is damaged.
    """
    beside = None if source.labels_file is None else read_label_map(source.labels_file)
    inside = weights.header.labels
    labels, where = (beside, BESIDE) if beside is not None else (inside, INSIDE)
    if labels is None and identity.is_known and identity.card is not None:
        labels, where = _known_labels(identity.card), BY_CONTENT
    if not n_classes:
        return LabelsFound()
    if labels is None:
        return LabelsFound(no_logits=_why_missing(source, identity, n_classes))
    if len(labels) != n_classes:
        return LabelsFound(
            no_logits=f"the label map {where} has {len(labels)} labels, the classifier {n_classes} "
            f"classes: it is the map of another model; {_remedy(source, inside, n_classes)}"
        )
    if beside is not None and inside is not None and beside != list(inside):
        return LabelsFound(
            no_logits=f"{source.labels_file} names the classes otherwise than the label map "
            f"{INSIDE}; remove {LABELS_FILE} to use the names that the weights were written with"
        )
    return LabelsFound(labels=labels, labels_from=where)


def _remedy(source: Source, inside: Sequence[str] | None, n_classes: int) -> str:
    if inside is not None and len(inside) == n_classes:
        return f"remove {source.labels_file} to use the names {INSIDE}"
    return f"put the right {LABELS_FILE} into {source.place}"


def _known_labels(card: Card) -> Sequence[str] | None:
    folder = bundled_folder(card.name)
    if folder is not None:
        return read_label_map(folder / LABELS_FILE)
    place = card.hub
    if place is None or place.label_map is None:
        return None
    path = hub.cached(place.repo, place.label_map, place.revision)
    return None if path is None else read_label_map(path)


def _why_missing(source: Source, identity: Identity, n_classes: int) -> str | None:
    """None for the models whose authors published no names; their classes have numbers only."""
    card = identity.card
    if card is not None and card.hub is not None and card.hub.label_map is None:
        return None
    return (
        f"the classifier has {n_classes} classes and no label map says which is which; put "
        f"{LABELS_FILE} into {source.place}"
    )
