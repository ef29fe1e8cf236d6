"""Manifests: what is read and refused, and what is kept when they are written again."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dawnchorus.clips.manifest import MANIFEST_SCHEMA, read_manifest, write_manifest
from dawnchorus.errors import TaskError

ROWS: dict[str, list[Any]] = {
    "id": ["x", "y"],
    "path": ["x.wav", "Büro/été.wav"],
    "start_s": [0.0, 2.0],
    "stop_s": [1.0, 3.0],
    "labels": [["Turdus merula", "Bombina, gelbe"], []],
    "split": ["train", None],
}


def saved(target: Path, **changes: Any) -> Path:
    rows = {name: values for name, values in {**ROWS, **changes}.items() if values is not None}
    pq.write_table(pa.table(rows), target)
    return target


def test_a_manifest_of_three_columns_is_enough(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.parquet", start_s=None, stop_s=None, split=None)
    clips = list(read_manifest(path))
    assert [clip.path for clip in clips] == ROWS["path"]
    assert clips[0].labels == ("Turdus merula", "Bombina, gelbe")
    assert clips[1].labels == ()
    assert (clips[0].level, clips[0].kind, clips[0].split) == ("file", "species", "")
    assert math.isnan(clips[0].stop_s)


def test_the_length_of_a_file_is_where_its_clip_stops(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.parquet", stop_s=[None, 3.0], duration_s=[7.0, 9.0])
    clips = read_manifest(path)
    assert [clip.stop_s for clip in clips] == [7.0, 3.0]
    assert [clip.level for clip in clips] == ["file", "segment"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": None}, r"columns \['labels'\] are missing"),
        ({"labels": ["wren", "robin"]}, "column 'labels' is of string, need list"),
        ({"start_s": [0.0, 3.0]}, r"row 1 \(y\): start_s 3.0, stop_s 3.0"),
        ({"start_s": [-1.0, 0.0]}, r"row 0 \(x\): start_s -1.0"),
        ({"start_s": [float("nan"), 0.0]}, r"row 0 \(x\): start_s nan"),
        ({"split": ["train", "dev"]}, r"row 1 \(y\): split 'dev'"),
        ({"id": ["x", "x"]}, "1 ids are there more than once, such as 'x'"),
        ({"id": ["x", None]}, "row 1 .*its id is empty"),
        ({"path": ["", "y.wav"]}, "row 0 .*its path is empty"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_by_row(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(TaskError, match=said):
        read_manifest(saved(tmp_path / "m.parquet", **changes))


def test_what_is_not_a_manifest_is_said(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no such manifest"):
        read_manifest(tmp_path / "none.parquet")
    (tmp_path / "m.parquet").write_bytes(b"not Parquet at all")
    with pytest.raises(TaskError, match="not a Parquet file"):
        read_manifest(tmp_path / "m.parquet")


def test_writing_keeps_further_columns_and_moves_paths(tmp_path: Path) -> None:
    changes = {"mood": ["glad", None], "species_key": [5, None]}
    manifest = read_manifest(saved(tmp_path / "m.parquet", **changes))
    write_manifest(manifest, tmp_path / "lists" / "n.parquet")
    again = read_manifest(tmp_path / "lists" / "n.parquet")
    assert again.table["mood"].to_pylist() == ["glad", None]
    assert [again.locate(clip.path) for clip in again] == [
        manifest.locate(clip.path) for clip in manifest
    ]
    assert Path(again[0].path).is_absolute()
    write_manifest(again, tmp_path / "o.parquet")
    back = read_manifest(tmp_path / "o.parquet")
    assert [clip.path for clip in back] == ROWS["path"]
    for name in back.table.column_names:
        stored = pq.read_schema(tmp_path / "o.parquet").field(name).type
        assert name not in MANIFEST_SCHEMA.names or stored == MANIFEST_SCHEMA.field(name).type
    assert not list(tmp_path.rglob("*.beside"))


def test_a_url_stays_a_url_wherever_the_manifest_goes(tmp_path: Path) -> None:
    url = "https://example.org/a.mp3"
    manifest = read_manifest(saved(tmp_path / "m.parquet", path=[url, "y.wav"]))
    write_manifest(manifest, tmp_path / "elsewhere" / "m.parquet")
    assert read_manifest(tmp_path / "elsewhere" / "m.parquet")[0].path == url


def test_rows_are_chosen_by_value_slice_and_number(tmp_path: Path) -> None:
    manifest = read_manifest(saved(tmp_path / "m.parquet"))
    assert [clip.id for clip in manifest.where(split="train")] == ["x"]
    assert [clip.id for clip in manifest.where(split="train", kind="sound")] == []
    assert [clip.id for clip in manifest[::-1]] == ["y", "x"]
    assert manifest[-1].id == "y"
    with pytest.raises(IndexError):
        manifest[2]


def test_a_large_manifest_takes_little_memory_and_no_list_of_clips(tmp_path: Path) -> None:
    n = 200_000
    species = [f"Genus{i} species{i}" for i in range(3000)]
    number = np.arange(n)
    pq.write_table(
        pa.table(
            {
                "id": pa.array(number).cast(pa.string()),
                "path": pa.array([f"audio/{i:07d}.mp3" for i in range(n)]),
                "labels": [[species[i % 3000]] for i in range(n)],
                "duration_s": number % 100 + 1.0,
                "family": [f"Family{i % 300}" for i in range(n)],
            }
        ),
        tmp_path / "large.parquet",
    )
    before = pa.total_allocated_bytes()
    manifest = read_manifest(tmp_path / "large.parquet")
    assert pa.total_allocated_bytes() - before < 200 * n  # 20 to 130 bytes a column are used
    assert manifest[123_456].path == "audio/0123456.mp3"
    assert len(manifest[123_456:]) == n - 123_456


def test_a_manifest_whose_times_have_other_names_is_refused(tmp_path: Path) -> None:
    columns = {"id": ["a"], "path": ["a.wav"], "labels": [["wren"]]}
    for name in ("start", "start_ms", "Begin Time (s)", "offset", "from"):
        pq.write_table(pa.table({**columns, name: [1.0]}), tmp_path / "m.parquet")
        with pytest.raises(TaskError, match="may hold times"):
            read_manifest(tmp_path / "m.parquet")
    more = {"start_s": [1.0], "stop_s": [2.0], "end_ms": [2000], "time": ["04:30"]}
    pq.write_table(pa.table({**columns, **more}), tmp_path / "m.parquet")
    assert read_manifest(tmp_path / "m.parquet")[0].start_s == 1.0
