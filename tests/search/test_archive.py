"""One or several stores as one array: which windows, in which order, which vectors, which mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.errors import DawnChorusWarning, StoreError, UsageError
from dawnchorus.search import facts as facts_module
from dawnchorus.search import kept as kept_module
from dawnchorus.search.archive import Archive
from dawnchorus.store.read import Store
from dawnchorus.store.write import StoreWriter
from store_samples import DIM, HEADER, WITH_SCORES, expected, names, put, row


def make(path: Path, *recordings: tuple[str, int, int], part_bytes: int = 400) -> Path:
    """A store of recordings (name, windows, seed), cut into many parts."""
    with StoreWriter(path, HEADER, part_bytes=part_bytes) as writer:
        for name, n_windows, seed in recordings:
            site = {"carried": (("site", name.split("/")[0]),)}
            put(writer, name, [n_windows // 2, n_windows - n_windows // 2], seed=seed, **site)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make(
        tmp_path / "s", ("south/b.wav", 30, 1), ("north/a.wav", 41, 2), ("north/c.wav", 7, 3)
    )


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return make(tmp_path / "o", ("west/a.wav", 25, 4))


def test_an_archive_is_what_the_store_reads(store: Path) -> None:
    archive = Archive(store)
    vectors, table = Store(store).read()
    assert archive.n_windows == len(table) == 78
    assert archive.dim == DIM
    for name in ("path", "window", "recording_id", "start_s", "stop_s"):
        assert archive.windows()[name].to_pylist() == table[name].to_pylist()
    np.testing.assert_array_equal(archive.take(np.arange(78)), vectors)


def test_several_stores_are_one_in_the_order_they_are_named(store: Path, other: Path) -> None:
    archive = Archive([other, store])
    assert archive.windows()["store"].to_pylist() == [0] * 25 + [1] * 78
    wanted = np.concatenate([Store(other).read()[0], Store(store).read()[0]])
    np.testing.assert_array_equal(np.concatenate([v for _, v in archive.blocks(10)]), wanted)
    np.testing.assert_array_equal(archive.take(np.array([100, 3, 3])), wanted[[100, 3, 3]])


def test_blocks_tell_their_first_row(store: Path) -> None:
    blocks = list(Archive(store).blocks(50))
    assert [(first, vectors.shape) for first, vectors in blocks] == [
        (0, (50, DIM)),
        (50, (28, DIM)),
    ]


def test_filters_come_first(store: Path, other: Path) -> None:
    archive = Archive([store, other], where={"site": ("south", "west")})
    assert archive.is_filtered
    table = archive.windows(["site", "silent"])
    assert table["site"].to_pylist() == ["south"] * 30 + ["west"] * 25
    assert table["silent"].to_pylist()[:4] == [False, True, False, True]
    wanted = np.concatenate([expected(30, seed=1), expected(25, seed=4)])
    np.testing.assert_array_equal(archive.take(np.arange(55)), wanted)
    assert not Archive(store).is_filtered


def test_nothing_passes_and_that_is_an_archive_without_windows(store: Path) -> None:
    archive = Archive(store, where={"site": "nowhere"})
    assert archive.n_windows == 0
    assert archive.windows().num_rows == 0
    assert list(archive.blocks()) == []
    assert archive.take(np.zeros(0, np.int64)).shape == (0, DIM)


def test_the_mean_is_of_all_windows_whatever_passes(store: Path, other: Path) -> None:
    every = np.concatenate([Store(store).read()[0], Store(other).read()[0]]).astype(np.float64)
    for archive in (Archive([store, other]), Archive([store, other], where={"site": "west"})):
        np.testing.assert_allclose(archive.mean(), every.mean(axis=0), rtol=1e-6)


def test_the_mean_leaves_out_rows_of_recordings_that_failed_later(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s", HEADER, part_bytes=10) as writer:
        put(writer, "a.wav", [5], seed=1)
    with StoreWriter(tmp_path / "s", HEADER) as writer:
        put(writer, "b.wav", [5], seed=2)
        put(writer, "c.wav", [5], seed=3)
    before = Archive(tmp_path / "s").mean()
    with StoreWriter(tmp_path / "s", HEADER) as writer:
        writer.fail(row("b.wav", status="failed", reason="gone"))
    archive = Archive(tmp_path / "s")
    wanted = np.concatenate([expected(5, seed=1), expected(5, seed=3)])
    np.testing.assert_array_equal(archive.take(np.arange(10)), wanted)
    np.testing.assert_allclose(archive.mean(), wanted.mean(axis=0), rtol=1e-6)
    assert np.abs(before - archive.mean()).max() > 0.01


def test_the_file_beside_the_store_is_made_once_and_again_for_new_parts(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    measured = facts_module.measure
    monkeypatch.setattr(
        facts_module, "measure", lambda part: (read.append(part.name), measured(part))[1]
    )
    first = Archive(store).mean()
    n_parts = len(names(store / "embeddings"))
    assert sorted(read) == sorted(names(store / "embeddings"))
    np.testing.assert_array_equal(Archive(store).mean(), first)
    assert len(read) == n_parts
    with StoreWriter(store, HEADER) as writer:
        put(writer, "z.wav", [9], seed=9)
    after = Archive(store).mean()
    assert len(read) == n_parts + 1
    np.testing.assert_allclose(after, Store(store).read()[0].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("damage", [b"", b"PK nothing", None])
def test_a_damaged_file_beside_the_store_is_made_again(store: Path, damage: bytes | None) -> None:
    first = Archive(store).mean()
    path = store / "search" / "vectors.npz"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    np.testing.assert_array_equal(Archive(store).mean(), first)
    assert path.read_bytes() == content


def test_mapped_parts_give_the_vectors_that_unpacked_ones_give(store: Path) -> None:
    plain, mapped = Archive(store), Archive(store)
    mapped.prepare()
    assert all(part.groups is not None for part in mapped.parts)
    rows = np.random.default_rng(0).permutation(78)
    np.testing.assert_array_equal(mapped.take(rows), plain.take(rows))


@pytest.mark.parametrize("header", [WITH_SCORES, HEADER.model_copy(update={"dtype": "float32"})])
def test_stores_of_every_kind_are_mapped(tmp_path: Path, header: object) -> None:
    with StoreWriter(tmp_path / "s", header) as writer:  # type: ignore[arg-type]
        put(writer, "a.wav", [50], seed=1)
    archive = Archive(tmp_path / "s")
    wanted = archive.take(np.arange(50))
    archive.prepare()
    assert archive.parts[0].groups is not None
    np.testing.assert_array_equal(archive.take(np.arange(50)), wanted)


def test_a_part_in_another_layout_is_unpacked(tmp_path: Path) -> None:
    store = make(tmp_path / "s", ("a.wav", 40, 1), part_bytes=10**6)
    path = next((store / "embeddings").iterdir())
    table = pq.read_table(path)
    pq.write_table(table, path, compression="zstd")
    archive = Archive(store)
    part = archive.parts[0]
    assert part.find_groups(np.stack(table["vector"].to_numpy()), path.read_bytes()) is None


def test_a_part_that_was_changed_after_it_was_kept_is_not_believed(store: Path) -> None:
    Archive(store).mean()
    path = sorted((store / "embeddings").iterdir())[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match="damaged part"):
        Archive(store).mean()


def test_a_store_that_cannot_be_written_is_searched_with_a_warning(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Store(store).read()[0].mean(axis=0)
    monkeypatch.setenv("DAWNCHORUS_CACHE", str(tmp_path / "cache"))
    refuse_to_write(monkeypatch, tmp_path)
    with pytest.warns(DawnChorusWarning, match="made again by every search"):
        mean = Archive(store).mean()
    np.testing.assert_allclose(mean, wanted, rtol=1e-5)


def test_what_a_store_of_others_needs_is_kept_in_the_users_cache(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAWNCHORUS_CACHE", str(tmp_path / "cache"))
    refuse_to_write(monkeypatch, store)
    wanted = Archive(store).mean()
    assert not (store / "search" / "vectors.npz").exists()
    assert len(list((tmp_path / "cache" / "search").glob("*/vectors.npz"))) == 1
    monkeypatch.setattr(facts_module, "measure", None)  # nothing is read again
    np.testing.assert_array_equal(Archive(store).mean(), wanted)


def test_of_two_files_each_part_is_taken_from_the_one_that_is_true(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner kept some parts, then the store grew, and a guest read the new ones."""
    monkeypatch.setenv("DAWNCHORUS_CACHE", str(tmp_path / "cache"))
    Archive(store).mean()
    with StoreWriter(store, HEADER) as writer:
        put(writer, "z.wav", [9], seed=9)
    with monkeypatch.context() as guest:
        refuse_to_write(guest, store)
        wanted = Archive(store).mean()
    read: list[str] = []
    measured = facts_module.measure
    monkeypatch.setattr(
        facts_module, "measure", lambda part: (read.append(part.name), measured(part))[1]
    )
    np.testing.assert_array_equal(Archive(store).mean(), wanted)
    assert read == []


def refuse_to_write(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As a folder that belongs to somebody else: its files cannot be written."""
    original = kept_module.write_whole

    def write(path: Path, content: bytes) -> None:
        if path.is_relative_to(folder):
            raise StoreError(f"{path}: read-only, {len(content)} bytes")
        original(path, content)

    monkeypatch.setattr(kept_module, "write_whole", write)


def test_an_empty_store_has_no_mean(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s", HEADER):
        pass
    assert Archive(tmp_path / "s").n_windows == 0
    with pytest.raises(StoreError, match="no recording is finished"):
        Archive(tmp_path / "s").mean()


def test_stores_of_other_settings_are_refused_with_both_values(tmp_path: Path, store: Path) -> None:
    with StoreWriter(tmp_path / "n", HEADER.model_copy(update={"weights_sha256": "bb"})) as writer:
        put(writer, "a.wav", [5])
    with pytest.raises(StoreError, match=r"n: its vectors .*'aa'.*'bb'"):
        Archive([store, tmp_path / "n"])


def test_misuse_is_named(store: Path) -> None:
    with pytest.raises(UsageError, match="at least one"):
        Archive([])
    with pytest.raises(UsageError, match="named twice"):
        Archive([store, str(store)])
    with pytest.raises(UsageError, match="no column 'moon'"):
        Archive(store).windows(["moon"])
    for rows in ([78], [-1]):
        with pytest.raises(UsageError, match="it has 78"):
            Archive(store).take(np.array(rows))
    with pytest.raises(UsageError):
        Archive(store, wher={"site": "x"})


def test_a_column_that_one_store_lacks_is_empty_there(tmp_path: Path, store: Path) -> None:
    with StoreWriter(tmp_path / "n", HEADER) as writer:
        put(writer, "a.wav", [2])
    table = Archive([store, tmp_path / "n"]).describe(np.array([79, 0, 78]), ["site", "duration_s"])
    assert table["site"].to_pylist() == [None, "north", None]
    assert table["store"].to_pylist() == [1, 0, 1]
    assert table["window"].to_pylist() == [1, 0, 0]
    assert table.schema.field("duration_s").type == pa.float64()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 77), max_size=30))
def test_any_rows_in_any_order_are_what_they_are(tmp_path_factory: object, rows: list[int]) -> None:
    store, vectors, table = _shared(tmp_path_factory)
    archive = Archive(store)
    np.testing.assert_array_equal(archive.take(np.array(rows, np.int64)), vectors[rows])
    described = archive.describe(np.array(rows, np.int64))
    assert (
        described["path"].to_pylist() == table["path"].take(pa.array(rows, pa.int64())).to_pylist()
    )


_made: list[tuple[Path, np.ndarray, pa.Table]] = []


def _shared(factory: object) -> tuple[Path, np.ndarray, pa.Table]:
    if not _made:
        path = factory.mktemp("shared") / "s"  # type: ignore[attr-defined]
        make(path, ("south/b.wav", 30, 1), ("north/a.wav", 41, 2), ("north/c.wav", 7, 3))
        _made.append((path, *Store(path).read()))
    return _made[0]
