"""Detections for tests of what is written of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from dawnchorus.engine.exports.detection_table import DETECTION_SCHEMA, RecordingDetections
from dawnchorus.paths import stored_name


def row(path: Path, start_s: float, label: str, probability: float) -> dict[str, object]:
    return {
        "path": stored_name(path),  # as the engine writes it, so that odd bytes are escaped
        "window": int(start_s),
        "start_s": start_s,
        "stop_s": start_s + 1.5,
        "start_sample": round(start_s * 48_000),
        "stop_sample": round((start_s + 1.5) * 48_000),
        "sample_rate": 48_000,
        "label": label,
        "level": "species",
        "probability": probability,
        "rank": 1,
        "n_windows": 1,
        "recorded_at": "2024-05-01T04:30:00+02:00",
        "local_time": "2024-05-01T04:30:12.250+02:00",
    }


def detections(path: Path, *rows: tuple[float, str, float]) -> RecordingDetections:
    table = pa.Table.from_pylist([row(path, *values) for values in rows], DETECTION_SCHEMA)
    return RecordingDetections(path=path, duration_s=60.0, highest_hz=8000.0, table=table)
