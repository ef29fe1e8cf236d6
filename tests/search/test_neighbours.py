"""The best windows: those that a plain computation in double precision finds, whatever the ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.errors import UsageError
from dawnchorus.paths import as_path
from dawnchorus.search import scan
from dawnchorus.search.archive import Archive
from dawnchorus.search.best import Candidates, RunningBest, limited
from dawnchorus.search.neighbours import best_windows, query_directions
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.write import StoreWriter
from store_samples import DIM, HEADER, row, windows


def make(path: Path, recordings: dict[str, np.ndarray], part_bytes: int = 700) -> Path:
    """A store of recordings with these vectors, in many parts."""
    with StoreWriter(path, HEADER, part_bytes=part_bytes) as writer:
        for name, vectors in recordings.items():
            n = len(vectors)
            plain = windows(0, n)
            rows = WindowRows(
                window=plain.window,
                start_sample=plain.start_sample,
                valid_samples=plain.valid_samples,
                flags=plain.flags,
                vectors=vectors.astype(np.float32),
                scores=None,
            )
            writer.add(row(name), rows)
            writer.finish(row(name, n, "done", carried=(("site", name[0]),)))
    return path


def some_recordings(seed: int = 0, offset: float = 3.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = {"b/x.wav": 60, "a/y.wav": 45, "c/z.wav": 5, "a/w.wav": 31}
    return {name: rng.standard_normal((n, DIM)) + offset for name, n in sizes.items()}


def plain_answer(
    archive: Archive, queries: np.ndarray, k: int, per_recording: int | None = None
) -> tuple[list[list[int]], np.ndarray]:
    """Rows of the best, and all cosines, by sorting everything."""
    centred = archive.take(np.arange(archive.n_windows)).astype(np.float64) - archive.mean()
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    scores = queries.astype(np.float64) @ unit.T
    paths = archive.windows()["path"].to_pylist()
    answer = []
    for own in scores:
        kept: list[int] = []
        for candidate in sorted(range(len(own)), key=lambda r: (-own[r], r)):
            n_same = sum(paths[other] == paths[candidate] for other in kept)
            if per_recording is None or n_same < per_recording:
                kept.append(candidate)
        answer.append(kept[:k])
    return answer, scores


def directions(n: int, seed: int = 5) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((n, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(make(tmp_path / "s", some_recordings()))


@pytest.mark.parametrize("per_recording", [None, 1, 3])
def test_the_best_are_those_of_a_plain_sort(archive: Archive, per_recording: int | None) -> None:
    queries = directions(7)
    best = best_windows(archive, queries, 9, per_recording=per_recording)
    rows, scores = plain_answer(archive, queries, 9, per_recording)
    for query in range(7):
        n = len(rows[query])
        assert best.rows[query, :n].tolist() == rows[query]
        np.testing.assert_allclose(best.scores[query, :n], scores[query, rows[query]], atol=2e-7)
        assert (best.rows[query, n:] == -1).all()
        assert np.isnan(best.scores[query, n:]).all()
        assert np.isnan(best.percentiles[query, n:]).all()
    assert best.is_exact
    assert best.recall is None


def test_percentiles_are_those_of_the_whole_archive(archive: Archive) -> None:
    from scipy.stats import percentileofscore  # noqa: PLC0415  an oracle

    queries = directions(3)
    best = best_windows(archive, queries, 141)
    _, scores = plain_answer(archive, queries, 1)
    for query in range(3):
        found, own = best.scores[query], scores[query]
        wanted = [percentileofscore(own.astype(np.float32), s, kind="mean") for s in found]
        np.testing.assert_allclose(best.percentiles[query], wanted, atol=100 * 2 / 141)
    assert best.percentiles[:, 0] == pytest.approx(100 * (1 - 0.5 / 141))


def test_equal_windows_come_in_their_order(tmp_path: Path) -> None:
    same = np.tile(np.arange(DIM), (200, 1))
    other = np.random.default_rng(0).standard_normal((200, DIM))
    archive = Archive(make(tmp_path / "s", {"b.wav": same, "a.wav": other, "c.wav": same}))
    query = query_directions(archive.take(np.array([200])), archive.mean())
    best = best_windows(archive, query, 250)
    assert best.rows[0].tolist() == list(range(200, 450))
    assert len(set(best.scores[0].tolist())) == 1
    best = best_windows(archive, query, 4, per_recording=2)
    assert best.rows[0].tolist() == [200, 201, 400, 401]


def test_the_answer_does_not_depend_on_how_the_store_was_written(tmp_path: Path) -> None:
    recordings = some_recordings()
    shuffled = {name: recordings[name] for name in sorted(recordings)}
    one = best_windows(Archive(make(tmp_path / "1", recordings, 200)), directions(4), 20)
    two = best_windows(Archive(make(tmp_path / "2", shuffled, 10**6)), directions(4), 20)
    np.testing.assert_array_equal(one.rows, two.rows)
    np.testing.assert_array_equal(one.scores, two.scores)


def test_many_queries_give_what_each_gives_alone(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = directions(11)
    together = best_windows(archive, queries, 5, per_recording=2)
    alone = [best_windows(archive, query[None], 5, per_recording=2) for query in queries]
    np.testing.assert_array_equal(together.rows, np.concatenate([one.rows for one in alone]))
    np.testing.assert_array_equal(together.scores, np.concatenate([one.scores for one in alone]))
    monkeypatch.setattr("dawnchorus.search.exact.QUERIES_AT_ONCE", 4)
    np.testing.assert_array_equal(
        best_windows(archive, queries, 5, per_recording=2).rows, together.rows
    )


def test_small_blocks_give_the_same_answer(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = best_windows(archive, directions(3), 8)
    monkeypatch.setattr(scan, "CACHED_ROWS", 7)
    np.testing.assert_array_equal(best_windows(archive, directions(3), 8).rows, wanted.rows)


def test_only_windows_that_pass_are_found(tmp_path: Path) -> None:
    store = make(tmp_path / "s", some_recordings())
    archive = Archive(store, where={"site": "a"})
    best = best_windows(archive, directions(2), 100)
    assert sorted(best.rows[0][best.rows[0] >= 0].tolist()) == list(range(76))
    rows, _ = plain_answer(archive, directions(2), 100)
    assert best.rows[1, :76].tolist() == rows[1]
    nothing = best_windows(Archive(store, where={"site": "q"}), directions(2), 3)
    assert (nothing.rows == -1).all()


def test_a_store_behind_a_url_is_streamed_and_gives_the_same_answer(tmp_path: Path) -> None:
    store = make(tmp_path / "s", some_recordings())
    pytest.importorskip("upath")
    remote = as_path(f"memory://search-{tmp_path.name}/s")
    for file in store.rglob("*"):
        if file.is_file():
            (remote / file.relative_to(store).as_posix()).write_bytes(file.read_bytes())
    archive = Archive(remote)
    assert archive.is_remote
    found = best_windows(archive, directions(3), 8, per_recording=2)
    wanted = best_windows(Archive(store), directions(3), 8, per_recording=2)
    np.testing.assert_array_equal(found.rows, wanted.rows)
    np.testing.assert_array_equal(found.scores, wanted.scores)
    assert all(part._mapped is None for part in archive.parts)
    assert (remote / "search" / "vectors.npz").exists()  # kept there for the next search
    with pytest.raises(UsageError, match="behind URLs"):
        best_windows(archive, directions(1), 3, sketch="on")


def test_a_window_is_its_own_nearest(archive: Archive) -> None:
    rows = np.array([0, 50, 140])
    queries = query_directions(archive.take(rows), archive.mean())
    best = best_windows(archive, queries, 1)
    assert best.rows[:, 0].tolist() == rows.tolist()
    np.testing.assert_allclose(best.scores[:, 0], 1.0, atol=1e-6)


def test_windows_near_a_large_mean_keep_their_digits(tmp_path: Path) -> None:
    """The mean is 1,000 times as long as what remains without it, as far as float16 reaches."""
    recordings = some_recordings(offset=0.0)
    far = {name: 1000.0 + np.rint(vectors * 4) for name, vectors in recordings.items()}
    archive = Archive(make(tmp_path / "s", far))
    rows, scores = plain_answer(archive, directions(3), 1)
    best = best_windows(archive, directions(3), 1)
    assert best.rows[:, 0].tolist() == [own[0] for own in rows]
    np.testing.assert_allclose(best.scores[:, 0], scores.max(axis=1), atol=1e-5)


def test_a_window_without_a_direction_scores_nothing(tmp_path: Path) -> None:
    archive = Archive(make(tmp_path / "s", {"a.wav": np.full((40, DIM), 0.1)}))
    best = best_windows(archive, directions(1), 3)
    assert best.scores[0].tolist() == [0.0, 0.0, 0.0]
    assert best.rows[0].tolist() == [0, 1, 2]
    with pytest.raises(UsageError, match="equals the mean"):
        query_directions(archive.take(np.array([0])), archive.mean())


@pytest.mark.parametrize(
    ("queries", "options", "message"),
    [
        (np.ones((1, DIM + 1)), {}, f"need \\(queries, {DIM}\\)"),
        (np.ones(DIM), {}, f"need \\(queries, {DIM}\\)"),
        (np.ones((0, DIM)), {}, "need"),
        (np.zeros((1, DIM)), {}, "zero or not finite"),
        (np.full((1, DIM), np.nan), {}, "zero or not finite"),
        (np.ones((1, DIM)), {"k": 0}, "at least 1"),
        (np.ones((1, DIM)), {"per_recording": 0}, "at least 1"),
        (np.ones((1, DIM)), {"sketch": "maybe"}, "auto, on, off"),
    ],
)
def test_misuse_is_named(
    archive: Archive, queries: np.ndarray, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        best_windows(archive, queries, **options)  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_best_of_pieces_are_the_best_of_the_whole(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 40))
    numbers = st.lists(st.integers(0, 5), min_size=n, max_size=n)
    steps = np.array(data.draw(numbers), np.int32)
    recordings = np.array(data.draw(numbers), np.int32)
    rows = np.random.default_rng(n).permutation(n).astype(np.int64)
    k, limit = data.draw(st.integers(1, 12)), data.draw(st.sampled_from([None, 1, 2, 3]))
    every = Candidates(steps, rows, recordings)
    running = RunningBest(1, k, limit)
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=4)))
    for index in np.split(np.arange(n), cuts):
        part = limited(every.at(index), k, limit)
        running.add(0, part.at(part.steps >= running.floors[0]))
    assert running.best[0].rows.tolist() == limited(every, k, limit).rows.tolist()


def test_the_limit_holds_for_each_recording() -> None:
    some = Candidates(
        np.array([9, 8, 7, 6, 5], np.int32),
        np.array([4, 3, 2, 1, 0], np.int64),
        np.array([7, 7, 7, 1, 7], np.int32),
    )
    assert limited(some, 3, 2).rows.tolist() == [4, 3, 1]
    assert limited(some, 9, None).rows.tolist() == [4, 3, 2, 1, 0]
