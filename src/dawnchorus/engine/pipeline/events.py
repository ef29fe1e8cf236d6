"""What flows through a run: windows of a recording, and how each recording ended.

The reading thread gives a `ReadItem` at a time, `stream` turns them into `RunEvent`s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from dawnchorus.audio.clock import StartTime
    from dawnchorus.audio.metadata import RecorderMetadata
    from dawnchorus.audio.windows import Window
    from dawnchorus.engine.recordings.jobs import RecordingJob


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRecording:
    """A recording whose header was read.

    Attributes:
        job: what was to be read.
        rate: in Hz, of the recording itself.
        channels: of the recording; only one, or their mean, is read.
        content_hash: of its bytes; None: it was not asked for.
        n_expected: windows, if its header is right; None if the header does not say.
        started: when reading began, UTC.
        around: what the recorder says of its surroundings.
        began: when it was recorded; None if nothing says it.
    """

    job: RecordingJob
    rate: int
    channels: int
    content_hash: str | None
    n_expected: int | None
    started: datetime
    around: RecorderMetadata
    began: StartTime | None = None


@dataclass(frozen=True, slots=True)
class CutWindow:
    """The next window of a recording; ``flags`` are the bits of `window_flags`."""

    recording: OpenedRecording
    window: Window
    flags: int = 0

    @property
    def job(self) -> RecordingJob:
        """Whose window it is."""
        return self.recording.job


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedWindows:
    """Consecutive windows of one recording with their results.

    Attributes:
        recording: that they are of.
        window, start_sample, valid_samples: ``(n,)`` int64; samples at the model's rate.
        flags: ``(n,)`` int64, bits of `window_flags`.
        values: ``(n, ...)`` float32, as the encode function gave them.
    """

    recording: OpenedRecording
    window: NDArray[np.int64]
    start_sample: NDArray[np.int64]
    valid_samples: NDArray[np.int64]
    flags: NDArray[np.int64]
    values: NDArray[np.float32]

    @property
    def job(self) -> RecordingJob:
        """Whose windows they are."""
        return self.recording.job


@dataclass(frozen=True, slots=True)
class FinishedRecording:
    """A recording was read to its end.

    Attributes:
        recording: that was read.
        n_samples: at its own rate, in one channel.
        n_nonfinite: of them, those that were not numbers and were read as silence.
        n_windows: cut from it.
        damage: what is wrong with it all the same; its first word, up to a colon, is the verdict.
        gaps: ``(start, stop)`` spans of its samples that could not be decoded.
    """

    recording: OpenedRecording
    n_samples: int
    n_nonfinite: int
    n_windows: int
    damage: str | None = None
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def job(self) -> RecordingJob:
        """Which recording it is."""
        return self.recording.job

    @property
    def verdict(self) -> str | None:
        """The damage in one word."""
        return None if self.damage is None else self.damage.partition(":")[0]


@dataclass(frozen=True, slots=True)
class FailedRecording:
    """A recording cannot be read, or not to its end."""

    job: RecordingJob
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class SkippedRecording:
    """A recording whose results are there already, or that another run is doing."""

    job: RecordingJob
    why: str = ""

    @property
    def is_corrected(self) -> bool:
        """Whether its row is to be brought up to date."""
        return not self.why and self.job.corrected is not None


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing came for a while."""


ReadItem = CutWindow | FinishedRecording | FailedRecording | SkippedRecording
RunEvent = EncodedWindows | FinishedRecording | FailedRecording | SkippedRecording | Idle
