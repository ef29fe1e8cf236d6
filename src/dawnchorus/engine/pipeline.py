"""Windows of many recordings through one encoder, in full batches, results back in order.

Reading, resampling and cutting run in a thread ahead of the encoder, batches are encoded by
workers, and what comes out goes to the caller's thread, which writes.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from queue import Empty, Queue
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from dawnchorus.engine.read import (
    Broken,
    Cut,
    Ended,
    Item,
    Job,
    ReadClock,
    ReadSettings,
    Skipped,
    Source,
    read_all,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    Encode = Callable[[Tensor, Tensor], NDArray[np.float32]]
    Batch = tuple[Sequence[Item], Future[NDArray[np.float32]]]

IDLE_S: Final = 0.5  # how long the reader may be silent before the caller gets a chance to commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Consecutive windows of one recording with their results.

    Attributes:
        window, start_sample, valid_samples: ``(n,)`` int64; samples at the model's rate.
        flags: ``(n,)`` int64, bits of `window_flags`.
        values: ``(n, ...)`` float32, as the encode function gave them.
    """

    source: Source
    window: NDArray[np.int64]
    start_sample: NDArray[np.int64]
    valid_samples: NDArray[np.int64]
    flags: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing came for a while."""


Event = Encoded | Ended | Broken | Skipped | Idle


def run_windows(
    jobs: Iterable[Job],
    settings: ReadSettings,
    encode: Encode,
    *,
    batch_size: int,
    clock: ReadClock,
    n_workers: int = 1,
    stop: threading.Event | None = None,
) -> Iterator[Event]:
    """Read, cut and encode; every job ends with one `Ended`, `Broken` or `Skipped`.

    A recording's `Encoded` come before its end, in the order of its windows, and recordings keep
    the order of the jobs. Memory: ``3 + 2 n_workers`` batches of windows, whatever the recordings.

    Args:
        jobs: what to read.
        settings: how to cut.
        encode: ``(batch, window)`` float32 waveforms and ``(batch,)`` valid samples to ``(batch,
            ...)``; called from several threads when ``n_workers`` is more than one.
        batch_size: windows a call of ``encode``; only the last call may get fewer.
        clock: where the reading thread puts its seconds.
        n_workers: calls of ``encode`` at once.
        stop: when set, the generator ends after the batches that are being encoded.
    """
    stop = stop or threading.Event()
    leave = threading.Event()  # tells the thread, however this generator ends
    queue: Queue[Item | None] = Queue(maxsize=2 * batch_size)
    with (
        ThreadPoolExecutor(1, thread_name_prefix="dawnchorus-read") as pool,
        ThreadPoolExecutor(n_workers, thread_name_prefix="dawnchorus-encode") as workers,
    ):
        reading = pool.submit(read_all, jobs, settings, queue, leave, clock)
        ahead: deque[Batch] = deque()
        try:
            for batch in _batches(_items(queue, stop), batch_size, stop):
                if isinstance(batch, Idle):
                    yield batch
                    continue
                ahead.append((batch, workers.submit(_values, batch, encode)))
                # one more than there are workers, so that none waits for the caller's thread
                while len(ahead) > n_workers + 1 or (ahead and ahead[0][1].done()):
                    yield from _events(*ahead.popleft())
            while ahead:
                yield from _events(*ahead.popleft())
        finally:
            leave.set()
            workers.shutdown(cancel_futures=True)
        if not stop.is_set():
            reading.result()  # a fault of ours in the thread comes out here


def _items(queue: Queue[Item | None], stop: threading.Event) -> Iterator[Item | Idle]:
    while not stop.is_set():
        try:
            item = queue.get(timeout=IDLE_S)
        except Empty:
            yield Idle()
            continue
        if item is None:
            return
        yield item


def _batches(
    items: Iterable[Item | Idle], batch_size: int, stop: threading.Event
) -> Iterator[list[Item] | Idle]:
    """Items in groups with ``batch_size`` windows; what needs no encoding waits for no window."""
    waiting: list[Item] = []
    n_windows = 0
    for item in items:
        if isinstance(item, Idle):
            yield item
            continue
        waiting.append(item)
        n_windows += isinstance(item, Cut)
        if n_windows in (0, batch_size):
            yield waiting
            waiting, n_windows = [], 0
    if not stop.is_set():
        yield waiting


def _values(batch: Sequence[Item], encode: Encode) -> NDArray[np.float32]:
    cuts = [item for item in batch if isinstance(item, Cut)]
    if not cuts:
        return np.zeros(0, np.float32)
    waveforms = torch.from_numpy(np.stack([cut.window.samples for cut in cuts]))
    lengths = torch.tensor([cut.window.valid_samples for cut in cuts])
    return encode(waveforms, lengths)


def _events(batch: Sequence[Item], encoded: Future[NDArray[np.float32]]) -> Iterator[Event]:
    values = encoded.result()
    done = 0
    for _, group in groupby(batch, key=_owner):
        items = list(group)
        run = [item for item in items if isinstance(item, Cut)]
        if run:
            yield _encoded(run, values[done : done + len(run)])
            done += len(run)
        else:
            yield from (item for item in items if not isinstance(item, Cut))


def _owner(item: Item) -> int:
    return id(item.source if isinstance(item, Cut) else item)


def _encoded(cuts: Sequence[Cut], values: NDArray[np.float32]) -> Encoded:
    numbers = np.array(
        [(c.window.index, c.window.start_sample, c.window.valid_samples, c.flags) for c in cuts],
        np.int64,
    )
    return Encoded(
        source=cuts[0].source,
        window=numbers[:, 0],
        start_sample=numbers[:, 1],
        valid_samples=numbers[:, 2],
        flags=numbers[:, 3],
        values=values,
    )
