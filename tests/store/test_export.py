"""A store in one file: columns of any name, by local time, with or without vectors and scores."""

from __future__ import annotations

import csv
import json
import sqlite3
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dawnchorus.errors import DawnChorusWarning, UsageError
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.columns import distinct
from dawnchorus.store.export import _write_csv, export_store
from dawnchorus.store.read import Store
from dawnchorus.store.schema import RecordingRow, StoreHeader, recording_id
from dawnchorus.store.write import StoreWriter

DIM = 3
LABELS = ("wren", "silent", "v1")
HEADER = StoreHeader(
    model="tiny",
    weights_sha256="aa",
    labels_sha256=None,
    licence="CC0-1.0",
    sample_rate=100,
    window_s=1.0,
    hop_s=1.0,
    window_samples=100,
    hop_samples=100,
    channel="mean",
    resampler="soxr-HQ",
    precision="float32",
    normalization=None,
    readout="output:valid",
    dim=DIM,
    dtype="float32",
    labels=LABELS,
    audio_root="/recordings",
    created="2026-01-01T00:00:00+00:00",
    versions={},
)
# names that mean something to us, to the formats, or to the code that writes them
AWKWARD = (
    "file",
    "v0",
    "V2",
    "allow_pickle",
    "place",
    "part",
    "labels",
    "wren",
    "a/b",
    "carried",
    "",
)


def rows(n: int, seed: int) -> WindowRows:
    generator = np.random.default_rng(seed)
    return WindowRows(
        window=np.arange(n),
        start_sample=np.arange(n) * 100,
        valid_samples=np.full(n, 100),
        flags=np.zeros(n, np.int64),
        vectors=generator.standard_normal((n, DIM)).astype(np.float32),
        scores=generator.random((n, len(LABELS))).astype(np.float16).astype(np.float32),
    )


def make(path: Path, *recordings: RecordingRow) -> Store:
    with StoreWriter(path, HEADER) as writer:
        for seed, recording in enumerate(recordings):
            writer.add(replace(recording, status="partial"), rows(2, seed))
            writer.finish(replace(recording, n_windows=2))
    return Store(path)


def recording(name: str, **more: object) -> RecordingRow:
    return RecordingRow(recording_id=recording_id(name), path=name, status="done", **more)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One recording whose list had the most awkward names."""
    carried = tuple((name, f"mine {index}") for index, name in enumerate(AWKWARD))
    return make(tmp_path / "a.store", recording("a.wav", carried=carried))


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
def test_columns_of_any_name_are_exported_under_names_that_differ(
    store: Store, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"x{suffix}"
    assert export_store(store, path, ["path", "window", *AWKWARD], scores=True) == 2
    if suffix == ".npz":
        with np.load(path) as arrays:
            columns = {name: arrays[name][:1].tolist() for name in arrays.files}
            assert arrays["vector"].shape == (2, DIM)
            np.testing.assert_array_equal(arrays["scores"], store.read_scores()[0])
            assert arrays["labels"].tolist() == list(LABELS)
    elif suffix == ".csv":
        with path.open(newline="") as file:
            names, first, _ = csv.reader(file)
        assert len(set(names)) == len(names)
        columns = dict(zip(names, ([value] for value in first), strict=True))
    else:
        table = pq.read_table(path)
        assert len({name.casefold() for name in table.column_names}) == table.num_columns
        columns = table[:1].to_pydict()
    values = [value for column in columns.values() for value in column]
    assert {f"mine {index}" for index in range(len(AWKWARD))} <= {str(value) for value in values}
    assert columns["file"] == ["mine 0"]
    if suffix != ".npz":
        vectors, _ = store.read()
        assert [float(columns[f"v{i}"][0]) for i in range(DIM)] == pytest.approx(
            vectors[0].tolist()
        )
        scores, _ = store.read_scores()
        named = ("wren", "silent", "score_v1")
        assert [float(columns[name][0]) for name in named] == pytest.approx(scores[0].tolist())


def test_sqlite_has_the_lists_columns_too(store: Store, tmp_path: Path) -> None:
    assert export_store(store, tmp_path / "x.sqlite") == 2
    connection = sqlite3.connect(tmp_path / "x.sqlite")
    (found,) = connection.execute("select * from recordings").fetchall()
    connection.close()
    assert sorted(found[4:]) == sorted(f"mine {index}" for index in range(len(AWKWARD)))


def test_vectors_are_left_out_and_scores_come_along(store: Store, tmp_path: Path) -> None:
    export_store(store, tmp_path / "x.csv", ["path"], vectors=False, scores=True)
    with (tmp_path / "x.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["path", *LABELS]
    export_store(store, tmp_path / "y.csv", ["path", "window"], vectors=False)
    assert (tmp_path / "y.csv").read_text().splitlines()[1:] == ['"a.wav",0', '"a.wav",1']
    export_store(store, tmp_path / "x.npz", ["path"], vectors=False)
    with np.load(tmp_path / "x.npz") as arrays:
        assert arrays.files == ["path"]
    for refused in ({"vectors": False}, {"scores": True}):
        with pytest.raises(UsageError, match="a whole store"):
            export_store(store, tmp_path / "x.sqlite", **refused)


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_columns_of_lists_are_written_as_json(store: Store, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    export_store(store, path, ["parts", "gaps"], vectors=False)
    if suffix == ".npz":
        with np.load(path) as arrays:
            parts, gaps = arrays["parts"][0], arrays["gaps"][0]
    else:
        with path.open(newline="") as file:
            parts, gaps = list(csv.reader(file))[1]
    assert json.loads(parts)[0]["name"].startswith("part-")
    assert json.loads(gaps) == []


def test_a_column_that_is_asked_for_twice_comes_once(store: Store, tmp_path: Path) -> None:
    export_store(store, tmp_path / "x.csv", ["path", "window", "path"], vectors=False)
    assert (tmp_path / "x.csv").read_text().startswith('"path","window"\n')


def test_names_differ_whatever_is_taken() -> None:
    assert distinct(["a", "b", "A"], ["b", "list_b"]) == ["a", "list_list_b", "list_A"]


UTC = recording("utc.wav", recorded_at="2024-05-01T04:15:00+00:00")
WEST = recording("west.wav", recorded_at="2024-05-01T05:00:00-04:00")
PLAIN = recording("plain.wav", recorded_at="2024-05-01T04:30:00")
LIMA = recording("lima.wav", recorded_at="2024-05-01T11:00:00+00:00", time_zone="America/Lima")


def heard(store: Store, **filters: object) -> tuple[list[str], str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = store.windows(["path"], **filters)
    said = " | ".join(str(warning.message) for warning in caught)
    assert all(issubclass(warning.category, DawnChorusWarning) for warning in caught)
    return list(dict.fromkeys(table["path"].to_pylist())), said


def test_a_time_of_day_is_local_and_mixed_zones_are_said(tmp_path: Path) -> None:
    store = make(tmp_path / "a.store", UTC, WEST)
    paths, said = heard(store, time_of_day=("04:00", "07:00"))
    assert paths == ["utc.wav", "west.wav"]
    assert "1 recordings say UTC" in said
    assert "mixed: -04:00 (1), UTC (1)" in said
    # five hours apart, and now they are
    dawn = {"time_of_day": ("04:00", "07:00"), "time_zone": "America/New_York"}
    assert heard(store, **dawn) == (["west.wav"], "")
    night = {"time_of_day": ("00:00", "01:00"), "time_zone": "-04:00"}
    assert heard(store, **night) == (["utc.wav"], "")
    before = {"dates": ("2024-04-30", "2024-04-30"), "time_zone": "America/Los_Angeles"}
    assert heard(store, **before) == (["utc.wav"], "")


def test_a_zone_of_the_store_holds_unless_another_is_named(tmp_path: Path) -> None:
    store = make(tmp_path / "a.store", LIMA)
    assert heard(store, time_of_day=("06:00", "06:01")) == (["lima.wav"], "")
    assert heard(store, time_of_day=("06:00", "06:01"), time_zone="UTC") == ([], "")


def test_local_time_is_a_column(tmp_path: Path) -> None:
    store = make(tmp_path / "a.store", LIMA, WEST, recording("x.wav"))
    table = store.windows(["local_time"], time_zone="Europe/Berlin")
    assert table["local_time"].to_pylist() == [
        "2024-05-01T13:00:00.000+02:00",
        "2024-05-01T13:00:01.000+02:00",
        "2024-05-01T05:00:00.000-04:00",
        "2024-05-01T05:00:01.000-04:00",
        None,
        None,
    ]


def test_a_clock_without_a_zone_is_local_and_said(tmp_path: Path) -> None:
    store = make(tmp_path / "a.store", PLAIN)
    paths, said = heard(store, time_of_day=("04:00", "05:00"))
    assert paths == ["plain.wav"]
    assert "do not say their time zone" in said
    assert heard(store)[1] == ""  # nobody asked for the time


def test_vectors_come_in_the_order_of_their_windows(tmp_path: Path) -> None:
    store = make(tmp_path / "a.store", *(recording(f"{name}.wav") for name in "cab"))
    vectors, table = store.read(["path", "window"])
    wanted = {"c": 0, "a": 1, "b": 2}
    for vector, row in zip(vectors, table.to_pylist(), strict=True):
        np.testing.assert_array_equal(
            vector, rows(2, wanted[row["path"][0]]).vectors[row["window"]]
        )


def test_a_spreadsheet_runs_nothing_of_an_export_if_asked(tmp_path: Path) -> None:
    table = pa.table({"site": ["=1+1", "a\rb", None], "start_s": [-1.0, 0.0, 1.0]})
    for safe, cell in ((False, "=1+1"), (True, "'=1+1")):
        path = tmp_path / f"{safe}.csv"
        _write_csv(table, {}, (), path, spreadsheet_safe=safe)
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
        assert rows[1:] == [[cell, "-1"], ["a\rb", "0"], ["", "1"]]
