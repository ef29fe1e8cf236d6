"""Windows of many recordings through one encoder, in full batches, results back in order.

Threads read and resample ahead of the encoder, one cuts their sound into windows in the order of
the recordings, workers encode batches, and what comes out goes to the caller's thread, which
writes.
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
from dawnchorus.engine.encoding.canary import WindowsError
from dawnchorus.engine.pipeline.events import (
    CutWindow,
    EncodedWindows,
    FailedRecording,
    Idle,
    ReadItem,
    RunEvent,
)
from dawnchorus.engine.pipeline.read import ReadSettings, StageClock, read_all
from dawnchorus.errors import AudioError, DawnChorusError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.engine.recordings.jobs import RecordingJob

    Encode = Callable[[Tensor, Tensor], NDArray[np.float32]]
    Batch = tuple[Sequence[ReadItem], Future["_BatchResult"]]

IDLE_S: Final = 0.5  # how long the reader may be silent before the caller gets a chance to commit


def run_windows(
    jobs: Iterable[RecordingJob],
    settings: ReadSettings,
    encode: Encode,
    *,
    batch_size: int,
    clock: StageClock,
    n_workers: int = 1,
    stop: threading.Event | None = None,
) -> Iterator[RunEvent]:
    """Read, cut and encode; every job ends as a finished, failed or skipped recording.

    A recording's `EncodedWindows` come before its end, in the order of its windows, and recordings
    keep the order of the jobs. Memory: ``3 + 2 n_workers`` batches of windows, and a minute of
    sound for each thread that reads, however long and however many the recordings.

    Args:
        jobs: what to read.
        settings: how to cut.
        encode: ``(batch, window)`` float32 waveforms and ``(batch,)`` valid samples to ``(batch,
            ...)``; called from several threads when ``n_workers`` is more than one.
        batch_size: windows a call of ``encode``; only the last call may get fewer.
        clock: where the reading threads put their seconds.
        n_workers: calls of ``encode`` at once.
        stop: when set, the generator ends after the batches that are being encoded.
    """
    stop = stop or threading.Event()
    leave = threading.Event()  # stops the reading threads, however this generator ends
    # bounds memory: the reader waits when it is two batches ahead
    queue: Queue[ReadItem | None] = Queue(maxsize=2 * batch_size)
    with (
        ThreadPoolExecutor(1, thread_name_prefix="dawnchorus-read") as pool,
        ThreadPoolExecutor(n_workers, thread_name_prefix="dawnchorus-encode") as workers,
    ):
        reading = pool.submit(read_all, jobs, settings, queue, leave, clock)
        ahead: deque[Batch] = deque()
        failed_ids: set[str] = set()
        try:
            for batch in _batches(_items(queue, stop), batch_size, stop):
                if isinstance(batch, Idle):
                    yield batch
                    continue
                ahead.append((batch, workers.submit(_encode_batch, batch, encode)))
                # one more than there are workers, so that none waits for the caller's thread
                while len(ahead) > n_workers + 1 or (ahead and ahead[0][1].done()):
                    yield from _events(*ahead.popleft(), failed_ids)
            while ahead:
                yield from _events(*ahead.popleft(), failed_ids)
        finally:
            leave.set()
            workers.shutdown(cancel_futures=True)
        # the last, smaller batch
        if not stop.is_set():
            reading.result()  # raises what went wrong in the thread by a fault of ours


def _items(queue: Queue[ReadItem | None], stop: threading.Event) -> Iterator[ReadItem | Idle]:
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
    items: Iterable[ReadItem | Idle], batch_size: int, stop: threading.Event
) -> Iterator[list[ReadItem] | Idle]:
    """Items in groups with ``batch_size`` windows; what needs no encoding waits for no window."""
    waiting: list[ReadItem] = []
    n_windows = 0
    for item in items:
        if isinstance(item, Idle):
            yield item
            continue
        waiting.append(item)
        n_windows += isinstance(item, CutWindow)
        # 0: an end or a failure that no window waits for goes straight through
        if n_windows in (0, batch_size):
            yield waiting
            waiting, n_windows = [], 0
    if not stop.is_set():
        yield waiting


@dataclass(frozen=True, slots=True)
class _BatchResult:
    """Values ``(n, ...)`` of the windows whose recordings did not fail, and the failures by id."""

    values: NDArray[np.float32]
    failed: dict[str, AudioError]


def _encode_batch(batch: Sequence[ReadItem], encode: Encode) -> _BatchResult:
    """Encode a batch; a recording whose windows cannot be encoded leaves it."""
    windows = [item for item in batch if isinstance(item, CutWindow)]
    failed: dict[str, AudioError] = {}
    while windows:
        try:
            return _BatchResult(_encode(windows, encode), failed)
        except WindowsError as error:  # the model works, and these windows give no numbers
            # reversed, so that the message names a recording's first such window
            for row in reversed(error.rows):
                failed[windows[row].job.recording_id] = _not_encoded(windows[row], error)
        except DawnChorusError:
            raise
        except Exception as error:  # noqa: BLE001  which of the recordings causes it?
            failed |= _faulty(windows, encode, error)
        windows = [window for window in windows if window.job.recording_id not in failed]
    return _BatchResult(np.zeros(0, np.float32), failed)


def _encode(windows: Sequence[CutWindow], encode: Encode) -> NDArray[np.float32]:
    waveforms = torch.from_numpy(np.stack([cut.window.samples for cut in windows]))
    lengths = torch.tensor([cut.window.valid_samples for cut in windows])
    return encode(waveforms, lengths)


def _not_encoded(cut: CutWindow, why: WindowsError) -> AudioError:
    return AudioError(
        f"{cut.job.path}: window {cut.window.index}: {why}",
        reason="not-encoded",
    )


def _faulty(
    windows: Sequence[CutWindow], encode: Encode, error: Exception
) -> dict[str, AudioError]:
    """The recordings of a batch that raise an error also alone.

    If several all do, or none does, it is not the sound of one that causes the error: it is raised.
    """
    by_recording: dict[str, list[CutWindow]] = {}
    for cut in windows:
        by_recording.setdefault(cut.job.recording_id, []).append(cut)
    raised: dict[str, Exception] = {}
    for identity, alone in by_recording.items():
        try:
            if len(by_recording) == 1:
                raise error
            _encode(alone, encode)
        except DawnChorusError:
            continue  # raised again when the rest of the batch is encoded
        except Exception as again:  # noqa: BLE001  see above
            raised[identity] = again
    if not raised or 1 < len(by_recording) == len(raised):
        raise error
    return {key: internal_error(by_recording[key][0].job.path, raised[key]) for key in raised}


def _events(
    batch: Sequence[ReadItem], encoded: Future[_BatchResult], failed_ids: set[str]
) -> Iterator[RunEvent]:
    """Events of a batch; of a recording that failed nothing comes after its failure."""
    result = encoded.result()
    n_used = 0  # of the result's values
    for _, group in groupby(batch, key=_owner):
        items = list(group)
        windows = [item for item in items if isinstance(item, CutWindow)]
        job = items[0].job
        if job.recording_id in result.failed:
            if job.recording_id not in failed_ids:
                failed_ids.add(job.recording_id)
                failure = result.failed[job.recording_id]
                yield FailedRecording(job, failure.reason, str(failure))
            continue
        values = result.values[n_used : n_used + len(windows)]
        n_used += len(windows)
        # failed in an earlier batch: its windows of this one were encoded, and are not wanted
        if job.recording_id in failed_ids:
            continue
        if windows:
            yield _encoded(windows, values)
        else:
            yield from (item for item in items if not isinstance(item, CutWindow))


def _owner(item: ReadItem) -> int:
    """Alike for neighbouring windows of one recording, different for everything else."""
    return id(item.recording if isinstance(item, CutWindow) else item)


def _encoded(windows: Sequence[CutWindow], values: NDArray[np.float32]) -> EncodedWindows:
    numbers = np.array(
        [(c.window.index, c.window.start_sample, c.window.valid_samples, c.flags) for c in windows],
        np.int64,
    )  # (n, 4)
    return EncodedWindows(
        recording=windows[0].recording,
        window=numbers[:, 0],
        start_sample=numbers[:, 1],
        valid_samples=numbers[:, 2],
        flags=numbers[:, 3],
        values=values,
    )
