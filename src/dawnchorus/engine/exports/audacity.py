"""Audacity: a label track for one recording. Each line has start, stop and text, tab separated.

Source: Audacity Manual, "Importing and Exporting Labels".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dawnchorus.engine.exports.text_file import LinesFile, number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from dawnchorus.engine.exports.detection_table import RecordingDetections


def open_audacity(path: Path, _schema: pa.Schema) -> LinesFile:
    """A label track."""
    return LinesFile(path, _lines)


def _lines(detections: RecordingDetections) -> Iterator[str]:
    for row in detections.table.to_pylist():
        # a tab or line end in a label would be taken for the end of a field
        label = " ".join(f"{row['label']} {row['probability']:.3f}".split())
        yield f"{number(row['start_s'])}\t{number(row['stop_s'])}\t{label}"
