"""An open recording: what its header says, its mono blocks, and what was wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from dawnchorus.audio.decode.unexpected import guarded
from dawnchorus.audio.levels import LevelCheck
from dawnchorus.errors import AudioError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Chunk: TypeAlias = "NDArray[np.float32] | LostSamples | DamageNote"
    ChunkReader: TypeAlias = "Callable[[int, int], Iterator[Chunk]]"

Channel = Literal["mean"] | int

BLOCK_SAMPLES: Final = 1 << 17  # per channel; 0.5 MB of float32
FEW_NOTES: Final = 3  # damages that are described in words; the others are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingInfo:
    """What the header of a file says.

    Attributes:
        path: the file.
        sample_rate: Hz.
        n_channels: 1 for mono.
        n_samples: per channel as the header claims, None when it does not say. The headers of MP3,
            AAC and WMA only estimate it, so count what was read.
        container: such as ``WAV``.
        encoding: such as ``PCM_16``.
    """

    path: Path
    sample_rate: int
    n_channels: int
    n_samples: int | None
    container: str
    encoding: str


@dataclass(frozen=True, slots=True)
class LostSamples:
    """A stretch that cannot be decoded; ``n_samples`` is 0 if nothing comes behind it."""

    n_samples: int
    cause: str


@dataclass(frozen=True, slots=True)
class DamageNote:
    """Damage that shows only when all has been read, though sound came all the time."""

    text: str


class OpenedFile(NamedTuple):
    """What a decoder gives.

    Attributes:
        info: what the header says.
        chunks: from the longest chunk and the first sample wanted to arrays ``(n, channels)``, and
            what was lost between them.
        damage: what is known to be wrong before the first sample is read, None if nothing is.
    """

    info: RecordingInfo
    chunks: ChunkReader
    damage: str | None = None


@dataclass
class Recording:
    """An open file, to be read once.

    Attributes:
        info: what its header says.
        header_damage: the part of `damage` that is known before the sound is read. The rest of it,
            like all of the following, is complete after the last block.
        gaps: spans ``(start, stop)`` of samples that could not be decoded and became 0.
        levels: absurd samples, which became 0, and absurd levels, in the requested channels.
        has_damaged_sound: decoding met damage.
    """

    info: RecordingInfo
    _chunks: ChunkReader
    _channel: Channel
    header_damage: str | None = None
    gaps: list[tuple[int, int]] = field(default_factory=list, init=False)
    levels: LevelCheck = field(default_factory=LevelCheck, init=False)
    has_damaged_sound: bool = field(default=False, init=False)
    _notes: list[str] = field(default_factory=list, init=False)
    _n_read: int = field(default=0, init=False)
    _is_started: bool = field(default=False, init=False)

    @property
    def damage(self) -> str | None:
        """What is wrong with a file whose sound is read all the same.

        Such as ``truncated: ...``; the first word is one of the package's reasons.
        """
        notes = [self.header_damage] if self.header_damage else []
        notes += self._notes[:FEW_NOTES]
        n_more = len(self._notes) - FEW_NOTES
        if n_more > 0:
            lost_s = sum(stop - start for start, stop in self.gaps) / self.info.sample_rate
            notes.append(f"{n_more} more like these; in all {lost_s:.2f} s are lost")
        return "; ".join(notes) or None

    @property
    def verdict(self) -> str | None:
        """`damage`, or what is wrong with its samples, see `dawnchorus.audio.levels`."""
        return self.damage or self.levels.verdict(self._n_read)

    @property
    def n_read(self) -> int:
        """Samples that were decoded so far; those that were lost do not count."""
        return self._n_read

    def blocks(
        self, block_samples: int = BLOCK_SAMPLES, *, start_sample: int = 0
    ) -> Iterator[NDArray[np.float32]]:
        """Mono blocks ``(n,)`` in order, nominally within [-1, 1]; memory holds one block.

        Args:
            block_samples: longest block.
            start_sample: where to start, in the recording's own samples.

        Raises:
            AudioError: Nothing can be decoded, or the disk fails; what came before is good.
            UsageError: The recording was read before.
        """
        if self._is_started:
            raise UsageError(f"{self.info.path}: was read already; open it again to read it again")
        self._is_started = True
        position = start_sample
        for chunk in guarded(self._chunks(block_samples, start_sample), self.info.path):
            if isinstance(chunk, DamageNote):
                self._notes.append(chunk.text)
            elif isinstance(chunk, LostSamples):
                self._note_loss(chunk, position)
                yield from _silence(chunk.n_samples, block_samples)
                position += chunk.n_samples
            else:
                yield self._mono(chunk, position)
                position += len(chunk)

    def _mono(self, chunk: NDArray[np.float32], position: int) -> NDArray[np.float32]:
        """The channel or mean of a chunk ``(n, channels)`` that starts at a sample, ``(n,)``."""
        self._n_read += len(chunk)
        used = chunk if self._channel == "mean" else chunk[:, [self._channel]]
        used = self.levels.check(used, position)
        if used.shape[1] == 1:
            return np.ascontiguousarray(used[:, 0])
        mono = mean_of_channels(used)
        self.levels.check_mean(used, mono, position)
        return mono

    def _note_loss(self, lost: LostSamples, position: int) -> None:
        self.has_damaged_sound = True
        at_s, lost_s = (n / self.info.sample_rate for n in (position, lost.n_samples))
        if lost.n_samples:
            self.gaps.append((position, position + lost.n_samples))
            text = f"damaged: at {at_s:.2f} s {lost_s:.2f} s are lost"
        else:
            text = f"damaged: decoding stopped after {at_s:.2f} s"
        self._notes.append(f"{text} ({lost.cause})")


def mean_of_channels(chunk: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of the channels of ``(n, channels)``, ``(n,)``, rounded once.

    Column by column: NumPy's sum over an axis of two or four is ten times slower.
    """
    n_channels = chunk.shape[1]
    if n_channels == 2:  # half of a rounded sum is the rounded half
        pair: NDArray[np.float32] = chunk[:, 0] + chunk[:, 1]
        pair *= np.float32(0.5)
        return pair
    # in float64: the sum of many channels would lose digits
    total = chunk[:, 0].astype(np.float64)
    for index in range(1, n_channels):
        total += chunk[:, index]
    total /= n_channels
    return total.astype(np.float32)


def _silence(n_samples: int, block_samples: int) -> Iterator[NDArray[np.float32]]:
    for start in range(0, n_samples, block_samples):
        yield np.zeros(min(block_samples, n_samples - start), np.float32)


def check_complete(info: RecordingInfo, n_read: int, n_expected: int | None) -> None:
    """Refuse a recording that ended without sound, or before ``n_expected`` samples.

    Raises:
        AudioError: It did.
    """
    if n_read == 0:
        raise no_sound(info)
    if n_expected is not None and n_read < n_expected:
        raise AudioError(
            f"{info.path}: breaks off at {n_read / info.sample_rate:.2f} s of "
            f"{n_expected / info.sample_rate:.2f} s; was it cut off while it was read?",
            reason="input-output",
        )


def no_sound(info: RecordingInfo) -> AudioError:
    """The error for a recording of no samples."""
    return AudioError(f"{info.path}: a header and no sound", reason="empty")


def not_sound(path: Path, cause: str) -> AudioError:
    """The error for a file that no decoder can open."""
    return AudioError(
        f"{path}: not a sound file that can be read: {cause.rstrip('.')}", reason="unreadable"
    )


def decoding_stopped(info: RecordingInfo, n_read: int, cause: str) -> AudioError:
    """The error for damage behind which nothing can be decoded."""
    at_s = n_read / info.sample_rate
    return AudioError(
        f"{info.path}: decoding stopped after {at_s:.1f} s: {cause}", reason="damaged"
    )
