"""WAV files whose header miscounts: where their sound lies, by their chunks and the file's size.

A recorder that loses power leaves sizes of 0; one that writes on past 4 GiB leaves sizes that
wrapped around. The sound is there all the same. Source: the RIFF WAVE specification of 1991.
"""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

WRAP: Final = 2**32  # sizes in RIFF have 32 bits
EXTENSIBLE: Final = 0xFFFE
MAX_CHUNKS: Final = 64  # before the sound; more is no recorder's header
# format tag and bits a sample to libsndfile's name
SUBTYPES: Final = {
    (1, 8): "PCM_U8",
    (1, 16): "PCM_16",
    (1, 24): "PCM_24",
    (1, 32): "PCM_32",
    (3, 32): "FLOAT",
    (3, 64): "DOUBLE",
}


@dataclass(frozen=True, slots=True)
class SoundLayout:
    """Plain samples in a file: ``n_bytes`` from byte ``first`` on, whole samples only."""

    sample_rate: int
    n_channels: int
    subtype: str
    first: int
    n_bytes: int


def sound_layout(path: Path) -> SoundLayout | None:
    """Where the samples of a WAV lie; None when it is none, or not of plain samples."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        form = None
        for _ in range(MAX_CHUNKS):
            chunk = file.read(8)
            if len(chunk) < 8:
                return None
            kind, size = struct.unpack("<4sI", chunk)
            if kind == b"data":
                return _layout(form, file.tell(), size, path.stat().st_size)
            if kind == b"fmt ":
                form = file.read(size + size % 2)
            else:
                file.seek(size + size % 2, os.SEEK_CUR)
    return None


def _layout(form: bytes | None, first: int, claimed: int, file_size: int) -> SoundLayout | None:
    if form is None or len(form) < 16:
        return None
    tag, n_channels, rate, _, align, bits = struct.unpack("<HHIIHH", form[:16])
    if tag == EXTENSIBLE and len(form) >= 26:
        tag = struct.unpack("<H", form[24:26])[0]
    subtype = SUBTYPES.get((tag, bits))
    if subtype is None or not n_channels or align != n_channels * bits // 8:
        return None
    there = file_size - first
    # how often the size wrapped around is what fits; the rest may be metadata behind the sound
    n_bytes = claimed + WRAP * ((there - claimed) // WRAP) if claimed else there
    if not 0 < n_bytes <= there:
        n_bytes = there
    return SoundLayout(rate, n_channels, subtype, first, n_bytes - n_bytes % align)


class Span(io.RawIOBase):
    """A stretch of a file as a file of its own.

    Attributes:
        error: what the disk answered, if it failed: whoever reads sees the end of the file then,
            since libsndfile has no way to pass an error on.
    """

    def __init__(self, file: BinaryIO, first: int, n_bytes: int) -> None:
        """``n_bytes`` of ``file`` from byte ``first`` on; closing it closes ``file``."""
        super().__init__()
        self._file = file
        self._first = first
        self._size = n_bytes
        self._at = 0
        self.error: OSError | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Position in the stretch."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position in the stretch."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = min(max(0, start + offset), self._size)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # Buffer is 3.12's
        """Read up to the end of the stretch."""
        view = memoryview(buffer).cast("B")[: self._size - self._at]
        try:
            self._file.seek(self._first + self._at)
            n_read = self._file.readinto(view)  # type: ignore[attr-defined]  # every file has it
        except OSError as error:
            self.error = error
            return 0
        self._at += n_read
        return int(n_read)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
