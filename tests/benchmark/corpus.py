"""A small corpus that the local tasks read: tones of two pitches, in recordings of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

RATE = 16_000
TASK, SEVERAL = "local/bird_species", "local/finch_detection"
SIZES = {"train": 12, "val": 6, "test": 8}


def make_corpus(folder: Path) -> Path:
    """Two tasks: which of two pitches; and which of two pitches there are, none among them."""
    rows = []
    rng = np.random.default_rng(0)
    for task in (TASK, SEVERAL):
        for split, n_items in SIZES.items():
            for number in range(n_items):
                labels = _labels(task, number)
                name = f"{task.partition('/')[2]}/{split}{number}"
                seconds = 0.4 + 0.1 * (number % 3)
                path = folder / "audio" / f"{name}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, _sound(labels, seconds, rng), RATE)
                rows.append(_row(name, f"audio/{name}.wav", seconds, split, task, labels))
    pq.write_table(pa.Table.from_pylist(rows), folder / "manifest.parquet")
    return folder


def _labels(task: str, number: int) -> list[str]:
    if task == TASK:
        return [("high", "low")[number % 2]]
    return [["high"], ["low"], ["high", "low"], []][number % 4]


def _sound(labels: list[str], seconds: float, rng: np.random.Generator) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    sound = 0.05 * rng.standard_normal(len(time))
    for label in labels:
        pitch = {"high": 3000, "low": 600}[label] * rng.uniform(0.9, 1.1)
        sound += 0.3 * np.sin(2 * np.pi * pitch * time)
    return np.clip(sound, -1, 1).astype(np.float32)


def _row(
    name: str, path: str, seconds: float, split: str, task: str, labels: list[str]
) -> dict[str, object]:
    where = {"id": name, "path": path, "start_s": 0.0, "stop_s": seconds, "group": name}
    return where | {"labels": labels, "split": split, "tasks": [task], "level": "file"}
