"""The reading thread: recordings to windows at the model's rate, into a bounded queue."""

from __future__ import annotations

import hashlib
import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from queue import Full, Queue
from typing import TYPE_CHECKING, Any, Final, Literal

from dawnchorus.audio.clock import Began, Surroundings, surroundings, when_began
from dawnchorus.audio.decode.io import open_recording
from dawnchorus.audio.decode.unexpected import unforeseen
from dawnchorus.audio.resample import resample_blocks, resampled_length
from dawnchorus.audio.windows import Window, cut_blocks, n_windows
from dawnchorus.engine.fetch import fetch_ahead
from dawnchorus.engine.flags import window_flags
from dawnchorus.engine.listing import START_TIME
from dawnchorus.errors import AudioError, DependencyError, UsageError
from dawnchorus.filename_text import printable
from dawnchorus.paths import is_remote, remote_errors

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.store.schema import RecordingRow

PUT_WAIT_S: Final = 0.1  # how late the thread notices that it is to stop
HASH_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One recording to be read.

    Attributes:
        path: where the file is.
        name: its lasting name, a path relative to the store's audio root.
        size, modified_ns: of the file when the run was planned; None when it was not there any
            more.
        first_window: windows before it are in the store already, or somebody else's work.
        stop_window: windows from it on are somebody else's work; None: to the end.
        known_hash: a file with this content needs no reading.
        carried: what the user's list says of it.
        time_zone: of its place, by name or offset; None: only the recording itself says it.
        corrected: its row with what a list says of it now, where a done recording's differs.
        skip: do not read it, and why, in a few words; empty: its results are there already.
        fetched: a copy on this machine of what lies behind a URL, when it has come.
    """

    recording_id: str
    path: Path
    name: str
    size: int | None
    modified_ns: int | None
    first_window: int = 0
    stop_window: int | None = None
    known_hash: str | None = None
    carried: tuple[tuple[str, str], ...] = ()
    time_zone: str | None = None
    corrected: RecordingRow | None = None
    skip: str | None = None
    fetched: Future[Path] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An opened recording; ``n_expected`` windows if its header is right, None if it is silent.

    ``began`` is when it was recorded, None if nothing says it, ``around`` what the recorder says of
    its surroundings.
    """

    job: Job
    rate: int
    channels: int
    content_hash: str | None
    n_expected: int | None
    started: datetime
    around: Surroundings
    began: Began | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """The next window of a recording; ``flags`` are the bits of `window_flags`."""

    source: Source
    window: Window
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """A recording was read to its end; ``n_samples`` at its own rate, in one channel.

    ``damage`` says what is wrong with it all the same, its first word is the verdict; ``gaps`` are
    spans of its samples that could not be decoded.
    """

    source: Source
    n_samples: int
    n_nonfinite: int
    n_windows: int
    damage: str | None = None
    gaps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Broken:
    """A recording cannot be read, or not to its end."""

    job: Job
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A recording whose results are there already, or that another run is doing."""

    job: Job
    why: str = ""

    @property
    def is_corrected(self) -> bool:
        """Whether its row is to be brought up to date."""
        return not self.why and self.job.corrected is not None


Item = Cut | Ended | Broken | Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSettings:
    """How recordings become windows; lengths in samples at ``sample_rate``, the model's."""

    sample_rate: int
    window: int
    hop: int
    channel: Literal["mean"] | int = "mean"
    content_hash: bool = True
    why_skip: Callable[[Job, str], str | None] | None = None  # by a recording's content


@dataclass(slots=True)
class ReadClock:
    """Seconds that the reading thread spent in each stage."""

    seconds: dict[str, float] = field(default_factory=lambda: {"read": 0.0, "resample": 0.0})

    def timed(self, stage: str, items: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """The same items; the time that making them takes is put down to ``stage``."""
        iterator = iter(items)
        while True:
            before = time.perf_counter()
            item = next(iterator, None)
            self.seconds[stage] += time.perf_counter() - before
            if item is None:
                return
            yield item


class Stopped(BaseException):  # not an error: the way out of nested generators
    """The run ended while the reading thread was at work."""


def read_all(
    jobs: Iterable[Job],
    settings: ReadSettings,
    queue: Queue[Item | None],
    stop: threading.Event,
    clock: ReadClock,
) -> None:
    """Read jobs one after the other into ``queue``; None is the last item, whatever happens."""
    try:
        with closing(fetch_ahead(jobs, stop)) as ready:
            for job in ready:
                for item in read_job(job, settings, stop, clock):
                    _put(queue, item, stop)
    except Stopped:
        return
    finally:
        if not stop.is_set():
            _put(queue, None, stop)


def _put(queue: Queue[Item | None], item: Item | None, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            queue.put(item, timeout=PUT_WAIT_S)
        except Full:
            continue
        return
    raise Stopped


def read_job(
    job: Job, settings: ReadSettings, stop: threading.Event, clock: ReadClock
) -> Iterator[Item]:
    """All items of one recording; whatever is wrong with the file becomes a `Broken`."""
    if job.skip is not None:
        yield Skipped(job, job.skip)
        return
    file = job.path
    try:
        with unforeseen(job.path):
            before = time.perf_counter()
            file = job.path if job.fetched is None else job.fetched.result()
            clock.seconds["read"] += time.perf_counter() - before
        items = _read_windows(job, file, settings, stop, clock)
        while (item := _next_item(items, job)) is not None:
            yield item
    except AudioError as error:
        message = str(error).replace(printable(str(file)), printable(str(job.path)))
        yield Broken(job, error.reason, message)
    except DependencyError as error:
        yield Broken(job, "dependency", str(error))
    except UsageError as error:
        yield Broken(job, "channel", str(error))


def _next_item(items: Iterator[Item], job: Job) -> Item | None:
    """The next item; only what making it raises is the recording's, not what is done with it.

    Raises:
        DawnChorusError: What is wrong with the recording.
    """
    with unforeseen(job.path):
        return next(items, None)


def _read_windows(
    job: Job, file: Path, settings: ReadSettings, stop: threading.Event, clock: ReadClock
) -> Iterator[Item]:
    started = datetime.now(UTC)
    content_hash = None
    if settings.content_hash and file.is_file():
        before = time.perf_counter()
        content_hash = content_hash_of(file, stop)
        clock.seconds["read"] += time.perf_counter() - before
        if content_hash == job.known_hash:
            yield Skipped(job)
            return
        why = settings.why_skip(job, content_hash) if settings.why_skip else None
        if why:
            yield Skipped(job, why)
            return
    with open_recording(file, channel=settings.channel) as recording:
        info = recording.info
        counted = Count()
        blocks = counted.over(clock.timed("read", recording.blocks()))
        at_model_rate = _resampled(blocks, info.sample_rate, settings.sample_rate, clock)
        source = Source(
            job=job,
            rate=info.sample_rate,
            channels=info.n_channels,
            content_hash=content_hash,
            n_expected=_expected(info.n_samples, info.sample_rate, settings),
            started=started,
            began=_began(job, file),
            around=surroundings(file),
        )
        index = -1
        for window in cut_blocks(at_model_rate, settings.window, settings.hop):
            if window.index == job.stop_window:
                break
            index = window.index
            if index >= job.first_window:
                flags = window_flags(
                    window,
                    settings.sample_rate,
                    own_rate=info.sample_rate,
                    gaps=recording.gaps,
                    nonfinite=recording.levels.nonfinite,
                    silenced=recording.levels.silenced,
                )
                yield Cut(source, window, flags)
        if index < 0:
            raise AudioError(f"{job.path}: a header and no sound", reason="empty")
    _check_unchanged(job)
    yield Ended(
        source,
        counted.n_samples,
        recording.levels.n_nonfinite,
        index + 1,
        recording.verdict,
        tuple(recording.gaps),
    )


def _began(job: Job, file: Path) -> Began | None:
    listed = dict(job.carried).get(START_TIME)
    return Began(listed, "list") if listed else when_began(file)


def _resampled(
    blocks: Iterable[NDArray[Any]], from_hz: int, to_hz: int, clock: ReadClock
) -> Iterator[NDArray[Any]]:
    """Blocks at the new rate, with the time of reading taken out of the time of resampling."""
    read_before = clock.seconds["read"]
    for block in clock.timed("resample", resample_blocks(blocks, from_hz, to_hz)):
        clock.seconds["resample"] -= clock.seconds["read"] - read_before
        read_before = clock.seconds["read"]
        yield block
    clock.seconds["resample"] -= clock.seconds["read"] - read_before


@dataclass(slots=True)
class Count:
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


def content_hash_of(path: Path, stop: threading.Event | None = None) -> str:
    """What a store knows a file's bytes by.

    Raises:
        OSError: The file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK):
            if stop is not None and stop.is_set():
                raise Stopped
            digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def stat_job(job: Job) -> Job:
    """The job with the file's size and date of this moment; None for a file that is not there."""
    try:
        with remote_errors(job.path):
            status = job.path.stat()
    except (OSError, ValueError):
        return replace(job, size=None, modified_ns=None)
    if is_remote(job.path):
        dated = round(status.st_mtime * 1e9) or None
        return replace(job, size=status.st_size, modified_ns=dated)
    return replace(job, size=status.st_size, modified_ns=status.st_mtime_ns)


def _check_unchanged(job: Job) -> None:
    now = stat_job(job)
    if (now.size, now.modified_ns) != (job.size, job.modified_ns):
        raise AudioError(
            f"{job.path}: changed while it was read ({job.size} bytes, then {now.size}); run "
            "again when "
            f"it is complete",
            reason="changed",
        )
