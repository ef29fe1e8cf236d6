"""What a probe said of each scored item, for confusion matrices and for comparing two models."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.errors import TaskError
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from dawnchorus.benchmark.task_data import LabelledItems

FOLDER: Final = "predictions"


def write_predictions(
    output: Path,
    cell: str,
    items: LabelledItems,
    classes: tuple[str, ...],
    logits: Mapping[int, NDArray[np.floating[Any]]],
) -> None:
    """Keep logits of every seed under ``OUTPUT/predictions/CELL.parquet``.

    A row is an item under one seed: ``id``, ``group``, ``labels``, ``seed``, ``logits`` in the
    order of the classes, which are in the file's metadata.
    """
    named = [
        [name for name, held in zip(classes, row, strict=True) if held] for row in items.y.tolist()
    ]
    tables = [
        pa.table(
            {
                "id": pa.array(items.ids.tolist()),
                "group": pa.array(items.groups.tolist()),
                "labels": pa.array(named, pa.list_(pa.string())),
                "seed": pa.array([seed] * len(items.ids), pa.int64()),
                "logits": pa.array(list(one.astype("float32")), pa.list_(pa.float32())),
            }
        )
        for seed, one in logits.items()
    ]
    table = pa.concat_tables(tables).replace_schema_metadata({b"classes": "\n".join(classes)})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    (output / FOLDER).mkdir(parents=True, exist_ok=True)
    write_whole(output / FOLDER / f"{cell}.parquet", sink.getvalue())


def read_predictions(output: Path, cell: str) -> tuple[tuple[str, ...], pa.Table]:
    """Classes and rows of a cell of the results.

    Raises:
        TaskError: That cell has none, or they are damaged.
    """
    path = output / FOLDER / f"{cell}.parquet"
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise TaskError(f"{path}: no predictions that can be read: {error}") from error
    return tuple(table.schema.metadata[b"classes"].decode().split("\n")), table
