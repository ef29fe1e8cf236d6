"""Any manifest comes back from its file as it was, and is a sequence like any other."""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dawnchorus.clips.manifest import (
    CLIP_COLUMNS,
    MANIFEST_SCHEMA,
    Clip,
    Manifest,
    moved,
    read_manifest,
    write_manifest,
)
from dawnchorus.errors import TaskError
from random_clips import HERE, as_arrow, manifests, tables

FREELY = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=20,
)
SOME = settings(max_examples=20)


def plain(clips: Manifest | list[Clip]) -> list[dict[str, Any]]:
    """Clips that can be compared: an unknown end equals another unknown one."""
    rows = [asdict(clip) for clip in clips]
    return [{k: None if v != v else v for k, v in row.items()} for row in rows]


@FREELY
@given(made=tables())
def test_what_is_written_is_read_back_row_by_row(tmp_path: Path, made: dict[str, Any]) -> None:
    clips = Manifest(as_arrow(made), tmp_path)
    write_manifest(clips, tmp_path / "m.parquet")
    again = read_manifest(tmp_path / "m.parquet")
    assert plain(again) == plain(clips)
    # also what no clip holds: notes, keys and places
    for name in made:
        assert again.table[name].to_pylist() == clips.table[name].to_pylist(), name
    assert pq.read_schema(tmp_path / "m.parquet").names == [
        *(name for name in MANIFEST_SCHEMA.names if name in clips.table.column_names)
    ]


@SOME
@given(made=tables())
def test_empty_cells_stand_for_what_the_documentation_says(made: dict[str, Any]) -> None:
    clips = Manifest(as_arrow(made), HERE)
    n = len(made["id"])
    for row, clip in enumerate(clips):
        start_s, stop_s = made["start_s"][row] or 0.0, made["stop_s"][row]
        assert clip.start_s == start_s
        assert clip.stop_s == stop_s or (stop_s is None and math.isnan(clip.stop_s))
        # without a length of the file, its beginning is all that tells a whole one
        assert clip.level == ("file" if start_s == 0 else "segment")
        assert (clip.split, clip.kind) == (made["split"][row] or "", "species")
        assert clip.dataset == (made.get("dataset", [None] * n)[row] or "")


@SOME
@given(
    made=tables(least=1),
    lengths=st.lists(st.one_of(st.none(), st.integers(1, 80)), min_size=12, max_size=12),
)
def test_a_clip_is_its_file_where_both_end_together(
    made: dict[str, Any], lengths: list[int | None]
) -> None:
    durations = [None if n is None else n / 4 for n in lengths[: len(made["id"])]]
    rows = zip(made["start_s"], made["stop_s"], durations, strict=True)
    sound = [  # a stop that is missing becomes the length: it must lie after the start
        (start or 0) < (duration if stop is None else stop or 0) if stop or duration else True
        for start, stop, duration in rows
    ]
    keep = np.flatnonzero(sound)
    kept = {name: [cells[row] for row in keep] for name, cells in made.items()}
    kept["duration_s"] = [durations[row] for row in keep]
    for row, clip in enumerate(Manifest(as_arrow(kept), HERE)):
        stop, duration = kept["stop_s"][row], kept["duration_s"][row]
        ends = stop is None or duration is None or stop == duration
        assert (clip.level == "file") == (clip.start_s == 0 and ends)
        if stop is None and duration is not None:
            assert clip.stop_s == duration


@SOME
@given(
    clips=manifests(),
    at=st.tuples(*[st.one_of(st.none(), st.integers(-14, 14))] * 2),
    step=st.integers(-3, 3),
)
def test_slices_rows_and_iteration_agree_with_a_list(
    clips: Manifest, at: tuple[int | None, int | None], step: int
) -> None:
    every = plain(clips)
    assert plain([clips[row] for row in range(len(clips))]) == every
    assert plain([clips[row - len(clips)] for row in range(len(clips))]) == every
    chosen = slice(*at, step or None)
    assert plain(clips[chosen]) == every[chosen]
    rows = np.arange(len(clips))[::-1].repeat(2)
    assert plain(clips.take(rows)) == [every[row] for row in rows]
    mask = np.arange(len(clips)) % 2 == 0
    assert plain(clips.filter(mask)) == every[::2]
    assert plain(clips.filter(pa.chunked_array([pa.array(mask)]))) == every[::2]


@SOME
@given(clips=manifests())
def test_rows_chosen_by_value_are_those_of_a_plain_search(clips: Manifest) -> None:
    every = plain(clips)
    for split in ("train", "val", "test"):
        wanted = [row for row in every if row["split"] == split]
        assert plain(clips.where(split=split)) == wanted
        for dataset in ("xc", "unknown"):
            both = clips.where(split=split, dataset=dataset)
            assert plain(both) == [row for row in wanted if row["dataset"] == dataset]


@SOME
@given(clips=manifests())
def test_a_manifest_of_its_own_clips_is_the_same(clips: Manifest) -> None:
    again = Manifest.of(list(clips), clips.folder)
    assert plain(again) == plain(clips)
    assert again.table.column_names == list(CLIP_COLUMNS)


PLACES = ("/data/sounds", "/data", "/data/sounds/lists", "/elsewhere", "/data/sounds/../x")


@SOME
@given(made=tables(), places=st.lists(st.sampled_from(PLACES), min_size=1, max_size=4))
def test_a_clip_is_the_same_file_wherever_its_manifest_goes(
    made: dict[str, Any], places: list[str]
) -> None:
    clips = Manifest(as_arrow(made), HERE)
    there = clips
    for place in places:
        there = moved(there, Path(place))
        assert there.folder == Path(place)
    for clip, other in zip(clips, there, strict=True):
        assert clip.id == other.id
        if "://" in clip.path:
            assert other.path == clip.path
        else:
            before, after = clips.locate(clip.path), there.locate(other.path)
            assert os.path.normpath(before) == os.path.normpath(after)


@FREELY
@given(made=tables(least=1))
def test_only_the_columns_asked_for_are_read_beside_those_of_a_clip(
    tmp_path: Path, made: dict[str, Any]
) -> None:
    made |= {"mood": ["glad"] * len(made["id"]), "note": ["x"] * len(made["id"])}
    clips = Manifest(as_arrow(made), tmp_path)
    write_manifest(clips, tmp_path / "m.parquet")
    some = read_manifest(tmp_path / "m.parquet", ["mood", "nothing"])
    assert plain(some) == plain(clips)
    assert set(some.table.column_names) == {*CLIP_COLUMNS, "mood"}
    assert some.table["mood"].to_pylist() == made["mood"]


@pytest.mark.parametrize(
    "columns",
    [
        {"start_s": pa.array([1, 2], pa.int32())},
        {"start_s": pa.array([1.0, 2.0], pa.float32())},
        {"dataset": pa.array(["a", "b"]).dictionary_encode()},
        {"dataset": pa.array(["a", "b"], pa.large_string())},
        {"species_key": pa.array([1.0, 2.0])},
        {"labels": pa.array([["x"], ["y"]], pa.large_list(pa.string()))},
    ],
    ids=["int32", "float32", "dictionary", "large_string", "double", "large_list"],
)
def test_columns_of_a_kindred_type_are_read_as_those_of_the_schema(
    columns: dict[str, pa.Array], tmp_path: Path
) -> None:
    plainly = {"id": ["p", "q"], "path": ["p.wav", "q.wav"], "labels": [["x"], ["y"]]}
    clips = Manifest(pa.table({**plainly, **columns}), tmp_path)
    write_manifest(clips, tmp_path / "m.parquet")
    ((name, given_column),) = columns.items()
    stored = pq.read_table(tmp_path / "m.parquet")
    assert stored.schema.field(name).type == MANIFEST_SCHEMA.field(name).type
    assert stored[name].to_pylist() == given_column.to_pylist()


@pytest.mark.parametrize(
    ("name", "cells", "said"),
    [
        ("start_s", ["early", "late"], "column 'start_s' is of string, need double"),
        ("species_key", [1.5, 2.0], "column 'species_key' is of double, need int64"),
        ("path", [["a"], ["b"]], "column 'path' is of list.*, need string"),
    ],
)
def test_a_column_of_another_type_is_named_with_both_types(
    name: str, cells: list[Any], said: str
) -> None:
    columns = {"id": ["p", "q"], "path": ["p.wav", "q.wav"], "labels": [["x"], ["y"]], name: cells}
    with pytest.raises(TaskError, match=f"^mine: {said}"):
        Manifest(pa.table(columns), HERE, named="mine")


def test_what_cannot_be_written_is_named_and_leaves_what_was_there(tmp_path: Path) -> None:
    clips = Manifest(pa.table({"id": ["p"], "path": ["p.wav"], "labels": [["x"]]}), tmp_path)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(TaskError, match=r"file/m\.parquet: cannot write the manifest"):
        write_manifest(clips, tmp_path / "file" / "m.parquet")
    (tmp_path / "m.parquet").mkdir()
    with pytest.raises(TaskError, match=r"m\.parquet: cannot write the manifest"):
        write_manifest(clips, tmp_path / "m.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "m.parquet"]
