"""The chunks of a RIFF file (WAV): its one walk, for sound and for what recorders note beside it.

Source: Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991); RF64
is EBU Tech 3306.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

HEAD: Final = 12  # "RIFF", a size, "WAVE"
CHUNK_HEAD: Final = 8  # a name and a size
EVEN: Final = 2  # chunks lie on even bytes; a byte of padding is not in their size
# A recorder writes fewer than ten. A damaged file may name millions of empty ones.
MAX_CHUNKS: Final = 64


@dataclass(frozen=True, slots=True)
class RiffChunk:
    """``n_bytes`` as its header claims, which may be more than there are; from byte ``first``."""

    name: bytes
    first: int
    n_bytes: int


def wav_chunks(file: BinaryIO) -> Iterator[RiffChunk]:
    """The chunks of a WAV in order, the file standing at the first byte of each.

    The caller may read from the file in between. None for another format, and as far as it goes for
    a file that breaks off.

    Raises:
        OSError: It cannot be read.
    """
    head = file.read(HEAD)
    if head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE":
        yield from _chunks(file, MAX_CHUNKS)


def info_texts(content: bytes) -> dict[str, bytes]:
    """The strings of a ``LIST`` chunk of type ``INFO`` by their four-letter name."""
    if content[:4] != b"INFO":
        return {}
    file = io.BytesIO(content[4:])
    chunks = _chunks(file, len(content))
    return {chunk.name.decode("latin-1"): file.read(chunk.n_bytes) for chunk in chunks}


def _chunks(file: BinaryIO, most: int) -> Iterator[RiffChunk]:
    for _ in range(most):
        head = file.read(CHUNK_HEAD)
        if len(head) < CHUNK_HEAD:
            return
        name, n_bytes = struct.unpack("<4sI", head)
        first = file.tell()
        yield RiffChunk(name, first, n_bytes)
        file.seek(first + n_bytes + n_bytes % EVEN)
