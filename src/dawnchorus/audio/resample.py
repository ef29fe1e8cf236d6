"""Resampling with soxr, one stream per recording: blocks give what the whole would give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import soxr  # type: ignore[import-untyped]  # comes without types

from dawnchorus.audio.samples import as_float32

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

Quality = Literal["QQ", "LQ", "MQ", "HQ", "VHQ"]

QUALITY: Final[Quality] = "HQ"  # soxr's name; 20 bit, pass band to 0.91 of Nyquist
RESAMPLER: Final = f"soxr-{QUALITY}"  # as a store's header names it
WIDE_RATE_HZ: Final = 96_000  # from here on a recorder was after ultrasound


def resampled_length(n_samples: int, from_hz: int, to_hz: int) -> int:
    """Samples after resampling: the exact ratio, rounded half up; 0 for less than half a sample."""
    return (2 * n_samples * to_hz + from_hz) // (2 * from_hz)


def resample(
    samples: NDArray[np.float32], from_hz: int, to_hz: int, *, quality: Quality = QUALITY
) -> NDArray[np.float32]:
    """Resample a whole array, ``(n,)`` to ``(resampled_length(n),)``; see `resample_blocks`."""
    pieces = list(resample_blocks([samples], from_hz, to_hz, quality=quality))
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def resample_blocks(
    blocks: Iterable[NDArray[np.float32]],
    from_hz: int,
    to_hz: int,
    *,
    quality: Quality = QUALITY,
) -> Iterator[NDArray[np.float32]]:
    """Resample a stream of blocks ``(n,)``; the blocks that come out have other lengths.

    Equal rates pass through. However the blocks are cut, the samples are the same, and as many as
    `resampled_length` says of all that went in. (soxr 0.1.3 counts just so; where another version
    gives a sample more or less at the end, it is cut or made a zero.)
    """
    if from_hz == to_hz:
        yield from map(as_float32, blocks)
        return
    stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality=quality)
    n_in = n_out = 0
    for block in blocks:
        n_in += len(block)
        out = stream.resample_chunk(np.ascontiguousarray(as_float32(block)))
        n_out += len(out)
        if len(out):
            yield out
    tail = stream.resample_chunk(np.zeros(0, np.float32), last=True)
    missing = resampled_length(n_in, from_hz, to_hz) - n_out
    if missing > 0:
        yield np.concatenate([tail, np.zeros(max(missing - len(tail), 0), np.float32)])[:missing]


def band_warning(recorded_hz: int, model_hz: int) -> str | None:
    """A warning where recordings and model cover different bands; None: they do not.

    A recording is much wider from four times the model's rate on, or from 96 kHz on when the
    model's rate is below that.
    """
    if recorded_hz < model_hz:
        return (
            f"recorded at {recorded_hz} Hz, so nothing above {recorded_hz / 2000:g} kHz is there, "
            f"and the model expects sound up to {model_hz / 2000:g} kHz; its scores may suffer"
        )
    if recorded_hz >= 4 * model_hz or recorded_hz >= WIDE_RATE_HZ > model_hz:
        return (
            f"recorded at {recorded_hz} Hz, and the model uses only sound up to "
            f"{model_hz / 2000:g} kHz; calls above that (bats) are lost unless the recordings are "
            f"time-expanded first"
        )
    return None
