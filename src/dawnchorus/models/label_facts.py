"""What is known of a model's labels: their level, and from which score on a label is believed.

All of it stands on the card. A model's raw score is the sigmoid of its logit. Where the card has a
calibration, `predict` bends it into a probability, and thresholds are held against that one.
"""

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


class Evidence(Config):
    """What a threshold gives on recordings that did not set it."""

    precision: float = Field(ge=0, le=1, description="share of rows from it on that are right")
    low: float = Field(ge=0, le=1, description="lower end of the 90 % interval of that share")
    high: float = Field(ge=0, le=1, description="upper end of it")
    n_recordings: int = Field(ge=0, description="with the label, which the threshold rests on")

    @property
    def text(self) -> str:
        """In words."""
        return (
            f"{self.precision:.0%} right, {self.low:.0%} to {self.high:.0%}, "
            f"{self.n_recordings} recordings"
        )


class ScoreCalibration(Config):
    """Logits to probabilities: ``sigmoid(slope * logit + offset)``."""

    slope: float = Field(gt=0, description="that logits are multiplied by")
    offset: float = Field(default=0.0, description="that is added then")
    origin: str = Field(default="", description="recordings it is from, and what it changed")


class UnfamiliarSounds(Config):
    """Which embeddings are of sounds unlike all training: ``embedding @ weights + offset > 0``."""

    readout: str = Field(description="of the embedding")
    weights: tuple[float, ...] = Field(min_length=1, description="one for each of its numbers")
    offset: float = Field(description="added to the weighted sum")
    origin: str = Field(default="", description="windows it is from, and what it does")


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
    evidence: dict[str, Evidence] = Field(
        default={}, description="what the thresholds of single labels give"
    )
    shared_evidence: Evidence | None = Field(
        default=None, description="what the threshold of most labels gives, over all of them"
    )
    origin: str = Field(default="", description="clips that the thresholds are from, and how")
    calibration: ScoreCalibration | None = Field(
        default=None, description="logits to probabilities; None: nobody has measured them"
    )
    unfamiliar: UnfamiliarSounds | None = Field(
        default=None, description="which sounds are unlike all training; None: not known"
    )

    @property
    def usual(self) -> float:
        """The threshold of labels that have none of their own."""
        return UNKNOWN_MODEL_THRESHOLD if self.threshold is None else self.threshold

    def evidence_of(self, label: str) -> Evidence | None:
        """What the threshold of a label gives, its own or the shared one; None: not measured."""
        if label in self.thresholds:
            return self.evidence.get(label)
        return None if self.threshold is None else self.shared_evidence

    def threshold_is(self, label: str) -> str:
        """Whose threshold counts for a label: its ``own``, the ``shared`` one, or a ``guess``."""
        if label in self.thresholds:
            return "own"
        return "guess" if self.threshold is None else "shared"

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
