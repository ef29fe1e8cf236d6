"""What is passed to the public functions by mistake works where it can mean one thing only, and is
refused in words otherwise: never a traceback from inside, never another thing than was meant.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from dawnchorus import (
    AnnotationTable,
    Store,
    call_density,
    cluster_stores,
    embed,
    measure_activity,
    probe_fit,
    search_stores,
    suggest_windows,
)
from dawnchorus.errors import UsageError
from dawnchorus.probing.select import scoring_clips
from dawnchorus.search.archive import Archive
from planted_store import DIM, plant

GROUPS = {"a.wav": [0] * 8 + [1] * 4, "b.wav": [1] * 6}
VECTORS = np.arange(2.0 * DIM).reshape(2, DIM)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return plant(tmp_path / "x.store", GROUPS)


CALLS: dict[str, tuple[Callable[[Any, Path], object], str]] = {
    "no store": (lambda _, __: Store(None), "need a path, got NoneType"),  # type: ignore[arg-type]
    "a number as store": (lambda _, __: Archive(3), "need a path, got int: 3"),  # type: ignore[arg-type]
    "a table as store": (lambda _, __: measure_activity(pd.DataFrame()), "got DataFrame"),  # type: ignore[arg-type]
    "no annotations": (lambda _, __: AnnotationTable(None), "need a path, got NoneType"),  # type: ignore[arg-type]
    "no output": (lambda store, _: cluster_stores(store, None), "need a path, got NoneType"),  # type: ignore[arg-type]
    "no recording": (lambda _, to: embed("", store=to), "got an empty text"),
    "no recording among some": (lambda _, to: embed(["a", b""], store=to), "got an empty text"),  # type: ignore[list-item]
    "no query": (lambda store, _: search_stores(store, None), r"need \(n, 16\), got \(1,\)"),  # type: ignore[arg-type]
    "words and numbers": (lambda store, _: search_stores(store, ["a.wav", 3]), "need sounds such"),  # type: ignore[list-item]
    "a wrong config": (lambda store, _: search_stores(store, VECTORS, config={"k": 0}), "k: Input"),  # type: ignore[arg-type]
    "a label of none": (lambda store, _: suggest_windows(store, None, 3), "need the name of a"),  # type: ignore[arg-type]
    "half a window": (lambda store, _: suggest_windows(store, "a", 3.5), "at least 1 window"),  # type: ignore[arg-type]
    "a word of windows": (lambda store, _: suggest_windows(store, "a", "3"), "at least 1 window"),  # type: ignore[arg-type]
    "a seed below 0": (lambda store, _: suggest_windows(store, "a", 3, seed=-1), "from 0, got -1"),
    "one vector": (lambda store, _: suggest_windows(store, "a", 3, scorer=VECTORS[0]), r"\(16,\)"),
    "short vectors": (lambda store, _: suggest_windows(store, "a", 3, scorer=VECTORS[:, 1:]),
                      r"need \(n, 16\), got \(2, 15\)"),
    "a letter of strata": (lambda store, _: call_density(store, "a", by="month"), "got month"),
    "a path as clips": (lambda _, to: probe_fit("a.csv", to), "need clips as .*read_labels"),  # type: ignore[arg-type]
    "a table as clips": (lambda _, __: scoring_clips(pd.DataFrame(), None, None), "got DataFrame"),  # type: ignore[arg-type]
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_what_cannot_be_meant_is_refused_in_words(name: str, store: Path, tmp_path: Path) -> None:
    call, message = CALLS[name]
    with pytest.raises(UsageError, match=message):
        call(store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("rows", [["a"], [{"path": "a.wav"}]])
def test_only_rows_are_appended(rows: list[Any], tmp_path: Path) -> None:
    table = AnnotationTable(tmp_path / "x.annotations", create=True)
    with pytest.raises(UsageError, match="need rows as new_row makes them"):
        table.append(rows)
    assert table.rows() == []


@pytest.mark.parametrize("asked", [{"state": "Present"}, {"purpose": "test"}, {"source": "me"}])
def test_rows_that_there_cannot_be_are_not_none(asked: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="known: "):
        AnnotationTable(tmp_path / "x.annotations", create=True).rows(**asked)


def test_a_store_may_be_named_by_any_kind_of_path_or_be_open_already(store: Path) -> None:
    n = Archive(store).n_windows
    for named in (str(store), str(store).encode(), Store(store), [Store(store)], iter([store])):
        assert Archive(named).n_windows == n  # type: ignore[arg-type]


def test_vectors_may_be_of_any_library(store: Path) -> None:
    expected = search_stores(store, VECTORS).table
    for vectors in (VECTORS.tolist(), list(VECTORS), pd.DataFrame(VECTORS), torch.tensor(VECTORS),
                    VECTORS.astype(int)):  # fmt: skip
        assert search_stores(store, vectors).table.equals(expected)
    asked = suggest_windows(store, "a", 3, scorer=torch.tensor(VECTORS))  # type: ignore[arg-type]
    assert len(asked) == 3


def test_a_config_may_be_a_dict(store: Path) -> None:
    assert len(search_stores(store, VECTORS, config={"k": 2}).table) == 2  # type: ignore[arg-type]
