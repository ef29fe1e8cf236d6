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

from dawnchorus.audio.decode.unexpected import internal_error
from dawnchorus.engine.canary import WindowsError
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
from dawnchorus.errors import AudioError, DawnChorusError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    Encode = Callable[[Tensor, Tensor], NDArray[np.float32]]
    Batch = tuple[Sequence[Item], Future["_Results"]]

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
        given_up: set[str] = set()
        try:
            for batch in _batches(_items(queue, stop), batch_size, stop):
                if isinstance(batch, Idle):
                    yield batch
                    continue
                ahead.append((batch, workers.submit(_values, batch, encode)))
                # one more than there are workers, so that none waits for the caller's thread
                while len(ahead) > n_workers + 1 or (ahead and ahead[0][1].done()):
                    yield from _events(*ahead.popleft(), given_up)
            while ahead:
                yield from _events(*ahead.popleft(), given_up)
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


@dataclass(frozen=True, slots=True)
class _Results:
    """Values ``(n, ...)`` of the windows whose recordings did not fail, and the failures by id."""

    values: NDArray[np.float32]
    failed: dict[str, AudioError]


def _values(batch: Sequence[Item], encode: Encode) -> _Results:
    """Encode a batch; a recording whose windows cannot be encoded leaves it."""
    cuts = [item for item in batch if isinstance(item, Cut)]
    failed: dict[str, AudioError] = {}
    while cuts:
        try:
            return _Results(_encode(cuts, encode), failed)
        except WindowsError as error:  # the model works, and these windows give no numbers
            bad = [cuts[row] for row in error.rows]
            failed |= {_id(cut): _no_numbers(cut, str(error)) for cut in reversed(bad)}
        except DawnChorusError:
            raise
        except Exception as error:  # noqa: BLE001  which of the recordings brought it out?
            failed |= _faulty(cuts, encode, error)
        cuts = [cut for cut in cuts if _id(cut) not in failed]
    return _Results(np.zeros(0, np.float32), failed)


def _encode(cuts: Sequence[Cut], encode: Encode) -> NDArray[np.float32]:
    waveforms = torch.from_numpy(np.stack([cut.window.samples for cut in cuts]))
    lengths = torch.tensor([cut.window.valid_samples for cut in cuts])
    return encode(waveforms, lengths)


def _id(cut: Cut) -> str:
    return cut.source.job.recording_id


def _no_numbers(cut: Cut, why: str) -> AudioError:
    path = cut.source.job.path
    return AudioError(f"{path}: window {cut.window.index}: {why}", reason="not-encoded")


def _faulty(cuts: Sequence[Cut], encode: Encode, error: Exception) -> dict[str, AudioError]:
    """The recordings of a batch that raise an error also alone.

    If several all do, or none does, it is not the sound of one that brings the error out: it is
    raised.
    """
    alone = {_id(cut): [other for other in cuts if _id(other) == _id(cut)] for cut in cuts}
    raised: dict[str, Exception] = {}
    for identity, own in alone.items():
        try:
            if len(alone) == 1:
                raise error
            _encode(own, encode)
        except DawnChorusError:
            continue  # said when the rest of the batch is encoded
        except Exception as again:  # noqa: BLE001  see above
            raised[identity] = again
    if not raised or 1 < len(alone) == len(raised):
        raise error
    return {key: internal_error(alone[key][0].source.job.path, raised[key]) for key in raised}


def _events(
    batch: Sequence[Item], encoded: Future[_Results], given_up: set[str]
) -> Iterator[Event]:
    """Events of a batch; of a recording that failed nothing comes after its `Broken`."""
    results = encoded.result()
    done = 0
    for _, group in groupby(batch, key=_owner):
        items = list(group)
        run = [item for item in items if isinstance(item, Cut)]
        job = run[0].source.job if run else _job(items[0])
        if job.recording_id in results.failed:
            if job.recording_id not in given_up:
                given_up.add(job.recording_id)
                failure = results.failed[job.recording_id]
                yield Broken(job, failure.reason, str(failure))
            continue
        if run:
            values = results.values[done : done + len(run)]
            done += len(run)
        if job.recording_id in given_up:
            continue
        if run:
            yield _encoded(run, values)
        else:
            yield from (item for item in items if not isinstance(item, Cut))


def _job(item: Item) -> Job:
    return item.source.job if isinstance(item, Cut | Ended) else item.job


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
