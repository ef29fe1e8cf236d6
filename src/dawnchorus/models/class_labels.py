"""Names of a model's classes: where they are found, and why there may be none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dawnchorus.labels import read_label_map
from dawnchorus.models import hub
from dawnchorus.models.card import LABELS_FILE, bundled_folder
from dawnchorus.models.identify import BESIDE, BY_CONTENT, INSIDE, NONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.models.card import Card
    from dawnchorus.models.identify import Identity
    from dawnchorus.models.sources import ModelSource
    from dawnchorus.models.weights_file import WeightsFile


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLabels:
    """Names of a model's classes.

    Attributes:
        labels: in the order of the logits; None: there are none.
        labels_from: where they were found, for people to read.
        no_logits: why logits are refused; None: they are not.
    """

    labels: Sequence[str] | None = None
    labels_from: str = NONE
    no_logits: str | None = None


def find_labels(
    source: ModelSource, weights: WeightsFile, identity: Identity, n_classes: int
) -> ClassLabels:
    """Find the names of a model's classes.

    A map that is missing or of another length takes logits and names away, not embeddings: a
    wrong name for a bird is worse than none.

    Raises:
        WeightsError: A label map is damaged.
    """
    beside = None if source.labels_file is None else read_label_map(source.labels_file)
    inside = weights.header.labels
    labels, where = (beside, BESIDE) if beside is not None else (inside, INSIDE)
    if labels is None and identity.is_known and identity.card is not None:
        labels, where = known_labels(identity.card), BY_CONTENT
    # after reading both maps: a damaged one is an error even where it is not needed
    if not n_classes:
        return ClassLabels()
    if labels is None:
        return ClassLabels(no_logits=_why_missing(source, identity, n_classes))
    if len(labels) != n_classes:
        return ClassLabels(
            no_logits=f"the label map {where} has {len(labels)} labels, the classifier {n_classes} "
            f"classes: it is the map of another model; {_remedy(source, inside, n_classes)}"
        )
    if beside is not None and inside is not None and beside != list(inside):
        return ClassLabels(
            no_logits=f"{source.labels_file} names the classes otherwise than the label map "
            f"{INSIDE}; remove {LABELS_FILE} to use the names that the weights were written with"
        )
    return ClassLabels(labels=labels, labels_from=where)


def known_labels(card: Card, *, download: bool = False) -> Sequence[str] | None:
    """Labels of a known model without its weights; None for one without labels.

    Args:
        card: of the model.
        download: get the map from the hub; otherwise it is None unless it is in the cache.

    Raises:
        WeightsError: The map is damaged.
        DownloadError: It is on a hub that cannot be reached.
    """
    folder = bundled_folder(card.name)
    if folder is not None:
        return read_label_map(folder / LABELS_FILE)
    location = card.hub
    if location is None or location.label_map is None:
        return None
    repo, file, revision = location.repo, location.label_map, location.revision
    path = hub.cached(repo, file, revision)
    if path is None and download:
        path, _ = hub.fetch(repo, file, revision=revision, name=card.name)
    return None if path is None else read_label_map(path)


def _remedy(source: ModelSource, inside: Sequence[str] | None, n_classes: int) -> str:
    if inside is not None and len(inside) == n_classes:
        return f"remove {source.labels_file} to use the names {INSIDE}"
    return f"put the right {LABELS_FILE} into {source.location}"


def _why_missing(source: ModelSource, identity: Identity, n_classes: int) -> str | None:
    """None for the models whose authors published no names; their classes have numbers only."""
    card = identity.card
    if card is not None and card.hub is not None and card.hub.label_map is None:
        return None
    return (
        f"the classifier has {n_classes} classes and no label map says which is which; put "
        f"{LABELS_FILE} into {source.location}"
    )
