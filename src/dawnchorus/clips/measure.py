"""What a file of a manifest really holds: its length and rate, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.audio.decode.flac import read_flac
from dawnchorus.audio.decode.read import open_recording
from dawnchorus.clips.manifest import resolve
from dawnchorus.clips.sounds import member_of, open_member
from dawnchorus.errors import AudioError, DependencyError
from dawnchorus.paths import local_copy

if TYPE_CHECKING:
    from pathlib import Path

OK: Final = "ok"
SILENT, NONFINITE, NO_DECODER = "silent", "nonfinite", "no-decoder"
# headers of these only estimate how long they are
_ESTIMATES: Final = ("MPEG", "AAC", "WMA", "VORBIS", "OPUS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One file.

    Attributes:
        verdict: ``ok``, or what is wrong in a word: a reason of `AudioError`, ``silent``,
            ``nonfinite`` or ``no-decoder``.
        message: the same in a sentence.
        readable: whether there is sound to be had.
        duration_s: of what can be had; 0 if nothing.
        sample_rate: Hz, 0 if not known.
        n_channels: 0 if not known.
    """

    verdict: str
    message: str = ""
    readable: bool
    duration_s: float = 0.0
    sample_rate: int = 0
    n_channels: int = 0


def measure(folder: Path, path: str, *, deep: bool) -> Measurement:
    """Look at a file of a manifest.

    Args:
        folder: where relative paths start.
        path: as in the manifest.
        deep: decode it to its end. Otherwise only its header is read, unless that only
            estimates.
    """
    try:
        member = member_of(path)
        if member is not None:
            return _member(folder, path, member)
        # a file behind a URL is fetched for the time of the look
        with local_copy(resolve(folder, path)) as file:
            return _file(file, deep=deep)
    except AudioError as error:
        return Measurement(verdict=error.reason, message=str(error), readable=False)
    except DependencyError as error:
        return Measurement(verdict=NO_DECODER, message=str(error), readable=False)
    except OSError as error:
        return Measurement(verdict="denied", message=f"{path}: {error}", readable=False)


def rate_of(folder: Path, path: str) -> int | None:
    """The rate of a file of a manifest in Hz; None if it cannot be read."""
    return measure(folder, path, deep=False).sample_rate or None


def _file(file: Path, *, deep: bool) -> Measurement:
    with open_recording(file) as recording:
        info = recording.info
        if not deep and info.n_samples is not None and not info.encoding.startswith(_ESTIMATES):
            # believed as it is: decoding every file only to count its samples takes hours
            n_samples, peak = info.n_samples, 1.0
        else:
            n_samples, peak = 0, 0.0
            for block in recording.blocks():
                n_samples += len(block)
                peak = max(peak, float(np.abs(block).max()))
        verdict, message = _verdict(recording.verdict, recording.levels.n_nonfinite, peak)
        return Measurement(
            verdict=verdict,
            message=message,
            readable=n_samples > 0,
            duration_s=n_samples / info.sample_rate,
            sample_rate=info.sample_rate,
            n_channels=info.n_channels,
        )


def _member(folder: Path, path: str, member: tuple[str, int, int]) -> Measurement:
    shard, first, size = member
    with open_member(resolve(folder, shard), first, size) as file:
        samples, rate = read_flac(file, path)
    verdict, message = _verdict(None, 0, float(np.abs(samples).max()))
    return Measurement(
        verdict=verdict,
        message=message,
        readable=True,
        duration_s=len(samples) / rate,
        sample_rate=rate,
        n_channels=1,
    )


def _verdict(damage: str | None, n_nonfinite: int, peak: float) -> tuple[str, str]:
    if damage:
        return damage.partition(":")[0], damage
    if n_nonfinite:
        return NONFINITE, f"{n_nonfinite} samples are NaN, infinite or beyond 2^31"
    if peak == 0:
        return SILENT, "every sample is 0"
    return OK, ""
