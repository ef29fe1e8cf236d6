"""Vectors and figures of others: every form gives the same values, every damage is named."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.benchmark.figures import figures_for, published_figures, read_figures
from dawnchorus.benchmark.vector_table import read_vectors
from dawnchorus.errors import TaskError, UsageError

Columns = dict[str, Any]
IDS = ["a", "b", "c"]
VECTORS = np.array([[0.5, -1.0], [2.0, 3.25], [1e-3, 4.0]], np.float32)
SCORES = st.floats(0, 1, allow_nan=False)


def to_npz(path: Path, columns: Columns) -> Path:
    np.savez(path.with_suffix(".npz"), **columns)
    return path.with_suffix(".npz")


def to_lists(path: Path, columns: Columns) -> Path:
    lists = {n: np.asarray(held).tolist() for n, held in columns.items()}
    pq.write_table(pa.table(lists), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def to_fixed_lists(path: Path, columns: Columns) -> Path:
    vectors = np.asarray(columns["vector"], np.float32)
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    table = pa.table({n: fixed if n == "vector" else list(v) for n, v in columns.items()})
    pq.write_table(table, path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def to_dimensions(path: Path, columns: Columns) -> Path:
    pq.write_table(pa.table(in_dimensions(columns)), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def to_csv(path: Path, columns: Columns) -> Path:
    flat = in_dimensions(columns)
    with path.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(flat)
        writer.writerows(zip(*(np.asarray(v).tolist() for v in flat.values()), strict=True))
    return path.with_suffix(".csv")


def in_dimensions(columns: Columns) -> Columns:
    others = {name: held for name, held in columns.items() if name != "vector"}
    vectors = np.asarray(columns["vector"], np.float32)
    return others | {f"d{at}": column for at, column in enumerate(vectors.T)}


WRITERS = (to_npz, to_lists, to_fixed_lists, to_dimensions, to_csv)
every = pytest.mark.parametrize("write", WRITERS, ids=[one.__name__ for one in WRITERS])


@every
def test_vectors_come_back_exactly_in_the_order_asked_for(
    write: Callable[[Path, Columns], Path], tmp_path: Path
) -> None:
    table = read_vectors(write(tmp_path / "v", {"id": IDS, "vector": VECTORS}))
    assert table.vectors.dtype == np.float32
    np.testing.assert_array_equal(table.take("t", ["c", "a", "c"]), VECTORS[[2, 0, 2]])
    assert not table.by_task


@every
def test_windows_are_averaged_within_their_task_alone(
    write: Callable[[Path, Columns], Path], tmp_path: Path
) -> None:
    columns = {
        "id": ["a", "a", "a", "b"],
        "task": ["t", "u", "t", "u"],
        "start_s": [0.0, 0.0, 5.0, 0.0],
        "vector": np.array([[1, 2], [10, 20], [3, 6], [7, 8]], np.float32),
    }
    table = read_vectors(write(tmp_path / "v", columns))
    assert table.take("t", ["a"]).tolist() == [[2.0, 4.0]]
    assert table.take("u", ["b", "a"]).tolist() == [[7.0, 8.0], [10.0, 20.0]]
    with pytest.raises(TaskError, match=r"1 of 2 clips of t have no vector.*'t b'"):
        table.check("t", ["a", "b"])


@every
def test_an_id_that_occurs_twice_is_refused(
    write: Callable[[Path, Columns], Path], tmp_path: Path
) -> None:
    path = write(tmp_path / "v", {"id": ["a", "b", "a"], "vector": VECTORS})
    with pytest.raises(UsageError, match=f"{path.name}: 1 ids occur more than once.*start_s"):
        read_vectors(path)


@every
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused_with_their_id(
    write: Callable[[Path, Columns], Path], value: float, tmp_path: Path
) -> None:
    vectors = VECTORS.copy()
    vectors[1:, 1] = value
    path = write(tmp_path / "v", {"id": IDS, "vector": vectors})
    with pytest.raises(UsageError, match=r"2 vectors hold values that are not finite.*'b'"):
        read_vectors(path)


@every
def test_a_table_without_rows_is_refused(
    write: Callable[[Path, Columns], Path], tmp_path: Path
) -> None:
    if write is to_lists:
        pytest.skip("an empty list has no type to be written by")
    path = write(tmp_path / "v", {"id": np.array([], str), "vector": np.zeros((0, 2))})
    with pytest.raises(UsageError, match=path.name):
        read_vectors(path)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"id": IDS}, "no vector; need id and vector"),
        ({"vector": VECTORS}, "no id; need id and vector"),
        ({"id": IDS, "vector": VECTORS[:2]}, r"3 ids with vectors of shape \(2, 2\)"),
        ({"id": IDS, "vector": VECTORS[:, 0]}, r"vectors of shape \(3,\)"),
        ({"id": IDS, "vector": np.zeros((3, 0))}, r"vectors of shape \(3, 0\)"),
        ({"id": IDS, "vector": np.array([["x", "y"]] * 3)}, "vectors of <U1; need numbers"),
        ({"id": IDS, "vector": VECTORS + 1j}, "vectors of complex64; need numbers"),
        ({"id": IDS, "vector": VECTORS, "task": ["t"]}, r"task of shape \(1,\); need one value"),
        ({"id": [IDS] * 3, "vector": VECTORS}, r"id of shape \(3, 3\); need one value"),
        ({"id": np.array(IDS, object), "vector": VECTORS}, "cannot be read as NPZ without pickles"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(
    columns: Columns, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        read_vectors(to_npz(tmp_path / "v", columns))
    assert str(caught.value).startswith(str(tmp_path / "v.npz"))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"id": IDS, "vector": [[1.0], [1.0, 2.0], [3.0]]}, r"vectors of lengths \[1, 2\]"),
        ({"id": IDS, "vector": [[1.0], None, [3.0]]}, "or empty; need one"),
        ({"id": IDS, "vector": [[1.0], [None], [3.0]]}, "or empty; need one"),
        ({"id": IDS, "vector": [1.0, 2.0, 3.0]}, "column vector holds double; need lists"),
        ({"id": IDS, "vector": [["x"], ["y"], ["z"]]}, "need numbers"),
        ({"name": IDS, "vector": VECTORS.tolist()}, "no id;.*found name, vector"),
        ({"id": IDS, "n": [1, 2, 3]}, "no vector;.*found id, n"),
        ({"id": IDS, "d0": [1.0, None, 2.0]}, "not finite, the first belongs to 'b'"),
    ],
)
def test_columns_that_do_not_fit_are_refused_by_name(
    columns: Columns, said: str, tmp_path: Path
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "v.parquet")
    with pytest.raises(UsageError, match=said) as caught:
        read_vectors(tmp_path / "v.parquet")
    assert str(caught.value).startswith(str(tmp_path / "v.parquet"))


def test_a_column_that_is_there_twice_is_no_second_dimension(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("id,x,x\na,1,2\n")
    with pytest.raises(UsageError, match=r"v\.csv: column 'x' is there more than once"):
        read_vectors(tmp_path / "v.csv")


@pytest.mark.parametrize("name", ["v.npz", "v.parquet"])
def test_a_file_of_other_bytes_and_one_that_is_not_there_are_named(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"{name}: no such file"):
        read_vectors(tmp_path / name)
    (tmp_path / name).write_bytes(b"not a table")
    with pytest.raises(UsageError, match=f"{name}: cannot be read as"):
        read_vectors(tmp_path / name)
    with pytest.raises(UsageError, match=r"v\.xlsx: need \.npz, \.parquet or \.csv"):
        read_vectors(tmp_path / "v.xlsx")


def test_other_bytes_are_another_model(tmp_path: Path) -> None:
    first = read_vectors(to_csv(tmp_path / "a", {"id": IDS, "vector": VECTORS}))
    same = read_vectors(to_csv(tmp_path / "b", {"id": IDS, "vector": VECTORS}))
    other = read_vectors(to_csv(tmp_path / "c", {"id": IDS, "vector": VECTORS + 1}))
    assert first.sha256 == same.sha256 != other.sha256


def write_figures(path: Path, rows: list[Columns]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), SCORES), min_size=1, max_size=6))
def test_figures_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, values: list[float | None]
) -> None:
    rows = [
        {"model": f"m, {at}", "task": "a/b", "measure": "nmi", "value": "" if v is None else v}
        for at, v in enumerate(values)
    ]
    read = read_figures(write_figures(tmp_path_factory.mktemp("f") / "f.csv", rows))
    assert [figure.value for figure in read] == values
    assert [figure.model for figure in read] == [row["model"] for row in rows]
    assert {figure.protocol for figure in read} == {"strict"}
    assert figures_for("strict", read).models == tuple(row["model"] for row in rows)
    assert figures_for("paper", read).figures == published_figures().figures


ONE = {"model": "m", "task": "a/b", "measure": "nmi", "value": "0.5", "protocol": "strict"}


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"value": "0.6"}, r"m, a/b, nmi: both 0\.5 and 0\.6; keep one"),
        ({"value": ""}, r"m, a/b, nmi: both 0\.5 and None; keep one"),
        ({"model": "n", "value": "nan"}, "n, a/b, nmi: nan is no score; leave it empty"),
        ({"model": "n", "value": "-inf"}, "n, a/b, nmi: -inf is no score"),
        ({"model": "n", "protocol": "papr"}, "n, a/b, nmi: protocol 'papr'; need paper or strict"),
    ],
)
def test_figures_that_cannot_be_right_are_refused_by_cell(
    second: dict[str, str], said: str, tmp_path: Path
) -> None:
    path = write_figures(tmp_path / "f.csv", [ONE, ONE | second])
    with pytest.raises(UsageError, match=rf"f\.csv: {said}"):
        read_figures(path)


def test_one_cell_may_be_said_twice_and_under_two_protocols(tmp_path: Path) -> None:
    rows = [ONE, ONE, ONE | {"protocol": "paper", "value": "0.7"}]
    read = read_figures(write_figures(tmp_path / "f.csv", rows))
    assert [(figure.protocol, figure.value) for figure in read] == [("strict", 0.5), ("paper", 0.7)]
    assert figures_for("paper", read).value("m", "a/b", "nmi") == 0.7
    assert figures_for("strict", read).value("m", "a/b", "nmi") == 0.5
