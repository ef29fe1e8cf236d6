"""Resampling with soxr, one stream per recording: blocks give what the whole would give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import soxr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

QUALITY: Final = "HQ"  # soxr's name; 20 bit, pass band to 0.91 of Nyquist
RESAMPLER: Final = f"soxr-{QUALITY}"  # as a store's header names it
WIDE_RATE_HZ: Final = 96_000  # from here on a recorder was after ultrasound


def resampled_length(n_samples: int, from_hz: int, to_hz: int) -> int:
    """Samples after resampling: the exact ratio, rounded half up."""
    return (2 * n_samples * to_hz + from_hz) // (2 * from_hz)


def resample(samples: NDArray[np.float32], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """Resample a whole array, ``(n,)`` to ``(resampled_length(n),)``."""
    pieces = list(resample_blocks([samples], from_hz, to_hz))
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def resample_blocks(
    blocks: Iterable[NDArray[np.float32]], from_hz: int, to_hz: int
) -> Iterator[NDArray[np.float32]]:
    """Resample a stream of blocks; the blocks that come out have other lengths.

    Equal rates pass through. The total length is `resampled_length` of the total that went in,
    whatever the blocks: a sample that soxr gives more is cut, one that it gives less is a zero.
    """
    if from_hz == to_hz:
        yield from blocks
        return
    stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality=QUALITY)
    n_in = n_out = 0
    for block in blocks:
        n_in += len(block)
        out = stream.resample_chunk(np.ascontiguousarray(block, np.float32))
        out = out[: resampled_length(n_in, from_hz, to_hz) - n_out]
        n_out += len(out)
        if len(out):
            yield out
    tail = stream.resample_chunk(np.zeros(0, np.float32), last=True)
    missing = resampled_length(n_in, from_hz, to_hz) - n_out
    if missing > 0:
        tail = np.concatenate([tail, np.zeros(max(missing - len(tail), 0), np.float32)])
        yield tail[:missing]


def band_warning(recorded_hz: int, model_hz: int) -> str | None:
    """What to tell a user whose recordings and model hear different bands; None: all is well."""
    if recorded_hz < model_hz:
        return (
            f"recorded at {recorded_hz} Hz, so nothing above {recorded_hz / 2000:g} kHz is there, and the "
            f"model expects sound up to {model_hz / 2000:g} kHz; its scores may suffer"
        )
    if recorded_hz >= max(4 * model_hz, WIDE_RATE_HZ):
        return (
            f"recorded at {recorded_hz} Hz, and the model hears only up to {model_hz / 2000:g} kHz; calls "
            f"above that (bats) are lost unless the recordings are time-expanded first"
        )
    return None
