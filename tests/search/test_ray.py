"""A local Ray cluster of two processes finds what one process finds, also when one is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dawnchorus import search_stores
from dawnchorus.configs.search import SearchConfig
from dawnchorus.engine.cluster import ray_cluster
from dawnchorus.errors import StoreError, UsageError
from dawnchorus.search.archive import Archive
from dawnchorus.search.neighbours import best_windows
from dawnchorus.search.ray import RayWorkers
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.write import StoreWriter
from store_samples import HEADER, row

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]  # Ray has its own
DIM, N_EACH = 64, 12_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two workers of one core each."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two stores of several parts each; the second has a recording that fills any list."""
    folder = tmp_path_factory.mktemp("stores")
    draws = np.random.default_rng(0)
    for name in ("one", "two"):
        header = HEADER.model_copy(update={"dim": DIM})
        with StoreWriter(folder / name, header, part_bytes=1 << 18) as writer:
            for number in range(4):
                vectors = draws.standard_normal((N_EACH, DIM))
                if number == 3:
                    vectors = vectors[:1] + 0.01 * vectors
                add(writer, f"{name}-{number}.wav", vectors)
    return [folder / "one", folder / "two"]


def add(writer: StoreWriter, name: str, vectors: np.ndarray) -> None:
    index = np.arange(len(vectors))
    rows = WindowRows(
        window=index,
        start_sample=index * 50,
        valid_samples=np.full(len(index), 100),
        flags=index * 0,
        vectors=vectors.astype(np.float32),
        scores=None,
    )
    writer.add(row(name), rows)
    writer.finish(row(name, len(index), "done"))


def directions(n: int) -> np.ndarray:
    vectors = np.random.default_rng(1).standard_normal((n, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.usefixtures("cluster")
def test_a_cluster_finds_what_one_process_finds(stores: list[Path]) -> None:
    like = directions(2)
    options = {"k": 40, "device": "cpu"}
    there = search_stores(stores, like, config=SearchConfig(engine="ray", **options))
    assert (stores[0] / "search" / "vectors.npz").exists()  # read by the workers
    (stores[0] / "search" / "vectors.npz").unlink()
    here = search_stores(stores, like, config=SearchConfig(**options))
    assert there.table.equals(here.table)
    assert there.n_windows == 8 * N_EACH
    assert len(there.table) == 40


@pytest.mark.usefixtures("cluster")
def test_many_queries_and_filters_find_the_same(stores: list[Path]) -> None:
    filters = {"where": {"path": ("one-3.wav", "one-1.wav")}}
    here = best_windows(Archive(stores[0], **filters), directions(300), 30, per_recording=7)
    with ray_cluster(None) as found:
        there = best_windows(
            Archive(stores[0], **filters),
            directions(300),
            30,
            per_recording=7,
            workers=RayWorkers(found, "cpu"),
        )
    np.testing.assert_array_equal(there.rows, here.rows)
    assert there.scores.tobytes() == here.scores.tobytes()
    assert there.percentiles.tobytes() == here.percentiles.tobytes()


@pytest.mark.usefixtures("cluster")
def test_a_worker_killed_in_the_middle_loses_nothing(stores: list[Path]) -> None:
    archive = Archive(stores)
    here = best_windows(archive, directions(256), 30, per_recording=7)
    killed: list[int] = []

    def kill() -> None:
        """Kill a worker that is scanning."""
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            for number in scanning()[:1]:
                time.sleep(0.02)
                os.kill(number, signal.SIGKILL)
                killed.append(number)
            time.sleep(0.002)

    with ray_cluster(None) as found:
        workers = RayWorkers(found, "cpu")
        best_windows(archive, directions(2), 3, workers=workers)  # they are warm
        killer = threading.Thread(target=kill)
        killer.start()
        there = best_windows(archive, directions(256), 30, per_recording=7, workers=workers)
        killer.join()
    assert len(killed) == 1
    assert there.rows.tolist() == here.rows.tolist()
    assert there.scores.tobytes() == here.scores.tobytes()
    assert there.percentiles.tobytes() == here.percentiles.tobytes()


def scanning() -> list[int]:
    """Processes of Ray that scan parts."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
        except OSError:
            continue
        if command.startswith(b"ray::_scanned"):
            found.append(int(entry.name))
    return found


@pytest.mark.usefixtures("cluster")
def test_an_error_of_a_worker_is_the_error_of_the_search(tmp_path: Path) -> None:
    header = HEADER.model_copy(update={"dim": DIM})
    with StoreWriter(tmp_path / "s", header) as writer:
        add(writer, "a.wav", np.ones((10, DIM)))
    part = next((tmp_path / "s" / "embeddings").iterdir())
    part.write_bytes(part.read_bytes()[:-4] + b"nope")
    with pytest.raises(StoreError, match=part.name):
        search_stores(tmp_path / "s", directions(1), config=SearchConfig(engine="ray"))


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:1"])
def test_a_cluster_that_is_not_there_is_said(stores: list[Path], address: str) -> None:
    ray.shutdown()
    config = SearchConfig(engine="ray", address=address)
    with pytest.raises(UsageError, match=f"no Ray cluster at {address}"):
        search_stores(stores, directions(1), config=config)
