"""The reading threads: recordings to windows at the model's rate, into a bounded queue."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from queue import Full, Queue
from typing import TYPE_CHECKING, Any, Final, Literal

from dawnchorus.audio.decode.recording import BLOCK_SAMPLES
from dawnchorus.audio.decode.unexpected import guarded
from dawnchorus.audio.windows import cut_blocks
from dawnchorus.engine.pipeline.ahead import Lane, Limits, ReadAhead
from dawnchorus.engine.pipeline.events import (
    CutWindow,
    FailedRecording,
    FinishedRecording,
    ReadItem,
    SkippedRecording,
)
from dawnchorus.engine.pipeline.fetch import discard, fetching_ahead
from dawnchorus.engine.pipeline.flags import window_flags
from dawnchorus.engine.pipeline.opening import (
    Message,
    Opened,
    failed,
    messages_of,
    messages_of_piece,
)
from dawnchorus.engine.pipeline.pieces import PIECE_S
from dawnchorus.engine.pipeline.sound import Sound, SoundEnd
from dawnchorus.engine.recordings.jobs import ReadingStopped, with_file_facts
from dawnchorus.errors import AudioError, DependencyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.engine.pipeline.events import OpenedRecording
    from dawnchorus.engine.pipeline.pieces import Piece
    from dawnchorus.engine.recordings.jobs import RecordingJob

    Span = tuple[int, int]

PUT_WAIT_S: Final = 0.1  # how late the thread notices that it is to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSettings:
    """How recordings become windows.

    Attributes:
        sample_rate: the model's, in Hz.
        window, hop: in samples at that rate.
        channel: ``mean`` of all, or an index from 0.
        content_hash: whether the bytes of each recording are hashed.
        why_skip: from a job and its content's hash to the reason why it need not be read; called
            by several threads.
        n_readers: threads that read, a recording or a piece of a long one each.
    """

    sample_rate: int
    window: int
    hop: int
    channel: Literal["mean"] | int = "mean"
    content_hash: bool = True
    why_skip: Callable[[RecordingJob, str], str | None] | None = None
    n_readers: int = 1


@dataclass(slots=True)
class StageClock:
    """Seconds that reading threads spent in each stage; each thread has its own."""

    seconds: dict[str, float] = field(default_factory=lambda: {"read": 0.0, "resample": 0.0})

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """The time of the block is added to ``stage``."""
        before = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - before

    def add(self, other: StageClock) -> None:
        """Add another thread's seconds."""
        for stage, seconds in other.seconds.items():
            self.seconds[stage] += seconds

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
    """Read jobs into ``queue``, in their order; None is the last item, whatever happens.

    Other threads read, `ReadSettings.n_readers` of them; this one cuts their sound into windows.
    """
    try:
        with fetching_ahead(jobs, stop) as ready:
            careful, planned = _one_at_a_time(settings, ready)
            reader = _Reader(careful, stop, clock)
            lanes = (Lane(job, reader.recording) for job in planned)
            ahead = reader.ahead = ReadAhead(lanes, stop, _limits(settings), _n_samples)
            with _reading(ahead, settings.n_readers):
                while (lane := ahead.first()) is not None:
                    for item in joined(lane.job, ahead.items_of(lane), settings):
                        _put(queue, item, stop)
                    ahead.leave(lane)
                    discard(lane.job)
    except ReadingStopped:
        return
    finally:
        if not stop.is_set():
            _put(queue, None, stop)


def _one_at_a_time(
    settings: ReadSettings, jobs: Iterator[RecordingJob]
) -> tuple[ReadSettings, Iterator[RecordingJob]]:
    """Both ask a store what it has, which bears one thread of ours at a time."""
    lock, why_skip = threading.Lock(), settings.why_skip

    def planned() -> Iterator[RecordingJob]:
        while True:
            with lock:
                job = next(jobs, None)
            if job is None:
                return
            yield job

    def why(job: RecordingJob, content_hash: str) -> str | None:
        with lock:
            return None if why_skip is None else why_skip(job, content_hash)

    return replace(settings, why_skip=why), planned()


def _limits(settings: ReadSettings) -> Limits:
    return Limits(
        n_readers=settings.n_readers,
        # a piece a thread
        most_ahead=settings.n_readers * round(PIECE_S * settings.sample_rate),
        most_in_first=BLOCK_SAMPLES,
    )


def _n_samples(message: Message) -> int:
    return len(message.samples) if isinstance(message, Sound) else 0


@contextmanager
def _reading(ahead: ReadAhead[Message], n_readers: int) -> Iterator[None]:
    """So many threads read while this one takes what comes, and end with it."""
    with ThreadPoolExecutor(n_readers, thread_name_prefix="dawnchorus-read") as pool:
        for _ in range(n_readers):
            pool.submit(ahead.read)
        try:
            yield
        finally:
            ahead.close()


@dataclass(slots=True)
class _Reader:
    """What reading threads do with a lane; their seconds are added to ``clock``."""

    settings: ReadSettings
    stop: threading.Event
    clock: StageClock
    ahead: ReadAhead[Message] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def recording(self, lane: Lane[Message]) -> Generator[Message]:
        """Read a recording, or its first piece; the others get lanes of their own."""
        with self._own_clock() as clock:
            for message in messages_of(lane.job, self.settings, self.stop, clock):
                if isinstance(message, Opened) and self.ahead is not None:
                    later = [
                        Lane(lane.job, partial(self.piece, message.file, piece))
                        for piece in message.pieces[1:]
                    ]
                    self.ahead.add_behind(lane, later)
                yield message

    def piece(self, file: Path, piece: Piece, lane: Lane[Message]) -> Generator[Message]:
        """Read a later piece."""
        with self._own_clock() as clock:
            yield from messages_of_piece(lane.job, file, piece, self.settings, clock)

    @contextmanager
    def _own_clock(self) -> Iterator[StageClock]:
        # a clock of several threads would lose seconds
        clock = StageClock()
        try:
            yield clock
        finally:
            with self._lock:
                self.clock.add(clock)


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
    """All items of one recording, read by this thread; as `joined` gives them."""
    alone = replace(settings, n_readers=1)
    return joined(job, messages_of(job, alone, stop, clock), alone)


def joined(
    job: RecordingJob, messages: Iterator[Message], settings: ReadSettings
) -> Iterator[ReadItem]:
    """One recording's sound as windows, then its end; whatever is wrong is a `FailedRecording`."""
    message = next(messages)
    if not isinstance(message, Opened):
        if isinstance(message, (SkippedRecording, FailedRecording)):
            yield message
        return
    try:
        yield from guarded(_Windows(message.recording, messages, settings).items(), job.path)
    except (AudioError, DependencyError, UsageError) as error:
        yield failed(job, message.file, error)


@dataclass(slots=True)
class _Windows:
    """Cuts a recording's sound, and knows what was met in it so far."""

    recording: OpenedRecording
    messages: Iterator[Message]
    settings: ReadSettings
    end: SoundEnd | None = None
    failure: FailedRecording | None = None
    gaps: list[Span] = field(default_factory=list)
    nonfinite: list[Span] = field(default_factory=list)
    silenced: list[Span] = field(default_factory=list)

    def items(self) -> Iterator[ReadItem]:
        """Windows from the first that is wanted on, and the end.

        Raises:
            AudioError: It has no sound, or changed meanwhile.
        """
        job, index = self.recording.job, -1
        for window in cut_blocks(self._sound(), self.settings.window, self.settings.hop):
            if self.failure is not None or window.index == job.stop_window:
                break
            index = window.index
            # earlier windows are cut all the same: the resampler's state at this one depends on all
            # samples before it
            if index >= job.first_window:
                flags = window_flags(
                    window,
                    self.settings.sample_rate,
                    own_rate=self.recording.rate,
                    gaps=self.gaps,
                    nonfinite=self.nonfinite,
                    silenced=self.silenced,
                )
                yield CutWindow(self.recording, window, flags)
        if self.failure is not None:
            yield self.failure
            return
        if index < 0:
            raise AudioError(f"{job.path}: a header and no sound", reason="empty")
        # a recorder or a copy may still be writing the file
        _check_unchanged(job)
        yield self._finished(index + 1)

    def _sound(self) -> Iterator[NDArray[Any]]:
        for message in self.messages:
            if isinstance(message, FailedRecording):
                self.failure = message
                return
            if isinstance(message, SoundEnd):
                self.end = message.behind(self.end)
                if message.is_whole:
                    return
            elif isinstance(message, Sound):
                self._note(message)
                yield message.samples

    def _note(self, sound: Sound) -> None:
        self.gaps += sound.gaps
        self.nonfinite += sound.nonfinite
        for span in sound.silenced:
            # one that grew, or goes on in the next piece
            if self.silenced and span[0] <= self.silenced[-1][1]:
                first, last = self.silenced.pop()
                self.silenced.append((min(first, span[0]), max(last, span[1])))
            else:
                self.silenced.append(span)

    def _finished(self, n_windows: int) -> FinishedRecording:
        end = self.end
        # a run that wants no later windows stops before the end
        return FinishedRecording(
            self.recording,
            0 if end is None else end.n_samples,
            0 if end is None else end.levels.n_nonfinite,
            n_windows,
            None if end is None else end.verdict,
            () if end is None else end.gaps,
        )


def _check_unchanged(job: RecordingJob) -> None:
    now = with_file_facts(job)
    if (now.size, now.modified_ns) != (job.size, job.modified_ns):
        raise AudioError(
            f"{job.path}: changed while it was read ({job.size} bytes, then {now.size}); run "
            "again when it is complete",
            reason="changed",
        )
