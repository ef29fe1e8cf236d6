"""What every store keeps, on a disk and on object storage: one suite for both, and its laws."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dawnchorus.errors import StoreError
from dawnchorus.paths import as_path
from dawnchorus.store import parts, write
from dawnchorus.store.check import set_aside
from dawnchorus.store.export import export_store
from dawnchorus.store.merge import merge_stores
from dawnchorus.store.read import Store
from dawnchorus.store.schema import recording_id
from dawnchorus.store.write import StoreWriter
from store_samples import DIM, HEADER, LABELS, WITH_SCORES, expected, put, row, windows

STORAGES = ("disk", "object storage")
NewFolder = Callable[[str], Path]
Recordings = dict[str, list[int]]  # the pieces in which the windows of each come

recordings_of = st.dictionaries(
    st.sampled_from([f"{letter}.wav" for letter in "abcde"]),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    min_size=1,
)


def fresh(storage: str, folder: Path) -> Path:
    """A place where nothing lies yet."""
    name = uuid.uuid4().hex
    return folder / name if storage == "disk" else as_path(f"memory://{name}")


@pytest.fixture(params=STORAGES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return fresh(request.param, tmp_path) / "a.store"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("law")


def seed_of(name: str) -> int:
    return ord(name[0])


def check_holds(store: Path, recordings: Recordings) -> None:
    """The store gives these recordings, and nothing else, in order and undamaged."""
    vectors, table = Store(store).read()
    sizes = {name: sum(recordings[name]) for name in sorted(recordings)}
    assert table["path"].to_pylist() == [name for name, n in sizes.items() for _ in range(n)]
    assert table["window"].to_pylist() == [i for n in sizes.values() for i in range(n)]
    wanted = [expected(n, seed=seed_of(name)) for name, n in sizes.items()]
    np.testing.assert_array_equal(vectors, np.concatenate([np.zeros((0, DIM)), *wanted]))
    one_by_one = [recording.vectors for recording in Store(store).each_recording()]
    np.testing.assert_array_equal(np.concatenate([np.zeros((0, DIM)), *one_by_one]), vectors)
    assert Store(store).check().damages == ()


@pytest.mark.parametrize("storage", STORAGES)
@settings(max_examples=15, deadline=None)
@given(recordings_of, st.integers(1, 200))
def test_what_is_written_is_read(
    scratch: Path, storage: str, recordings: Recordings, part_bytes: int
) -> None:
    store = fresh(storage, scratch) / "a.store"
    with StoreWriter(store, HEADER, part_bytes=part_bytes) as writer:
        for name, sizes in recordings.items():
            put(writer, name, sizes, seed=seed_of(name))
    check_holds(store, recordings)


@pytest.mark.parametrize("storage", STORAGES)
@settings(max_examples=15, deadline=None)
@given(recordings_of, st.data())
def test_any_order_of_writers_gives_the_store_of_one(
    scratch: Path, storage: str, recordings: Recordings, data: st.DataObject
) -> None:
    store = fresh(storage, scratch) / "a.store"
    order = data.draw(st.permutations(sorted(recordings)))
    with ExitStack() as stack:
        writers = [stack.enter_context(StoreWriter(store, HEADER)) for _ in range(3)]
        for name in order:
            writer = writers[data.draw(st.integers(0, 2))]
            assert writer.claim(recording_id(name))
            put(writer, name, recordings[name], seed=seed_of(name))
            if data.draw(st.booleans()):
                writer.flush()
    check_holds(store, recordings)


@pytest.mark.parametrize("storage", STORAGES)
@settings(max_examples=10, deadline=None)
@given(recordings_of, st.data())
def test_shards_merged_are_one_run(
    scratch: Path, storage: str, recordings: Recordings, data: st.DataObject
) -> None:
    folder = fresh(storage, scratch)
    shard_of = {name: data.draw(st.integers(0, 2)) for name in recordings}
    shards = [folder / f"{number}.store" for number in range(3)]
    for number, shard in enumerate(shards):
        with StoreWriter(shard, HEADER) as writer:
            for name in recordings:
                if shard_of[name] == number:
                    put(writer, name, recordings[name], seed=seed_of(name))
    report = merge_stores(shards, folder / "whole.store")
    assert (report.n_merged, report.n_duplicates) == (len(recordings), 0)
    check_holds(folder / "whole.store", recordings)


def test_a_recording_that_failed_or_is_not_finished_is_not_read(path: Path) -> None:
    with StoreWriter(path, HEADER) as writer:
        put(writer, "good.wav", [3], seed=seed_of("good.wav"))
        writer.add(row("broken.wav"), windows(0, 2))
        writer.flush()
        writer.add(row("broken.wav"), windows(2, 1))  # not on the disk yet
        writer.fail(row("broken.wav", status="failed", reason="damaged", message="no"))
        writer.add(row("long.wav"), windows(0, 2))
    check_holds(path, {"good.wav": [3]})
    rows = Store(path).recordings()
    status = dict(zip(rows["path"].to_pylist(), rows["status"].to_pylist(), strict=True))
    assert status == {"good.wav": "done", "broken.wav": "failed", "long.wav": "partial"}


def test_a_partial_recording_is_continued_by_the_next_run(path: Path) -> None:
    with StoreWriter(path, HEADER) as writer:
        writer.add(row("l.wav"), windows(0, 4, seed=seed_of("l.wav")))
    with StoreWriter(path, HEADER) as writer:
        assert writer.claim(recording_id("l.wav"))
        assert writer.resume(recording_id("l.wav")) == 4
        writer.add(row("l.wav"), windows(4, 3, seed=seed_of("l.wav")))
        writer.finish(row("l.wav", 7, "done"))
    check_holds(path, {"l.wav": [7]})


def test_a_damaged_part_is_named_and_set_aside_and_its_recordings_are_done_again(
    path: Path,
) -> None:
    with StoreWriter(path, HEADER) as writer:
        for name in ("a.wav", "b.wav"):
            put(writer, name, [3], seed=seed_of(name))
            writer.flush()
    part = path / "embeddings" / Store(path).recordings()["parts"][0][0]["name"].as_py()
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(bytes(content))
    with pytest.raises(StoreError, match=part.name):
        Store(path).read()
    assert set_aside(path, Store(path).check()) == ["a.wav"]
    with StoreWriter(path, HEADER) as writer:
        lacking = {n: writer.catalog.get(recording_id(n)) for n in ("a.wav", "b.wav")}
        assert [known is not None and known.lacks_parts for known in lacking.values()] == [
            True,
            False,
        ]
        put(writer, "a.wav", [3], seed=seed_of("a.wav"))
    check_holds(path, {"a.wav": [3], "b.wav": [3]})


def test_other_settings_are_refused_and_change_nothing(path: Path) -> None:
    with StoreWriter(path, HEADER) as writer:
        put(writer, "a.wav", [2], seed=seed_of("a.wav"))
    other = HEADER.model_copy(update={"hop_s": 1.0, "hop_samples": 100})
    with pytest.raises(StoreError, match=r"hop_s: 0\.5 .* 1\.0 "):
        StoreWriter(path, other)
    check_holds(path, {"a.wav": [2]})


# --- kills ----------------------------------------------------------------------------------------


class Killed(BaseException):
    """Like SIGKILL, nothing of ours may catch it."""


class Killer:
    """Ends a run at the n-th step that changes the storage, before or after that step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, *, after: bool) -> None:
        self.n_steps, self.at, self.after = 0, at, after
        for owner, name in ((parts, "write_whole"), (write, "write_first")):
            monkeypatch.setattr(owner, name, self._step(getattr(owner, name)))

    def _step(self, original: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object) -> None:
            self.n_steps += 1
            if self.n_steps == self.at and not self.after:
                raise Killed
            original(*arguments)
            if self.n_steps == self.at:
                raise Killed

        return step


FOUND = {"a.wav": 2, "bad.wav": 0, "c.wav": 1}


def run(store: Path) -> dict[str, int]:
    """What embed does, on recordings of which one is bad; counts what became of them."""
    counts = {"done": 0, "failed": 0, "skipped": 0}
    writer = StoreWriter(store, HEADER, part_bytes=1)
    try:
        for name, n_windows in FOUND.items():
            identity = recording_id(name)
            assert writer.claim(identity)
            known = writer.catalog.get(identity)
            if known is not None and known.status in {"done", "failed"}:
                counts["skipped"] += 1
                writer.give_up(identity)
            elif not n_windows:
                writer.fail(row(name, status="failed", reason="unreadable"))
                counts["failed"] += 1
            else:
                first = writer.resume(identity) if known else 0
                for window in range(first, n_windows):
                    writer.add(row(name), windows(window, 1, seed=seed_of(name)))
                writer.finish(row(name, n_windows, "done"))
                counts["done"] += 1
        writer.flush()
    finally:
        writer._locks.close()  # as the system does for a process that was killed
    return counts


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_between_any_two_steps_leaves_a_store_that_the_next_run_completes(
    path: Path, *, after: bool
) -> None:
    for at in range(1, 100):
        store = path.parent / f"{at}.store"
        with pytest.MonkeyPatch.context() as monkeypatch:
            killer = Killer(monkeypatch, at, after=after)
            try:
                run(store)
            except Killed:
                assert killer.n_steps == at
        if killer.n_steps < at:
            break
        if (store / "store.json").exists():
            assert Store(store).check().damages == ()
        counts = run(store)
        assert sum(counts.values()) == len(FOUND)
        check_holds(store, {name: [n] for name, n in FOUND.items() if n})
        assert run(store) == {"done": 0, "failed": 0, "skipped": len(FOUND)}
    assert at > 6


# --- filters --------------------------------------------------------------------------------------

STARTS = {
    "a.wav": ("2024-05-01T03:59:59.500000+02:00", "North"),
    "b.wav": ("2024-05-02T23:59:59", "South"),
    "c.wav": (None, "South"),
    "d.wav": ("2024-05-03T04:30:00+00:00", "North"),
}


@pytest.fixture(scope="module")
def listed(scratch: Path) -> Store:
    """A store whose recordings have a start and a site."""
    with StoreWriter(scratch / "listed.store", WITH_SCORES) as writer:
        for name, (start, site) in STARTS.items():
            said = {"recorded_at": start, "carried": (("site", site),)}
            put(writer, name, [4], seed=seed_of(name), **said)
    return Store(scratch / "listed.store")


times = st.times().map(lambda at: at.replace(microsecond=0)) | st.sampled_from(
    [time(3, 59, 59), time(4), time(0), time(23, 59, 59), time(0, 0, 1)]
)
days = st.dates(datetime(2024, 4, 30).date(), datetime(2024, 5, 4).date())
filters_of = st.fixed_dictionaries(
    {},
    optional={
        "where": st.fixed_dictionaries(
            {},
            optional={
                "site": st.sampled_from(["North", "South", "West", ("North", "South")]),
                "window": st.sampled_from([0, 3, 9, (1, 2)]),
                "path": st.sampled_from(sorted(STARTS)),
            },
        ),
        "time_of_day": st.tuples(times, times),
        "dates": st.tuples(days, days).map(lambda pair: tuple(sorted(pair))),
        "label": st.sampled_from(LABELS),
        "min_score": st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    },
)


def passes(window: dict[str, object], scores: dict[str, float], rule: dict[str, object]) -> bool:
    """The filter as its documentation has it, one window at a time."""
    for column, value in rule.get("where", {}).items():
        wanted = value if isinstance(value, tuple) else (value,)
        if str(window[column]) not in map(str, wanted):
            return False
    if "time_of_day" in rule or "dates" in rule:
        if window["recorded_at"] is None:
            return False
        start = datetime.fromisoformat(str(window["recorded_at"])).replace(tzinfo=None)
        at = start + timedelta(seconds=float(window["start_s"]))
        if "dates" in rule and not rule["dates"][0] <= at.date() <= rule["dates"][1]:
            return False
        if "time_of_day" in rule:
            first, before = rule["time_of_day"]
            inside = first <= at.time() < before
            over_midnight = first > before and (at.time() >= first or at.time() < before)
            if not (inside or over_midnight):
                return False
    return "label" not in rule or scores[rule["label"]] >= rule.get("min_score", 0.5)


@pytest.mark.filterwarnings("ignore::dawnchorus.errors.DawnChorusWarning")
@settings(max_examples=60, deadline=None)
@given(filters_of)
@example({"time_of_day": (time(4), time(4, 0, 1))})  # windows begin on both
@example({"time_of_day": (time(23, 59, 59), time(0))})
def test_filters_are_those_of_a_naive_loop(listed: Store, rule: dict[str, object]) -> None:
    columns = ["path", "window", "start_s", "site", "recorded_at"]
    scores, table = listed.read_scores(columns)
    named = [dict(zip(LABELS, map(float, values), strict=True)) for values in scores]
    whole = table.to_pylist()
    keep = [passes(window, score, rule) for window, score in zip(whole, named, strict=True)]
    vectors, selected = listed.read(columns, **rule)
    assert selected.to_pylist() == [w for w, kept in zip(whole, keep, strict=True) if kept]
    np.testing.assert_array_equal(vectors, listed.read()[0][keep])
    np.testing.assert_array_equal(listed.read_scores(**rule)[0], scores[keep])
    assert listed.windows(columns, **rule) == selected


# --- exports --------------------------------------------------------------------------------------


def read_npz(file: Path) -> tuple[list[str], np.ndarray]:
    arrays = np.load(file, allow_pickle=False)
    return arrays["path"].tolist(), arrays["vector"]


def read_frame(file: Path) -> tuple[list[str], np.ndarray]:
    frame = pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)
    return frame["path"].tolist(), frame[[f"v{i}" for i in range(DIM)]].to_numpy(np.float32)


def read_sqlite(file: Path) -> tuple[list[str], np.ndarray]:
    connection = sqlite3.connect(file)
    lines = connection.execute(
        "select filename, embedding from windows join recordings on recordings.id = recording_id "
        "order by filename, start_s"
    ).fetchall()
    connection.close()
    return [line[0] for line in lines], np.stack([np.frombuffer(line[1], "<f2") for line in lines])


READERS = {".npz": read_npz, ".csv": read_frame, ".parquet": read_frame, ".sqlite": read_sqlite}


@pytest.fixture(params=READERS)
def export_file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    return tmp_path / f"out{request.param}"


def test_every_export_reads_back_as_the_store(path: Path, export_file: Path) -> None:
    with StoreWriter(path, HEADER) as writer:
        for name in ("b.wav", "a.wav"):
            put(writer, name, [2, 1], seed=seed_of(name))
    vectors, table = Store(path).read()
    assert export_store(Store(path), export_file) == len(table)
    paths, exported = READERS[export_file.suffix](export_file)
    assert paths == table["path"].to_pylist()
    np.testing.assert_array_equal(exported.astype(np.float32), vectors)


def test_an_export_that_is_there_already_is_not_replaced(path: Path, export_file: Path) -> None:
    with StoreWriter(path, HEADER) as writer:
        put(writer, "a.wav", [1])
    export_file.write_text("precious")
    with pytest.raises(StoreError, match="exists already"):
        export_store(Store(path), export_file)
    assert export_file.read_text() == "precious"


def test_recordings_of_an_older_version_lack_columns_and_are_read(path: Path) -> None:
    with StoreWriter(path, HEADER) as writer:
        put(writer, "a.wav", [2], seed=seed_of("a.wav"))
    (name,) = parts.part_names(path / "recordings")
    table = parts.read_part(path / "recordings" / name)
    later = ["time_zone", "recorder_latitude", "recorder_longitude", "n_nonfinite"]
    older = pa.table({n: table[n] for n in table.column_names if n not in later})
    (path / "recordings" / name).unlink()
    parts.write_part(path / "recordings", older)
    check_holds(path, {"a.wav": [2]})
