"""Windows of many recordings through one encoder, in full batches, results back in order.

Reading, resampling and cutting run in a thread ahead of the encoder, which stays in the caller's
thread.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
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
    Source,
    Unchanged,
    read_all,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    Encode = Callable[[Tensor, Tensor], NDArray[np.float32]]

IDLE_S: Final = 0.5  # how long the reader may be silent before the caller gets a chance to commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Consecutive windows of one recording with their results.

    Attributes:
        window, start_sample, valid_samples: ``(n,)`` int64; samples at the model's rate.
        values: ``(n, ...)`` float32, as the encode function gave them.
    """

    source: Source
    window: NDArray[np.int64]
    start_sample: NDArray[np.int64]
    valid_samples: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing came for a while."""


Event = Encoded | Ended | Broken | Unchanged | Idle


def run_windows(
    jobs: Iterable[Job],
    settings: ReadSettings,
    encode: Encode,
    *,
    batch_size: int,
    clock: ReadClock,
    stop: threading.Event | None = None,
) -> Iterator[Event]:
    """Read, cut and encode; every job ends with one `Ended`, `Broken` or `Unchanged`.

    A recording's `Encoded` come before its end, in the order of its windows, and recordings keep
    the order of the jobs. Memory: four batches of windows, whatever the recordings.

    Args:
        jobs: what to read.
        settings: how to cut.
        encode: ``(batch, window)`` float32 waveforms and ``(batch,)`` valid samples to ``(batch,
            ...)``.
        batch_size: windows a call of ``encode``; only the last call may get fewer.
        clock: where the reading thread puts its seconds.
        stop: when set, the generator ends after the batch at hand.
    """
    stop = stop or threading.Event()
    leave = threading.Event()  # tells the thread, however this generator ends
    queue: Queue[Item | None] = Queue(maxsize=2 * batch_size)
    with ThreadPoolExecutor(1, thread_name_prefix="dawnchorus-read") as pool:
        reading = pool.submit(read_all, jobs, settings, queue, leave, clock)
        try:
            yield from _batches(_items(queue, stop), encode, batch_size, stop)
        finally:
            leave.set()
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
    items: Iterable[Item | Idle], encode: Encode, batch_size: int, stop: threading.Event
) -> Iterator[Event]:
    waiting: list[Item] = []
    n_windows = 0
    for item in items:
        if isinstance(item, Idle):
            yield item
            continue
        waiting.append(item)
        n_windows += isinstance(item, Cut)
        if n_windows in (0, batch_size):
            yield from _encode(waiting, encode)
            waiting, n_windows = [], 0
    if not stop.is_set():
        yield from _encode(waiting, encode)


def _encode(waiting: Sequence[Item], encode: Encode) -> Iterator[Event]:
    cuts = [item for item in waiting if isinstance(item, Cut)]
    values = np.zeros(0, np.float32)
    if cuts:
        waveforms = torch.from_numpy(np.stack([cut.window.samples for cut in cuts]))
        lengths = torch.tensor([cut.window.valid_samples for cut in cuts])
        values = encode(waveforms, lengths)
    done = 0
    for _, group in groupby(waiting, key=_owner):
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
        [(c.window.index, c.window.start_sample, c.window.valid_samples) for c in cuts], np.int64
    )
    return Encoded(
        source=cuts[0].source,
        window=numbers[:, 0],
        start_sample=numbers[:, 1],
        valid_samples=numbers[:, 2],
        values=values,
    )
