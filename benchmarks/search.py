"""Seconds a query over large stores: exact, by the sketch, and two libraries on the same vectors.

    python benchmarks/search.py --windows 100000 1000000 3600000 --folder /a/disk/with/room

Vectors are made: 5,000 loose groups, a spectrum that falls as that of the encoders' does, a mean.
Everything is measured in one run on the same vectors; the libraries hold float32 unit vectors in
memory, ours reads the store's float16 files. CPU seconds tell what a busy machine would have taken
if it were free. faiss-cpu and usearch are measured where they are installed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import torch

from dawnchorus.machine import n_cores
from dawnchorus.search.archive import Archive
from dawnchorus.search.neighbours import best_windows, query_directions
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.schema import RecordingRow, StoreHeader, recording_id
from dawnchorus.store.write import StoreWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dawnchorus.search.neighbours import Neighbours

DIM, N_GROUPS, A_DAY, K = 768, 5000, 8640, 10
N_DAYS, OWN_NOISE = 24, 0.5
HEADER = StoreHeader(
    model="made", weights_sha256="00", labels_sha256=None, licence=None, sample_rate=16_000,
    window_s=10.0, hop_s=10.0, window_samples=160_000, hop_samples=160_000, channel="mean",
    resampler="none", precision="float32", normalization=None, readout="output:valid", dim=DIM,
    dtype="float16", audio_root="/", created="", versions={},
)  # fmt: skip


def make_store(path: Path, n_windows: int) -> None:
    """A store of recordings of a day.

    A few days are made in full; the others are those with noise of their own, which is a third of
    the work.
    """
    rng = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(DIM, DIM, generator=rng))[0]
    mix = 8 * torch.arange(1, DIM + 1)[:, None] ** -0.6 * basis
    mean = 0.5 * torch.randn(DIM, generator=rng)
    centres = torch.randn(N_GROUPS, DIM, generator=rng)
    days = []
    for _ in range(min(N_DAYS, -(-n_windows // A_DAY))):
        group = torch.randint(0, N_GROUPS, (A_DAY,), generator=rng)
        noise = torch.randn(A_DAY, DIM, generator=rng)
        days.append((centres[group] + 0.8 * noise) @ mix + mean)
    own = torch.empty(A_DAY, DIM)
    with StoreWriter(path, HEADER, part_seconds=3600.0) as writer:
        for number, first in enumerate(range(0, n_windows, A_DAY)):
            n = min(A_DAY, n_windows - first)
            # uniform: twice as fast as normal, and of the size of the smallest directions
            own.uniform_(-OWN_NOISE, OWN_NOISE, generator=rng).add_(days[number % len(days)])
            add_recording(writer, f"{first:09d}.wav", own[:n].numpy())


def add_recording(writer: StoreWriter, name: str, vectors: NDArray[np.float32]) -> None:
    """A whole recording."""
    index = np.arange(len(vectors))
    row = RecordingRow(recording_id=recording_id(name), path=name, status="partial")
    rows = WindowRows(
        window=index,
        start_sample=index * HEADER.hop_samples,
        valid_samples=np.full(len(index), HEADER.window_samples),
        flags=0 * index,
        vectors=vectors,
        scores=None,
    )
    writer.add(row, rows)
    done = RecordingRow(
        recording_id=row.recording_id, path=name, status="done", n_windows=len(index)
    )
    writer.finish(done)


def timed(function: Callable[[], Any], times: int = 3) -> tuple[float, float, Any]:
    """The least seconds and CPU seconds of several calls, and what the last gave."""
    walls, cpus = [], []
    for _ in range(times):
        started, busy = time.perf_counter(), time.process_time()
        result = function()
        walls.append(time.perf_counter() - started)
        cpus.append(time.process_time() - busy)
    return min(walls), min(cpus), result


def show(what: str, wall: float, cpu: float, note: str = "") -> None:
    """A row of the table."""
    memory = psutil.Process().memory_info()
    own = (memory.rss - getattr(memory, "shared", 0)) / 2**30  # mapped files are not its own
    print(f"| {what} | {wall:.3f} | {cpu:.3f} | {max(0.0, own):.1f} | {note} |", flush=True)


def ours(archive: Archive, queries: NDArray[np.float32]) -> None:
    """Exact, with many queries at once, and by the sketch."""

    def search(n: int, sketch: Any) -> Callable[[], Neighbours]:
        return lambda: best_windows(archive, queries[:n], K, sketch=sketch)

    show("exact, 1 query", *timed(search(1, "off"))[:2])
    wall, cpu, _ = timed(search(64, "off"), 1)
    show("exact, each of 64 queries", wall / 64, cpu / 64)
    wall, cpu, best = timed(search(1, "on"), 1)
    show("first time: make the sketch, measure recall", wall, cpu)
    wall, cpu, best = timed(search(1, "on"))
    show("sketch, 1 query", wall, cpu, f"recall at 10: {best.recall:.3f}")


def libraries(archive: Archive, queries: NDArray[np.float32]) -> None:
    """The same search by faiss and usearch, all vectors as float32 in memory."""
    unit = np.empty((archive.n_windows, DIM), np.float32)
    mean = archive.mean()
    for first, vectors in archive.blocks():
        own = unit[first : first + len(vectors)]
        np.subtract(vectors, mean, out=own)
        own /= np.linalg.norm(own, axis=1, keepdims=True)
    exact = best_windows(archive, queries[:1], K, sketch="off").rows[0]

    def note(rows: Any) -> str:
        return f"{len(set(rows[:K].tolist()) & set(exact.tolist()))} of {K} the same"

    try:
        import faiss  # noqa: PLC0415  measured where it is installed

        faiss.omp_set_num_threads(n_cores())
        wall, cpu, (_, rows) = timed(lambda: faiss.knn(queries[:1], unit, K, metric=0))
        show("faiss flat, float32, 1 query", wall, cpu, note(rows[0]))
    except ImportError:
        print("| faiss is not installed | | | | |")
    try:
        from usearch.index import MetricKind, search  # noqa: PLC0415  as above

        wall, cpu, found = timed(
            lambda: search(unit, queries[0], K, MetricKind.IP, exact=True, threads=n_cores())
        )
        show("usearch exact, float32, 1 query", wall, cpu, note(found.keys))
    except ImportError:
        print("| usearch is not installed | | | | |")


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--folder", type=Path, required=True, help="of the stores, which are kept")
    options = parser.parse_args()
    for n_windows in options.windows:
        store = options.folder / f"{n_windows}.store"
        if not store.exists():
            make_store(store, n_windows)
        print(f"\n{n_windows} windows of {DIM} numbers, {n_cores()} cores\n")
        print("| | seconds | CPU seconds | memory of its own, GB | |\n|---|---|---|---|---|")
        wall, cpu, archive = timed(lambda path=store: Archive(path), 1)
        show("open", wall, cpu)
        wall, cpu, _ = timed(archive.prepare, 1)
        show("first time: read all parts", wall, cpu)
        picked = np.random.default_rng(0).choice(archive.n_windows, 64, replace=False)
        queries = query_directions(archive.take(picked), archive.mean())
        ours(archive, queries)
        libraries(archive, queries)


if __name__ == "__main__":
    main()
