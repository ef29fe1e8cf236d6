"""The scored items of a task beside the results, so that a report needs no data: labels and groups.

``OUTPUT/items/DATA-SPLIT.parquet`` has ``id``, ``group`` and ``labels`` in the order of the
features, and the classes in its metadata; ``DATA`` begins the rows' ``data_sha256``.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.benchmark.task_data import LabelledItems, label_matrix
from dawnchorus.errors import TaskError
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FOLDER: Final = "items"


def items_path(output: Path, data_sha256: str, split: str) -> Path:
    """Where the items of a split lie."""
    return output / FOLDER / f"{data_sha256[:32]}-{split}.parquet"


def write_items(
    output: Path, data_sha256: str, split: str, items: LabelledItems, classes: Sequence[str]
) -> None:
    """Keep the items of a split, once."""
    path = items_path(output, data_sha256, split)
    if path.is_file():
        return
    names = np.array(classes, object)
    table = pa.table(
        {
            "id": pa.array(items.ids.tolist(), pa.string()),
            "group": pa.array(items.groups.tolist(), pa.string()),
            "labels": pa.array([names[row > 0].tolist() for row in items.y], pa.list_(pa.string())),
        }
    )
    sink = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata({b"classes": "\n".join(classes)}), sink, compression="zstd"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, sink.getvalue())


def read_items(output: Path, data_sha256: str, split: str) -> tuple[tuple[str, ...], LabelledItems]:
    """Classes and items of a split.

    Raises:
        TaskError: They are not there, or damaged.
    """
    path = items_path(output, data_sha256, split)
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise TaskError(f"{path}: no items that can be read: {error}") from error
    classes = tuple(table.schema.metadata[b"classes"].decode().split("\n"))
    return classes, labelled(table, classes)


def labelled(table: pa.Table, classes: Sequence[str]) -> LabelledItems:
    """Items of a table with ``id``, ``group`` and ``labels``."""
    groups, ids = table["group"].to_pylist(), table["id"].to_pylist()
    y = label_matrix(table["labels"].to_pylist(), classes)
    return LabelledItems(y, np.array(groups, str), np.array(ids, str))
