"""Seconds and memory of `cluster` by stage, on a large store of planted groups and noise.

    python benchmarks/cluster.py --windows 100000 1000000 --folder /a/disk/with/room

Half of the windows lie around 200 directions, common and rare ones, half anywhere, all of them on a
spectrum that falls as that of the encoders' does. What was planted is held against what is found:
adjusted mutual information over the planted windows that are in a cluster, and how many are.
"""

from __future__ import annotations

import argparse
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import torch
from sklearn.metrics import adjusted_mutual_info_score

from dawnchorus.configs.search import ClusterConfig
from dawnchorus.machine import n_cores
from dawnchorus.search import cluster, map_files
from dawnchorus.search import map as archive_map
from dawnchorus.search.archive import Archive
from dawnchorus.search.cells import nearest_by_cell
from dawnchorus.search.clusters import N_ANCHORS, NONE
from dawnchorus.search.whole_numbers import as_whole_numbers, nearest
from dawnchorus.store.write import StoreWriter
from search import A_DAY, DIM, HEADER, add_recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

N_GROUPS = 200
# where each stage begins: a module and the name by which it calls the stage
STAGES = (
    (cluster, "Archive"), (cluster, "whole_vectors"), (archive_map, "choose_landmarks"),
    (archive_map, "neighbour_graph"), (archive_map, "dense_groups"), (archive_map, "layout"),
    (archive_map, "_placed"), (archive_map, "_table"), (cluster, "_with_context"),
    (cluster, "medoids"), (cluster, "strangeness"), (map_files.MapFiles, "windows"),
    (map_files.MapFiles, "strangest"), (map_files.MapFiles, "pictures"),
)  # fmt: skip


def planted(n_windows: int) -> NDArray[np.int64]:
    """The group of each window, -1 for noise; group 0 is some 50 times as common as the last."""
    draws = np.random.default_rng(0)
    share = 1 / (4 + np.arange(N_GROUPS))
    groups = draws.choice(N_GROUPS, n_windows, p=share / share.sum())
    return np.where(draws.random(n_windows) < 0.5, groups, -1)


def make_store(path: Path, groups: NDArray[np.int64]) -> None:
    """A store of recordings of a day."""
    draws = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(DIM, DIM, generator=draws))[0]
    mix = 8 * torch.arange(1, DIM + 1)[:, None] ** -0.6 * basis
    mean = 0.5 * torch.randn(DIM, generator=draws)
    centres = torch.randn(N_GROUPS + 1, DIM, generator=draws)
    centres[-1] = 0  # noise: group -1
    with StoreWriter(path, HEADER, part_seconds=3600.0) as writer:
        for first in range(0, len(groups), A_DAY):
            own = torch.from_numpy(groups[first : first + A_DAY])
            noise = torch.randn(len(own), DIM, generator=draws)
            vectors = (centres[own] + torch.where(own < 0, 1.0, 0.8)[:, None] * noise) @ mix + mean
            add_recording(writer, f"{first:09d}.wav", vectors.numpy())


class Stages:
    """Seconds, CPU seconds and the largest memory of each stage."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.rows: list[tuple[str, float, float, float]] = []
        self._process = psutil.Process()
        self._largest = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time each of `STAGES`, and look at memory fifty times a second."""
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(0.02):
                memory = self._process.memory_info()
                own = memory.rss - getattr(memory, "shared", 0)  # mapped files are not its own
                self._largest = max(self._largest, own / 2**30)

        watcher = threading.Thread(target=look, daemon=True)
        before = [(owner, name, getattr(owner, name)) for owner, name in STAGES]
        for owner, name, function in before:
            setattr(owner, name, self._timed(name.strip("_"), function))
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
            for owner, name, function in before:
                setattr(owner, name, function)

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._largest = 0.0
            started, busy = time.perf_counter(), time.process_time()
            result = function(*args, **kwargs)
            took = time.perf_counter() - started, time.process_time() - busy
            self.rows.append((name, *took, self._largest))
            return result

        return call


def agreement(found: NDArray[np.int64], groups: NDArray[np.int64]) -> str:
    """What was found of what was planted."""
    is_in = found != NONE
    both = is_in & (groups >= 0)
    score = adjusted_mutual_info_score(groups[both], found[both])
    return (
        f"{both.sum() / (groups >= 0).sum():.2f} of the planted windows are in a cluster, AMI "
        f"{score:.3f} over them; "
        f"{(is_in & (groups < 0)).sum() / (groups < 0).sum():.4f} of the noise is"
    )


def recall(store: Path, made: archive_map.ArchiveMap) -> float:
    """Share of the landmarks by which 2,000 windows were placed that are the nearest of all."""
    archive = Archive(store)
    picked = np.sort(np.random.default_rng(0).choice(archive.n_windows, 2000, replace=False))
    queries = as_whole_numbers(archive.take(picked), made.mean)
    landmarks = as_whole_numbers(archive.take(made.landmarks), made.mean)
    ours, wanted = (of(queries, landmarks, N_ANCHORS)[0] for of in (nearest_by_cell, nearest))
    same = [len(set(a) & set(b)) for a, b in zip(ours.tolist(), wanted.tolist(), strict=True)]
    return float(np.mean(same)) / N_ANCHORS


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--landmarks", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, required=True, help="of the stores, which are kept")
    options = parser.parse_args()
    for n_windows in options.windows:
        store, groups = options.folder / f"planted-{n_windows}.store", planted(n_windows)
        if not store.exists():
            make_store(store, groups)
        stages, config = Stages(), ClusterConfig(landmarks=options.landmarks, novel=10)
        started = time.perf_counter()
        with stages.watching():
            report = cluster.cluster_stores(
                store, options.folder / f"{n_windows}.map", config=config, overwrite=True
            )
        took = time.perf_counter() - started
        print(f"\n{n_windows} windows of {DIM} numbers, {n_cores()} cores, {took:.0f} s\n")
        print("| stage | seconds | CPU seconds | memory, GB |\n|---|---|---|---|")
        for name, wall, cpu, memory in stages.rows:
            print(f"| {name} | {wall:.1f} | {cpu:.1f} | {memory:.2f} |")
        made = archive_map.ArchiveMap.read(report.files[0])
        print(f"\n{len(report.names)} clusters; {agreement(made.clusters, groups)}")
        print(f"recall of the nearest landmarks: {recall(store, made):.3f}", flush=True)


if __name__ == "__main__":
    main()
