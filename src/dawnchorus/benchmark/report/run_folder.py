"""What lies beside the rows of results and pictures are made of; what is not there is not drawn.

Rows are enough for tables, bars and profiles. A run leaves more in its folder, found by columns of
the rows:

* ``predictions/CELL.parquet``: logits of every scored item and seed, by ``cell``; confusion
  matrices and the comparison of probes (see `dawnchorus.benchmark.predictions`);
* ``items/DATA-SPLIT.parquet``: ids, groups and labels of the scored items, by ``data_sha256`` (see
  `dawnchorus.benchmark.items_file`);
* ``features``: vectors of those items, by ``features_sha256`` (see
  `dawnchorus.benchmark.features`); maps and the comparison of retrieval. Another folder can be
  named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dawnchorus.benchmark.features import has_features, load_features
from dawnchorus.benchmark.items_file import items_path, labelled, read_items
from dawnchorus.benchmark.predictions import FOLDER, read_predictions
from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.benchmark.report.reported_scores import ReportedScore
    from dawnchorus.benchmark.task_data import LabelledItems


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of a run, and that of its features."""

    output: Path
    cache: Path

    def has_predictions(self, score: ReportedScore) -> bool:
        """Whether a probe's logits are there."""
        return bool(score.cell) and (self.output / FOLDER / f"{score.cell}.parquet").is_file()

    def has_vectors(self, score: ReportedScore) -> bool:
        """Whether both vectors and items are there."""
        return (
            bool(score.data_sha256)
            and has_features(self.cache, score.features_sha256)
            and self._items(score).is_file()
        )

    def predictions(self, score: ReportedScore) -> ItemLogits:
        """A probe's logits.

        Raises:
            TaskError: They cannot be read, or the seeds have other items.
        """
        classes, table = read_predictions(self.output, score.cell)
        seeds = table["seed"].to_numpy()
        parts = [np.flatnonzero(seeds == seed) for seed in dict.fromkeys(seeds.tolist())]
        if len({len(part) for part in parts}) != 1:
            raise TaskError(f"{score.cell}: the seeds of its predictions have other items")
        flat = table["logits"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        logits = flat.reshape(table.num_rows, -1)
        items = labelled(table.take(parts[0]), classes)
        return ItemLogits(classes, items, np.stack([logits[part] for part in parts]))

    def vectors(self, score: ReportedScore) -> ItemVectors:
        """Vectors of the scored items.

        Raises:
            TaskError: They cannot be read, or are not as many as the items.
        """
        classes, items = read_items(self.output, score.data_sha256, score.split)
        vectors = load_features(self.cache, score.features_sha256)
        if len(vectors) != len(items.ids):
            raise TaskError(
                f"{score.features_sha256}: {len(vectors)} vectors of {len(items.ids)} items"
            )
        return ItemVectors(classes, items, vectors)

    def _items(self, score: ReportedScore) -> Path:
        return items_path(self.output, score.data_sha256, score.split)


@dataclass(frozen=True, slots=True)
class ItemLogits:
    """``logits`` ``(seeds, items, classes)`` of a probe fitted with several seeds."""

    classes: tuple[str, ...]
    items: LabelledItems
    logits: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ItemVectors:
    """``vectors`` ``(items, dim)``."""

    classes: tuple[str, ...]
    items: LabelledItems
    vectors: NDArray[np.floating[Any]]
