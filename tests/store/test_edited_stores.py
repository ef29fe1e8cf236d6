"""A store that was edited, damaged or put together from others is refused in words, or read right.

What is read right is all that was promised: never fewer windows, and never other numbers.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.errors import DawnChorusError, StoreError
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.check import set_aside
from dawnchorus.store.export import export_store
from dawnchorus.store.merge import merge_stores
from dawnchorus.store.read import Store
from dawnchorus.store.schema import RecordingRow, StoreHeader, recording_id
from dawnchorus.store.write import StoreWriter

DIM, N_LABELS = 5, 3
HEADER = StoreHeader(
    model="tiny", weights_sha256="aa", labels_sha256="bb", licence="CC0-1.0", sample_rate=100,
    window_s=1.0, hop_s=0.5, window_samples=100, hop_samples=50, channel="mean",
    resampler="soxr-HQ", precision="float32", normalization=(-5.0, 4.0), readout="output:valid",
    dim=DIM, dtype="float16", labels=("a", "b", "c"), audio_root="/recordings",
    created="2026-01-01T00:00:00+00:00", versions={},
)  # fmt: skip
SIZES = {"a.wav": 3, "b.wav": 4, "c.wav": 2}
JUNK: list[Any] = [
    None, True, -1, 0, 1, 128, 2**40, 10**400, 1.5, 1e308, "", "x", "a\x00b", "é" * 500, [],
    ["a", "a"], [None], {}, {"a": {}}, [[[[[[]]]]]],
]  # fmt: skip
VALUES: list[Any] = [None, -1, 0, 7, 2**31, "", "x", "../../x", "a\x00b", "9" * 16, [], [None]]


def make_store(path: Path, *, seed: int = 0, names: tuple[str, ...] = tuple(SIZES)) -> None:
    """A store with two parts of vectors, and a recording that is not finished."""
    rng = np.random.default_rng(seed)
    with StoreWriter(path, HEADER) as writer:
        for name in (*names, "open.wav"):
            n = SIZES.get(name, 1)
            row = RecordingRow(
                recording_id=recording_id(name), path=name, status="partial", n_windows=n,
                recorded_at="2024-05-01T04:00:00+02:00", carried=(("site", "North"),),
            )  # fmt: skip
            writer.add(row, windows(rng, n))
            if name in SIZES:
                values = {**row.to_dict(), "status": "done", "parts": [], "gaps": []}
                writer.finish(RecordingRow.from_dict(values))
                writer.flush()


def windows(rng: np.random.Generator, n: int) -> WindowRows:
    index = np.arange(n)
    return WindowRows(
        window=index, start_sample=index * 50, valid_samples=np.full(n, 100), flags=index % 2,
        vectors=rng.standard_normal((n, DIM)).astype(np.float32),
        scores=rng.random((n, N_LABELS)).astype(np.float32),
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copied by every test."""
    path = tmp_path_factory.mktemp("whole") / "a.store"
    make_store(path)
    return path


def use_in_every_way(path: Path, scratch: Path) -> list[str]:
    """What a user can do with a store; each works, or is refused in words. Returns refusals."""
    refusals = []

    def attempt(what: Callable[[], object]) -> None:
        try:
            what()
        except DawnChorusError as error:
            refusals.append(str(error))

    attempt(lambda: read_all(path))
    attempt(lambda: Store(path).read_scores())
    attempt(lambda: Store(path).read(label="a", min_score=0.5))
    attempt(lambda: Store(path).windows(["local_time"], time_of_day=("03:00", "05:00")))
    attempt(lambda: list(Store(path).each_recording(scores=True)))
    attempt(lambda: export_store(Store(path), scratch / "out.sqlite"))
    attempt(lambda: merge_stores([path], scratch / "merged.store"))
    attempt(lambda: resume(path))
    attempt(lambda: set_aside(path, Store(path).check()))
    attempt(lambda: resume(path))
    return refusals


def read_all(path: Path) -> None:
    store = Store(path)
    vectors, table = store.read(["path", "window", "recorded_at", "site"])
    promised = sum(row["n_windows"] for row in done(path))
    assert len(vectors) == len(table) == promised
    assert vectors.shape[1] == DIM


def done(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = Store(path).recordings().to_pylist()
    return [row for row in rows if row["status"] == "done"]


def resume(path: Path) -> None:
    with StoreWriter(path, HEADER) as writer:
        for name in (*SIZES, "open.wav"):
            known = writer.catalog.get(recording_id(name))
            if known is not None and known.status == "partial" and not known.lacks_parts:
                writer.resume(recording_id(name))


def edit_rows(part: Path, change: Callable[[dict[str, Any]], None]) -> None:
    table = pq.read_table(part)
    rows = table.to_pylist()
    for row in rows:
        change(row)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), part)


def part_of(path: Path, name: str, folder: str = "embeddings") -> Path:
    (row,) = [row for row in done(path) if row["path"] == name]
    return path / folder / row["parts"][0]["name"]


def copied(whole: Path, folder: Path) -> Path:
    return Path(shutil.copytree(whole, folder / "a.store"))


def test_swapped_parts_are_refused(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    one, other = part_of(path, "a.wav"), part_of(path, "b.wav")
    one.rename(tmp_path / "x")
    other.rename(one)
    (tmp_path / "x").rename(other)
    with pytest.raises(StoreError, match=r"a\.wav: 3 windows are promised, and its parts hold 0"):
        Store(path).read()
    with pytest.raises(StoreError, match="SHA-256 differs"):
        list(Store(path).each_recording())
    assert {damage.paths for damage in Store(path).check().damages} == {("a.wav",), ("b.wav",)}


def test_a_part_of_the_same_recordings_from_another_store_is_refused(
    whole: Path, tmp_path: Path
) -> None:
    path = copied(whole, tmp_path)
    make_store(tmp_path / "other.store", seed=1)  # other weights, say
    shutil.copy(part_of(tmp_path / "other.store", "b.wav"), part_of(path, "b.wav"))
    with pytest.raises(StoreError, match="SHA-256 differs"):
        Store(path).read()
    with pytest.raises(StoreError, match="SHA-256 differs"):
        Store(path).read_scores()


@pytest.mark.parametrize(
    "change",
    [{"dim": 128}, {"dim": 1}, {"dtype": "float32"}, {"labels": ["a", "b"]}],
)
def test_a_header_that_does_not_fit_the_vectors_is_refused(
    whole: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    path = copied(whole, tmp_path)
    header = json.loads((path / "store.json").read_text()) | change
    (path / "store.json").write_text(json.dumps(header))
    with pytest.raises(StoreError, match=r"store\.json promises"):
        Store(path).read_scores() if "labels" in change else Store(path).read()
    with pytest.raises(StoreError, match=r"store\.json promises"):
        list(Store(path).each_recording(scores=True))
    assert "store.json promises" in Store(path).check().damages[0].problem


@pytest.mark.parametrize(
    "change",
    [
        {"window_s": 2.0}, {"hop_samples": 0}, {"dim": 0}, {"dim": 2**40}, {"sample_rate": -1},
        {"hop_samples": 10**400},
        {"labels": []}, {"labels": ["a", "b", "a"]}, {"audio_root": "a\x00b"}, {"more": 1},
        {"format_version": True},
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_true_is_refused(
    whole: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    path = copied(whole, tmp_path)
    header = json.loads((path / "store.json").read_text()) | change
    (path / "store.json").write_text(json.dumps(header))
    with pytest.raises(StoreError, match=r"store\.json: (damaged header|store format)"):
        Store(path)


@pytest.mark.parametrize(
    "text", ['{"model": "a", "model": "b"}', "[" * 10_000, '{"dim": NaN}', "\xff", '"x"', "7", ""]
)
def test_a_header_that_is_not_plain_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "store.json").write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match=r"store\.json"):
        Store(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["../../victim/thesis.docx", "/etc/passwd", "part-../x.parquet", "..", "", "part-a/b.parquet"],
)
def test_a_name_that_leads_out_of_the_store_is_damage_and_nothing_outside_is_touched(
    whole: Path, tmp_path: Path, name: str
) -> None:
    path = copied(whole, tmp_path)
    victim = tmp_path / "victim" / "thesis.docx"
    victim.parent.mkdir()
    victim.write_text("precious")
    part = next((path / "recordings").iterdir())
    edit_rows(part, lambda row: row.update(parts=[{"name": name, "sha256": "0" * 64}]))
    with pytest.raises(StoreError, match="is not one that dawnchorus writes"):
        Store(path).read()
    report = Store(path).check()
    assert f"recordings/{part.name}" in {damage.part for damage in report.damages}
    set_aside(path, report)
    assert Store(path).check().damages == ()
    assert [file.name for file in victim.parent.iterdir()] == ["thesis.docx"]
    assert victim.read_text() == "precious"


def test_a_folder_that_a_link_leads_to_is_not_cleared_of_orphans(
    whole: Path, tmp_path: Path
) -> None:
    mine, theirs = copied(whole, tmp_path), tmp_path / "their.store"
    shutil.copytree(whole, theirs)
    for part in (theirs / "recordings").iterdir():
        part.unlink()
    shutil.rmtree(theirs / "embeddings")
    (theirs / "embeddings").symlink_to(mine / "embeddings", target_is_directory=True)
    resume(theirs)
    read_all(mine)
    edit_rows(
        next((mine / "recordings").iterdir()), lambda row: row["parts"][0].update(sha256="0" * 64)
    )
    for part in (mine / "recordings").iterdir():
        shutil.copy(part, theirs / "recordings")
    report = Store(theirs).check()
    with pytest.raises(StoreError, match="leads out of the store"):
        set_aside(theirs, report)


@pytest.mark.parametrize("column", ["recording_id", "window", "vector"])
def test_gaps_and_other_types_in_a_part_are_refused(
    whole: Path, tmp_path: Path, column: str
) -> None:
    for name, change in (("gap", [None]), ("type", None)):
        path = copied(whole, tmp_path / name)
        part = part_of(path, "b.wav")
        table = pq.read_table(part)
        at = table.column_names.index(column)
        if change is None:
            table = table.set_column(at, column, pa.array([1.5] * len(table)))
        else:
            values = pa.array([None, *table[column].to_pylist()[1:]], table.schema.types[at])
            table = table.set_column(at, column, values)
        reseal(path, part, table)
        with pytest.raises(StoreError, match=rf"{part.name}.*{column}"):
            Store(path).read()


def reseal(path: Path, part: Path, table: pa.Table) -> None:
    """Write a part, and its seal into the rows, as a careful editor would."""
    pq.write_table(table, part)
    seal = hashlib.sha256(part.read_bytes()).hexdigest()

    def change(row: dict[str, Any]) -> None:
        for entry in row["parts"]:
            if entry["name"] == part.name:
                entry["sha256"] = seal

    for rows in (path / "recordings").iterdir():
        edit_rows(rows, change)


@pytest.mark.parametrize("window", [[0, 1, 2, 2], [0, 1, 2, 4], [-1, 0, 1, 2]])
def test_windows_that_are_there_twice_or_beyond_the_end_are_refused(
    whole: Path, tmp_path: Path, window: list[int]
) -> None:
    path = copied(whole, tmp_path)
    part = part_of(path, "b.wav")
    table = pq.read_table(part)
    at = table.column_names.index("window")
    reseal(path, part, table.set_column(at, table.schema.field(at), pa.array(window, pa.int32())))
    with pytest.raises(StoreError, match=r"b\.wav: 4 windows are promised"):
        Store(path).read()
    with pytest.raises(StoreError, match=r"b\.wav: 4 windows are promised"):
        list(Store(path).each_recording())


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_any_edited_header_is_refused_or_read_right(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("header")
    path = copied(whole, folder)
    header = json.loads((path / "store.json").read_text())
    for _ in range(data.draw(st.integers(1, 2))):
        key = data.draw(st.sampled_from([*header, "other"]))
        if data.draw(st.booleans()):
            header[key] = data.draw(st.sampled_from(JUNK))
        else:
            header.pop(key, None)
    (path / "store.json").write_text(json.dumps(header))
    use_in_every_way(path, folder)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_any_edited_row_is_refused_or_read_right(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    path = copied(whole, folder)
    kind = data.draw(st.sampled_from(["recordings", "embeddings"]))
    part = data.draw(st.sampled_from(sorted((path / kind).iterdir())))
    table = pq.read_table(part)
    column = data.draw(st.sampled_from(table.column_names))
    at = table.column_names.index(column)
    what = data.draw(st.sampled_from(["value", "drop", "type", "rows"]))
    if what == "drop":
        table = table.drop_columns([column])
    elif what == "rows":
        table = table.slice(0, data.draw(st.integers(0, len(table) - 1)))
    else:
        value = data.draw(st.sampled_from(VALUES))
        wanted = table.schema.types[at] if what == "value" else None
        try:
            values = pa.array([value] * len(table), wanted)
            pq.write_table(table.set_column(at, column, values), folder / "probe.parquet")
        except (pa.ArrowException, TypeError, OverflowError):
            return  # no such table can be written
        table = table.set_column(at, column, values)
    if kind == "embeddings" and data.draw(st.booleans()):
        reseal(path, part, table)
    else:
        pq.write_table(table, part)
    use_in_every_way(path, folder)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_any_damaged_file_is_refused_or_read_right(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    path = copied(whole, folder)
    file = data.draw(st.sampled_from(sorted(file for file in path.rglob("*") if file.is_file())))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(content) - 1)))
        how = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"]))
        if how == "flip" and content:
            content[at] ^= data.draw(st.integers(1, 255))
        elif how == "cut":
            del content[at:]
        elif how == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=9))
        else:
            content[at:] = content[at:] * 2
    file.write_bytes(content)
    use_in_every_way(path, folder)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.data())
def test_any_file_in_the_place_of_another_is_refused_or_read_right(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("names")
    path = copied(whole, folder)
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name != ".lock")
    one, other = (data.draw(st.sampled_from(files)) for _ in range(2))
    how = data.draw(st.sampled_from(["swap", "copy", "remove", "folder", "empty"]))
    if how in {"swap", "copy"}:
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        if how == "swap":
            other.write_bytes(first)
    else:
        one.unlink()
        if how == "folder":
            one.mkdir()
        elif how == "empty":
            one.touch()
    use_in_every_way(path, folder)


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet", ".sqlite"])
def test_an_export_that_fails_leaves_nothing(whole: Path, tmp_path: Path, suffix: str) -> None:
    path = copied(whole, tmp_path)
    part_of(path, "c.wav").unlink()
    (tmp_path / "out").mkdir()
    with pytest.raises(StoreError, match="missing"):
        export_store(Store(path), tmp_path / "out" / f"a{suffix}")
    assert not list((tmp_path / "out").iterdir())
