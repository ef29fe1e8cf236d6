"""What a reading thread makes of a recording: its sound at the model's rate, and what it met.

It knows no windows: a window may begin in one piece and end in the next. Whoever joins the pieces
cuts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.audio.decode.read import open_recording
from dawnchorus.audio.decode.recording import BLOCK_SAMPLES
from dawnchorus.audio.levels import LevelCheck
from dawnchorus.audio.resample import resample_blocks
from dawnchorus.engine.pipeline.pieces import WHOLE
from dawnchorus.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from dawnchorus.audio.decode.recording import Recording
    from dawnchorus.engine.pipeline.pieces import Piece
    from dawnchorus.engine.pipeline.read import ReadSettings, StageClock

    Span = tuple[int, int]  # from a sample to the one behind the last, at the recording's rate


@dataclass(frozen=True, slots=True)
class Sound:
    """The next samples ``(n,)`` at the model's rate, and spans that were met on the way to them."""

    samples: NDArray[Any]
    gaps: tuple[Span, ...] = ()
    nonfinite: tuple[Span, ...] = ()
    silenced: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundEnd:
    """The end of a piece, or of the recording.

    Attributes:
        n_samples: of the recording, counted in this piece.
        n_read: of them, those that were decoded.
        levels: what they say against it.
        damage: what is wrong with it.
        gaps: spans that could not be decoded.
        is_whole: all this is of the whole recording; nothing comes behind it.
    """

    n_samples: int
    n_read: int
    levels: LevelCheck
    damage: str | None = None
    gaps: tuple[Span, ...] = ()
    is_whole: bool = True

    def behind(self, before: SoundEnd | None) -> SoundEnd:
        """This end with what the pieces before it counted."""
        if before is None or self.is_whole:
            return self
        return SoundEnd(
            n_samples=before.n_samples + self.n_samples,
            n_read=before.n_read + self.n_read,
            levels=before.levels.joined(self.levels),
            damage=self.damage,
            gaps=self.gaps,
            is_whole=False,
        )

    @property
    def verdict(self) -> str | None:
        """The damage, or what the samples say."""
        return self.damage or self.levels.verdict(self.n_read)


NOTHING: Final = np.zeros(0, np.float32)


class _NotAsExpectedError(Exception):
    """A piece is not what it is in a recording without faults, read in one go."""


def read_piece(
    file: Path, piece: Piece, settings: ReadSettings, clock: StageClock
) -> Iterator[Sound | SoundEnd]:
    """The sound of a piece, as when the recording is read in one go.

    Where anything is wrong with it, the recording is read in one go after all, and what lies before
    the piece is dropped: then the end is that of the recording, and later pieces are not wanted.

    Raises:
        AudioError: The recording cannot be read to its end.
    """
    n_given = piece.first_out
    if not piece.is_whole:
        try:
            for sound in _of_clean_piece(file, piece, settings, clock):
                if isinstance(sound, Sound):
                    n_given += len(sound.samples)
                yield sound
        except (_NotAsExpectedError, AudioError):
            pass
        else:
            return
    with open_recording(file, channel=settings.channel) as recording:
        yield from sound_of(recording, settings, clock, n_dropped=n_given)


def sound_of(
    recording: Recording, settings: ReadSettings, clock: StageClock, *, n_dropped: int = 0
) -> Iterator[Sound | SoundEnd]:
    """The sound of a whole recording, without its first samples at the model's rate."""
    met = _Met(recording)
    for samples in _at_model_rate(met.over(clock, WHOLE), recording, settings, clock):
        kept = samples[n_dropped:]
        n_dropped = max(0, n_dropped - len(samples))
        if len(kept):
            yield Sound(kept, *met.news())
    yield Sound(NOTHING, *met.news())
    yield met.end(is_whole=True)


def _of_clean_piece(
    file: Path, piece: Piece, settings: ReadSettings, clock: StageClock
) -> Iterator[Sound | SoundEnd]:
    """Raises: _NotAsExpectedError: Something is wrong with it; what came before is good."""
    n_dropped, wanted = piece.n_dropped, None
    if piece.stop_out is not None:
        wanted = piece.stop_out - piece.first_out
    with open_recording(file, channel=settings.channel) as recording:
        met = _Met(recording)
        blocks = met.over(clock, piece)
        for samples in _at_model_rate(blocks, recording, settings, clock):
            kept = samples[n_dropped:][:wanted]
            n_dropped = max(0, n_dropped - len(samples))
            if wanted is not None:
                wanted -= len(kept)
            if len(kept):
                yield Sound(kept, *met.news())
        if wanted or recording.damage is not None:
            raise _NotAsExpectedError
        yield Sound(NOTHING, *met.news())
        yield met.end(is_whole=False)


def _at_model_rate(
    blocks: Iterable[NDArray[Any]],
    recording: Recording,
    settings: ReadSettings,
    clock: StageClock,
) -> Iterator[NDArray[Any]]:
    """Blocks at the new rate, with the time of reading taken out of the time of resampling."""
    # the resampler pulls the blocks it needs, so its own time contains that of reading them
    read_before = clock.seconds["read"]
    resampled = resample_blocks(blocks, recording.info.sample_rate, settings.sample_rate)
    for block in clock.timed("resample", resampled):
        clock.seconds["resample"] -= clock.seconds["read"] - read_before
        read_before = clock.seconds["read"]
        yield block
    clock.seconds["resample"] -= clock.seconds["read"] - read_before


@dataclass(slots=True)
class _Met:
    """What a recording's blocks show while they pass."""

    recording: Recording
    n_samples: int = 0
    _n_read_before: int = 0
    _n_gaps: int = 0  # that were told, as of the following
    _n_nonfinite: int = 0
    _silenced: Span | None = None

    def over(self, clock: StageClock, piece: Piece) -> Iterator[NDArray[Any]]:
        """The blocks of a piece from where its resampler begins; those before it do not count.

        Raises:
            _NotAsExpectedError: A piece of a recording is not made of whole blocks.
        """
        position, n_skipped = piece.begins, piece.n_skipped
        for block in clock.timed("read", self.recording.blocks(start_sample=piece.begins)):
            if not piece.is_whole:
                self._check(block, position)
            if position < piece.first:
                self._forget()
            else:
                self.n_samples += len(block)
            position += len(block)
            used = block[n_skipped:]
            n_skipped = max(0, n_skipped - len(block))
            if len(used):
                yield used
            if position == piece.stop:
                return

    def _check(self, block: NDArray[Any], position: int) -> None:
        n_there = self.recording.info.n_samples or 0
        if self.recording.damage or len(block) != min(BLOCK_SAMPLES, n_there - position):
            raise _NotAsExpectedError

    def _forget(self) -> None:
        """What the blocks so far showed is the matter of the piece before."""
        self.recording.levels = LevelCheck()
        self._n_read_before = self.recording.n_read

    def news(self) -> tuple[tuple[Span, ...], tuple[Span, ...], tuple[Span, ...]]:
        """Gaps, spans of odd numbers and silenced spans, as far as they were not told before."""
        levels = self.recording.levels
        gaps = tuple(self.recording.gaps[self._n_gaps :])
        nonfinite = tuple(levels.nonfinite[self._n_nonfinite :])
        self._n_gaps += len(gaps)
        self._n_nonfinite += len(nonfinite)
        # the last span may have grown, and is then told again
        silenced = tuple(levels.silenced[-1:])
        if silenced == (self._silenced,):
            silenced = ()
        self._silenced = levels.silenced[-1] if levels.silenced else None
        return gaps, nonfinite, silenced

    def end(self, *, is_whole: bool) -> SoundEnd:
        """What is to be said at the end."""
        recording = self.recording
        return SoundEnd(
            n_samples=self.n_samples,
            n_read=recording.n_read - self._n_read_before,
            levels=recording.levels,
            damage=recording.damage,
            gaps=tuple(recording.gaps),
            is_whole=is_whole,
        )
