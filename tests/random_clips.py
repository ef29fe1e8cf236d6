"""Manifests drawn at random, with everything in them that people's tables hold.

By a generator of numbers out of one drawn seed: a strategy for each cell takes a hundred times as
long.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from dawnchorus.clips.manifest import MANIFEST_SCHEMA, Manifest

HERE = Path("/data/sounds")
LABELS = ("wren", "Fin, finback whale", "robin", "Зяблик", 'the "great" tit', "None", "unknown")
PATHS = ("a.wav", "b c.wav", "Büro/été.wav", "../up.wav", "/far/away.wav", "s3://b//./a.wav")
SIGNS = np.array([*"aß;,|\"'=~ \n\té𝄞"])


def random_text(rng: np.random.Generator) -> str:
    """A few signs, such as tables trip over."""
    return "".join(rng.choice(SIGNS, rng.integers(0, 8)))


def random_table(rng: np.random.Generator, n: int) -> dict[str, list[Any]]:
    """Columns of a manifest: times in quarters of a second, so that sums are exact."""

    def cells(make: Callable[[], Any], empty: float = 0.3) -> list[Any]:
        return [None if rng.random() < empty else make() for _ in range(n)]

    def of(*choices: Any) -> Callable[[], Any]:
        return lambda: choices[rng.integers(len(choices))]

    starts = cells(lambda: int(rng.integers(0, 40)), 0.4)
    lengths = cells(lambda: int(rng.integers(1, 40)))
    found: dict[str, list[Any]] = {
        "id": [f"{row}{random_text(rng)}" for row in range(n)],
        "path": cells(of(*PATHS), 0),
        "start_s": [None if start is None else start / 4 for start in starts],
        # a clip that starts late may be of unknown length, but never of none
        "stop_s": [
            None if length is None else ((start or 0) + length) / 4
            for start, length in zip(starts, lengths, strict=True)
        ],
        "labels": [rng.permutation(LABELS)[: rng.integers(0, 4)].tolist() for _ in range(n)],
        "split": cells(of("train", "val", "test")),
    }
    more = {
        "dataset": of("xc", "inat", "unknown", ""),
        "licence": of("CC0 1.0", "unknown", "CC BY-NC 4.0", ""),
        "recordist": of("ann", "bob", ""),
        "species_key": lambda: int(rng.integers(0, 2**53)),
        "latitude": lambda: float(rng.uniform(-90, 90)),
        "note": lambda: random_text(rng),
    }
    return found | {name: cells(make) for name, make in more.items() if rng.random() < 0.6}


def tables(*, least: int = 0, most: int = 12) -> st.SearchStrategy[dict[str, list[Any]]]:
    """Columns of some rows."""
    seeds = st.tuples(st.integers(0, 2**32), st.integers(least, most))
    return seeds.map(lambda drawn: random_table(np.random.default_rng(drawn[0]), drawn[1]))


def as_arrow(columns: dict[str, list[Any]]) -> pa.Table:
    """The columns with the types of the schema, also where all cells are empty."""
    known = MANIFEST_SCHEMA.names
    return pa.table(
        {
            name: pa.array(cells, MANIFEST_SCHEMA.field(name).type if name in known else None)
            for name, cells in columns.items()
        }
    )


def manifests(*, least: int = 0, most: int = 12) -> st.SearchStrategy[Manifest]:
    """Manifests of such tables."""
    return tables(least=least, most=most).map(lambda made: Manifest(as_arrow(made), HERE))
