"""Clips as FLAC: written to a file or to memory, and read from a shard that holds many.

`write_exact` is for clips that are only passed on: WAV of the very samples.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import soundfile

from dawnchorus.audio.decode.recording import not_sound
from dawnchorus.errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def write_flac(path: Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    """Write a clip ``(n,)`` as 16-bit FLAC, its folder too; what is beyond full scale is clipped.

    Raises:
        AudioError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_flac(samples, sample_rate))
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"{path}: cannot be written: {error}", reason="denied") from error


def write_exact(path: Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    """Write a clip ``(n,)`` as WAV of 32-bit floats, its folder too: no sample is changed.

    Raises:
        AudioError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, sample_rate, "FLOAT", format="WAV")
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"{path}: cannot be written: {error}", reason="denied") from error


def encode_flac(samples: NDArray[np.float32], sample_rate: int) -> bytes:
    """A clip ``(n,)`` as a 16-bit FLAC in memory; what is beyond full scale is clipped."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1.0, 1.0), sample_rate, "PCM_16", format="FLAC")
    return file.getvalue()


def read_flac(
    file: BinaryIO, name: str, *, start_sample: int = 0, n_samples: int | None = None
) -> tuple[NDArray[np.float32], int]:
    """Read some samples of a mono FLAC that need not be a file of its own.

    Args:
        file: a seekable stream that holds the FLAC and no more.
        name: how errors call it.
        start_sample: where to start; what lies before is not decoded.
        n_samples: how many to read, None for all; fewer come at the end.

    Returns:
        ``(n,)`` samples and their rate.

    Raises:
        AudioError: It is not such a FLAC, is damaged there, or ends before ``start_sample``.
    """
    try:
        with soundfile.SoundFile(file) as sound:
            if sound.format != "FLAC" or sound.channels != 1:
                raise not_sound(Path(name), "need a FLAC of one channel")
            if start_sample >= sound.frames:
                end_s = sound.frames / sound.samplerate
                raise AudioError(f"{name}: nothing after its end at {end_s:g} s", reason="empty")
            sound.seek(start_sample)
            wanted = -1 if n_samples is None else n_samples
            samples: NDArray[np.float32] = sound.read(wanted, dtype="float32")
            return samples, sound.samplerate
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{name}: {error.error_string}", reason="damaged") from error
