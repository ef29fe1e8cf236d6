"""What is known of a model's labels: their level, and from which score on a label is believed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pydantic import Field

from dawnchorus.configs import Config

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

UNKNOWN_MODEL_THRESHOLD: Final = 0.5  # of a model that nobody has measured: as likely as not
# Genus species, with a hybrid's x, an uncertain cf. or a subspecies
SPECIES: Final = re.compile(r"[A-ZÀ-Þ][\w-]+ (x |cf\. )?[a-zß-ÿ][\w-]+( [a-z][\w-]+)?")
# endings that the codes of zoological names fix for families, and orders that animals sing in
RANKS: Final = (
    ("subfamily", re.compile(r"[A-Z][a-z]+inae")),
    ("family", re.compile(r"[A-Z][a-z]+idae")),
    ("order", re.compile(r"[A-Z][a-z]+(iformes|ptera)|Anura|Carnivora|Cetacea|Primates|Rodentia")),
    ("class", re.compile(r"Aves|Mammalia|Amphibia|Insecta|Reptilia")),
)


class LabelFacts(Config):
    """What a card says of the model's labels."""

    level: str = Field(default="", description="of labels whose names show none, such as sound")
    levels: dict[str, str] = Field(
        default={}, description="of single labels, such as species under their common names"
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="lowest score that counts, for most labels"
    )
    thresholds: dict[str, float] = Field(
        default={}, description="lowest score that counts, for single labels"
    )
    origin: str = Field(default="", description="clips that the thresholds are from, and how")

    @property
    def usual(self) -> float:
        """The threshold of labels that have none of their own."""
        return UNKNOWN_MODEL_THRESHOLD if self.threshold is None else self.threshold

    def lowest(self, labels: Iterable[str]) -> list[float]:
        """The lowest score that counts, for each label."""
        return [self.thresholds.get(label, self.usual) for label in labels]


def levels_of(labels: Sequence[str], facts: LabelFacts) -> list[str]:
    """Species, family, order and so on: of the card, or as the form of a scientific name shows."""
    return [
        facts.levels.get(label) or _level(scientific_part(label)) or facts.level for label in labels
    ]


def scientific_part(label: str) -> str:
    """``Turdus merula`` of ``Turdus merula_Eurasian Blackbird``, any other label as it is."""
    name, _, common = label.partition("_")
    return name if common and SPECIES.fullmatch(name) else label


def _level(name: str) -> str:
    if SPECIES.fullmatch(name):
        return "species"
    return next((rank for rank, form in RANKS if form.fullmatch(name)), "")
