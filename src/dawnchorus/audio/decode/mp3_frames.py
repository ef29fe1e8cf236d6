"""The header of an MP3 frame, and what a first frame declares of the whole file.

Sources: ISO 11172-3 and 13818-3, frame header; the Xing and LAME tag of the LAME project; the VBRI
header of Fraunhofer IIS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HEADER: Final = 4  # bytes
SYNC: Final = 0xFF  # its first byte, and three bits of the second
RATE_BITS: Final = 0x0C  # of its third byte; the same in all frames of a stream
BITRATES: Final = {  # kbit/s by (is MPEG 1, layer); index 0 is "free", 15 forbidden
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES: Final = (44_100, 48_000, 32_000)  # Hz in MPEG 1; half in MPEG 2, a quarter in 2.5
VBRI_AT: Final = 36  # where Fraunhofer's declaration lies in a frame
# Where Xing's declaration lies behind the header: after the side information of
# (is MPEG 1, is mono), which a decoder skips.
SIDE_BYTES: Final = {(True, True): 17, (True, False): 32, (False, True): 9, (False, False): 17}


@dataclass(frozen=True, slots=True)
class Mp3Frame:
    """What a frame's header says: ``n_bytes`` of the whole frame, ``n_samples`` per channel."""

    n_bytes: int
    n_samples: int
    sample_rate: int
    is_mpeg1: bool
    is_mono: bool

    @property
    def xing_at(self) -> int:
        """Where a Xing declaration would lie in the frame."""
        return HEADER + SIDE_BYTES[self.is_mpeg1, self.is_mono]


@dataclass(frozen=True, slots=True)
class DeclaredLength:
    """How long the first frame declares the file to be; None where it does not say."""

    n_frames: int | None
    n_bytes: int | None


def parse_frame(header: bytes) -> Mp3Frame | None:
    """Read a frame's first four bytes; None: it is not a frame, or its bitrate is free."""
    if len(header) < HEADER or header[0] != SYNC or header[1] & 0xE0 != 0xE0:
        return None
    # 0 is MPEG 2.5, 1 reserved, 2 MPEG 2, 3 MPEG 1; a layer of 4 is reserved
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate_index, rate_index = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer == 4 or bitrate_index in (0, 15) or rate_index == 3:
        return None
    is_mpeg1 = version == 3
    bitrate = BITRATES[is_mpeg1, layer][bitrate_index] * 1000
    sample_rate = RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    padding = header[2] >> 1 & 1
    n_samples = {1: 384, 2: 1152, 3: 1152 if is_mpeg1 else 576}[layer]
    n_bytes = (
        (12 * bitrate // sample_rate + padding) * 4  # layer 1 counts in slots of four bytes
        if layer == 1
        else n_samples // 8 * bitrate // sample_rate + padding
    )
    return Mp3Frame(n_bytes, n_samples, sample_rate, is_mpeg1, header[3] >> 6 == 3)


def declared_length(first: bytes) -> DeclaredLength | None:
    """What a first frame declares, if it is a Xing, Info or VBRI header; None if it is sound."""
    frame = parse_frame(first)
    if frame is None:
        return None
    if first[VBRI_AT : VBRI_AT + 4] == b"VBRI" and len(first) >= 54:
        return DeclaredLength(_number(first, 50), _number(first, 46))
    at = frame.xing_at
    if first[at : at + 4] not in (b"Xing", b"Info"):
        return None
    has_frames, has_bytes = first[at + 7] & 1, first[at + 7] & 2
    # The fields stand one behind the other, without room for those that are not there.
    bytes_at = at + 12 if has_frames else at + 8
    return DeclaredLength(
        _number(first, at + 8) if has_frames else None,
        _number(first, bytes_at) if has_bytes else None,
    )


def _number(content: bytes, at: int) -> int | None:
    return int.from_bytes(content[at : at + 4]) or None


def frame_lengths(first: bytes) -> dict[int, int]:
    """Bytes of a frame by the second and third byte of its header, for those of one stream.

    Frames of one stream differ from the first in bitrate, padding and checksum alone, so that bytes
    of sound are seldom taken for a header.
    """
    lengths = {}
    for third in range(256):
        if third & RATE_BITS != first[2] & RATE_BITS:
            continue
        for second in (first[1] | 1, first[1] & ~1):  # without and with a checksum
            frame = parse_frame(bytes((SYNC, second, third, 0)))
            if frame:
                lengths[second << 8 | third] = frame.n_bytes
    return lengths


def find_first_frame(block: bytes, n_file_bytes: int) -> int:
    """Where the first frame lies; another one like it follows, or the end of the file. 0 if none.

    Args:
        block: the first bytes of the file.
        n_file_bytes: of the whole file.
    """
    at = -1
    while (at := block.find(SYNC, at + 1)) >= 0:
        frame = parse_frame(block[at : at + HEADER])
        if frame is None:
            continue
        after = at + frame.n_bytes
        if after == n_file_bytes:
            return at
        header = block[after : after + HEADER - 1]
        if len(header) == HEADER - 1 and header[0] == SYNC:
            lengths = frame_lengths(block[at : at + HEADER])
            if header[1] << 8 | header[2] in lengths:
                return at
    return 0
