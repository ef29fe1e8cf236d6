"""From what a model computes for a window to probabilities, and to whether it knows such sounds.

Stores keep raw scores, the sigmoid of each logit. What is reported is calibrated here, where the
model's card has a calibration; the sigmoid itself where it has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from dawnchorus.configs.readout import BY_BAND, Readout
from dawnchorus.errors import UsageError
from dawnchorus.probes.calibration import logit, sigmoid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.models.card import Card
    from dawnchorus.models.label_facts import ScoreCalibration, UnfamiliarSounds

    Floats = NDArray[np.float32]
    Flags = NDArray[np.bool_]

Probabilities = Literal["calibrated", "sigmoid", "probe"]  # what a column of them holds


@dataclass(frozen=True, slots=True)
class RawScores:
    """What a card says of a model's raw scores.

    Attributes:
        calibration: None: nobody has measured them, and the sigmoid stands.
        unfamiliar: None: not known, or not asked for; then no window is unfamiliar.
    """

    calibration: ScoreCalibration | None = None
    unfamiliar: UnfamiliarSounds | None = None

    @classmethod
    def of_card(cls, card: Card | None, *, name_unfamiliar: bool = False) -> RawScores:
        """What a card says; without one nothing is known.

        Args:
            card: of the model.
            name_unfamiliar: windows unlike all training are named as well.
        """
        if card is None:
            return cls()
        facts = card.label_facts
        return cls(facts.calibration, None if name_unfamiliar else facts.unfamiliar)

    @property
    def kind(self) -> Probabilities:
        """What its probabilities are."""
        return "sigmoid" if self.calibration is None else "calibrated"

    @property
    def readout(self) -> Readout | None:
        """Of the embedding that shows what is unfamiliar; None: none is needed."""
        return None if self.unfamiliar is None else Readout.parse(self.unfamiliar.readout)

    def of_logits(self, logits: Floats) -> Floats:
        """Probabilities ``(n, labels)`` of logits of that shape."""
        c = self.calibration
        return sigmoid(logits if c is None else c.slope * logits + c.offset)

    def of_stored(self, scores: Floats) -> Floats:
        """Probabilities ``(n, labels)`` of a store's scores, which are sigmoids."""
        if self.calibration is None:
            return scores
        return self.of_logits(logit(scores.astype(np.float64)).astype(np.float32))

    def unlike_training(self, vectors: Floats) -> Floats:
        """How far embeddings ``(n, dim)`` lie beyond what is familiar, ``(n,)``; 0 is the limit.

        Raises:
            UsageError: The card is of embeddings of another length.
        """
        if self.unfamiliar is None:
            return np.full(len(vectors), -np.inf, np.float32)
        weights = np.array(self.unfamiliar.weights, np.float32)
        if vectors.shape[1:] != weights.shape:
            raise UsageError(
                f"unfamiliar sounds: the card has {len(weights)} weights for embeddings of "
                f"{vectors.shape[1]}; the card is of another model, or use --name-unfamiliar"
            )
        return vectors.astype(np.float32) @ weights + np.float32(self.unfamiliar.offset)

    def unfamiliar_in(self, vectors: Floats, readout: Readout) -> Flags | None:
        """Which of a store's windows are unfamiliar; None: its vectors ``(n, dim)`` do not tell.

        They tell where the embedding is a part of them.
        """
        columns = None if self.readout is None else part_of(self.readout, readout, vectors.shape[1])
        return None if columns is None else self.unlike_training(vectors[:, columns]) > 0


def part_of(wanted: Readout, readout: Readout, dim: int) -> slice | None:
    """Where vectors of one readout stand in those of another, ``dim`` long; None: nowhere."""
    parts, n = readout.parts, len(wanted.parts)
    if any(part.pooling in BY_BAND for part in parts):  # those are not as wide as the others
        return None
    width = dim // len(parts)
    starts = (k for k in range(len(parts) - n + 1) if parts[k : k + n] == wanted.parts)
    first = next(starts, None)
    return None if first is None else slice(first * width, (first + n) * width)
