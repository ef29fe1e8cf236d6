"""The frames of an MP3, as a stream without what lies between them, and how many were promised.

mpg123, which libsndfile decodes with, gives up for good at a kilobyte that is no frame, and says
nothing of a file that holds half of what its header promises; libsndfile reads no further than the
promise, or than what it guesses from the first frame where there is none. So the frames are walked
here: each header gives the place of the next one. Sources: ISO 11172-3 and 13818-3, frame header;
the Xing and LAME tag of the LAME project; the VBRI header of Fraunhofer IIS.
"""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import BinaryIO

HEADER: Final = 4
CHUNK: Final = 1 << 18  # bytes looked through at once
FIRST_BYTES: Final = 256  # of a first frame, which hold what it promises
VBRI_AT: Final = 36
SYNC: Final = 0xFF
LAYER_BITS, LAYER_3 = 0x06, 0x02  # of its second byte
LONGER: Final = 1.01  # than promised: there is more than the promise is about
LEAST_HEADER: Final = 64  # bytes of a frame that a promise fits into
RATE_BITS: Final = 0x0C  # of a header's third byte, with MPEG's version the same in all frames
BITRATES: Final = {  # kbit/s by (MPEG 1, layer); index 0 is free, 15 forbidden
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES: Final = (44_100, 48_000, 32_000)
SIDE_BYTES: Final = {(True, True): 17, (True, False): 32, (False, True): 9, (False, False): 17}


@dataclass(frozen=True, slots=True)
class FrameKind:
    """What a frame's header says: ``n_bytes`` of the whole frame, ``n_samples`` a channel."""

    n_bytes: int
    n_samples: int
    rate: int
    is_mpeg1: bool
    is_mono: bool


@dataclass(frozen=True, slots=True)
class Promise:
    """What the first frame says of the whole file; None where it does not."""

    n_frames: int | None
    n_bytes: int | None


def frame_kind(header: bytes) -> FrameKind | None:
    """Read a frame's first four bytes; None: it is no frame, or of free bitrate."""
    if len(header) < HEADER or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)  # 2.5, none, 2, 1; 4 is none
    bits, rate_index = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer == 4 or bits in (0, 15) or rate_index == 3:
        return None
    is_mpeg1 = version == 3
    bitrate = BITRATES[is_mpeg1, layer][bits] * 1000
    rate = RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    padding = header[2] >> 1 & 1
    n_samples = {1: 384, 2: 1152, 3: 1152 if is_mpeg1 else 576}[layer]
    n_bytes = (
        (12 * bitrate // rate + padding) * 4
        if layer == 1
        else n_samples // 8 * bitrate // rate + padding
    )
    return FrameKind(n_bytes, n_samples, rate, is_mpeg1, header[3] >> 6 == 3)


def read_promise(frame: bytes) -> Promise | None:
    """What a first frame promises, if it is a Xing, Info or VBRI header; None for one of sound."""
    kind = frame_kind(frame)
    if kind is None:
        return None
    if frame[VBRI_AT : VBRI_AT + 4] == b"VBRI" and len(frame) >= 54:
        return Promise(int.from_bytes(frame[50:54]) or None, int.from_bytes(frame[46:50]) or None)
    at = HEADER + SIDE_BYTES[kind.is_mpeg1, kind.is_mono]
    if frame[at : at + 4] not in (b"Xing", b"Info"):
        return None
    has_frames, has_bytes = frame[at + 7] & 1, frame[at + 7] & 2
    fields = [int.from_bytes(frame[start : start + 4]) for start in (at + 8, at + 12)]
    n_frames = fields.pop(0) if has_frames else None
    return Promise(n_frames or None, (fields[0] or None) if has_bytes else None)


class Mp3Stream(io.RawIOBase):
    """The whole frames of an MP3 one after the other, as a file.

    It claims the length of the file, and ends earlier by what it leaves out.

    Attributes:
        kind: of the first frame; None: there is none, or its bitrate is free.
        promise: what the first frame says of the file, None if it is one of sound.
        n_frames: frames of sound so far; like the rest, complete at the end.
        n_lost: bytes between frames that belong to none, in ``n_holes`` stretches.
        lost_s: how long those may have been, by the size of the frame before them.
        n_trailing: bytes behind the last frame.
        is_longer: the file goes on far behind what is promised.
        is_cut: the bytes behind the last frame begin another one.
        error: what the disk answered, if it failed: the decoder sees the end of the file.
    """

    def __init__(self, file: BinaryIO, start: int, n_bytes: int) -> None:
        """``n_bytes`` of ``file`` from byte ``start`` on; closing it closes ``file``.

        Raises:
            OSError: It cannot be read.
        """
        super().__init__()
        self._file, self._start, self._size = file, start, n_bytes
        self._spans: list[tuple[int, int, int]] = []  # from byte, in the file, bytes
        self._starts: list[int] = []
        self._at = self._next = self._pending = self._last = 0
        self.n_frames = self.n_lost = self.n_holes = self.n_trailing = 0
        self.lost_s = 0.0
        self.is_cut = self.is_longer = self._is_at_end = False
        self.error: OSError | None = None
        block = self._content(0, CHUNK)
        self._next = _first_frame(block, n_bytes)
        first = block[self._next : self._next + FIRST_BYTES]
        self.kind = frame_kind(first)
        self._lengths = _lengths(first) if self.kind else {}
        self.promise = read_promise(first)
        self._prefix, self._patches = b"", {}
        if self.promise:
            self.n_frames -= 1
            self._patches = self._true_promise(first)
        elif self.kind:
            self._prefix = self._made_promise(first)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Position in the stream."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position in the stream."""
        self._is_at_end = whence == os.SEEK_END
        end = len(self._prefix) + self._size
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: end}[whence]
        self._at = min(max(0, origin + offset), end)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # Buffer is 3.12's
        """Read to the end of a stretch of frames at most; 0 at the end, or when the disk fails."""
        view = memoryview(buffer).cast("B")
        try:
            content = self._read(len(view))
        except OSError as error:
            self.error = error
            return 0
        view[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _read(self, n_bytes: int) -> bytes:
        if self._is_at_end:  # mpg123 looks for a tag there; those were left out
            return bytes(min(n_bytes, len(self._prefix) + self._size - self._at))
        if self._at < len(self._prefix):
            return self._prefix[self._at : self._at + n_bytes]
        while self._n_known <= self._at:
            if not self._extend():
                return b""
        here, there, size = self._spans[bisect_right(self._starts, self._at) - 1]
        inside = self._at - here
        return self._patched(self._content(there + inside, min(n_bytes, size - inside)))

    @property
    def _n_known(self) -> int:
        return self._spans[-1][0] + self._spans[-1][2] if self._spans else len(self._prefix)

    def _content(self, place: int, n_bytes: int) -> bytes:
        self._file.seek(self._start + place)
        return self._file.read(max(0, min(n_bytes, self._size - place)))

    def _most_frames(self) -> int:
        return min(self._size // min(self._lengths.values()), 2**32 - 1)

    def _true_promise(self, first: bytes) -> dict[int, int]:
        """Numbers of the first frame that would mislead, by their place, and what to read there."""
        if self.kind is None or first[VBRI_AT : VBRI_AT + 4] == b"VBRI":
            return {}
        promise, tag = self.promise, HEADER + SIDE_BYTES[self.kind.is_mpeg1, self.kind.is_mono]
        has_frames = first[tag + 7] & 1
        patches = {}
        if promise and promise.n_bytes:  # mpg123 compares this with the file's size
            patches[tag + (12 if has_frames else 8)] = self._size
            if has_frames and self._size > promise.n_bytes * LONGER:
                self.is_longer = True  # such as two files put together
                patches[tag + 8] = self._most_frames()
        return patches

    def _made_promise(self, first: bytes) -> bytes:
        """A frame that promises more than there can be, so that all there is is read."""
        for bits in range(1, 15) if first[1] & LAYER_BITS == LAYER_3 else ():
            # without a checksum, which the zeros would not meet
            header = bytes((SYNC, first[1] | 1, bits << 4 | first[2] & RATE_BITS, first[3]))
            kind = frame_kind(header)
            if kind is not None and kind.n_bytes >= LEAST_HEADER:
                side = bytes(SIDE_BYTES[kind.is_mpeg1, kind.is_mono])
                tag = b"Xing" + (1).to_bytes(4) + self._most_frames().to_bytes(4)
                return (header + side + tag).ljust(kind.n_bytes, b"\0")
        return b""

    def _patched(self, content: bytes) -> bytes:
        if not self._patches or self._at >= FIRST_BYTES:
            return content
        changed = bytearray(content)
        for first, number in self._patches.items():
            for place, value in enumerate(number.to_bytes(4), first - self._at):
                if 0 <= place < len(changed):
                    changed[place] = value
        return bytes(changed)

    def _extend(self) -> bool:
        """Find frames behind those that are known; False: there are none."""
        while self._lengths and self._next + HEADER <= self._size:
            block = self._content(self._next, CHUNK)
            n_bytes = self._whole_frames(block)
            if n_bytes:
                self._add(n_bytes)
                return True
            if self._length_at(block, 0):  # it reaches past the end of the file
                break
            n_bytes = self._to_next_frame(block)
            self._pending += n_bytes
            self._next += n_bytes
        self.n_trailing = self._pending + self._size - self._next
        self.is_cut = bool(self._lengths) and self._content(self._next, 1) == b"\xff"
        return False

    def _length_at(self, block: bytes, at: int) -> int:
        """Of the frame whose header lies there, 0 if none does."""
        header = block[at : at + HEADER - 1]
        if len(header) < HEADER - 1 or header[0] != SYNC:
            return 0
        return self._lengths.get(header[1] << 8 | header[2], 0)

    def _whole_frames(self, block: bytes) -> int:
        """How many bytes of whole frames the block begins with; counts them."""
        at = 0
        while (length := self._length_at(block, at)) and at + length <= len(block):
            at += length
            self._last = length
            self.n_frames += 1
        return at

    def _to_next_frame(self, block: bytes) -> int:
        """How many bytes lie before a frame that another one follows."""
        at = 0
        while (at := block.find(SYNC, at + 1)) >= 0:
            length = self._length_at(block, at)
            behind = at + length
            if length and (behind + HEADER > len(block) or self._length_at(block, behind)):
                return at
        return max(1, len(block) - HEADER + 1)

    def _add(self, n_bytes: int) -> None:
        if self._pending and self._spans and self.kind:
            self.n_holes += 1
            self.n_lost += self._pending
            self.lost_s += self._pending / self._last * self.kind.n_samples / self.kind.rate
        self._pending = 0
        here, place = self._n_known, self._next
        if self._spans and self._spans[-1][1] + self._spans[-1][2] == place:
            here, place, before = self._spans.pop()
            self._starts.pop()
            n_bytes, self._next = n_bytes + before, self._next - before
        self._spans.append((here, place, n_bytes))
        self._starts.append(here)
        self._next += n_bytes


def _lengths(first: bytes) -> dict[int, int]:
    """Bytes of a frame by the second and third byte of its header, for those of one stream."""
    lengths = {}
    for low in range(256):
        if low & RATE_BITS == first[2] & RATE_BITS:
            for high in (first[1] | 1, first[1] & ~1):  # without and with a checksum
                kind = frame_kind(bytes((SYNC, high, low, 0)))
                if kind:
                    lengths[high << 8 | low] = kind.n_bytes
    return lengths


def _first_frame(block: bytes, n_bytes: int) -> int:
    """Where the first frame lies; another one like it follows, or the end of the file."""
    at = -1
    while (at := block.find(SYNC, at + 1)) >= 0:
        kind = frame_kind(block[at : at + HEADER])
        if kind is None:
            continue
        behind = at + kind.n_bytes
        header = block[behind : behind + HEADER - 1]
        if behind == n_bytes or (len(header) == HEADER - 1 and header[0] == SYNC):
            lengths = _lengths(block[at : at + HEADER])
            if behind == n_bytes or header[1] << 8 | header[2] in lengths:
                return at
    return 0
