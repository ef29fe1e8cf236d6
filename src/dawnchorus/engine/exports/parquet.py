"""Parquet: the columns of a detection with their types, for pandas, polars, DuckDB and R."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.engine.exports.detection_table import RecordingDetections

ROW_GROUP: Final = 100_000  # rows: a group a recording would make files that are slow to read


class ParquetFile:
    """Rows of many recordings in row groups of a size that reads well."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Start the file."""
        # opened here: Arrow opens no path with a name that is not UTF-8
        self._file = path.open("xb")
        self._writer = pq.ParquetWriter(self._file, schema, write_page_checksum=True)
        self._waiting: list[pa.Table] = []

    def write(self, detections: RecordingDetections) -> None:
        """Add a recording."""
        self._waiting.append(detections.table)
        if sum(map(len, self._waiting)) >= ROW_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting = []

    def close(self) -> None:
        """Finish the file."""
        try:
            self._write_group()
            self._writer.close()
        finally:
            self._file.close()
