"""Small stores for tests: a header, windows of known numbers, and writers that put them in."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.schema import RecordingRow, StoreHeader, recording_id
from dawnchorus.store.write import StoreWriter

DIM = 6
LABELS = ("robin", "wren")
HEADER = StoreHeader(
    model="tiny",
    weights_sha256="aa",
    labels_sha256=None,
    licence="CC0-1.0",
    sample_rate=100,
    window_s=1.0,
    hop_s=0.5,
    window_samples=100,
    hop_samples=50,
    channel="mean",
    resampler="soxr-HQ",
    precision="float32",
    normalization=(-5.0, 4.0),
    readout="output:valid",
    dim=DIM,
    dtype="float16",
    audio_root="/recordings",
    created="2026-01-01T00:00:00+00:00",
    versions={},
)
WITH_SCORES = HEADER.model_copy(update={"labels": LABELS})


def row(name: str, n_windows: int = 0, status: str = "partial", **more: object) -> RecordingRow:
    identity = recording_id(name)
    return RecordingRow(
        recording_id=identity, path=name, n_windows=n_windows, status=status, **more
    )


def windows(
    first: int, n: int, *, value: float | None = None, seed: int = 0, scores: bool = False
) -> WindowRows:
    """Windows from number ``first`` on; the same seed and number give the same vector."""
    index = np.arange(first, first + n)
    vectors = np.array([_vector(seed, int(i)) for i in index], np.float32).reshape(n, DIM)
    if value is not None:
        vectors[:] = value
    return WindowRows(
        window=index,
        start_sample=index * 50,
        valid_samples=np.full(n, 100),
        flags=index % 2,
        vectors=vectors,
        scores=np.abs(np.cos(vectors[:, : len(LABELS)])) if scores else None,
    )


def _vector(seed: int, window: int) -> np.ndarray:
    return np.random.default_rng((seed, window)).standard_normal(DIM)


def put(writer: StoreWriter, name: str, sizes: list[int], *, seed: int = 0, **more: object) -> None:
    """A whole recording, its windows added in pieces of these sizes."""
    n_added = 0
    scores = writer.header.labels is not None
    for size in sizes:
        writer.add(row(name, **more), windows(n_added, size, seed=seed, scores=scores))
        n_added += size
    writer.finish(row(name, n_added, "done", **more))


def expected(n: int, *, seed: int = 0) -> np.ndarray:
    """What a store of float16 gives back for the windows of `put`."""
    vectors: np.ndarray = windows(0, n, seed=seed).vectors
    return vectors.astype(np.float16).astype(np.float32)


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}
