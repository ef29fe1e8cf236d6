"""A long recording as pieces that several threads read at once, and no sample differs.

A piece begins on a whole number of the decoder's blocks, so each block is decoded as when the
recording is read in one go. Its resampler begins earlier, where `restart_of` says that it gives the
same bits. Only formats in which a seek lands on the exact sample have pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.decode.libsndfile import EXACT_SEEK, FEW_CHANNELS
from dawnchorus.audio.decode.recording import BLOCK_SAMPLES
from dawnchorus.audio.restarts import restart_of

if TYPE_CHECKING:
    from dawnchorus.audio.decode.recording import RecordingInfo
    from dawnchorus.audio.restarts import Restart

PIECE_S: Final = 60.0  # of sound; what is decoded twice is some seconds of it at most
SEEKABLE: Final = frozenset({"WAV", "WAVEX", "W64", "RF64", "FLAC", "AIFF"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of a recording's blocks, and the samples at the model's rate that it gives.

    Attributes:
        first, stop: of the samples that it counts, in the recording's own; None: to the end.
        begins: the first sample that is decoded.
        n_skipped: of the decoded samples, those that do not reach the resampler.
        first_out, stop_out: what it gives, in samples of the recording at the model's rate.
        n_dropped: what its resampler gives before that.
    """

    first: int = 0
    stop: int | None = None
    begins: int = 0
    n_skipped: int = 0
    first_out: int = 0
    stop_out: int | None = None
    n_dropped: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the recording."""
        return self.first == 0 and self.stop is None


WHOLE: Final = Piece()


def pieces_of(info: RecordingInfo, to_hz: int) -> list[Piece]:
    """The pieces of an undamaged recording in order; one, if it is short or a seek may miss.

    Args:
        info: its header; the lengths that it gives are proved by whoever reads the pieces.
        to_hz: the model's rate.
    """
    blocks_each = max(2, round(PIECE_S * info.sample_rate / BLOCK_SAMPLES))
    n_blocks = -(-(info.n_samples or 0) // BLOCK_SAMPLES)
    n_pieces = max(1, n_blocks // blocks_each)
    restart = restart_of(info.sample_rate, to_hz) if n_pieces > 1 and _seeks(info) else None
    if restart is None:
        return [WHOLE]
    # the last one is up to twice as long, rather than that it begins close to the end
    firsts = [index * blocks_each * BLOCK_SAMPLES for index in range(n_pieces)]
    seams = [_seam(first, info, to_hz, restart) for first in firsts]
    behind = [*seams[1:], WHOLE]
    return [
        Piece(
            first=seam.first,
            stop=after.first or None,
            begins=seam.begins,
            n_skipped=seam.n_skipped,
            first_out=seam.first_out,
            stop_out=after.first_out or None,
            n_dropped=seam.n_dropped,
        )
        for seam, after in zip(seams, behind, strict=True)
    ]


def _seeks(info: RecordingInfo) -> bool:
    # with many channels a block of the decoder is smaller
    is_exact = info.container in SEEKABLE and info.encoding.startswith(EXACT_SEEK)
    return is_exact and info.n_channels <= FEW_CHANNELS


def _seam(first: int, info: RecordingInfo, to_hz: int, restart: Restart) -> Piece:
    """Where a piece that counts from ``first`` on begins; it has no end yet."""
    from_hz = info.sample_rate
    # the piece before must have given all up to here when it has decoded its last block
    given_from = first - restart.lags
    origin = (given_from - restart.settles) // restart.period * restart.period
    if first == 0 or origin <= 0:
        return Piece(first=first) if first == 0 else _from_start(first, from_hz, to_hz, restart)
    # one block more of FLAC, so that junk before a frame is met by both pieces
    earliest = min(origin, first - BLOCK_SAMPLES * (info.container == "FLAC"))
    begins = earliest // BLOCK_SAMPLES * BLOCK_SAMPLES
    first_out = given_from * to_hz // from_hz
    return Piece(
        first=first,
        begins=begins,
        n_skipped=origin - begins,
        first_out=first_out,
        n_dropped=first_out - origin * to_hz // from_hz,
    )


def _from_start(first: int, from_hz: int, to_hz: int, restart: Restart) -> Piece:
    first_out = (first - restart.lags) * to_hz // from_hz
    return Piece(first=first, first_out=first_out, n_dropped=first_out)
