"""Who scores the windows, and in what order they answer, does not change the answer."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.configs.search import SearchConfig
from dawnchorus.errors import StoreError, UsageError
from dawnchorus.search.archive import Archive
from dawnchorus.search.merged import Merged, question_for
from dawnchorus.search.neighbours import best_windows, query_directions
from dawnchorus.search.ray import RayWorkers, search_workers, split_evenly
from dawnchorus.search.workers import Threads, scan_together
from dawnchorus.store.write import StoreWriter
from store_samples import DIM, HEADER, names, put


class PretendedCluster:
    """Calls everything at once, from copies, and gives the last result first."""

    def __init__(self, n_workers: int = 2) -> None:
        self.n_workers = n_workers
        self.sent: list[bytes] = []
        self.calls: list[str] = []

    def put(self, value: object) -> int:
        self.sent.append(pickle.dumps(value))
        return len(self.sent) - 1

    def start(self, function: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
        self.calls.append(function.__name__)
        sent = [
            self.sent[item] if isinstance(item, int) else pickle.dumps(item) for item in arguments
        ]
        arrived = [pickle.loads(item) for item in sent]  # noqa: S301  our own bytes
        return len(self.calls), Result(function(*arrived))

    def results(self, tasks: list[Any], *, lost: str) -> Iterator[tuple[Any, Any]]:
        assert "memory" in lost
        for task in reversed(tasks):
            yield task, task[1].value


class Result:
    def __init__(self, value: object) -> None:
        self.value = value


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Many small parts."""
    with StoreWriter(tmp_path / "s", HEADER, part_bytes=500) as writer:
        for number, n in enumerate([90, 3, 40, 1, 61]):
            put(writer, f"{number}.wav", [n // 2, n - n // 2], seed=number)
    return tmp_path / "s"


def directions(n: int) -> np.ndarray:
    vectors = np.random.default_rng(3).standard_normal((n, DIM))
    return query_directions(vectors, np.zeros(DIM, np.float32))


@pytest.mark.parametrize("n_workers", [1, 2, 50])
@pytest.mark.parametrize("per_recording", [None, 2])
def test_a_cluster_gives_the_bits_of_one_process(
    store: Path, n_workers: int, per_recording: int | None
) -> None:
    wanted = best_windows(Archive(store), directions(9), 12, per_recording=per_recording)
    workers = RayWorkers(PretendedCluster(n_workers))  # type: ignore[arg-type]
    archive = Archive(store)
    found = best_windows(archive, directions(9), 12, per_recording=per_recording, workers=workers)
    np.testing.assert_array_equal(found.rows, wanted.rows)
    assert found.scores.tobytes() == wanted.scores.tobytes()
    assert found.percentiles.tobytes() == wanted.percentiles.tobytes()
    assert found.is_exact


def test_windows_that_do_not_pass_stay_at_home(store: Path) -> None:
    filters = {"where": {"path": ("2.wav", "4.wav")}}
    wanted = best_windows(Archive(store, **filters), directions(2), 200)
    workers = RayWorkers(PretendedCluster())  # type: ignore[arg-type]
    found = best_windows(Archive(store, **filters), directions(2), 200, workers=workers)
    np.testing.assert_array_equal(found.rows, wanted.rows)
    assert (found.rows >= 0).sum() == 2 * 101


def test_the_first_search_reads_parts_on_the_workers_and_keeps_what_they_found(
    store: Path,
) -> None:
    cluster = PretendedCluster()
    archive = Archive(store)
    facts = archive.prepare(workers=RayWorkers(cluster))  # type: ignore[arg-type]
    assert set(cluster.calls) == {"_measured"}
    assert names(store / "search") == {"vectors.npz"}
    by_threads = Archive(store)
    (store / "search" / "vectors.npz").unlink()
    for fact, wanted in zip(facts, by_threads.prepare(), strict=True):
        assert (fact.key, fact.n_windows) == (wanted.key, wanted.n_windows)
        np.testing.assert_array_equal(fact.squares, wanted.squares)
        np.testing.assert_array_equal(fact.total, wanted.total)


def test_windows_are_sent_once_for_many_questions(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dawnchorus.search.exact.QUERIES_AT_ONCE", 3)
    cluster = PretendedCluster()
    archive = Archive(store)
    archive.prepare()
    best_windows(archive, directions(9), 5, workers=RayWorkers(cluster))  # type: ignore[arg-type]
    n_shares = len(cluster.calls) // 3
    assert 1 < n_shares <= 8
    assert len(cluster.sent) == n_shares + 3  # and three questions


def test_parts_that_are_scanned_together_are_as_one(store: Path) -> None:
    archive = Archive(store)
    tasks = archive.part_rows()
    question = question_for(directions(4), archive.mean(), 7, 2)
    apart = Merged(question)
    for _, best in Threads("cpu").scanned(tasks, apart):
        apart.add(best)
    whole = scan_together(tasks, question, "cpu")
    np.testing.assert_array_equal(whole.counts, apart.as_one().counts)
    assert whole.counts.sum(axis=1).tolist() == [195] * 4
    for one, other in zip(whole.best, apart.running.best, strict=True):
        assert one.rows.tolist() == other.rows.tolist()


def test_an_error_of_a_worker_names_the_part(store: Path) -> None:
    part = sorted((store / "embeddings").iterdir())[2]
    part.write_bytes(part.read_bytes()[:-9] + b"otherbits")
    workers = RayWorkers(PretendedCluster())  # type: ignore[arg-type]
    with pytest.raises(StoreError, match=part.name):
        best_windows(Archive(store), directions(1), 5, workers=workers)


@given(st.lists(st.integers(0, 1000), max_size=60), st.integers(1, 20))
def test_shares_hold_everything_once_and_in_order(sizes: list[int], n: int) -> None:
    items = list(range(len(sizes)))
    shares = split_evenly(items, sizes, n)
    assert [item for share in shares for item in share] == items
    assert all(shares)
    assert len(shares) <= n
    largest = max(sizes, default=0)
    for share in shares:
        # an item is in the share of its middle
        assert sum(sizes[item] for item in share) <= sum(sizes) / n + largest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"address": "auto"}, "say engine ray"),
        ({"engine": "ray", "sketch": "on"}, "on a cluster every window is scored"),
        ({"device": "abacus"}, "abacus"),
    ],
)
def test_what_does_not_go_together_is_said(options: dict[str, Any], message: str) -> None:
    with (
        pytest.raises(UsageError, match=message),
        search_workers(SearchConfig.model_validate(options)),
    ):
        pass


def test_a_sketch_is_not_for_a_cluster(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = RayWorkers(PretendedCluster())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is of one machine"):
        best_windows(Archive(store), directions(1), 3, sketch="on", workers=workers)
    monkeypatch.setattr("dawnchorus.search.neighbours.free_memory", lambda: 0)
    assert best_windows(Archive(store), directions(1), 3, workers=workers).is_exact
