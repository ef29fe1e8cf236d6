"""Where a second resampler may begin and give, sample for sample, what the first one gives.

soxr filters in blocks by the Fourier transform, so the last bit of a sample depends on where in a
block it lies. A stream that begins a whole number of blocks and of output samples later has the
same blocks; once its filters are full, it gives the same bits. The size of a block is no part of
soxr's interface: it is found by looking when samples come out, and then proved on noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import gcd, lcm
from typing import Final

import numpy as np
import soxr  # type: ignore[import-untyped]  # comes without types

from dawnchorus.audio.resample import QUALITY, resample_blocks

MOST_AHEAD: Final = 1 << 17  # samples; no filter of soxr's holds back more at rates of recorders
LONGEST_PERIOD: Final = 1 << 19  # samples; with a longer one, too much would be decoded twice
TRIED: Final = (1, 3)  # periods after which a second stream begins
N_TRIED: Final = 12  # blocks of noise that are compared
SEED: Final = 3


@dataclass(frozen=True, slots=True)
class Restart:
    """Attributes: in samples that go in.

    period: a stream may begin at any multiple of it.
    settles: so long after its beginning its samples are those of the first stream.
    lags: what went in so long ago has come out.
    """

    period: int
    settles: int
    lags: int


@lru_cache(maxsize=64)
def restart_of(from_hz: int, to_hz: int) -> Restart | None:
    """Where a resampler between two rates may begin again; None: nowhere that was proved."""
    if from_hz == to_hz:
        return Restart(1, 0, 0)
    step = _block_samples(from_hz, to_hz)
    if step is None:
        return None
    period = lcm(step, from_hz // gcd(from_hz, to_hz))
    if period > LONGEST_PERIOD:
        return None
    found = Restart(period, 2 * step, 3 * step)
    return found if all(_is_equal(found, from_hz, to_hz, n) for n in TRIED) else None


def _block_samples(from_hz: int, to_hz: int) -> int | None:
    """Samples that go in between two times that some come out."""
    came: list[int] = []
    n_in = n_out = 0
    for _ in range(3):  # the first block is shorter or longer than the others
        n_in = _first_beyond(from_hz, to_hz, n_in, n_out)
        if n_in >= MOST_AHEAD:
            return None
        n_out = _n_out(from_hz, to_hz, n_in)
        came.append(n_in)
    return came[2] - came[1]


def _first_beyond(from_hz: int, to_hz: int, low: int, n_out: int) -> int:
    """The least number of samples in that gives more than ``n_out``, by bisection."""
    high = MOST_AHEAD
    while high - low > 1:
        middle = (low + high) // 2
        if _n_out(from_hz, to_hz, middle) > n_out:
            high = middle
        else:
            low = middle
    return high


def _n_out(from_hz: int, to_hz: int, n_in: int) -> int:
    stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality=QUALITY)
    return len(stream.resample_chunk(np.zeros(n_in, np.float32)))


def _is_equal(restart: Restart, from_hz: int, to_hz: int, n_periods: int) -> bool:
    """Whether a stream that begins later gives the same bits on noise, from `settles` on."""
    begins = n_periods * restart.period
    n_noise = begins + restart.settles * N_TRIED
    noise = np.random.default_rng(SEED).standard_normal(n_noise).astype(np.float32)
    whole = np.concatenate(list(resample_blocks([noise], from_hz, to_hz)))
    later = np.concatenate(list(resample_blocks([noise[begins:]], from_hz, to_hz)))
    n_settling = -(-restart.settles * to_hz // from_hz)
    return np.array_equal(whole[begins * to_hz // from_hz :][n_settling:], later[n_settling:])
