"""WAV files whose header counts wrong: where their samples lie, by the size of the file.

A recorder that loses power leaves sizes of 0. One that writes past 4 GiB leaves sizes that wrapped
around. The sound is there all the same.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.decode.riff import wav_chunks

if TYPE_CHECKING:
    from pathlib import Path

WRAP: Final = 2**32  # sizes in RIFF have 32 bits
EXTENSIBLE: Final = 0xFFFE  # format tag of WAVEFORMATEXTENSIBLE: the true tag lies in its GUID
FORMAT_BYTES: Final = 26  # of a "fmt " chunk, up to the true tag of an extensible one
# format tag and bits per sample to libsndfile's name
ENCODINGS: Final = {
    (1, 8): "PCM_U8",
    (1, 16): "PCM_16",
    (1, 24): "PCM_24",
    (1, 32): "PCM_32",
    (3, 32): "FLOAT",
    (3, 64): "DOUBLE",
}


@dataclass(frozen=True, slots=True)
class PlainSamples:
    """Uncompressed samples in a file: ``n_bytes`` from byte ``first`` on, whole samples only."""

    sample_rate: int
    n_channels: int
    encoding: str
    first: int
    n_bytes: int


def plain_samples(path: Path) -> PlainSamples | None:
    """Where the samples of a WAV lie; None if it is not a WAV, or its samples are compressed.

    Raises:
        OSError: It cannot be read.
    """
    form = b""
    with path.open("rb") as file:
        for chunk in wav_chunks(file):
            if chunk.name == b"fmt ":
                form = file.read(min(chunk.n_bytes, FORMAT_BYTES))
            elif chunk.name == b"data":
                n_there = path.stat().st_size - chunk.first
                return _by_size(form, chunk.first, chunk.n_bytes, n_there)
    return None


def _by_size(form: bytes, first: int, claimed: int, n_there: int) -> PlainSamples | None:
    if len(form) < 16:
        return None
    tag, n_channels, rate, _, n_frame_bytes, bits = struct.unpack("<HHIIHH", form[:16])
    if tag == EXTENSIBLE and len(form) >= FORMAT_BYTES:
        tag = struct.unpack("<H", form[24:26])[0]
    encoding = ENCODINGS.get((tag, bits))
    if encoding is None or not n_channels or n_frame_bytes != n_channels * bits // 8:
        return None
    # The size wrapped around as often as fits; what is left may be metadata behind the sound.
    n_bytes = claimed + WRAP * ((n_there - claimed) // WRAP) if claimed else n_there
    if not 0 < n_bytes <= n_there:
        n_bytes = n_there
    return PlainSamples(rate, n_channels, encoding, first, n_bytes - n_bytes % n_frame_bytes)
