"""Tables of clips: which piece of which file carries which labels, and in which split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

COLUMNS = ("id", "path", "dataset", "level", "start_s", "stop_s", "labels", "kind", "split")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A labelled piece of a file; ``level`` is ``file`` for the whole, ``segment`` for a part."""

    id: str
    path: str
    dataset: str
    level: str
    start_s: float
    stop_s: float
    labels: tuple[str, ...]
    kind: str
    split: str

    @property
    def duration_s(self) -> float:
        """Length of the clip."""
        return self.stop_s - self.start_s


def read_manifest(path: Path) -> list[Clip]:
    """Read a Parquet manifest, one clip a row, in the file's order.

    Raises:
        TaskError: The file is missing or not Parquet, a column is missing, a split is unknown,
            or a clip ends before it starts.
    """
    if not path.is_file():
        raise TaskError(f"{path}: no such manifest")
    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as error:
        raise TaskError(f"{path}: not a Parquet file: {error}") from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise TaskError(f"{path}: columns {missing} are missing; found {table.column_names}")
    rows = table.select(COLUMNS).to_pylist()
    return [_clip(path, number, row) for number, row in enumerate(rows)]


def _clip(path: Path, number: int, row: Mapping[str, Any]) -> Clip:
    if row["split"] not in SPLITS:
        raise TaskError(f"{path}: row {number}: split {row['split']!r}, need one of {SPLITS}")
    if not row["stop_s"] > row["start_s"] >= 0:
        raise TaskError(
            f"{path}: row {number} ({row['id']}): start_s {row['start_s']}, stop_s "
            f"{row['stop_s']}; need 0 <= start_s < stop_s"
        )
    return Clip(**{**row, "labels": tuple(row["labels"] or ())})
