"""What the samples of a recording say against it: absurd values, absurd levels, opposite channels.

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

BEYOND: Final = "beyond-full-scale"
OPPOSITE: Final = "opposite-channels"
ADVICE: Final = {
    BEYOND: "sound far beyond full scale, such as whole numbers stored as floats: the model has "
    "heard nothing like it, so scale the files to between -1 and 1",
    OPPOSITE: "channels that cancel each other, so their mean is next to silence: choose one with "
    "--channel 0",
}
# Full scale is 1. Floating-point recorders go some decibels beyond it; 24 dB is no recorder's.
MOST: Final = 16.0
# The largest that a 32-bit integer written as a float can be. Beyond it no converter put a sample,
# and the square of 1e19 is no number in float32.
ABSURD: Final = 2.0**31
CANCELLED: Final = 0.1  # of the energy that the mean of unrelated channels has
SILENCED: Final = 1e-3  # of that energy: the model hears nothing
QUIET: Final = 1e-8  # mean square; 80 dB below full scale, where noise may do what it likes


@dataclass(slots=True)
class Levels:
    """Keeps account of the blocks of a recording.

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
    _of_mean: float = 0.0
    _of_channels: float = 0.0

    def checked(self, block: NDArray[np.float32], position: int) -> NDArray[np.float32]:
        """The block ``(n, channels)`` with absurd samples made 0; it lies at ``position``."""
        highest = max(float(block.max(initial=0.0)), -float(block.min(initial=0.0)))
        if highest <= MOST:  # False for NaN as well
            return block
        size = np.abs(block)
        absurd = ~(size <= ABSURD)
        if absurd.any():
            # NaN would spread through the resampler into every later sample
            self.n_nonfinite += int(np.count_nonzero(absurd))
            where = np.flatnonzero(absurd.any(axis=1))
            self.nonfinite.append((position + int(where[0]), position + int(where[-1]) + 1))
            block, size = np.where(absurd, np.float32(0), block), np.where(absurd, 0, size)
        self.n_beyond += int(np.count_nonzero(size > MOST))
        self.peak = max(self.peak, float(size.max(initial=0.0)))
        return block

    def averaged(
        self, block: NDArray[np.float32], mono: NDArray[np.float32], position: int
    ) -> None:
        """Note how much of the channels ``(n, channels)`` is left in their mean ``(n,)``."""
        of_mean = float(np.vdot(mono, mono))
        of_channels = float(np.vdot(block, block)) / block.shape[1] ** 2  # were they unrelated
        self._of_mean += of_mean
        self._of_channels += of_channels
        loud = of_channels * block.shape[1] > QUIET * len(mono)
        if not (loud and of_mean < SILENCED * of_channels):
            return
        start = position
        if self.silenced and self.silenced[-1][1] == position:
            start = self.silenced.pop()[0]
        self.silenced.append((start, position + len(mono)))

    def remark(self, n_samples: int) -> str | None:
        """What is to be said of ``n_samples`` of a recording; the first word is the verdict."""
        if self.n_beyond:
            return (
                f"{BEYOND}: {self.n_beyond} samples are far beyond full scale, up to "
                f"{self.peak:.6g} where 1 is full"
            )
        loud = self._of_channels > QUIET * n_samples
        if loud and self._of_mean < CANCELLED * self._of_channels:
            below_db = 10 * math.log10(self._of_channels / max(self._of_mean, 1e-30))
            return (
                f"{OPPOSITE}: the channels cancel each other: their mean is {below_db:.0f} dB "
                "below what unrelated channels give; is one of them inverted?"
            )
        return None
