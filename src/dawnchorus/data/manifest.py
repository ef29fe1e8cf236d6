"""Tables of clips: which piece of which file carries which labels, and in which split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

MANIFEST_SCHEMA: Final = pa.schema(
    [
        ("id", pa.string()),  # unique in a manifest
        ("path", pa.string()),  # relative to the manifest's folder, absolute, or a URL
        ("start_s", pa.float64()),
        ("stop_s", pa.float64()),  # null: to the end of the file
        ("labels", pa.list_(pa.string())),
        ("kind", pa.string()),  # of the labels: species, sound, individual, calltype
        ("split", pa.string()),  # train, val, test; null: not split yet
        ("level", pa.string()),  # file: the whole file; segment: a part of it
        ("dataset", pa.string()),
        ("source", pa.string()),  # where it was published
        ("licence", pa.string()),  # as in "CC BY-NC-SA 4.0"
        ("attribution", pa.string()),
        ("recordist", pa.string()),
        ("individual", pa.string()),
        ("group", pa.string()),  # never on two sides of a split
        ("scientific_name", pa.string()),  # as published; the accepted one is the label
        ("kingdom", pa.string()),
        ("phylum", pa.string()),
        ("class", pa.string()),
        ("order", pa.string()),
        ("family", pa.string()),
        ("genus", pa.string()),
        ("species_key", pa.int64()),  # of the GBIF backbone
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("place", pa.string()),
        ("recorded_at", pa.string()),  # ISO 8601, as far as it is known
        ("duration_s", pa.float64()),  # of the file, as published or measured
        ("url", pa.string()),  # where the file can be downloaded
        ("sha256", pa.string()),  # of the file
        ("note", pa.string()),
    ]
)  # a manifest may lack the columns after `split`, and have others, which are kept
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
