"""The frames of an MP3, as a stream without what lies between them.

mpg123, which libsndfile decodes with, gives up for good at a kilobyte that is not a frame, and says
nothing of a file that holds half of what its header declares. libsndfile reads no further than the
declared length, or than what it guesses from the first frame where there is none. So the frames are
walked here: each header gives the place of the next one.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from dawnchorus.audio.decode.byte_files import ReadOnlyFile
from dawnchorus.audio.decode.mp3_frames import (
    HEADER,
    RATE_BITS,
    SIDE_BYTES,
    SYNC,
    VBRI_AT,
    declared_length,
    find_first_frame,
    frame_lengths,
    parse_frame,
)

if TYPE_CHECKING:
    from typing import BinaryIO

CHUNK: Final = 1 << 18  # bytes looked through at once
FIRST_BYTES: Final = 256  # of a first frame, enough for what it declares
LAYER_BITS, LAYER_3 = 0x06, 0x02  # of a header's second byte
LONGER: Final = 1.01  # times the declared length: there is more than the declaration is about
LEAST_FRAME: Final = 64  # bytes of a frame that a declaration fits into
MOST_FRAMES: Final = 2**32 - 1  # that a declaration can count
SLACK: Final = 0.99  # of what an MP3 declares; encoders count a frame more or less


class FrameRun(NamedTuple):
    """Frames without a gap: where they begin in the stream and in the file, and their bytes."""

    in_stream: int
    in_file: int
    n_bytes: int


class Mp3Stream(ReadOnlyFile):
    """The whole frames of an MP3 one after the other, as a file.

    It claims the length of the file, and ends earlier by what it leaves out.

    Attributes:
        first_frame: the header of the first; None: there is none, or its bitrate is free.
        declared: what the first frame declares of the file, None if it is one of sound.
        n_frames: frames of sound so far; like the rest, complete at the end.
        n_lost: bytes between frames that belong to none, in ``n_holes`` stretches.
        lost_s: how long those may have been, by the size of the frame before them.
        is_longer_than_declared: the file continues far behind the declared length.
        is_cut: the bytes behind the last frame begin another one.
    """

    def __init__(self, file: BinaryIO, start: int, n_bytes: int) -> None:
        """``n_bytes`` of ``file`` from byte ``start`` on.

        Raises:
            OSError: It cannot be read.
        """
        super().__init__(file, n_bytes)
        self._start, self._size = start, n_bytes
        self._runs: list[FrameRun] = []
        self._run_starts: list[int] = []  # `in_stream` of each, for bisection
        self._skipped = 0  # bytes since the last frame that belong to none
        self._last_length = 0
        self.n_frames = self.n_lost = self.n_holes = 0
        self.lost_s = 0.0
        self.is_cut = self.is_longer_than_declared = self._is_at_end = False
        block = self._content(0, CHUNK)
        self._next = find_first_frame(block, n_bytes)  # where the walk stands in the file
        first = block[self._next : self._next + FIRST_BYTES]
        self.first_frame = parse_frame(first)
        self._lengths = frame_lengths(first) if self.first_frame else {}
        self.declared = declared_length(first)
        self._prefix, self._patches = b"", {}
        if self.declared:
            self.n_frames -= 1  # the frame that declares it holds no sound
            self._patches = self._true_numbers(first)
        elif self.first_frame:
            self._prefix = self._made_declaration(first)
            self._n_bytes += len(self._prefix)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position in the stream."""
        self._is_at_end = whence == os.SEEK_END
        return super().seek(offset, whence)

    def _read(self, n_bytes: int) -> bytes:
        """To the end of a run of frames at most."""
        if self._is_at_end:  # mpg123 looks for a tag there; those were left out
            return bytes(min(n_bytes, self._n_bytes - self._at))
        if self._at < len(self._prefix):
            return self._prefix[self._at : self._at + n_bytes]
        while self._n_known <= self._at:
            if not self._find_more_frames():
                return b""
        run = self._runs[bisect_right(self._run_starts, self._at) - 1]
        inside = self._at - run.in_stream
        content = self._content(run.in_file + inside, min(n_bytes, run.n_bytes - inside))
        return self._patched(content)

    @property
    def _n_known(self) -> int:
        """Bytes of the stream whose place in the file is known."""
        if not self._runs:
            return len(self._prefix)
        return self._runs[-1].in_stream + self._runs[-1].n_bytes

    def _content(self, at: int, n_bytes: int) -> bytes:
        self._file.seek(self._start + at)
        return self._file.read(max(0, min(n_bytes, self._size - at)))

    def _most_frames(self) -> int:
        return min(self._size // min(self._lengths.values()), MOST_FRAMES)

    def _true_numbers(self, first: bytes) -> dict[int, int]:
        """Numbers of the first frame that would mislead, by their place, and what to read there."""
        declared, frame = self.declared, self.first_frame
        is_vbri = first[VBRI_AT : VBRI_AT + 4] == b"VBRI"
        if declared is None or frame is None or is_vbri or not declared.n_bytes:
            return {}
        has_frames = first[frame.xing_at + 7] & 1
        # mpg123 compares this number with the file's size
        patches = {frame.xing_at + (12 if has_frames else 8): self._size}
        if has_frames and self._size > declared.n_bytes * LONGER:
            self.is_longer_than_declared = True  # such as two files put together
            patches[frame.xing_at + 8] = self._most_frames()
        return patches

    def _made_declaration(self, first: bytes) -> bytes:
        """A frame that declares more than there can be, so that all there is is read."""
        for bitrate_index in range(1, 15) if first[1] & LAYER_BITS == LAYER_3 else ():
            # without a checksum, which the zeros would not match
            header = bytes(
                (SYNC, first[1] | 1, bitrate_index << 4 | first[2] & RATE_BITS, first[3])
            )
            frame = parse_frame(header)
            if frame is not None and frame.n_bytes >= LEAST_FRAME:
                side = bytes(SIDE_BYTES[frame.is_mpeg1, frame.is_mono])
                tag = b"Xing" + (1).to_bytes(4) + self._most_frames().to_bytes(4)
                return (header + side + tag).ljust(frame.n_bytes, b"\0")
        return b""

    def _patched(self, content: bytes) -> bytes:
        if not self._patches or self._at >= FIRST_BYTES:
            return content
        changed = bytearray(content)
        for first, number in self._patches.items():
            for at, value in enumerate(number.to_bytes(4), first - self._at):
                if 0 <= at < len(changed):
                    changed[at] = value
        return bytes(changed)

    def _find_more_frames(self) -> bool:
        """Walk the frames behind those that are known; False: there are none."""
        while self._lengths and self._next + HEADER <= self._size:
            block = self._content(self._next, CHUNK)
            n_bytes = self._whole_frames(block)
            if n_bytes:
                self._add_run(n_bytes)
                return True
            if self._length_at(block, 0):  # it reaches past the end of the file
                break
            n_bytes = self._to_next_frame(block)
            self._skipped += n_bytes
            self._next += n_bytes
        self.is_cut = bool(self._lengths) and self._content(self._next, 1) == bytes((SYNC,))
        return False

    def _length_at(self, block: bytes, at: int) -> int:
        """Bytes of the frame whose header lies there, 0 if none does."""
        header = block[at : at + HEADER - 1]
        if len(header) < HEADER - 1 or header[0] != SYNC:
            return 0
        return self._lengths.get(header[1] << 8 | header[2], 0)

    def _whole_frames(self, block: bytes) -> int:
        """How many bytes of whole frames the block begins with; counts them."""
        at = 0
        while (length := self._length_at(block, at)) and at + length <= len(block):
            at += length
            self._last_length = length
            self.n_frames += 1
        return at

    def _to_next_frame(self, block: bytes) -> int:
        """How many bytes lie before a frame that another one follows."""
        at = 0
        while (at := block.find(SYNC, at + 1)) >= 0:
            length = self._length_at(block, at)
            after = at + length
            if length and (after + HEADER > len(block) or self._length_at(block, after)):
                return at
        # The last bytes may be the first ones of a header, so the next block has them again.
        return max(1, len(block) - HEADER + 1)

    def _add_run(self, n_bytes: int) -> None:
        frame = self.first_frame
        if self._skipped and self._runs and frame:
            self.n_holes += 1
            self.n_lost += self._skipped
            n_frames = self._skipped / self._last_length
            self.lost_s += n_frames * frame.n_samples / frame.sample_rate
        self._skipped = 0
        run = FrameRun(self._n_known, self._next, n_bytes)
        self._next += n_bytes
        if self._runs and self._runs[-1].in_file + self._runs[-1].n_bytes == run.in_file:
            before = self._runs.pop()
            self._run_starts.pop()
            run = before._replace(n_bytes=before.n_bytes + n_bytes)
        self._runs.append(run)
        self._run_starts.append(run.in_stream)


def missing_bytes(stream: Mp3Stream, n_bytes: int) -> str | None:
    """The note for a file of ``n_bytes`` that is shorter than its first frame declares."""
    promised = stream.declared.n_bytes if stream.declared else None
    if promised is None or n_bytes > promised * SLACK:
        return None
    return (
        f"truncated: the header promises {promised} bytes, the file holds {n_bytes}, which is "
        f"{n_bytes / promised:.0%} of the sound"
    )


def mp3_faults(stream: Mp3Stream) -> list[str]:
    """What walking all frames showed to be wrong, each with its reason before it."""
    frame, promised = stream.first_frame, stream.declared.n_frames if stream.declared else None
    if frame is None:
        return []
    frame_s = frame.n_samples / frame.sample_rate
    there_s = stream.n_frames * frame_s
    faults = []
    if promised and stream.n_frames < promised * SLACK - 1 and not stream.n_holes:
        faults.append(
            f"truncated: the header claims {promised * frame_s:.2f} s, the file holds "
            f"{there_s:.2f} s"
        )
    elif stream.is_cut and not promised:
        faults.append(f"truncated: breaks off inside a frame, after {there_s:.2f} s")
    if stream.n_holes:
        faults.append(
            f"damaged: {stream.n_lost} bytes in {stream.n_holes} places are not MP3; about "
            f"{stream.lost_s:.2f} s are missing there, and later times are that much too early"
        )
    return faults
