"""One frozen list of labels per kind, gathered from the training clips."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from dawnchorus.data.manifest import Clip


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Sorted labels of some kinds; their position is the index of their logit."""

    kinds: tuple[str, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        """How many labels there are."""
        return len(self.labels)

    @property
    def hash(self) -> str:
        """Short hash of the labels in order."""
        return hashlib.sha256("\n".join(self.labels).encode()).hexdigest()[:16]

    def encode(self, labels: Iterable[str]) -> NDArray[np.float32]:
        """Multi-hot ``(n_labels,)``; labels of other kinds are left to their own vocabulary."""
        index = {label: i for i, label in enumerate(self.labels)}
        target = np.zeros(len(self.labels), np.float32)
        target[[index[label] for label in labels if label in index]] = 1.0
        return target


def gather_vocabulary(clips: Sequence[Clip], kinds: Sequence[str]) -> Vocabulary:
    """Every label that the given clips of these kinds carry, sorted.

    Raises:
        TaskError: There is no label at all.
    """
    labels = sorted({label for clip in clips if clip.kind in kinds for label in clip.labels})
    if not labels:
        found = sorted({clip.kind for clip in clips})
        raise TaskError(
            f"no label of kinds {list(kinds)} in {len(clips)} clips; kinds found: {found}"
        )
    return Vocabulary(tuple(kinds), tuple(labels))
