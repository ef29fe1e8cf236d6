"""Stores of recordings made at known times and sites, with calls where the test puts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.schema import StoreHeader
from dawnchorus.store.write import StoreWriter
from store_samples import DIM, HEADER, row

LABELS = ("robin", "wren")
WINDOW_S = 1.0
MADE_HEADER = HEADER.model_copy(update={"hop_s": 1.0, "hop_samples": 100, "labels": LABELS})


@dataclass(frozen=True)
class Made:
    """One recording: windows of a second, and the windows in which each label scores 0.9."""

    name: str
    start: str | None
    n_windows: int = 60
    calls: Mapping[str, Sequence[int]] = ()  # type: ignore[assignment]
    silent: Sequence[int] = ()
    gaps: tuple[tuple[int, int], ...] = ()
    site: str | None = None
    time_zone: str | None = None
    carried: tuple[tuple[str, str], ...] = ()


def make_store(folder: Path, recordings: Sequence[Made], header: StoreHeader = MADE_HEADER) -> Path:
    with StoreWriter(folder, header) as writer:
        for made in recordings:
            index = np.arange(made.n_windows)
            scores = np.full((made.n_windows, len(LABELS)), 0.1, np.float32)
            for label, windows in dict(made.calls).items():
                scores[list(windows), LABELS.index(label)] = 0.9
            flags = np.isin(index, made.silent).astype(np.int64)  # the lowest bit is silent
            rows = WindowRows(
                window=index,
                start_sample=index * 100,
                valid_samples=np.full(made.n_windows, 100),
                flags=flags,
                vectors=np.zeros((made.n_windows, DIM), np.float32),
                scores=scores if header.labels else None,
            )
            carried = (*made.carried, *((("site", made.site),) if made.site else ()))
            facts = {
                "recorded_at": made.start, "time_zone": made.time_zone, "carried": carried,
                "rate": 100, "gaps": made.gaps, "n_samples": 100 * made.n_windows,
                "duration_s": made.n_windows * WINDOW_S,
            }  # fmt: skip
            writer.add(row(made.name, **facts), rows)
            writer.finish(row(made.name, made.n_windows, "done", **facts))
    return folder
