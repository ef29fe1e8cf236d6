"""The store keeps what was committed, all of it and nothing else, and says so when it cannot."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from dawnchorus.configs import Readout
from dawnchorus.errors import StoreError, UsageError
from dawnchorus.store import files, locks
from dawnchorus.store.check import set_aside
from dawnchorus.store.export import export_store
from dawnchorus.store.merge import merge_stores
from dawnchorus.store.read import Store
from dawnchorus.store.schema import recording_id
from dawnchorus.store.write import StoreWriter
from store_samples import DIM, HEADER, expected, names, put, row, windows


def test_what_was_committed_is_read_back_in_order_of_path_and_window(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "a.store", HEADER) as writer:
        put(writer, "b.wav", [2, 3], seed=1)
        writer.flush()
        put(writer, "a.wav", [4], seed=2)
    vectors, table = Store(tmp_path / "a.store").read()
    assert table["path"].to_pylist() == ["a.wav"] * 4 + ["b.wav"] * 5
    assert table["window"].to_pylist() == [0, 1, 2, 3, 0, 1, 2, 3, 4]
    assert table["start_s"].to_pylist()[:2] == [0.0, 0.5]
    assert table["stop_sample"].to_pylist()[:2] == [100, 150]
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors[:4], expected(4, seed=2))
    np.testing.assert_array_equal(vectors[4:], expected(5, seed=1))


def test_an_empty_store_reads_as_nothing(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "a.store", HEADER):
        pass
    vectors, table = Store(tmp_path / "a.store").read()
    assert vectors.shape == (0, DIM)
    assert len(table) == 0


def test_columns_can_be_chosen_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "a.store", HEADER) as writer:
        put(writer, "a.wav", [2])
    store = Store(tmp_path / "a.store")
    assert store.read(["window", "path"])[1].column_names == ["window", "path"]
    with pytest.raises(UsageError, match="'colour'"):
        store.read(["colour"])


def test_a_recording_that_is_read_again_counts_once_and_as_last_read(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "a.store", HEADER) as writer:
        put(writer, "a.wav", [5], seed=1)
    with StoreWriter(tmp_path / "a.store", HEADER) as writer:
        put(writer, "a.wav", [2], seed=2)
    vectors, _ = Store(tmp_path / "a.store").read()
    np.testing.assert_array_equal(vectors, expected(2, seed=2))


def test_a_commit_is_made_when_it_is_due_by_the_clock(tmp_path: Path) -> None:
    now = [0.0]
    path = tmp_path / "a.store"
    with StoreWriter(path, HEADER, clock=lambda: now[0], part_seconds=30) as writer:
        put(writer, "a.wav", [1])
        now[0] = 29.0
        writer.flush_if_due()
        assert len(Store(path).recordings()) == 0
        now[0] = 30.0
        writer.flush_if_due()
        assert len(Store(path).recordings()) == 1


def test_two_writers_share_a_store_and_no_recording_is_claimed_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.store"
    with StoreWriter(path, HEADER) as one, StoreWriter(path, HEADER) as other:
        assert one.claim(recording_id("a.wav"))
        assert not other.claim(recording_id("a.wav"))
        assert other.claim(recording_id("b.wav"))
        put(one, "a.wav", [2], seed=1)
        put(other, "b.wav", [3], seed=2)
        one.flush()
        assert other.claim(recording_id("a.wav"))  # free again, and known to be done
        known = other.catalog.get(recording_id("a.wav"))
        assert known is not None
        assert known.status == "done"
        assert one.catalog.get(recording_id("b.wav")) is None  # not committed yet
    vectors, table = Store(path).read()
    assert table["path"].to_pylist() == ["a.wav"] * 2 + ["b.wav"] * 3
    np.testing.assert_array_equal(vectors[:2], expected(2, seed=1))
    assert Store(path).check().damages == ()


def test_a_recording_that_two_runs_did_all_the_same_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "a.store"
    with StoreWriter(path, HEADER) as one, StoreWriter(path, HEADER) as other:
        put(one, "a.wav", [2], seed=1)
        put(other, "a.wav", [2], seed=1)
    vectors, table = Store(path).read()
    assert len(table) == len(vectors) == 2


def test_the_parts_of_a_writer_at_work_are_no_orphans(tmp_path: Path) -> None:
    path = tmp_path / "a.store"
    with StoreWriter(path, HEADER) as writer:
        orphan = path / "embeddings" / "part-0123.parquet"
        orphan.write_bytes(b"not named yet")
        with StoreWriter(path, HEADER):
            assert orphan.exists()
        put(writer, "a.wav", [1])
    with StoreWriter(path, HEADER):
        assert not orphan.exists()


def test_what_another_writer_began_is_gone_on_with_at_its_last_commit(tmp_path: Path) -> None:
    path = tmp_path / "a.store"
    with StoreWriter(path, HEADER) as late:
        with StoreWriter(path, HEADER) as early:
            early.claim(recording_id("long.wav"))
            early.add(row("long.wav"), windows(0, 4))
        assert late.claim(recording_id("long.wav"))
        assert late.resume(recording_id("long.wav")) == 4
        late.add(row("long.wav"), windows(4, 3))
        late.finish(row("long.wav", 7, "done"))
    vectors, _ = Store(path).read()
    np.testing.assert_array_equal(vectors, expected(7))
    (revision,) = Store(path).recordings()["revision"].to_pylist()
    assert revision == 1


def test_a_disk_without_locks_still_takes_a_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "_lock", refuse)
    orphan = tmp_path / "a.store" / "embeddings" / "part-0123.parquet"
    with StoreWriter(tmp_path / "a.store", HEADER) as writer:
        assert not writer.has_locks
        assert writer.claim(recording_id("a.wav"))
        put(writer, "a.wav", [1])
        orphan.write_bytes(b"perhaps of another run")
    with StoreWriter(tmp_path / "a.store", HEADER):
        assert orphan.exists()
    assert len(Store(tmp_path / "a.store").read()[0]) == 1


def test_other_settings_are_refused_with_both_values(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "a.store", HEADER):
        pass
    other = HEADER.model_copy(update={"hop_s": 1.0, "readout": Readout.parse("output:cls")})
    with pytest.raises(
        StoreError, match=r"hop_s: 0\.5 .* 1\.0 .*readout: 'output:valid' .* 'output:cls'"
    ):
        StoreWriter(tmp_path / "a.store", other)


def test_another_model_is_refused_and_the_same_weights_by_another_name_are_not(
    tmp_path: Path,
) -> None:
    with StoreWriter(tmp_path / "a.store", HEADER):
        pass
    with StoreWriter(tmp_path / "a.store", HEADER.model_copy(update={"model": "a/copy"})):
        pass
    other = HEADER.model_copy(update={"model": "big", "weights_sha256": "bb"})
    with pytest.raises(StoreError, match="'tiny' in the store, 'big' asked for"):
        StoreWriter(tmp_path / "a.store", other)


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("precious")
    with pytest.raises(StoreError, match=r"thesis\.doc"):
        StoreWriter(tmp_path, HEADER)
    assert names(tmp_path) == {"thesis.doc"}
    with pytest.raises(StoreError, match=r"thesis\.doc"):
        StoreWriter(tmp_path / "thesis.doc", HEADER)


def test_a_value_that_float16_cannot_hold_is_an_error_and_not_infinity(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match=r"70000 does not fit float16 .*--dtype float32"),
        StoreWriter(tmp_path / "a.store", HEADER) as writer,
    ):
        writer.add(row("a.wav"), windows(0, 1, value=70_000.0))
    wide = HEADER.model_copy(update={"dtype": "float32"})
    with StoreWriter(tmp_path / "b.store", wide) as writer:
        writer.add(row("a.wav"), windows(0, 1, value=70_000.0))
        writer.finish(row("a.wav", 1, "done"))
    assert Store(tmp_path / "b.store").read()[0].max() == 70_000.0


def test_a_gap_or_a_repeat_in_the_windows_is_refused(tmp_path: Path) -> None:
    def add_with_a_gap() -> None:
        with StoreWriter(tmp_path / "a.store", HEADER) as writer:
            writer.add(row("a.wav"), windows(0, 2))
            writer.add(row("a.wav"), windows(3, 1))

    with pytest.raises(StoreError, match="window 2 is next"):
        add_with_a_gap()
    assert len(Store(tmp_path / "a.store").recordings()) == 0


def test_orphans_of_a_killed_run_are_removed_by_the_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.store"
    with StoreWriter(path, HEADER) as writer:
        put(writer, "a.wav", [2])
    kept = names(path / "embeddings")
    (path / "embeddings" / "part-0123.parquet").write_bytes(b"half")
    (path / "recordings" / ".part-1.parquet.0.beside").write_bytes(b"half")
    with StoreWriter(path, HEADER):
        pass
    assert names(path / "embeddings") == kept
    assert not list((path / "recordings").glob(".*"))


def test_a_run_killed_before_the_header_was_there_does_not_bar_the_next(tmp_path: Path) -> None:
    path = tmp_path / "a.store"
    path.mkdir()
    (path / ".lock").touch()
    (path / ".store.json.0.beside").write_bytes(b"{")
    with StoreWriter(path, HEADER) as writer:
        put(writer, "a.wav", [1])
    assert len(Store(path).read()[1]) == 1


@pytest.mark.parametrize("place", [0.2, 0.6, 0.95])
def test_a_flipped_bit_is_found_by_check(tmp_path: Path, place: float) -> None:
    path = tmp_path / "a.store"
    with StoreWriter(path, HEADER) as writer:
        put(writer, "a.wav", [40])
    (part,) = (path / "embeddings").iterdir()
    content = bytearray(part.read_bytes())
    content[int(len(content) * place)] ^= 4
    part.write_bytes(content)
    (damage,) = Store(path).check().damages
    assert damage.part == f"embeddings/{part.name}"
    assert damage.paths == ("a.wav",)


def test_a_flipped_bit_in_a_vector_is_refused_on_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.store"
    with StoreWriter(path, HEADER) as writer:
        put(writer, "a.wav", [40])
    (part,) = (path / "embeddings").iterdir()
    content = part.read_bytes()
    vector = expected(40).astype(np.float16)[7].tobytes()
    assert content.count(vector) == 1  # plain pages
    position = content.index(vector)
    part.write_bytes(content[:position] + b"\x01\x02" + content[position + 2 :])
    with pytest.raises(StoreError, match="damaged part"):
        Store(path).read()


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.store"
    with StoreWriter(path, HEADER) as writer:
        put(writer, "a.wav", [1])
    (part,) = (path / "embeddings").iterdir()
    part.unlink()
    assert Store(path).check().damages[0].problem == "missing"
    with pytest.raises(StoreError, match=part.name):
        Store(path).read()
    with StoreWriter(path, HEADER) as writer:
        known = writer.catalog.get(recording_id("a.wav"))
        assert known is not None
        assert known.lacks_parts


def test_a_newer_format_and_a_foreign_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"store\.json is missing"):
        Store(tmp_path)
    (tmp_path / "store.json").write_text('{"format_version": 99}')
    with pytest.raises(StoreError, match="99, this version reads 1"):
        Store(tmp_path)
    (tmp_path / "store.json").write_text('{"format_version": 1, "model": ')
    with pytest.raises(StoreError, match="cannot be read"):
        Store(tmp_path)


def test_duckdb_and_pandas_read_the_parts_without_us(tmp_path: Path) -> None:
    path = tmp_path / "a.store"
    with StoreWriter(path, HEADER) as writer:
        put(writer, "a.wav", [3])
        put(writer, "b.wav", [2], seed=1)
    # the query of docs/reference/store_format.md
    query = f"""
        with latest as (
            select * from '{path}/recordings/*.parquet'
            qualify row_number() over (partition by recording_id order by revision desc) = 1
        ), owned as (
            select recording_id, path, unnest(parts).name as part from latest where status = 'done'
        )
        select owned.path, e.window, e.vector
        from read_parquet('{path}/embeddings/*.parquet', filename = true) e
        join owned on e.recording_id = owned.recording_id
                  and parse_filename(e.filename) = owned.part
        order by owned.path, e.window
    """  # noqa: S608 - paths of our own
    found = duckdb.sql(query).fetchall()
    vectors, table = Store(path).read()
    assert [line[:2] for line in found] == list(
        zip(table["path"].to_pylist(), table["window"].to_pylist(), strict=True)
    )
    np.testing.assert_array_equal(np.array([line[2] for line in found], np.float32), vectors)
    (part,) = (path / "embeddings").iterdir()
    assert len(pd.read_parquet(part)) == 5


class Disk:
    """Refuses the n-th call of a system function, and all after it, as a full disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail_at: int) -> None:
        self.n_calls = 0
        self.fail_at = fail_at
        for owner, name in [(os, "fsync"), (Path, "replace"), (Path, "open")]:
            monkeypatch.setattr(owner, name, self._guarded(getattr(owner, name)))

    def _guarded(self, original: object) -> object:
        def call(*arguments: object, **options: object) -> object:
            self.n_calls += 1
            if self.n_calls >= self.fail_at:
                raise OSError(28, "No space left on device")
            return original(*arguments, **options)

        return call


def fill(path: Path) -> None:
    with StoreWriter(path, HEADER, part_bytes=1) as writer:
        for name, n_windows in (("a.wav", 2), ("b.wav", 1)):
            known = writer.catalog.get(recording_id(name))
            if known is None or known.status != "done":
                first = writer.resume(recording_id(name)) if known else 0
                for index in range(first, n_windows):
                    writer.add(row(name), windows(index, 1))
                writer.finish(row(name, n_windows, "done"))


def test_a_disk_that_refuses_at_any_moment_loses_nothing_that_was_committed(
    tmp_path: Path,
) -> None:
    fill(tmp_path / "whole.store")
    wanted = Store(tmp_path / "whole.store").read()
    n_refused = 0
    for fail_at in range(1, 200):
        path = tmp_path / f"{fail_at}.store"
        with pytest.MonkeyPatch.context() as monkeypatch:
            disk = Disk(monkeypatch, fail_at)
            try:
                fill(path)
            except StoreError:
                n_refused += 1
        if disk.n_calls < fail_at:
            break
        fill(path)
        vectors, table = Store(path).read()
        np.testing.assert_array_equal(vectors, wanted[0])
        assert table.drop(["recording_id"]) == wanted[1].drop(["recording_id"])
        assert Store(path).check().damages == ()
    assert n_refused == fail_at - 1 > 20


def test_nothing_stays_behind_when_a_file_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(StoreError, match="No space left"):
        files.write_whole(tmp_path / "x", b"abc")
    assert names(tmp_path) == set()


def test_rows_carry_seals_of_the_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.store"
    with StoreWriter(path, HEADER) as writer:
        put(writer, "a.wav", [1])
    (part,) = Store(path).recordings()["parts"].to_pylist()[0]
    content = (path / "embeddings" / part["name"]).read_bytes()
    assert part["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_damaged_list_of_recordings_is_named_by_check(tmp_path: Path) -> None:
    path = tmp_path / "a.store"
    with StoreWriter(path, HEADER) as writer:
        put(writer, "a.wav", [3])
    (part,) = (path / "recordings").iterdir()
    part.write_bytes(part.read_bytes()[:-20])
    (damage,) = Store(path).check().damages
    assert damage.part == f"recordings/{part.name}"
    set_aside(path, Store(path).check())
    assert Store(path).check().n_recordings == 0


def in_time(path: Path) -> Path:
    with StoreWriter(path, HEADER) as writer:
        for name, began, site in (
            ("a.wav", "2024-05-01T03:59:59.500000+02:00", "North"),
            ("b.wav", "2024-05-02T23:30:00", "South"),
            ("c.wav", None, "South"),
        ):
            named = {"recorded_at": began, "carried": (("site", site),)}
            writer.add(row(name, **named), windows(0, 3))
            writer.finish(row(name, 3, "done", **named))
    return path


@pytest.mark.filterwarnings("ignore:1 recordings do not say their time zone")
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2"]),
        ({"where": {"site": "South"}}, ["b0", "b1", "b2", "c0", "c1", "c2"]),
        ({"where": {"site": ("North", "South"), "window": 1}}, ["a1", "b1", "c1"]),
        ({"where": {"path": "a.wav"}}, ["a0", "a1", "a2"]),
        ({"time_of_day": ("04:00", "05:00")}, ["a1", "a2"]),
        ({"time_of_day": ("23:00", "04:00")}, ["a0", "b0", "b1", "b2"]),
        ({"dates": ("2024-05-02", "2024-05-09")}, ["b0", "b1", "b2"]),
        ({"dates": ("2024-05-03", "2024-05-09")}, []),
    ],
)
def test_only_windows_that_pass_are_read(
    tmp_path: Path, filters: dict[str, object], found: list[str]
) -> None:
    vectors, table = Store(in_time(tmp_path / "a.store")).read(
        ["path", "window", "site", "recorded_at"], **filters
    )
    rows = table.to_pylist()
    assert [f"{row['path'][0]}{row['window']}" for row in rows] == found
    whole = expected(3)
    np.testing.assert_array_equal(
        vectors, whole[[row["window"] for row in rows]] if rows else np.zeros((0, DIM))
    )


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"wher": {}}, "unknown key 'wher'"),
        ({"where": {"sight": "x"}}, "no column 'sight'"),
        ({"time_of_day": ("4 o'clock", "05:00")}, "time_of_day"),
        ({"dates": ("2024-05-03", "2024-05-01")}, "need first <= last"),
        ({"label": "wren"}, "has no scores, and no label 'wren'"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(
    tmp_path: Path, filters: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        Store(in_time(tmp_path / "a.store")).read(**filters)


def test_a_label_and_its_score_select_windows(tmp_path: Path) -> None:
    header = HEADER.model_copy(update={"labels": ("robin", "wren")})
    with StoreWriter(tmp_path / "a.store", header) as writer:
        scores = np.array([[0.1, 0.9], [0.9, 0.2], [0.0, 0.6]], np.float32)
        writer.add(row("a.wav"), replace(windows(0, 3), scores=scores))
        writer.finish(row("a.wav", 3, "done"))
    store = Store(tmp_path / "a.store")
    assert store.read(label="wren")[1]["window"].to_pylist() == [0, 2]
    found, table = store.read_scores(label="wren", min_score=0.7)
    assert table["window"].to_pylist() == [0]
    np.testing.assert_allclose(found, [[0.1, 0.9]], atol=1e-3)
    with (
        pytest.raises(StoreError, match="not a probability"),
        StoreWriter(tmp_path / "b.store", header) as writer,
    ):
        writer.add(row("a.wav"), replace(windows(0, 3), scores=scores * 2))


@pytest.mark.parametrize("same_root", [True, False])
def test_stores_are_merged_and_no_recording_is_taken_for_another(
    tmp_path: Path, *, same_root: bool
) -> None:
    other = HEADER if same_root else HEADER.model_copy(update={"audio_root": "/elsewhere"})
    with StoreWriter(tmp_path / "a.store", HEADER) as writer:
        put(writer, "1.wav", [2], seed=1)
        put(writer, "2.wav", [3], seed=2)
        writer.add(row("begun.wav"), windows(0, 1))
    with StoreWriter(tmp_path / "b.store", other) as writer:
        put(writer, "2.wav", [3], seed=2 if same_root else 9)
        put(writer, "3.wav", [1], seed=3)
    target = tmp_path / "c.store"
    report = merge_stores([tmp_path / "a.store", tmp_path / "b.store"], target)
    assert (report.n_merged, report.n_duplicates) == ((3, 1) if same_root else (4, 0))
    vectors, table = Store(target).read()
    paths = list(dict.fromkeys(table["path"].to_pylist()))
    if same_root:
        assert paths == ["1.wav", "2.wav", "3.wav"]
    else:
        assert paths == [
            "elsewhere/2.wav",
            "elsewhere/3.wav",
            "recordings/1.wav",
            "recordings/2.wav",
        ]
        np.testing.assert_array_equal(vectors[:3], expected(3, seed=9))
    np.testing.assert_array_equal(vectors[-3 if not same_root else 2 :][:3], expected(3, seed=2))
    assert Store(target).check().damages == ()
    again = merge_stores([tmp_path / "a.store"], target)
    assert again.n_merged == 0


def test_stores_of_other_settings_are_not_merged(tmp_path: Path) -> None:
    other = HEADER.model_copy(update={"readout": Readout.parse("output:cls")})
    for name, header in (("a", HEADER), ("b", other)):
        with StoreWriter(tmp_path / f"{name}.store", header) as writer:
            put(writer, "1.wav", [2])
    with pytest.raises(
        StoreError, match="readout: 'output:valid' in the store, 'output:cls' asked for"
    ):
        merge_stores([tmp_path / "a.store", tmp_path / "b.store"], tmp_path / "c.store")
    assert not (tmp_path / "c.store").exists()


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
def test_an_export_holds_every_window_and_its_vector(tmp_path: Path, suffix: str) -> None:
    store = Store(in_time(tmp_path / "a.store"))
    path = tmp_path / f"x{suffix}"
    export_store(store, path, columns=["path", "window", "site"])
    vectors, table = store.read(["path", "window", "site"])
    if suffix == ".npz":
        found = np.load(path, allow_pickle=False)
        np.testing.assert_array_equal(found["vector"], vectors)
        assert found["site"].tolist() == table["site"].to_pylist()
        return
    frame = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    assert frame["path"].tolist() == table["path"].to_pylist()
    numbers = frame[[f"v{i}" for i in range(DIM)]].to_numpy()
    np.testing.assert_allclose(numbers, vectors, rtol=1e-6)
    with pytest.raises(StoreError, match="exists already"):
        export_store(store, path)


def test_sqlite_has_every_window_under_its_recording(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "a.store", HEADER) as writer:
        for name, site in (("b.wav", "North"), ("a.wav", "South")):
            carried = (("site", site),)
            at = "2024-05-01T04:30:00+02:00"
            writer.add(row(name, carried=carried), windows(0, 3, seed=len(name)))
            writer.finish(row(name, 3, "done", carried=carried, recorded_at=at))
    store = Store(tmp_path / "a.store")
    assert export_store(store, tmp_path / "a.sqlite") == 6
    vectors, table = store.read()
    connection = sqlite3.connect(tmp_path / "a.sqlite")
    found = connection.execute(
        "select filename, name, datetime, start_s, embedding from windows "
        "join recordings on recordings.id = recording_id "
        "join deployments on deployments.id = deployment_id order by filename, start_s"
    ).fetchall()
    connection.close()
    assert [item[:2] for item in found] == [("a.wav", "South")] * 3 + [("b.wav", "North")] * 3
    assert {item[2] for item in found} == {"2024-05-01T04:30:00+02:00"}
    assert [item[3] for item in found] == table["start_s"].to_pylist()
    stored = np.stack([np.frombuffer(item[4], "<f2") for item in found])
    np.testing.assert_array_equal(stored.astype(np.float32), vectors)
    with pytest.raises(UsageError, match="no columns, scores or filters"):
        export_store(store, tmp_path / "b.sqlite", where={"site": "North"})
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.sqlite", "a.store"]


def test_vectors_can_be_mapped_instead_of_held(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "a.store", HEADER) as writer:
        put(writer, "a.wav", [3, 4])
        writer.finish(row("a.wav", 7, "done"))
    store = Store(tmp_path / "a.store")
    held, _ = store.read()
    mapped, _ = store.read(memory_map=tmp_path / "v.npy")
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, held)
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy", mmap_mode="r"), held)
    with pytest.raises(UsageError, match="exists already"):
        store.read(memory_map=tmp_path / "v.npy")
