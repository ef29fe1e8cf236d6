"""Batches drawn ahead of the steps that use them, in threads."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from dawnchorus.training import devices

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

BatchT = TypeVar("BatchT")
MOST_THREADS: Final = 16  # beyond them Python itself is in the way
PIECES_WAITING: Final = 2  # at least, beside those in work


def n_threads(wanted: int) -> int:
    """As many as wanted; 0: this process's share of the machine's cores, `MOST_THREADS` at most."""
    if wanted:
        return wanted
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    here = int(os.environ.get("LOCAL_WORLD_SIZE", devices.n_processes()))
    return max(1, min(cores // here, MOST_THREADS))


class Ahead(Generic[BatchT]):
    """This process's pieces of each step's batch, in the order of the steps."""

    def __init__(
        self,
        draw: Callable[[int, int, int], BatchT],
        steps: range,
        *,
        n_pieces: int,
        threads: int,
    ) -> None:
        """Start to draw.

        Args:
            draw: ``(step, part, n_parts)`` to a piece.
            steps: which steps.
            n_pieces: of a step, in this process.
            threads: that draw.
        """
        self._draw = draw
        self._n_pieces = n_pieces
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="dawnchorus-ahead")
        self._waiting = deque[list[Future[BatchT]]]()
        self._steps = iter(steps)
        for _ in range(-(-(threads + PIECES_WAITING) // n_pieces)):
            self._ask()

    def _ask(self) -> None:
        step = next(self._steps, None)
        if step is None:
            return
        first = devices.rank() * self._n_pieces
        n_parts = devices.n_processes() * self._n_pieces
        self._waiting.append(
            [
                self._pool.submit(self._draw, step, first + piece, n_parts)
                for piece in range(self._n_pieces)
            ]
        )

    def __next__(self) -> list[BatchT]:
        """The pieces of the next step, once they are there.

        Raises:
            StopIteration: There is no further step.
        """
        if not self._waiting:
            raise StopIteration
        pieces = [future.result() for future in self._waiting.popleft()]
        self._ask()
        return pieces

    def __enter__(self) -> Ahead[BatchT]:
        """Close with the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Draw no more; what was not begun is not begun."""
        self._pool.shutdown(cancel_futures=True)
