"""One loop for `embed` and `predict`: events of the stream to output, tally and progress."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dawnchorus.audio.decode.unexpected import recording_errors
from dawnchorus.engine.encoding.workers import one_core_each
from dawnchorus.engine.pipeline.events import EncodedWindows, FailedRecording, Idle
from dawnchorus.engine.pipeline.read import StageClock
from dawnchorus.engine.pipeline.stream import run_windows
from dawnchorus.errors import AudioError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.engine.encoding.batches import BatchEncoder
    from dawnchorus.engine.pipeline.events import RunEvent
    from dawnchorus.engine.pipeline.read import ReadSettings
    from dawnchorus.engine.recordings.jobs import RecordingJob
    from dawnchorus.engine.report import Tally


class WindowEncoder(Protocol):
    """What windows go through: an `Embedder` or a `WindowClassifier`."""

    @property
    def settings(self) -> ReadSettings:
        """How recordings are cut into windows."""
        ...

    @property
    def batch_size(self) -> int:
        """Windows at once."""
        ...

    @property
    def batches(self) -> BatchEncoder:
        """The encoder, which knows how many batches it takes at once."""
        ...

    def encode(self, waveforms: Tensor, lengths: Tensor) -> NDArray[np.float32]:
        """Results ``(batch, n)`` of waveforms ``(batch, samples)``."""
        ...


def run_recordings(
    encoder: WindowEncoder,
    jobs: Iterable[RecordingJob],
    tally: Tally,
    write: Callable[[RunEvent], None],
    *,
    advance: Callable[[int], None],
    stop: threading.Event,
) -> dict[str, float]:
    """Run recordings through an encoder; returns the seconds of the reading thread's stages.

    Args:
        encoder: what their windows go through.
        jobs: what is to be read.
        tally: counts what came of it.
        write: keeps what an event brings.
        advance: takes the bytes of recordings that were dealt with.
        stop: when set, the run ends after the batches that are being encoded.
    """
    clock = StageClock()
    meter = ByteMeter(advance)
    guard = WriteGuard(write)
    with one_core_each(encoder.batches.n_workers):
        for event in run_windows(
            tally.planning(jobs),
            encoder.settings,
            encoder.encode,
            batch_size=encoder.batch_size,
            n_workers=encoder.batches.n_workers,
            clock=clock,
            stop=stop,
        ):
            written = guard.written(event)
            if written is not None:
                tally.count(written)
                meter.count(written)
    return clock.seconds


@dataclass(slots=True)
class WriteGuard:
    """What goes wrong while one recording's results are written is that recording's failure."""

    write: Callable[[RunEvent], None]
    _failed_ids: set[str] = field(default_factory=set)

    def written(self, event: RunEvent) -> RunEvent | None:
        """The event as it came to pass; None: its recording has failed before.

        Raises:
            DawnChorusError: The run cannot continue.
            OSError: The disk refuses.
        """
        if isinstance(event, Idle):
            self.write(event)
            return event
        job = event.job
        if job.recording_id in self._failed_ids:
            return None
        try:
            # a full disk is no fault of this recording: the next one would fail as well
            with recording_errors(job.path, system_errors=False):
                self.write(event)
        except AudioError as error:
            self._failed_ids.add(job.recording_id)
            event = FailedRecording(job, error.reason, str(error))
            self.write(event)
        return event


class ByteMeter:
    """Turns events into bytes of recordings dealt with, for a progress display."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        """``advance`` takes how many bytes more are done."""
        self._advance = advance
        self._n_counted = 0  # of the recording at hand

    def count(self, event: RunEvent) -> None:
        """Pass on what an event means in bytes."""
        if isinstance(event, EncodedWindows):
            self._count_windows(event)
        elif not isinstance(event, Idle):
            # whatever the header promised, a recording that has ended counts as its file's size
            self._advance((event.job.size or 0) - self._n_counted)
            self._n_counted = 0

    def _count_windows(self, event: EncodedWindows) -> None:
        # a header may promise too few windows: the share is capped at what is left of the file
        size, expected = event.job.size, event.recording.n_expected
        if size and expected:
            share = min(size * len(event.window) // expected, size - self._n_counted)
            self._n_counted += share
            self._advance(share)
