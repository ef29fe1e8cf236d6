"""Faults that only the samples of a recording show: absurd values or levels, opposite channels.

None of it can be read from a header, and none of it stops a decoder. An embedding of such sound is
a number like any other, so it has to be noticed here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# verdicts, as they stand in tables and before messages
BEYOND_FULL_SCALE: Final = "beyond-full-scale"
OPPOSITE_CHANNELS: Final = "opposite-channels"
ADVICE: Final = {
    BEYOND_FULL_SCALE: "sound far beyond full scale, such as whole numbers stored as floats: the "
    "model was trained on nothing like it, so scale the files to between -1 and 1",
    OPPOSITE_CHANNELS: "channels that cancel each other, so their mean is next to silence: choose "
    "one with --channel 0",
}
# Full scale is 1. Floating-point recorders go some decibels beyond it; 24 dB is no recorder's.
MAX_LEVEL: Final = 16.0
# The largest that a 32-bit integer written as a float can be. Beyond it no converter put a sample,
# and the square of 1e19 overflows float32.
ABSURD: Final = 2.0**31
CANCELLED: Final = 0.1  # of the energy that the mean of unrelated channels has
SILENCED: Final = 1e-3  # of that energy: the model hears nothing
QUIET: Final = 1e-8  # mean square; 80 dB below full scale, where noise may do what it likes


@dataclass(slots=True)
class LevelCheck:
    """Checks the blocks of one recording, and counts what is wrong with them.

    Attributes:
        n_nonfinite: samples that were NaN, infinite or beyond any recording, and became 0.
        nonfinite: a span ``(start, stop)`` around those of each block.
        silenced: spans in which the channels cancel each other to silence.
        n_beyond: samples far beyond full scale.
        peak: the largest of them.
    """

    n_nonfinite: int = 0
    nonfinite: list[tuple[int, int]] = field(default_factory=list)
    silenced: list[tuple[int, int]] = field(default_factory=list)
    n_beyond: int = 0
    peak: float = 0.0
    _mean_energy: float = 0.0
    _unrelated_energy: float = 0.0

    def check(self, block: NDArray[np.float32], position: int) -> NDArray[np.float32]:
        """The block ``(n, channels)`` with absurd samples made 0; it starts at ``position``."""
        highest = max(float(block.max(initial=0.0)), -float(block.min(initial=0.0)))
        if highest <= MAX_LEVEL:  # False for NaN as well
            return block
        size = np.abs(block)
        absurd = ~(size <= ABSURD)
        if absurd.any():
            # NaN would spread through the resampler into every later sample
            self.n_nonfinite += int(np.count_nonzero(absurd))
            where = np.flatnonzero(absurd.any(axis=1))
            self.nonfinite.append((position + int(where[0]), position + int(where[-1]) + 1))
            block, size = np.where(absurd, np.float32(0), block), np.where(absurd, 0, size)
        self.n_beyond += int(np.count_nonzero(size > MAX_LEVEL))
        self.peak = max(self.peak, float(size.max(initial=0.0)))
        return block

    def check_mean(
        self, block: NDArray[np.float32], mono: NDArray[np.float32], position: int
    ) -> None:
        """Compare the channels ``(n, channels)`` with their mean ``(n,)``."""
        n_channels = block.shape[1]
        mean_energy = _energy(mono)
        # what the mean would have if the channels were unrelated; of equal ones it has more
        unrelated_energy = _energy(block) / n_channels**2
        self._mean_energy += mean_energy
        self._unrelated_energy += unrelated_energy
        is_loud = unrelated_energy * n_channels > QUIET * len(mono)
        if not (is_loud and mean_energy < SILENCED * unrelated_energy):
            return
        start = position
        if self.silenced and self.silenced[-1][1] == position:
            start = self.silenced.pop()[0]
        self.silenced.append((start, position + len(mono)))

    def joined(self, later: LevelCheck) -> LevelCheck:
        """The check of two pieces of one recording."""
        return LevelCheck(
            n_nonfinite=self.n_nonfinite + later.n_nonfinite,
            nonfinite=[*self.nonfinite, *later.nonfinite],
            silenced=[*self.silenced, *later.silenced],
            n_beyond=self.n_beyond + later.n_beyond,
            peak=max(self.peak, later.peak),
            _mean_energy=self._mean_energy + later._mean_energy,
            _unrelated_energy=self._unrelated_energy + later._unrelated_energy,
        )

    def verdict(self, n_samples: int) -> str | None:
        """What is wrong with ``n_samples`` of a recording, the verdict before it; None: nothing."""
        if self.n_beyond:
            return (
                f"{BEYOND_FULL_SCALE}: {self.n_beyond} samples are far beyond full scale, up to "
                f"{self.peak:.6g} where 1 is full"
            )
        is_loud = self._unrelated_energy > QUIET * n_samples
        if is_loud and self._mean_energy < CANCELLED * self._unrelated_energy:
            # 1e-30: channels may cancel each other exactly
            below_db = 10 * math.log10(self._unrelated_energy / max(self._mean_energy, 1e-30))
            return (
                f"{OPPOSITE_CHANNELS}: the channels cancel each other: their mean is "
                f"{below_db:.0f} dB below what unrelated channels give; is one of them inverted?"
            )
        return None


def _energy(samples: NDArray[np.float32]) -> float:
    # not np.vdot: BLAS would start threads of its own in each of the reading threads
    flat = samples.reshape(-1)
    return float(np.einsum("i,i->", flat, flat))
