"""JSON lines: one object a detection and line, with the columns of a detection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dawnchorus.engine.exports.text_file import LinesFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from dawnchorus.engine.exports.detection_table import RecordingDetections


def open_json_lines(path: Path, _schema: pa.Schema) -> LinesFile:
    """A file of JSON lines."""
    return LinesFile(path, _lines)


def _lines(detections: RecordingDetections) -> Iterator[str]:
    for row in detections.table.to_pylist():
        # a float32 as a Python float has ten digits more that mean nothing
        row["probability"] = round(row["probability"], 6)
        yield json.dumps(row, ensure_ascii=False)
