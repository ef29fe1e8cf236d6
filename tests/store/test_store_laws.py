"""Laws of a store: however it was written, cut off or merged, it reads as a plain dict would."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.errors import StoreError, UsageError
from dawnchorus.store import parts
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.catalog import Catalog
from dawnchorus.store.export import SUFFIXES, export_store
from dawnchorus.store.filter import WindowFilter
from dawnchorus.store.merge import MergeReport, merge_stores
from dawnchorus.store.read import Store
from dawnchorus.store.schema import FLAGS, WINDOW_SCHEMA, RecordingRow, recording_id
from dawnchorus.store.write import StoreWriter
from store_samples import DIM, HEADER, LABELS, WITH_SCORES, expected, put, row, windows

NAMES = ("a.wav", "b.wav", "sub/c.wav")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return tmp_path_factory.mktemp("laws")


def new_place(scratch: Path, name: str = "a.store") -> Path:
    return scratch / f"{len(list(scratch.iterdir()))}" / name


# --- whatever happens to a store ------------------------------------------------------------------


@dataclass
class Plain:
    """What a store should hold: a dict on the disk, and what a run has not committed."""

    committed: dict[str, tuple[str, int]] = field(default_factory=dict)  # status, windows
    open: dict[str, tuple[str, int]] = field(default_factory=dict)

    def commit(self) -> None:
        self.committed |= self.open
        self.open = {name: state for name, state in self.open.items() if state[0] == "partial"}


steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "add", "finish", "fail", "flush", "end", "kill"]),
        st.sampled_from(NAMES),
        st.integers(1, 3),
    ),
    max_size=15,
)


def take_step(writer: StoreWriter, plain: Plain, what: str, name: str, n: int) -> None:
    """One thing that a run may do to a recording, to the store and to the dict."""
    identity = recording_id(name)
    status, n_there = plain.open.get(name, plain.committed.get(name, ("partial", 0)))
    if what == "flush":
        writer.flush()
        plain.commit()
    elif status != "partial":
        return  # done or failed: a run leaves it alone
    elif what == "fail":
        writer.fail(row(name, status="failed", reason="damaged"))
        plain.open[name] = ("failed", 0)
    elif what == "finish":
        if name not in plain.open:
            assert writer.resume(identity) == n_there
        writer.finish(row(name, n_there, "done"))
        plain.open[name] = ("done", n_there)
    else:
        if name not in plain.open:
            assert writer.resume(identity) == n_there
        writer.add(row(name), windows(n_there, n, seed=ord(name[0])))
        plain.open[name] = ("partial", n_there + n)


def check_holds(store: Path, plain: Plain) -> None:
    stored = Store(store).recordings().to_pylist()
    assert {r["path"]: (r["status"], r["n_windows"]) for r in stored} == plain.committed
    done = {n: size for n, (status, size) in sorted(plain.committed.items()) if status == "done"}
    vectors, table = Store(store).read(["path", "window"])
    assert table.to_pylist() == [
        {"path": name, "window": at} for name, size in done.items() for at in range(size)
    ]
    wanted = [expected(size, seed=ord(name[0])) for name, size in done.items()]
    np.testing.assert_array_equal(vectors, np.concatenate([np.zeros((0, DIM)), *wanted]))
    assert Store(store).check().damages == ()


@settings(max_examples=15)
@given(steps, st.sampled_from([1, 10**9]))
def test_any_run_of_steps_and_kills_leaves_what_a_dict_would_hold(
    scratch: Path, said: list[tuple[str, str, int]], part_bytes: int
) -> None:
    store = new_place(scratch)
    plain = Plain()
    writer = StoreWriter(store, HEADER, part_seconds=1e9)
    for what, name, n in said:
        if what in {"end", "kill"}:
            if what == "end":
                writer.__exit__(None, None, None)
                plain.commit()
            else:
                writer._locks.close()  # as the system does for a process that was killed
            plain.open = {}
            check_holds(store, plain)
            writer = StoreWriter(store, HEADER, part_seconds=1e9)
        else:
            take_step(writer, plain, what, name, n)
            if part_bytes == 1:
                take_step(writer, plain, "flush", name, 0)
    writer.__exit__(None, None, None)
    plain.commit()
    check_holds(store, plain)
    again = StoreWriter(store, HEADER)
    again.__exit__(None, None, None)
    # the writer that was alone left no part that nothing names
    named = {part["name"] for r in Store(store).recordings().to_pylist() for part in r["parts"]}
    assert parts.part_names(store / "embeddings") >= named
    assert again.catalog.named_parts >= parts.part_names(store / "embeddings")


# --- what a writer refuses ------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"window": np.array([0, 2])}, r"windows \[0, 2\]\.\.\. came where window 0 is next"),
    ({"window": np.array([1, 2])}, "came where window 0 is next"),
    ({"vectors": np.zeros((2, DIM + 1), np.float32)}, f"shape .2, {DIM + 1}., .* 2 x {DIM}"),
    ({"vectors": np.zeros((1, DIM), np.float32)}, f"shape .1, {DIM}., .* 2 x {DIM}"),
    ({"vectors": np.full((2, DIM), 70_000, np.float32)}, r"70000 does not fit float16 \(up to 65"),
    ({"vectors": np.full((2, DIM), np.nan, np.float32)}, "nan does not fit float16"),
    ({"vectors": np.full((2, DIM), -np.inf, np.float32)}, "inf does not fit float16"),
    ({"scores": None}, r"scores of shape None, this store holds \(2, 2\)"),
    ({"scores": np.zeros((2, 3), np.float32)}, r"scores of shape \(2, 3\)"),
    ({"scores": np.full((2, 2), 1.01, np.float32)}, "a score is not a probability"),
    ({"scores": np.full((2, 2), -0.01, np.float32)}, "a score is not a probability"),
    ({"scores": np.full((2, 2), np.nan, np.float32)}, "a score is not a probability"),
]


@pytest.mark.parametrize(("changes", "said"), REFUSED)
def test_windows_that_a_store_cannot_hold_are_refused_and_no_other_is_lost(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    writer = StoreWriter(tmp_path / "a.store", WITH_SCORES)
    put(writer, "a.wav", [3], seed=1)
    writer.flush()
    with pytest.raises(StoreError, match=rf"^b\.wav: .*{said}"):
        writer.add(row("b.wav"), replace(windows(0, 2, scores=True), **changes))
    writer.fail(row("b.wav", status="failed", reason="damaged"))
    writer.__exit__(None, None, None)
    store = Store(tmp_path / "a.store")
    np.testing.assert_array_equal(store.read()[0], expected(3, seed=1))
    assert dict(zip(*store.recordings().select(["path", "status"]).columns, strict=True)) == {
        pa.scalar("a.wav"): pa.scalar("done"),
        pa.scalar("b.wav"): pa.scalar("failed"),
    }


def test_scores_are_refused_by_a_store_that_keeps_none(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "a.store", HEADER) as writer:
        with pytest.raises(StoreError, match=r"scores of shape \(1, 2\), this store holds None"):
            writer.add(row("a.wav"), windows(0, 1, scores=True))
        writer.fail(row("a.wav", status="failed"))


@pytest.mark.parametrize("promised", [0, 2, 4])
def test_a_row_that_promises_other_windows_than_came_is_refused(
    tmp_path: Path, promised: int
) -> None:
    with StoreWriter(tmp_path / "a.store", HEADER) as writer:
        writer.add(row("a.wav"), windows(0, 3))
        with pytest.raises(
            StoreError, match=rf"a\.wav: 3 windows came, its row promises {promised}"
        ):
            writer.finish(row("a.wav", promised, "done"))
    assert Store(tmp_path / "a.store").read()[0].shape == (0, DIM)


def test_a_row_may_be_changed_when_its_windows_are_there_and_they_stay(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "a.store", HEADER) as writer:
        put(writer, "a.wav", [2, 3], seed=1)
    with StoreWriter(tmp_path / "a.store", HEADER) as writer:
        known = writer.catalog.row(recording_id("a.wav"))
        assert known is not None
        writer.update_row(replace(known, carried=(("site", "South"),)))
    store = Store(tmp_path / "a.store")
    vectors, table = store.read(["site", "window"])
    assert table.to_pylist() == [{"site": "South", "window": at} for at in range(5)]
    np.testing.assert_array_equal(vectors, expected(5, seed=1))
    assert store.recordings()["revision"].to_pylist() == [1]


# --- the catalog is the rows ----------------------------------------------------------------------

facts = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["done", "partial", "failed"]),
        "file_size": st.none() | st.integers(0, 3),
        "modified_ns": st.none() | st.integers(0, 2**60),
        "content_hash": st.none() | st.sampled_from([f"sha256:{digit * 64}" for digit in "ab"]),
    }
)


@settings(max_examples=15)
@given(st.dictionaries(st.sampled_from([f"{n}.wav" for n in range(6)]), facts, max_size=6))
def test_the_catalog_says_of_each_recording_what_its_row_says(
    scratch: Path, recordings: dict[str, dict[str, Any]]
) -> None:
    store = new_place(scratch)
    with StoreWriter(store, HEADER) as writer:
        for name, said in recordings.items():
            writer.fail(row(name, **said))
    catalog = Catalog(store)
    assert len(catalog) == len(recordings)
    for name, said in recordings.items():
        known = catalog.get(recording_id(name))
        assert known is not None
        assert {key: getattr(known, key) for key in said} == said
        whole = catalog.row(recording_id(name))
        assert whole is not None
        assert (whole.path, whole.revision) == (name, known.revision)
    assert catalog.get(recording_id("never.wav")) is None
    assert catalog.row(recording_id("never.wav")) is None
    sizes = {said["file_size"] for said in recordings.values()}
    assert [catalog.has_size(n) for n in range(4)] == [n in sizes for n in range(4)]
    for digit in "abc":
        content = f"sha256:{digit * 64}"
        wanted = {
            recording_id(name)
            for name, said in recordings.items()
            if said["content_hash"] == content and said["status"] == "done"
        }
        assert set(catalog.ids_with_content(content)) == wanted


# --- merging --------------------------------------------------------------------------------------

ROOTS = ("/recordings", "/recordings/north", "/other")
sources_of = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3), max_size=3), min_size=1, max_size=3
)


def full_row(name: str, n: int, status: str = "done") -> RecordingRow:
    """A row of which every column says something."""
    return row(
        name, n, status, content_hash=f"sha256:{'a' * 64}", file_size=10 * n, modified_ns=5,
        rate=100, channels=2, n_samples=100 * n, duration_s=float(n), n_nonfinite=n,
        gaps=((0, n),), reason="cut-off", message=f"{name} ends early",
        recorded_at="2024-05-01T04:30:00", recorded_from="guano", time_zone="Europe/Berlin",
        recorder_latitude=51.5, recorder_longitude=-0.25, recorder_temperature_int_c=7.5,
        recorder_temperature_ext_c=-2.25, started=datetime(2026, 1, 1, tzinfo=UTC),
        ended=datetime(2026, 1, 2, tzinfo=UTC), carried=(("site", f"site of {name}"),),
    )  # fmt: skip


def make_source(path: Path, recordings: dict[str, int], *, seed: int, root: str) -> Path:
    header = WITH_SCORES.model_copy(update={"audio_root": root})
    with StoreWriter(path, header) as writer:
        for name, n in recordings.items():
            writer.add(full_row(name, n, "partial"), windows(0, n, seed=seed, scores=True))
            writer.finish(full_row(name, n))
        writer.fail(row("broken.wav", status="failed", reason="damaged"))
        writer.add(row("open.wav"), windows(0, 1, scores=True))
    return path


def content(store: Path) -> tuple[list[dict[str, Any]], list[Any], list[Any], list[Any]]:
    """All that a merge must keep of a store."""
    its = Store(store)
    rows = its.recordings().drop_columns(["parts", "revision"]).to_pylist()
    vectors, table = its.read()
    return rows, vectors.tolist(), its.read_scores()[0].tolist(), table.to_pylist()


@settings(max_examples=4)
@given(sources_of, st.lists(st.sampled_from(ROOTS), min_size=3, max_size=3))
def test_merging_in_steps_is_merging_at_once_and_merging_again_is_nothing(
    scratch: Path, sources: list[dict[str, int]], roots: list[str]
) -> None:
    folder = new_place(scratch).parent
    stores = [
        make_source(folder / f"{at}.store", recordings, seed=at, root=roots[at])
        for at, recordings in enumerate(sources)
    ]
    at_once = merge_stores(stores, folder / "at once")
    first = merge_stores(stores[:2], folder / "first")
    merge_stores([folder / "first", *stores[2:]], folder / "left")
    rest = merge_stores(stores[1:] or stores, folder / "rest")
    merge_stores([stores[0], folder / "rest"], folder / "right")
    whole = content(folder / "at once")
    absolute = {f"{root}/{name}" for root, own in zip(roots, sources, strict=False) for name in own}
    n_rows = sum(map(len, sources))
    assert (at_once.n_merged, at_once.n_duplicates) == (len(absolute), n_rows - len(absolute))
    assert at_once.n_windows == len(whole[1])
    assert first.n_merged + first.n_duplicates == sum(map(len, sources[:2]))
    assert rest.n_merged <= n_rows
    header = Store(folder / "at once").header
    assert {f"{header.audio_root}/{r['path']}".replace("//", "/") for r in whole[0]} == absolute
    for other in ("left", "right"):
        if Store(folder / other).header.audio_root == header.audio_root:
            assert content(folder / other) == whole
    again = merge_stores([*stores, folder / "at once"], folder / "at once")
    assert again == MergeReport(n_merged=0, n_duplicates=n_rows + len(absolute), n_windows=0)
    assert content(folder / "at once") == whole


def test_a_merge_keeps_every_fact_of_a_recording_and_of_its_windows(tmp_path: Path) -> None:
    source = make_source(tmp_path / "a.store", {"a.wav": 3}, seed=1, root="/recordings")
    merge_stores([source], tmp_path / "b.store")
    (kept,) = Store(tmp_path / "b.store").recordings().to_pylist()
    wanted = full_row("a.wav", 3).to_dict()
    ours = {"parts", "revision"}
    assert {k: v for k, v in kept.items() if k not in ours} == {
        k: v for k, v in wanted.items() if k not in ours
    }
    table = Store(tmp_path / "b.store").read()[1]
    pieces = windows(0, 3, seed=1)
    for bit, name in enumerate(FLAGS):
        assert table[name].to_pylist() == [bool(f >> bit & 1) for f in pieces.flags]
    assert table["start_s"].to_pylist() == [0.0, 0.5, 1.0]
    assert table["stop_s"].to_pylist() == [1.0, 1.5, 2.0]
    assert set(content(source)[3][0]) == {"path", *WINDOW_SCHEMA.names}


def test_of_one_recording_in_two_stores_the_first_is_taken(tmp_path: Path) -> None:
    for at, name in enumerate("ab"):
        make_source(tmp_path / name, {"a.wav": 2}, seed=at, root="/recordings")
    for order, seed in (("ab", 0), ("ba", 1)):
        report = merge_stores([tmp_path / name for name in order], tmp_path / f"{order}.store")
        assert (report.n_merged, report.n_duplicates, report.n_windows) == (1, 1, 2)
        np.testing.assert_array_equal(
            Store(tmp_path / f"{order}.store").read()[0], expected(2, seed=seed)
        )


def test_a_merge_of_nothing_and_one_into_other_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="need one store or more"):
        merge_stores([], tmp_path / "c.store")
    source = make_source(tmp_path / "a.store", {"a.wav": 1}, seed=0, root="/recordings")
    other = WITH_SCORES.model_copy(update={"dtype": "float32"})
    with StoreWriter(tmp_path / "b.store", other) as writer:
        put(writer, "x.wav", [1], seed=3)
    before = content(tmp_path / "b.store")
    with pytest.raises(StoreError, match=r"b\.store: .*dtype: 'float32' in the store, 'float16'"):
        merge_stores([source], tmp_path / "b.store")
    assert content(tmp_path / "b.store") == before


# --- selecting ------------------------------------------------------------------------------------

CLOCKS = ("2024-05-01T23:59:58", "2024-05-02T00:00:00+02:00", "2024-05-01T03:59:59.500000", None)


@pytest.fixture(scope="module")
def clocked(scratch: Path) -> Store:
    """Eight recordings of four windows each, of two sites, with four starts."""
    store = new_place(scratch)
    with StoreWriter(store, WITH_SCORES) as writer:
        for at in range(8):
            said = {"recorded_at": CLOCKS[at % 4], "carried": (("site", "NS"[at // 4]),)}
            put(writer, f"{at}.wav", [4], seed=at, **said)
    return Store(store)


filters_of = st.fixed_dictionaries(
    {},
    optional={
        "where": st.dictionaries(
            st.sampled_from(["site", "window", "silent"]),
            st.sampled_from(["N", "S", 0, 2, "true", ("N", "S"), (1, 3, "false")]),
            max_size=2,
        ),
        "time_of_day": st.tuples(
            *[st.sampled_from([time(0), time(0, 0, 1), time(4), time(23, 59, 59)])] * 2
        ),
    },
)
columns_of = st.lists(
    st.sampled_from(["path", "window", "site", "start_s", "silent", "local_time", "recorded_at"]),
    min_size=1,
    max_size=7,
    unique=True,
)


@pytest.mark.filterwarnings("ignore:.*do not say their time zone", "ignore:.*time zones")
@settings(max_examples=15)
@given(filters_of, columns_of)
def test_a_choice_of_columns_and_windows_is_a_choice_from_the_whole(
    clocked: Store, rule: dict[str, Any], columns: list[str]
) -> None:
    key = ["path", "window"]
    whole_vectors, whole = clocked.read([*dict.fromkeys([*key, *columns])])
    place = {(r["path"], r["window"]): at for at, r in enumerate(whole.to_pylist())}
    vectors, table = clocked.read(columns, **rule)
    chosen = [place[r["path"], r["window"]] for r in clocked.windows(key, **rule).to_pylist()]
    assert chosen == sorted(chosen)
    assert table.column_names == columns
    assert table.equals(whole.select(columns).take(pa.array(chosen, pa.int64())))
    np.testing.assert_array_equal(vectors, whole_vectors[chosen])


@pytest.mark.filterwarnings("ignore:.*do not say their time zone", "ignore:.*time zones")
@settings(max_examples=15)
@given(filters_of, filters_of)
def test_two_filters_pass_what_each_of_them_passes(
    clocked: Store, one: dict[str, Any], other: dict[str, Any]
) -> None:
    def found(rule: dict[str, Any]) -> set[tuple[str, int]]:
        table = clocked.windows(["path", "window"], **rule)
        return set(zip(*table.to_pydict().values(), strict=True))

    both = {**one, **other}
    overlap = set(one) & set(other)
    if {"where"} == overlap and not set(one["where"]) & set(other["where"]):
        both["where"] = one["where"] | other["where"]
    elif overlap:
        return
    assert found(both) == found(one) & found(other)


@given(st.times(), st.times(), st.integers(0, 86_399_999))
def test_a_span_of_the_day_and_the_rest_of_the_day_never_overlap_and_leave_nothing(
    first: time, before: time, at_ms: int
) -> None:
    seconds, ms = divmod(at_ms, 1000)
    start = datetime(2024, 5, 1, seconds // 3600, seconds // 60 % 60, seconds % 60, ms * 1000)
    table = pa.table(
        {
            "start_s": [0.0, 86_400.0, 0.0],
            "recorded_at": pa.array([start.isoformat()] * 2 + [None], pa.string()),
            "time_zone": pa.nulls(3, pa.string()),
        }
    )
    inside = WindowFilter(time_of_day=(first, before)).passes(table).tolist()
    outside = WindowFilter(time_of_day=(before, first)).passes(table).tolist()
    # the same moment of the next day is judged alike, and an unknown start passes neither
    assert inside[0] == inside[1]
    assert (inside[2], outside[2]) == (False, False)
    if first != before:
        assert inside[0] != outside[0]
    else:
        assert not inside[0]
    in_seconds = [t.hour * 3600 + t.minute * 60 + t.second + t.microsecond / 1e6
                  for t in (first, before)]  # fmt: skip
    length_s = (in_seconds[1] - in_seconds[0]) % 86_400
    since_first_s = (at_ms / 1000 - in_seconds[0]) % 86_400
    if abs(since_first_s - length_s) > 1e-3 and abs(since_first_s - 86_400) > 1e-3:
        assert inside[0] == (since_first_s < length_s)


# --- exports: one contract ------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_export_of_a_store_without_windows_is_a_file_that_says_so(
    tmp_path: Path, suffix: str
) -> None:
    with StoreWriter(tmp_path / "a.store", WITH_SCORES) as writer:
        writer.fail(row("bad.wav", status="failed"))
    path = tmp_path / "new folder" / f"Ünïcode out{suffix}"
    assert export_store(Store(tmp_path / "a.store"), path) == 0
    if suffix == ".npz":
        arrays = np.load(path, allow_pickle=False)
        assert arrays["vector"].shape == (0, DIM)
        assert arrays["path"].shape == (0,)
    elif suffix == ".csv":
        names, *lines = path.read_text(encoding="utf-8").splitlines()
        wanted = ["path", *WINDOW_SCHEMA.names, *(f"v{n}" for n in range(DIM))]
        assert names == ",".join(f'"{name}"' for name in wanted)
        assert lines == []
    elif suffix == ".parquet":
        table = pa.parquet.read_table(path)
        assert len(table) == 0
        assert table.schema.field("v0").type == pa.float32()
    else:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            for kind in ("deployments", "recordings", "windows"):
                assert connection.execute(f"select count(*) from {kind}").fetchone() == (0,)  # noqa: S608


@pytest.mark.parametrize("name", ["out", "out.xlsx", "out.npy", ".csv", "npz"])
def test_a_name_of_no_format_is_refused_with_those_that_there_are(
    tmp_path: Path, name: str
) -> None:
    with StoreWriter(tmp_path / "a.store", HEADER) as writer:
        put(writer, "a.wav", [1])
    with pytest.raises(UsageError, match=r"ends in \.npz, \.csv, \.parquet, \.sqlite"):
        export_store(Store(tmp_path / "a.store"), tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    "options",
    [
        {"columns": ["path"]},
        {"scores": True},
        {"vectors": False},
        {"where": {"path": "a.wav"}},
        {"label": LABELS[0]},
    ],
)
def test_a_part_of_a_store_is_no_sqlite(tmp_path: Path, options: dict[str, Any]) -> None:
    with StoreWriter(tmp_path / "a.store", WITH_SCORES) as writer:
        put(writer, "a.wav", [1])
    with pytest.raises(UsageError, match="takes a whole store"):
        export_store(Store(tmp_path / "a.store"), tmp_path / "out.sqlite", **options)
    assert not (tmp_path / "out.sqlite").exists()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_sqlite_holds_every_row_its_header_and_no_row_without_its_recording(
    tmp_path: Path, dtype: str
) -> None:
    header = HEADER.model_copy(update={"dtype": dtype})
    odd = {"": None, "order": "group by", 'a"b': "it's", "ID": "7", "filename": "x"}
    carried = tuple((name, text) for name, text in odd.items() if text is not None)
    sites = {"a.wav": "North", "b.wav": "", "c.wav": "North", "d.wav": "O'Hare; drop table x"}
    with StoreWriter(tmp_path / "a.store", header) as writer:
        for name, site in sites.items():
            more = {"carried": (*carried, ("site", site)), "recorded_at": "2024-05-01T04:30:00Z",
                    "time_zone": "+02:00"}  # fmt: skip
            put(writer, name, [2], seed=ord(name[0]), **more)
    out = tmp_path / "out.sqlite"
    assert export_store(Store(tmp_path / "a.store"), out) == 8
    with contextlib.closing(sqlite3.connect(out)) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert connection.execute("pragma foreign_key_check").fetchall() == []
        known = dict(connection.execute("select key, value from hoplite_metadata").fetchall())
        names = [line[0] for line in connection.execute("select name from deployments order by id")]
        table = connection.execute(
            'select filename, datetime, name, "order", "a""b", list_ID, list_filename '
            "from recordings left join deployments on deployments.id = deployment_id order by 1"
        ).fetchall()
        blobs = connection.execute(
            "select filename, embedding from windows "
            "join recordings on recordings.id = recording_id order by filename, start_s"
        ).fetchall()
    assert known["dtype"] == f'"{dtype}"'
    assert known["dim"] == str(DIM)
    assert names == ["North", "O'Hare; drop table x"]
    told = ("group by", "it's", "7", "x")
    assert table == [
        (name, "2024-05-01T06:30:00+02:00", site or None, *told) for name, site in sites.items()
    ]
    for (name, blob), at in zip(blobs, [0, 1] * 4, strict=True):
        vector = np.frombuffer(blob, np.dtype(dtype).newbyteorder("<")).astype(np.float32)
        exact = windows(0, 2, seed=ord(name[0])).vectors[at]
        np.testing.assert_array_equal(vector, exact.astype(dtype).astype(np.float32))


def test_windows_keep_their_numbers_whatever_the_order_and_size_of_pieces(tmp_path: Path) -> None:
    header = HEADER.model_copy(update={"dtype": "float32"})
    whole: WindowRows = windows(0, 7, seed=5)
    with StoreWriter(tmp_path / "a.store", header, part_bytes=100) as writer:
        for at in range(7):
            for name in NAMES:
                writer.add(row(name), windows(at, 1, seed=5))
        for name in reversed(NAMES):
            writer.finish(row(name, 7, "done"))
    vectors, table = Store(tmp_path / "a.store").read(["path", "window", *FLAGS, "start_sample"])
    np.testing.assert_array_equal(vectors, np.tile(whole.vectors, (3, 1)))
    assert table["path"].to_pylist() == [name for name in NAMES for _ in range(7)]
    assert table["start_sample"].to_pylist() == whole.start_sample.tolist() * 3
    assert table[FLAGS[0]].to_pylist() == [flag == 1 for flag in whole.flags] * 3


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_store_and_its_exports_may_lie_under_a_name_that_is_not_utf8(
    tmp_path: Path, suffix: str
) -> None:
    folder = tmp_path / "caf\udce9"
    with StoreWriter(folder / "a.store", HEADER) as writer:
        put(writer, "a.wav", [2], seed=1)
    store = Store(folder / "a.store")
    np.testing.assert_array_equal(store.read()[0], expected(2, seed=1))
    assert store.check().damages == ()
    with StoreWriter(folder / "a.store", HEADER) as writer:
        assert writer.catalog.get(recording_id("a.wav")) is not None
    assert export_store(store, folder / f"out{suffix}") == 2
    assert (folder / f"out{suffix}").stat().st_size > 0
