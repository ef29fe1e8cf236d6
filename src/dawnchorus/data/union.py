"""One frozen list of labels over several manifests, in the order of the released models."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.data.vocabulary import Vocabulary
from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


def union_vocabulary(
    manifests: Iterable[Path],
    kinds: Sequence[str] = ("species", "sound"),
    splits: Sequence[str | None] = ("train", None),
) -> Vocabulary:
    """Every label of some kinds in some splits of all manifests, by code point, capitals first.

    Source: the released label map is the sorted set of the training table's labels. Manifests are
    read as streams; ``None`` among the splits stands for rows that are not split yet.

    Raises:
        TaskError: A manifest cannot be read or lacks a column, or there is no label at all, or one
            label is of two kinds: give one source a namespace then.
    """
    labels: dict[str, set[str]] = defaultdict(set)
    n_manifests = 0
    for path in manifests:
        n_manifests += 1
        try:
            with pq.ParquetFile(path) as parquet:
                for batch in parquet.iter_batches(columns=["labels", "kind", "split"]):
                    _gather(batch, path, kinds, splits, labels)
        except (OSError, pa.ArrowInvalid) as error:
            raise TaskError(f"{path}: not a readable manifest: {error}") from error
    twice = sorted(label for label, of_kinds in labels.items() if len(of_kinds) > 1)
    if twice:
        raise TaskError(
            f"{len(twice)} labels are of two kinds, such as {twice[0]!r} of "
            f"{sorted(labels[twice[0]])}; make one of the manifests with a namespace"
        )
    if not labels:
        raise TaskError(f"no label of kinds {list(kinds)} in {n_manifests} manifests")
    return Vocabulary(tuple(kinds), tuple(sorted(labels)))


def _gather(
    batch: pa.RecordBatch,
    path: Path,
    kinds: Sequence[str],
    splits: Sequence[str | None],
    labels: dict[str, set[str]],
) -> None:
    missing = {"labels", "kind", "split"} - set(batch.schema.names)
    if missing:
        raise TaskError(f"{path}: columns {sorted(missing)} are missing")
    for row in batch.to_pylist():
        if row["kind"] in kinds and row["split"] in splits:
            for label in row["labels"] or ():
                labels[label].add(row["kind"])
