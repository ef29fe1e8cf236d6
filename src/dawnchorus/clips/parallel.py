"""The same thing done to many items in threads: decoding and resampling run beside each other."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import torch

from dawnchorus.machine import cores_per_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
AHEAD: Final = 4  # items in work or waiting, for each thread
MOST_THREADS: Final = 16  # beyond them Python itself is the bottleneck (benchmarks/loader.py)


def n_threads(wanted: int = 0, *, n_processes: int = 1) -> int:
    """The number of threads; 0: one for each core that this process may use, 16 at most.

    Args:
        wanted: what the user gave, for each process.
        n_processes: processes on this machine that share the cores out.
    """
    return wanted or min(cores_per_process(n_processes), MOST_THREADS)


@contextmanager
def one_core_each() -> Iterator[None]:
    """While threads share the cores out, each of torch's operations keeps to one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_threads(
    function: Callable[[ItemT], ResultT], items: Iterable[ItemT], threads: int = 0
) -> Iterator[ResultT]:
    """Results in the order of the items, computed a little ahead; memory holds only those.

    The first error is raised in its item's turn; what was not begun is not begun any more.
    """
    count = n_threads(threads)
    with ThreadPoolExecutor(count, thread_name_prefix="dawnchorus-data") as pool:
        waiting = deque[Future[ResultT]]()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                # the oldest first: results come in order, and no more than these are held
                if len(waiting) >= AHEAD * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
