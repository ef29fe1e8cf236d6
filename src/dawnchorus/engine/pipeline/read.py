"""The reading thread: recordings to windows at the model's rate, into a bounded queue."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Full, Queue
from typing import TYPE_CHECKING, Any, Final, Literal

from dawnchorus.audio.clock import StartTime
from dawnchorus.audio.decode.read import open_recording
from dawnchorus.audio.decode.unexpected import recording_errors
from dawnchorus.audio.metadata import RecorderMetadata, read_metadata
from dawnchorus.audio.resample import resample_blocks, resampled_length
from dawnchorus.audio.windows import cut_blocks, n_windows
from dawnchorus.engine.pipeline.events import (
    CutWindow,
    FailedRecording,
    FinishedRecording,
    OpenedRecording,
    ReadItem,
    SkippedRecording,
)
from dawnchorus.engine.pipeline.fetch import fetch_ahead
from dawnchorus.engine.pipeline.flags import window_flags
from dawnchorus.engine.recordings.jobs import ReadingStopped, content_hash_of, with_file_facts
from dawnchorus.engine.recordings.listing import START_TIME
from dawnchorus.errors import AudioError, DependencyError, UsageError
from dawnchorus.filename_text import printable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.engine.recordings.jobs import RecordingJob

PUT_WAIT_S: Final = 0.1  # how late the thread notices that it is to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSettings:
    """How recordings become windows.

    Attributes:
        sample_rate: the model's, in Hz.
        window, hop: in samples at that rate.
        channel: ``mean`` of all, or an index from 0.
        content_hash: whether the bytes of each recording are hashed.
        why_skip: from a job and its content's hash to the reason why it need not be read.
    """

    sample_rate: int
    window: int
    hop: int
    channel: Literal["mean"] | int = "mean"
    content_hash: bool = True
    why_skip: Callable[[RecordingJob, str], str | None] | None = None


@dataclass(slots=True)
class StageClock:
    """Seconds that the reading thread spent in each stage."""

    seconds: dict[str, float] = field(default_factory=lambda: {"read": 0.0, "resample": 0.0})

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """The time of the block is added to ``stage``."""
        before = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - before

    def timed(self, stage: str, items: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """The same items; the time that producing them takes is added to ``stage``."""
        iterator = iter(items)
        while True:
            with self.timing(stage):
                item = next(iterator, None)
            if item is None:
                return
            yield item


def read_all(
    jobs: Iterable[RecordingJob],
    settings: ReadSettings,
    queue: Queue[ReadItem | None],
    stop: threading.Event,
    clock: StageClock,
) -> None:
    """Read jobs one after the other into ``queue``; None is the last item, whatever happens."""
    try:
        with closing(fetch_ahead(jobs, stop)) as ready:
            for job in ready:
                for item in read_job(job, settings, stop, clock):
                    _put(queue, item, stop)
    except ReadingStopped:
        return
    finally:
        if not stop.is_set():
            _put(queue, None, stop)


def _put(queue: Queue[ReadItem | None], item: ReadItem | None, stop: threading.Event) -> None:
    # a plain put would wait for ever on a queue that nobody reads any more
    while not stop.is_set():
        try:
            queue.put(item, timeout=PUT_WAIT_S)
        except Full:
            continue
        return
    raise ReadingStopped


def read_job(
    job: RecordingJob, settings: ReadSettings, stop: threading.Event, clock: StageClock
) -> Iterator[ReadItem]:
    """All items of one recording; whatever is wrong with it becomes a `FailedRecording`."""
    if job.skip is not None:
        yield SkippedRecording(job, job.skip)
        return
    file = job.path
    try:
        with recording_errors(job.path), clock.timing("read"):
            file = job.path if job.fetched is None else job.fetched.result()
        items = _read_windows(job, file, settings, stop, clock)
        while (item := _next_item(items, job)) is not None:
            yield item
    except AudioError as error:
        # a message about the fetched copy is about what lies behind the URL
        message = str(error).replace(printable(str(file)), printable(str(job.path)))
        yield FailedRecording(job, error.reason, message)
    except DependencyError as error:
        yield FailedRecording(job, "dependency", str(error))
    except UsageError as error:
        yield FailedRecording(job, "channel", str(error))


def _next_item(items: Iterator[ReadItem], job: RecordingJob) -> ReadItem | None:
    """The next item; only what making it raises is the recording's, not what is done with it.

    Raises:
        DawnChorusError: What is wrong with the recording.
    """
    with recording_errors(job.path):
        return next(items, None)


def _read_windows(
    job: RecordingJob,
    file: Path,
    settings: ReadSettings,
    stop: threading.Event,
    clock: StageClock,
) -> Iterator[ReadItem]:
    """Items of one recording that can be opened.

    Raises:
        AudioError: It cannot be read to its end, or changes meanwhile.
    """
    started = datetime.now(UTC)
    content_hash, skipped = _content(job, file, settings, stop, clock)
    if skipped is not None:
        yield skipped
        return
    with open_recording(file, channel=settings.channel) as recording:
        info = recording.info
        # blocks are (samples,) float32, one channel, of the decoder's own size
        counter = SampleCounter()
        blocks = counter.over(clock.timed("read", recording.blocks()))
        # one resampler for the whole recording: window by window each would begin with a click
        at_model_rate = _resampled(blocks, info.sample_rate, settings.sample_rate, clock)
        around = read_metadata(file)
        opened = OpenedRecording(
            job=job,
            rate=info.sample_rate,
            channels=info.n_channels,
            content_hash=content_hash,
            n_expected=_expected(info.n_samples, info.sample_rate, settings),
            started=started,
            began=_began(job, around),
            around=around,
        )
        index = -1
        for window in cut_blocks(at_model_rate, settings.window, settings.hop):
            if window.index == job.stop_window:
                break
            index = window.index
            # earlier windows are decoded all the same: the resampler's state at this one depends
            # on all samples before it
            if index >= job.first_window:
                flags = window_flags(
                    window,
                    settings.sample_rate,
                    own_rate=info.sample_rate,
                    gaps=recording.gaps,
                    nonfinite=recording.levels.nonfinite,
                    silenced=recording.levels.silenced,
                )
                yield CutWindow(opened, window, flags)
        if index < 0:
            raise AudioError(f"{job.path}: a header and no sound", reason="empty")
    # a recorder or a copy may still be writing the file
    _check_unchanged(job)
    yield FinishedRecording(
        opened,
        counter.n_samples,
        recording.levels.n_nonfinite,
        index + 1,
        recording.verdict,
        tuple(recording.gaps),
    )


def _content(
    job: RecordingJob,
    file: Path,
    settings: ReadSettings,
    stop: threading.Event,
    clock: StageClock,
) -> tuple[str | None, SkippedRecording | None]:
    """The hash of a recording's bytes, and whether they say that it need not be read."""
    if not settings.content_hash or not file.is_file():
        return None, None
    with clock.timing("read"):
        content_hash = content_hash_of(file, stop)
    if content_hash == job.known_hash:
        return content_hash, SkippedRecording(job)
    why = settings.why_skip(job, content_hash) if settings.why_skip else None
    return content_hash, SkippedRecording(job, why) if why else None


def _began(job: RecordingJob, around: RecorderMetadata) -> StartTime | None:
    """When a recording began: as the list says, else as the recording itself does."""
    listed = dict(job.carried).get(START_TIME)
    return StartTime(listed, "list") if listed else around.start


def _resampled(
    blocks: Iterable[NDArray[Any]], from_hz: int, to_hz: int, clock: StageClock
) -> Iterator[NDArray[Any]]:
    """Blocks at the new rate, with the time of reading taken out of the time of resampling."""
    # the resampler pulls the blocks it needs, so its own time contains that of reading them
    read_before = clock.seconds["read"]
    for block in clock.timed("resample", resample_blocks(blocks, from_hz, to_hz)):
        clock.seconds["resample"] -= clock.seconds["read"] - read_before
        read_before = clock.seconds["read"]
        yield block
    clock.seconds["resample"] -= clock.seconds["read"] - read_before


@dataclass(slots=True)
class SampleCounter:
    """Counts samples as they pass."""

    n_samples: int = 0

    def over(self, blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """The same blocks."""
        for block in blocks:
            self.n_samples += len(block)
            yield block


def _expected(n_samples: int | None, rate: int, settings: ReadSettings) -> int | None:
    if n_samples is None:
        return None
    length = resampled_length(n_samples, rate, settings.sample_rate)
    return n_windows(length, settings.window, settings.hop)


def _check_unchanged(job: RecordingJob) -> None:
    now = with_file_facts(job)
    if (now.size, now.modified_ns) != (job.size, job.modified_ns):
        raise AudioError(
            f"{job.path}: changed while it was read ({job.size} bytes, then {now.size}); run "
            "again when it is complete",
            reason="changed",
        )
