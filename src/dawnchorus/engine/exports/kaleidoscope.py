"""Kaleidoscope: a CSV that Kaleidoscope Pro opens for review.

The column MANUAL ID is left empty for the reviewer. Kaleidoscope finds a recording as
INDIR/FOLDER/IN FILE. OFFSET and DURATION are seconds in the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dawnchorus.annotations.foreign_cells import KALEIDOSCOPE_COLUMNS
from dawnchorus.engine.exports.text_file import RowsFile, number, whole_path
from dawnchorus.filename_text import escaped_name
from dawnchorus.paths import stored_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from dawnchorus.engine.exports.detection_table import RecordingDetections


def open_kaleidoscope(
    path: Path, _schema: pa.Schema, *, spreadsheet_safe: bool = False
) -> RowsFile:
    """A table for review."""
    return RowsFile(path, KALEIDOSCOPE_COLUMNS, _rows, spreadsheet_safe=spreadsheet_safe)


def _rows(detections: RecordingDetections) -> Iterator[list[Any]]:
    path = whole_path(detections.path)
    folders = [stored_name(path.parent.parent), escaped_name(path.parent.name)]
    channel = 0  # Kaleidoscope counts channels from 0
    for row in detections.table.to_pylist():
        yield [
            *folders,
            escaped_name(path.name),
            channel,
            number(row["start_s"]),
            number(row["stop_s"] - row["start_s"]),
            row["label"],
            number(row["probability"]),
            "",
        ]
