"""Cards: what a set of weights is, where it lies, and what it must compute.

A card is a YAML file: ``cards/NAME.yaml`` for weights on a hub, ``card.yaml`` beside bundled
weights and in the export of a run.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from pydantic import Field

from dawnchorus.configs import Config, read_yaml
from dawnchorus.errors import UsageError
from dawnchorus.models.eat_config import EATConfig  # noqa: TC001  pydantic needs it at run time
from dawnchorus.models.label_facts import LabelFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE: Final = Path(__file__).resolve().parent
CARDS: Final = HERE / "cards"
BUNDLED: Final = HERE / "bundled"
WEIGHTS_FILE, CARD_FILE, LABELS_FILE = "model.safetensors", "card.yaml", "label_map.json"


class HubLocation(Config):
    """Files of a repository on the Hugging Face hub."""

    repo: str = Field(description="owner/name")
    file: str = Field(description="the weights, in the repository")
    label_map: str | None = Field(default=None, description="None: its authors published none")
    revision: str | None = Field(
        default=None, description="commit that is read; None: the newest, checked by the sha256"
    )


class Fingerprint(Config):
    """Output values for the fixed test signal of ``fingerprint``, and how far they may be off."""

    values: tuple[float, ...] = Field(min_length=1, description="mean embedding, then logits")
    atol: float = Field(default=1e-3, gt=0, le=0.1, description="largest difference of a value")


class Card(Config):
    """One set of weights."""

    name: str = Field(description="that the model is loaded by")
    title: str = Field(default="", description="one line")
    description: str = Field(default="", description="what it is good for, and what not")
    config: EATConfig = Field(description="shape and input")
    has_classifier: bool = Field(default=True, description="whether it gives logits")
    hub: HubLocation | None = Field(default=None, description="where its files can be downloaded")
    sha256: str | None = Field(default=None, description="of the weights file")
    n_bytes: int | None = Field(default=None, description="of the weights file")
    tensors_sha256: str | None = Field(
        default=None, description="of the tensors alone, whatever else the file holds"
    )
    precision: str = Field(default="", description="of the numbers in the file")
    fingerprint: Fingerprint | None = Field(default=None, description="what it must compute")
    released_normalization: tuple[float, float] | None = Field(
        default=None,
        description="what the released library's load_model really uses, where it is not that of "
        "training",
    )
    licence: str = Field(default="unknown", description="of the weights")
    training_data: str = Field(default="", description="what it was trained on")
    training: str = Field(default="", description="how")
    data_licences: str = Field(default="", description="of what it was trained on")
    scores: str = Field(default="", description="what was measured on these very weights")
    source: str = Field(default="", description="who made it")
    citation: str = Field(default="", description="paper to cite")
    notes: tuple[str, ...] = Field(default=(), description="what a user should know")
    label_facts: LabelFacts = Field(
        default=LabelFacts(), description="levels and thresholds of its labels"
    )
    demonstration: bool = Field(default=False, description="for trying out, not for field work")

    @classmethod
    def read(cls, path: Path) -> Card:
        """Read a card.

        Raises:
            UsageError: The file is missing, is not YAML, or has unknown or missing keys.
        """
        return cls.of(read_yaml(path), str(path))

    @classmethod
    def of(cls, values: dict[str, Any], source: str) -> Card:  # Any: as a file has them
        """A card from its keys and values.

        Args:
            values: as read from YAML or JSON.
            source: where they came from, for the message.

        Raises:
            UsageError: Keys are unknown or missing, or a value is not what its key needs.
        """
        try:
            return cls(**values)
        except UsageError as error:
            raise UsageError(f"{source}: not a card that can be used: {error}") from error

    def text(self) -> str:
        """The card as YAML, without the keys that were left at their defaults."""
        content = self.model_dump(mode="json", exclude_defaults=True)
        return str(yaml.safe_dump(content, sort_keys=False, width=100))

    def write(self, path: Path) -> None:
        """Write the card."""
        path.write_text(self.text(), encoding="utf-8")


@cache
def card_files() -> dict[str, Path]:
    """Cards that ship with the package by the names of their models, bundled models first."""
    bundled = {path.parent.name: path for path in sorted(BUNDLED.glob(f"*/{CARD_FILE}"))}
    return bundled | {path.stem: path for path in sorted(CARDS.glob("*.yaml"))}


def known_card(name: str) -> Card | None:
    """One of `known_cards`, without reading the others; None: there is none of this name."""
    path = card_files().get(name)
    return None if path is None else _read(path)


def known_cards() -> Mapping[str, Card]:
    """All cards that ship with the package, bundled models first, by name."""
    return {name: _read(path) for name, path in card_files().items()}


_read = cache(Card.read)


def bundled_folder(name: str) -> Path | None:
    """The folder of a model that ships inside the package, None if this one does not."""
    folder = BUNDLED / name
    return folder if (folder / WEIGHTS_FILE).is_file() else None
