"""One recording, from its job to its sound: fetched, hashed, opened, and read piece by piece.

Whatever is wrong with it becomes a `FailedRecording`. Called by the reading threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dawnchorus.audio.clock import StartTime
from dawnchorus.audio.decode.read import open_recording
from dawnchorus.audio.decode.unexpected import guarded, recording_errors
from dawnchorus.audio.metadata import RecorderMetadata, read_metadata
from dawnchorus.audio.resample import resampled_length
from dawnchorus.audio.windows import n_windows
from dawnchorus.engine.pipeline.events import FailedRecording, OpenedRecording, SkippedRecording
from dawnchorus.engine.pipeline.pieces import WHOLE, Piece, pieces_of
from dawnchorus.engine.pipeline.sound import Sound, SoundEnd, read_piece, sound_of
from dawnchorus.engine.recordings.jobs import content_hash_of
from dawnchorus.engine.recordings.listing import START_TIME
from dawnchorus.errors import AudioError, DependencyError, UsageError
from dawnchorus.filename_text import printable

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from dawnchorus.engine.pipeline.read import ReadSettings, StageClock
    from dawnchorus.engine.recordings.jobs import RecordingJob


@dataclass(frozen=True, slots=True)
class Opened:
    """A recording's header was read; its sound comes in ``pieces``, from ``file``."""

    recording: OpenedRecording
    file: Path
    pieces: Sequence[Piece]


Message = SkippedRecording | FailedRecording | Opened | Sound | SoundEnd


def messages_of(
    job: RecordingJob,
    settings: ReadSettings,
    stop: threading.Event,
    clock: StageClock,
) -> Generator[Message]:
    """What comes of a recording; with several readers, of a long one only its first piece."""
    if job.skip is not None:
        yield SkippedRecording(job, job.skip)
        return
    file = job.path
    try:
        with recording_errors(job.path), clock.timing("read"):
            file = job.path if job.fetched is None else job.fetched.result()
        yield from guarded(_opened(job, file, settings, stop, clock), job.path)
    except (AudioError, DependencyError, UsageError) as error:
        yield failed(job, file, error)


def messages_of_piece(
    job: RecordingJob, file: Path, piece: Piece, settings: ReadSettings, clock: StageClock
) -> Generator[Message]:
    """What comes of a later piece of a recording that was opened before."""
    try:
        yield from guarded(read_piece(file, piece, settings, clock), job.path)
    except (AudioError, DependencyError, UsageError) as error:
        yield failed(job, file, error)


def failed(
    job: RecordingJob, file: Path, error: AudioError | DependencyError | UsageError
) -> FailedRecording:
    """A recording that cannot be read, or not to its end."""
    if isinstance(error, AudioError):
        # a message about the fetched copy is about what lies behind the URL
        message = str(error).replace(printable(str(file)), printable(str(job.path)))
        return FailedRecording(job, error.reason, message)
    return FailedRecording(
        job, "dependency" if isinstance(error, DependencyError) else "channel", str(error)
    )


def _opened(
    job: RecordingJob,
    file: Path,
    settings: ReadSettings,
    stop: threading.Event,
    clock: StageClock,
) -> Iterator[Message]:
    """Raises: AudioError: The recording cannot be read to its end."""
    started = datetime.now(UTC)
    content_hash, skipped = _content(job, file, settings, stop, clock)
    if skipped is not None:
        yield skipped
        return
    with open_recording(file, channel=settings.channel) as recording:
        info = recording.info
        pieces = [WHOLE]
        if settings.n_readers > 1 and recording.damage is None:
            pieces = pieces_of(info, settings.sample_rate)
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
        yield Opened(opened, file, pieces)
        if len(pieces) == 1:
            yield from sound_of(recording, settings, clock)
    if len(pieces) > 1:
        yield from read_piece(file, pieces[0], settings, clock)


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


def _expected(n_samples: int | None, rate: int, settings: ReadSettings) -> int | None:
    if n_samples is None:
        return None
    length = resampled_length(n_samples, rate, settings.sample_rate)
    return n_windows(length, settings.window, settings.hop)
