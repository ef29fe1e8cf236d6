"""Who reads and scores the parts of an archive: threads of this process, or others like them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import torch

from dawnchorus.models.load import resolve_device
from dawnchorus.search.facts import measured_by_threads
from dawnchorus.search.merged import Merged
from dawnchorus.search.part_vectors import n_readers
from dawnchorus.search.scan import scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dawnchorus.search.facts import PartFacts
    from dawnchorus.search.part_vectors import PartVectors
    from dawnchorus.search.scan import PartBest, PartRows, Question


class Workers(Protocol):
    """Who they are does not change the answer: the best of all are the best of the bests."""

    def measured(self, parts: Sequence[PartVectors]) -> Iterator[PartFacts]:
        """Facts of each part, in order.

        Raises:
            StoreError: A part is missing or damaged.
        """
        ...

    def scanned(self, tasks: Sequence[PartRows], merged: Merged) -> Iterator[tuple[int, PartBest]]:
        """Numbers of windows and the best of them, in any order, until all tasks are done.

        Args:
            tasks: the windows.
            merged: the question, and what was found so far: what comes out is put into it before
                the next is asked for.

        Raises:
            StoreError: A part is missing, damaged, or a score is not a number.
        """
        ...


class Threads:
    """Threads of this process, one for each core."""

    def __init__(self, device: str = "auto") -> None:
        """With products made on a device.

        Raises:
            DeviceError: It is not there.
            UsageError: It is not the name of a device.
        """
        self._device = resolve_device(device)

    def measured(self, parts: Sequence[PartVectors]) -> Iterator[PartFacts]:
        """Facts of each part, in order; see `Workers`."""
        yield from measured_by_threads(parts)

    def scanned(self, tasks: Sequence[PartRows], merged: Merged) -> Iterator[tuple[int, PartBest]]:
        """One part a task, in order; see `Workers`."""

        def result(task: PartRows) -> PartBest:
            # floors of any moment: what is below one never gets in
            return scan(task, merged.question, merged.running.floors, self._device)

        # each thread has a part of its own, so torch's would only get in each other's way
        with ThreadPoolExecutor(
            n_readers([task.part for task in tasks]),
            initializer=torch.set_num_threads,
            initargs=(1,),
        ) as pool:
            for task, best in zip(tasks, pool.map(result, tasks), strict=True):
                yield len(task.rows), best


def scan_together(tasks: Sequence[PartRows], question: Question, device: str) -> PartBest:
    """Several parts as one, in one thread: what a process of its own is given to do.

    Raises:
        StoreError: A part is missing, damaged, or a score is not a number.
    """
    torch.set_num_threads(1)
    merged, chosen = Merged(question), resolve_device(device)
    for task in tasks:
        merged.add(scan(task, question, merged.running.floors, chosen))
    return merged.as_one()
