"""What a run trains and validates on, of either kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.clips.manifest import texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Clip, Manifest
    from dawnchorus.feed.batches import BatchSource
    from dawnchorus.recipes.live_teacher import LiveTeacher


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What a run trains and validates on.

    Attributes:
        source: training batches; its vocabularies are the label map of the model first, then those
            that only training needs, and none without labels.
        validation: clips to validate on, from short to long.
        facts: for the log: numbers of clips and labels, hash of the label map, labels left out.
        teachers: that hear the batches.
    """

    source: BatchSource
    validation: list[Clip]
    facts: dict[str, Any]
    teachers: tuple[LiveTeacher, ...] = ()


def short_to_long(clips: Manifest, rows: NDArray[np.integer[Any]]) -> list[Clip]:
    """Some clips of a manifest, ordered so that a batch of neighbours is padded little."""
    return sorted(clips.take(rows), key=lambda clip: clip.duration_s)


def clips_to_decode(clips: Manifest, validation: Iterable[Clip]) -> Manifest:
    """Clips of files that training or validation reads; others are not held in memory."""
    validated = pa.array([clip.path for clip in validation], pa.string())
    trained = pc.fill_null(pc.equal(texts(clips.table["split"]), "train"), False)
    return clips.filter(pc.or_(trained, pc.is_in(clips.table["path"], validated)))
