"""Vectors of other programs as a model of a plan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.corpus import TASK, make_corpus
from dawnchorus.benchmark.results import Results
from dawnchorus.benchmark.run import benchmark, dry_run
from dawnchorus.benchmark.vector_table import read_vectors
from dawnchorus.configs.benchmark import BenchmarkConfig
from dawnchorus.errors import TaskError, UsageError

IDS = ["a", "b", "c"]
VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


def test_npz_parquet_and_csv_give_the_same_vectors(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", id=IDS, vector=VECTORS)
    pq.write_table(pa.table({"id": IDS, "vector": VECTORS.tolist()}), tmp_path / "v.parquet")
    columns = {"id": IDS, "d0": VECTORS[:, 0], "d1": VECTORS[:, 1]}
    pq.write_table(pa.table(columns), tmp_path / "w.parquet")
    lines = [f"{i},{x:g},{y:g}" for i, (x, y) in zip(IDS, VECTORS, strict=True)]
    (tmp_path / "v.csv").write_text("\n".join(["id,d0,d1", *lines]))
    for name in ("v.npz", "v.parquet", "w.parquet", "v.csv"):
        found = read_vectors(tmp_path / name).take("t", ["c", "a"])
        np.testing.assert_array_equal(found, VECTORS[[2, 0]])


def test_missing_clips_are_counted_and_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", id=IDS, vector=VECTORS)
    table = read_vectors(tmp_path / "v.npz")
    with pytest.raises(TaskError, match=r"2 of 3 clips of t have no vector.*'x', 'y'.*3 ids"):
        table.take("t", ["a", "x", "y"])


def test_windows_of_a_clip_are_averaged_only_if_they_say_so(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"id": ["a", "a", "b"], "vector": VECTORS.tolist()}), tmp_path / "v.parquet"
    )
    with pytest.raises(UsageError, match=r"1 ids occur more than once.*start_s"):
        read_vectors(tmp_path / "v.parquet")
    whole = {"id": ["a", "a", "b"], "start_s": [0.0, 3.0, 0.0], "vector": VECTORS.tolist()}
    pq.write_table(pa.table(whole), tmp_path / "v.parquet")
    found = read_vectors(tmp_path / "v.parquet")
    np.testing.assert_array_equal(found.take("t", ["a"]), [[1.0, 2.0]])


def test_a_column_of_tasks_limits_rows_to_them(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("task,id,x\nt,a,1\nu,a,2\n")
    table = read_vectors(tmp_path / "v.csv")
    assert table.take("u", ["a"]) == [[2.0]]
    with pytest.raises(TaskError):
        table.take("w", ["a"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,x\na,1\nb,nan\n", "1 vectors hold values that are not finite.*'b'"),
        ("name,x\na,1\n", "no id"),
        ("id,x\na,one\n", "column 'x' is not all numbers"),
        ("id,x\na\n", "line 2"),
        ("", "CSV with a header"),
    ],
)
def test_what_is_no_table_is_said_so(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "v.csv").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_vectors(tmp_path / "v.csv")


def test_a_table_that_lacks_clips_stops_a_plan_before_it_begins(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    np.savez(tmp_path / "few.npz", id=["bird_species/test0"], vector=np.ones((1, 2)))
    config = BenchmarkConfig(
        models=[f"table:{tmp_path / 'few.npz'}"], tasks=[TASK], data=str(corpus),
        output=str(tmp_path / "out"),
    )  # fmt: skip
    for start in (dry_run, benchmark):
        with pytest.raises(TaskError, match="25 of 26 clips of local/bird_species"):
            start(config)
    assert not len(Results(tmp_path / "out").read())


def test_a_table_is_scored_like_an_encoder(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    rows = pq.read_table(corpus / "manifest.parquet").to_pylist()
    rng = np.random.default_rng(0)
    hot = np.array([["high" in row["labels"], "low" in row["labels"]] for row in rows], float)
    vectors = hot + 0.1 * rng.standard_normal(hot.shape) + 1
    np.savez(tmp_path / "perfect.npz", id=[row["id"] for row in rows], vector=vectors)
    config = BenchmarkConfig(
        models=[f"other=table:{tmp_path / 'perfect.npz'}"], tasks=[TASK], data=str(corpus),
        output=str(tmp_path / "out"), probes=["linear", "attention"], n_bootstrap=10,
        probe_options={},
    )  # fmt: skip
    assert benchmark(config).n_done == 2  # a table has no tokens for attention
    found = Results(tmp_path / "out").read().to_pylist()
    values = {row["measure"]: row["value"] for row in found if row["seed"] is None}
    assert values["macro_recall"] == values["retrieval_roc_auc"] == values["nmi"] == 1.0
    assert {(r["model"], r["readout"]) for r in found} == {("other", "table")}
