"""The sketch: bits that count right, files that are made once, candidates scored exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.errors import StoreError
from dawnchorus.search import sketch as sketch_module
from dawnchorus.search import sketch_search
from dawnchorus.search.archive import Archive
from dawnchorus.search.neighbours import best_windows, query_directions
from dawnchorus.search.sketch import (
    as_bits,
    candidates_for,
    counted_by_table,
    differing_bits,
    open_sketch,
)
from dawnchorus.store.write import StoreWriter
from store_samples import DIM, HEADER, names, put
from watched_progress import WatchedProgress


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make(tmp_path / "s", 300)


def make(path: Path, n: int) -> Path:
    with StoreWriter(path, HEADER, part_bytes=900) as writer:
        put(writer, "noisy.wav", [n // 2], seed=1)
        for number in range(5):
            put(writer, f"{number}.wav", [n // 10], seed=2 + number)
    return path


def queries(archive: Archive, rows: tuple[int, ...] = (0, 70, 299)) -> np.ndarray:
    return query_directions(archive.take(np.array(rows)), archive.mean())


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.integers(0, 2**31))
def test_bits_differ_where_signs_differ(dim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, mean = rng.standard_normal((9, dim)), rng.standard_normal(dim).astype(np.float32)
    bits = as_bits(vectors, mean)
    assert bits.shape == (-(-dim // 64), 9)
    above = vectors > mean
    wanted = [int((own != above[0]).sum()) for own in above]
    assert differing_bits(bits, bits[:, 0]).tolist() == wanted


def test_the_table_counts_what_numpy_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**63, (12, 500), dtype=np.uint64) * np.uint64(2)
    fast = differing_bits(bits, bits[:, 3])
    assert counted_by_table(np.array([0, 2**64 - 1], np.uint64)).tolist() == [0, 64]
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    np.testing.assert_array_equal(differing_bits(bits, bits[:, 3]), fast)


def test_candidates_are_the_windows_that_differ_least(store: Path) -> None:
    archive = Archive(store)
    directions = queries(archive)
    above = archive.take(np.arange(300)) > archive.mean()
    for rows, query in zip(open_sketch(archive).nearest(directions, 20), directions, strict=True):
        distances = (above != (query > 0)).sum(axis=1)
        wanted = sorted(range(300), key=lambda row, own=distances: (own[row], row))[:20]
        assert rows.tolist() == sorted(wanted)


def test_enough_candidates_give_the_exact_answer(store: Path) -> None:
    archive = Archive(store)
    assert candidates_for(10) == 5000
    assert candidates_for(200) == 10_000
    exact = best_windows(archive, queries(archive), 10, sketch="off")
    quick = best_windows(archive, queries(archive), 10, sketch="on")
    np.testing.assert_array_equal(quick.rows, exact.rows)
    np.testing.assert_array_equal(quick.scores, exact.scores)
    np.testing.assert_allclose(quick.percentiles, exact.percentiles, atol=100 / 300)
    assert (exact.is_exact, exact.recall) == (True, None)
    assert (quick.is_exact, quick.recall) == (False, 1.0)


def test_recall_is_what_the_candidates_miss(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketch_search, "candidates_for", lambda k: 3 * k)
    archive = Archive(store)
    progress = WatchedProgress()
    quick = best_windows(archive, queries(archive), 10, sketch="on", progress=progress)
    assert quick.recall is not None
    assert 0.1 < quick.recall < 0.95
    assert f"keeps {quick.recall:.1%} of the 10 nearest" in " ".join(progress.messages)
    # kept: not measured again
    monkeypatch.setattr(sketch_search, "_recall", None)
    again = best_windows(Archive(store), queries(archive), 10, sketch="on")
    assert again.recall == quick.recall


def test_a_noisy_recording_that_fills_the_list_is_searched_exactly(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive(store)
    wanted = best_windows(archive, queries(archive), 6, per_recording=1, sketch="off")
    monkeypatch.setattr(sketch_search, "candidates_for", lambda _k: 5)
    quick = best_windows(archive, queries(archive), 6, per_recording=1, sketch="on")
    np.testing.assert_array_equal(quick.rows, wanted.rows)


def test_only_windows_that_pass_are_candidates(store: Path) -> None:
    archive = Archive(store, where={"path": ("1.wav", "3.wav")})
    best = best_windows(archive, queries(archive, (0, 5, 59)), 60, sketch="on")
    assert sorted(best.rows[0].tolist()) == list(range(60))


def test_each_part_has_a_file_that_is_made_once(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_sketch(Archive(store))
    made = {name for name in names(store / "search") if name.endswith(".sketch")}
    assert len(made) == len(names(store / "embeddings"))
    with StoreWriter(store, HEADER) as writer:
        put(writer, "new.wav", [10], seed=9)
    converted: list[int] = []
    original = as_bits
    monkeypatch.setattr(
        sketch_module,
        "as_bits",
        lambda vectors, mean: (converted.append(len(vectors)), original(vectors, mean))[1],
    )
    open_sketch(Archive(store))
    assert converted == [10]
    after = {name for name in names(store / "search") if name.endswith(".sketch")}
    assert made < after


def test_a_second_query_opens_no_file(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(store)
    first = best_windows(archive, queries(archive), 10, sketch="on")
    monkeypatch.setattr(sketch_module, "_mapped", None)
    monkeypatch.setattr(sketch_module, "as_bits", as_bits)
    again = best_windows(archive, queries(archive), 10, sketch="on")
    np.testing.assert_array_equal(again.rows, first.rows)
    monkeypatch.undo()
    mapped = open_sketch(Archive(store))
    assert all(isinstance(bits, np.memmap) for bits in mapped.bits)


def test_a_flipped_bit_of_a_sketch_is_found(store: Path) -> None:
    before = open_sketch(Archive(store))
    file = sorted((store / "search").glob("*.sketch"))[1]
    content = bytearray(file.read_bytes())
    content[-20] ^= 4
    file.unlink()  # the other one stays mapped
    file.write_bytes(bytes(content))
    after = open_sketch(Archive(store))
    for bits, wanted in zip(after.bits, before.bits, strict=True):
        np.testing.assert_array_equal(bits, wanted)
    content[-20] ^= 4
    assert file.read_bytes() == bytes(content)  # written again


def test_a_store_that_has_doubled_is_sketched_again(store: Path) -> None:
    open_sketch(Archive(store))
    made = {name for name in names(store / "search") if name.endswith(".sketch")}
    with StoreWriter(store, HEADER) as writer:
        put(writer, "new.wav", [301], seed=9)
    open_sketch(Archive(store))
    after = {name for name in names(store / "search") if name.endswith(".sketch")}
    assert not made & after
    assert len(after) == len(names(store / "embeddings"))


@pytest.mark.parametrize("name", ["sketch-mean.npy", "*.sketch", "sketch-recall.json"])
@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00nothing", b"{}"])
def test_damaged_files_are_made_again(store: Path, name: str, content: bytes) -> None:
    archive = Archive(store)
    wanted = best_windows(archive, queries(archive), 10, sketch="on")
    files = sorted((store / "search").glob(name))
    assert files
    for file in files:
        file.write_bytes(content)
    found = best_windows(Archive(store), queries(archive), 10, sketch="on")
    np.testing.assert_array_equal(found.rows, wanted.rows)
    for file in files:
        assert file.read_bytes() != content


def test_it_is_used_by_itself_only_where_vectors_do_not_fit(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive(store)
    n_bytes = 300 * DIM * 2
    for free, least, is_exact in (
        (n_bytes + 1, 299, True),
        (n_bytes - 1, 299, False),
        (n_bytes - 1, 300, True),  # there are not more
    ):
        monkeypatch.setattr("dawnchorus.search.neighbours.free_memory", lambda free=free: free)
        monkeypatch.setattr("dawnchorus.search.neighbours.AUTO_WINDOWS", least)
        assert best_windows(archive, queries(archive), 3).is_exact is is_exact


def test_a_missing_part_is_named(store: Path) -> None:
    archive = Archive(store)
    directions = queries(archive)
    part = sorted((store / "embeddings").iterdir())[0]
    part.unlink()
    with pytest.raises(StoreError, match=part.name):
        best_windows(Archive(store), directions, 3, sketch="on")
