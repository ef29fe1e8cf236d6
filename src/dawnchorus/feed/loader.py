"""Batches drawn ahead of time by several threads, in order, with the same clips as without them.

Threads, not processes: decoding and resampling release Python's lock, and of a row only 0.2 ms
are Python (benchmarks/loader.py), against 3 to 90 ms of reading it; two threads deliver 1.1 to 1.5
times what two forked processes do, which have batches of 20 to 80 MB to hand over. A thread cannot
die unnoticed: what it raises comes out of `draw` in its turn.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from dawnchorus.clips.parallel import n_threads

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import TracebackType
    from typing import Self

    from dawnchorus.feed.batches import Batch, BatchSource

AHEAD: Final = 3  # batches or parts of them in work or waiting
_Key = tuple[int, int, int]


class Loader:
    """A `BatchSource` whose next batches are drawn while the last one is used.

    Which come next follows from how it is asked: the same parts of one step after the other.
    """

    def __init__(
        self,
        source: BatchSource,
        *,
        workers: int = 0,
        ahead: int = AHEAD,
        n_processes: int = 1,
        pin: bool = False,
    ) -> None:
        """Start the threads.

        Args:
            source: what to draw from.
            workers: threads that read and augment clips; 0: one a core, 16 at most. Sound behind
                URLs is waited for most of the time, so more help there.
            ahead: batches, or parts where parts are asked for, to hold.
            n_processes: processes on this machine that share its cores, each with a loader.
            pin: put batches where a GPU can copy them from by itself; needs CUDA.
        """
        self.source = source
        self.ahead = ahead
        self.pin = pin
        count = n_threads(workers, n_processes=n_processes)
        self._rows = ThreadPoolExecutor(count, thread_name_prefix="dawnchorus-clip")
        # each of these only waits for the rows of its batch
        self._batches = ThreadPoolExecutor(max(ahead, 1), thread_name_prefix="dawnchorus-batch")
        self._lock = threading.Lock()
        self._waiting: dict[_Key, Future[Batch]] = {}
        self._parts: list[tuple[int, int]] = []  # in the order of the first step that asked

    def draw(self, step: int, part: int = 0, n_parts: int = 1) -> Batch:
        """As `BatchSource.draw`, and begin on those that come next.

        Raises:
            AudioError: A clip of this batch cannot be read.
            UsageError: The batch cannot be cut so.
        """
        with self._lock:
            if (part, n_parts) not in self._parts:
                self._parts.append((part, n_parts))
            # a run that jumps, as after resuming, does not need what was drawn for earlier steps
            for key in [key for key in self._waiting if key[0] < step]:
                self._waiting.pop(key).cancel()
            key = (step, part, n_parts)
            # drawn ahead, or now where nobody could know that it would be asked for
            future = self._waiting.pop(key, None) or self._begin(key)
            for _ in range(self.ahead):
                key = self._after(key)
                if len(self._waiting) < self.ahead and key not in self._waiting:
                    self._waiting[key] = self._begin(key)
        return future.result()

    def _begin(self, key: _Key) -> Future[Batch]:
        return self._batches.submit(self._drawn, key)

    def _drawn(self, key: _Key) -> Batch:
        batch = self.source.draw(*key, each=self._rows.map)
        return batch.pinned() if self.pin else batch

    def _after(self, key: _Key) -> _Key:
        step, *part = key
        place = self._parts.index((part[0], part[1])) + 1
        if place < len(self._parts):
            return (step, *self._parts[place])
        return (step + 1, *self._parts[0])

    def close(self) -> None:
        """Stop the threads; batches that nobody has asked for are given up."""
        self._batches.shutdown(wait=False, cancel_futures=True)
        self._rows.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the threads."""
        self.close()
