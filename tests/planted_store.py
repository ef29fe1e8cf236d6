"""A store whose windows lie in groups that the test knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.write import StoreWriter
from store_samples import HEADER, row

DIM = 16
PLANTED_HEADER = HEADER.model_copy(update={"dim": DIM, "hop_s": 1.0, "hop_samples": 100})


def planted_vectors(groups: np.ndarray, *, noise: float = 0.15, seed: int = 0) -> np.ndarray:
    """Vectors around a direction for each group, ``(n, DIM)``; group -1 is anywhere."""
    draws = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(10, DIM))
    vectors = centres[groups] + noise * draws.normal(size=(len(groups), DIM))
    strangers = groups < 0
    vectors[strangers] = draws.normal(size=(int(strangers.sum()), DIM))
    return vectors.astype(np.float32)


def plant(
    folder: Path,
    recordings: dict[str, list[int]],
    *,
    seed: int = 0,
    last_samples: int = 100,
    **more: object,
) -> Path:
    """Make a store, or add to one: the group of each window of each recording.

    Windows are a second long and follow each other; ``last_samples`` of the last of each recording
    are sound, of 100.
    """
    header = PLANTED_HEADER.model_copy(update=more)
    with StoreWriter(folder, header) as writer:
        for at, (name, groups) in enumerate(recordings.items()):
            add_recording(writer, name, groups, seed=seed + at, last_samples=last_samples)
    return folder


def add_recording(
    writer: StoreWriter, name: str, groups: list[int], *, seed: int, last_samples: int = 100
) -> None:
    """One whole recording; its site is its folder, and it began at four in the morning."""
    index = np.arange(len(groups))
    valid_samples = np.full(len(index), 100)
    valid_samples[-1] = last_samples
    rows = WindowRows(
        window=index,
        start_sample=index * 100,
        valid_samples=valid_samples,
        flags=index * 0,
        vectors=planted_vectors(np.array(groups), seed=seed),
        scores=None,
    )
    site = name.partition("/")[0] if "/" in name else "home"
    facts = {"recorded_at": "2026-05-01T04:00:00+02:00", "carried": (("site", site),)}
    writer.add(row(name, **facts), rows)
    writer.finish(row(name, len(index), "done", duration_s=float(len(index)), **facts))
