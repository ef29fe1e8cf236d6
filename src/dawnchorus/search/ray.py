"""A search on a Ray cluster: each worker scans some parts, and the best of all are put together.

The answer is that of one process: what a worker keeps of its parts is what one process would keep
of them, and the rows that remain are scored again, in double precision, on the machine that asked.
A worker that is killed loses nothing; its parts are scanned again. Stores have to lie where all
machines see them under the same path, or behind a URL.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.engine.cluster import ray_cluster
from dawnchorus.errors import UsageError
from dawnchorus.search.facts import measure
from dawnchorus.search.workers import Threads, scan_together

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dawnchorus.configs.search import SearchConfig
    from dawnchorus.engine.cluster import Cluster
    from dawnchorus.search.facts import PartFacts
    from dawnchorus.search.merged import Merged
    from dawnchorus.search.part_vectors import PartVectors
    from dawnchorus.search.scan import PartBest, PartRows, Question
    from dawnchorus.search.workers import Workers

SHARES_PER_WORKER: Final = 4  # so that no worker is left alone with the last parts
LOST: Final = "is there too little memory for it? The same search may be asked again"


@contextmanager
def search_workers(config: SearchConfig) -> Iterator[Workers]:
    """Who searches, while the block lasts: threads of this process, or a cluster.

    Raises:
        DependencyError: Ray is not installed.
        UsageError: No cluster answers, or there is no such device.
        DeviceError: The device is not there.
    """
    if config.engine == "local":
        if config.address is not None:
            raise UsageError("address: is of a Ray cluster; say engine ray (--engine ray) too")
        yield Threads(config.device)
        return
    if config.sketch == "on":
        raise UsageError("sketch: is of one machine; on a cluster every window is scored")
    with ray_cluster(config.address, config.device, command="search") as cluster:
        yield RayWorkers(cluster, config.device)


class RayWorkers:
    """Processes of a cluster, on one machine or many."""

    def __init__(self, cluster: Cluster, device: str = "auto") -> None:
        """With products made on a device of each worker."""
        self._cluster = cluster
        self._device = device
        # many queries are asked of the same windows, which are sent once
        self._sent_of: Sequence[PartRows] | None = None
        self._sent: dict[Any, int] = {}

    def measured(self, parts: Sequence[PartVectors]) -> Iterator[PartFacts]:
        """Facts of each part, in order; see `Workers`."""
        shares = split_evenly(parts, [1] * len(parts), self._n_shares)
        tasks = [self._cluster.start(_measured, share) for share in shares]
        at = {task: number for number, task in enumerate(tasks)}
        done: dict[int, list[PartFacts]] = {}
        n_given = 0
        for task, facts in self._cluster.results(tasks, lost=LOST):
            done[at[task]] = facts
            while n_given in done:
                yield from done.pop(n_given)
                n_given += 1

    def scanned(self, tasks: Sequence[PartRows], merged: Merged) -> Iterator[tuple[int, PartBest]]:
        """Shares of the tasks, as they end; see `Workers`."""
        if self._sent_of is not tasks:
            self._sent_of, self._sent = tasks, self._send(tasks)
        question = self._cluster.put(merged.question)
        sizes = {
            self._cluster.start(_scanned, share, question, self._device): n_windows
            for share, n_windows in self._sent.items()
        }
        for task, best in self._cluster.results(list(sizes), lost=LOST):
            yield sizes[task], best

    def _send(self, tasks: Sequence[PartRows]) -> dict[Any, int]:
        sizes = [len(task.rows) for task in tasks]
        shares = split_evenly(tasks, sizes, self._n_shares)
        return {self._cluster.put(share): sum(len(task.rows) for task in share) for share in shares}

    @property
    def _n_shares(self) -> int:
        return SHARES_PER_WORKER * self._cluster.n_workers


def split_evenly(items: Sequence[Any], sizes: Sequence[int], n: int) -> list[list[Any]]:
    """At most ``n`` runs of neighbouring items of about equal size, none of them empty."""
    runs: dict[int, list[Any]] = {}
    total, before = max(1, sum(sizes)), 0
    for item, size in zip(items, sizes, strict=True):
        middle = before + size / 2
        runs.setdefault(int(middle * n / total), []).append(item)
        before += size
    return list(runs.values())


def _measured(parts: list[PartVectors]) -> list[PartFacts]:
    return [measure(part) for part in parts]


def _scanned(tasks: list[PartRows], question: Question, device: str) -> PartBest:
    return scan_together(tasks, question, device)
