"""Where the sound of a FLAC or MP3 lies between the tags that players put before and behind it.

Decoders take a tag behind the last frame for damage, and one before the first for another format.
Sources: ID3v2.4.0 structure, section 3; ID3v1; APE tag version 2; Lyrics3 version 2.

Only the sizes of tags are read here. The libraries that read tags (mutagen is under the GPL,
tinytag under MIT) give their texts, and not where the sound begins and ends.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

ID3_HEADER: Final = 10  # bytes, as of all these sizes
ID3_FOOTER: Final = 0x10  # the flag that says that ten bytes more follow
ID3V1: Final = 128
APE_FOOTER: Final = 32
LYRICS_END: Final = 15  # six digits of its size, and LYRICS200
MAX_TAGS: Final = 16  # on each side; a damaged file may name tags without end
HEAD: Final = 16  # bytes of sound that are looked at to know the format


@dataclass(frozen=True, slots=True)
class SoundSpan:
    """``n_bytes`` of a file from byte ``first`` on, and the first of them."""

    first: int
    n_bytes: int
    head: bytes


def sound_span(path: Path) -> SoundSpan:
    """The span of a file between the tags around it; the whole file if there are none.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        stop = file.seek(0, os.SEEK_END)
        first = _behind_tags(file, stop)
        file.seek(first)
        head = file.read(HEAD)
        # in a WAV, what ends like a tag may be samples
        if first or head.startswith((b"fLaC", b"\xff")):
            stop = _before_tags(file, first, stop)
    return SoundSpan(first, stop - first, head)


def _behind_tags(file: BinaryIO, stop: int) -> int:
    first = 0
    for _ in range(MAX_TAGS):
        file.seek(first)
        head = file.read(ID3_HEADER)
        # the highest bit of each byte of the size is never set, or it is not a tag
        if len(head) < ID3_HEADER or head[:3] != b"ID3" or max(head[6:10]) > 0x7F:
            break
        size = ID3_HEADER + _seven_bits(head[6:10]) + (ID3_HEADER if head[5] & ID3_FOOTER else 0)
        if first + size >= stop:
            break
        first += size
    return first


def _before_tags(file: BinaryIO, first: int, stop: int) -> int:
    for _ in range(MAX_TAGS):
        size = _tag_that_ends_at(file, stop)
        if not 0 < size < stop - first:
            break
        stop -= size
    return stop


def _tag_that_ends_at(file: BinaryIO, stop: int) -> int:
    """Size of the tag that ends there, 0 for none."""
    file.seek(max(0, stop - ID3V1))
    tail = file.read(min(ID3V1, stop))
    if len(tail) == ID3V1 and tail[:3] == b"TAG":
        return ID3V1
    if tail[-APE_FOOTER:-24] == b"APETAGEX":
        has_header = tail[-9] & 0x80  # the highest bit of its flags
        return int.from_bytes(tail[-20:-16], "little") + (APE_FOOTER if has_header else 0)
    if tail.endswith(b"LYRICS200") and tail[-LYRICS_END:-9].isdigit():
        return int(tail[-LYRICS_END:-9]) + LYRICS_END
    if tail[-ID3_HEADER:-7] == b"3DI" and max(tail[-4:]) <= 0x7F:
        return _seven_bits(tail[-4:]) + 2 * ID3_HEADER
    return 0


def _seven_bits(digits: bytes) -> int:
    """A "synchsafe" number of ID3v2: seven bits per byte, the highest first."""
    value = 0
    for digit in digits:
        value = value << 7 | digit
    return value
