"""One frozen list of labels per kind, gathered from the training clips."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.clips.manifest import Manifest, texts
from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Clip


@dataclass(frozen=True)
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
        # order counts: it is the order of the logits
        return hashlib.sha256("\n".join(self.labels).encode()).hexdigest()[:16]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {label: i for i, label in enumerate(self.labels)}

    def encode(self, labels: Iterable[str]) -> NDArray[np.float32]:
        """Multi-hot ``(n_labels,)``; labels that it lacks are left out (see `unknown_labels`)."""
        target = np.zeros(len(self.labels), np.float32)
        target[[self._index[label] for label in labels if label in self._index]] = 1.0
        return target


def as_manifest(clips: Sequence[Clip]) -> Manifest:
    """The clips as columns; a manifest is itself."""
    return clips if isinstance(clips, Manifest) else Manifest.of(clips, Path())


def gather_vocabulary(clips: Sequence[Clip], kinds: Sequence[str]) -> Vocabulary:
    """Every label that the given clips of these kinds carry, in the order of code points.

    Raises:
        TaskError: There is no label at all.
    """
    manifest = as_manifest(clips)
    labels = sorted(_labels(manifest, kinds).unique().to_pylist())
    if not labels:
        found = sorted(pc.unique(texts(manifest.table["kind"])).to_pylist())
        raise TaskError(
            f"no label of kinds {list(kinds)} in {len(clips)} clips; kinds found: {found}"
        )
    return Vocabulary(tuple(kinds), tuple(labels))


def unknown_labels(vocabularies: Sequence[Vocabulary], clips: Sequence[Clip]) -> dict[str, int]:
    """Labels of the vocabularies' kinds that no vocabulary holds, and on how many clips each is."""
    manifest = as_manifest(clips)
    found: dict[str, int] = {}
    for vocabulary in vocabularies:
        labels = _labels(manifest, vocabulary.kinds)
        strange = pc.invert(pc.is_in(labels, pa.array(vocabulary.labels, pa.string())))
        counts = labels.filter(strange).value_counts()
        found |= {entry["values"]: entry["counts"] for entry in counts.to_pylist()}
    return dict(sorted(found.items()))


def _labels(manifest: Manifest, kinds: Sequence[str]) -> pa.ChunkedArray:
    chosen = pc.is_in(texts(manifest.table["kind"]), pa.array(list(kinds), pa.string()))
    labels = pc.list_flatten(manifest.table["labels"].filter(chosen))
    return labels.filter(pc.is_valid(labels))
