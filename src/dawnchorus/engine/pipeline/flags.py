"""What is to be known of a window before its numbers are trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.store.schema import FLAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.audio.windows import Window

SILENT, CLIPPED, NONFINITE, GAP = (1 << i for i in range(len(FLAGS)))
SILENCE: Final = 1e-6  # of full scale; the last bit of 16 is 3e-5
FULL_SCALE: Final = 0.999
MOST_AT_FULL_SCALE: Final = 16  # samples of a window; a shorter touch is not distortion


def window_flags(
    window: Window,
    rate: int,
    *,
    own_rate: int,
    gaps: Sequence[tuple[int, int]],
    nonfinite: Sequence[tuple[int, int]],
    silenced: Sequence[tuple[int, int]] = (),
) -> int:
    """Bits of a window.

    Args:
        window: at the model's rate, ``rate``.
        rate: Hz.
        own_rate: the recording's rate, at which the spans count.
        gaps: spans that could not be decoded.
        nonfinite: spans with samples that were no numbers.
        silenced: spans in which the channels cancel each other.
    """
    sound = window.samples[: window.valid_samples]
    peak = max(float(sound.max(initial=0.0)), -float(sound.min(initial=0.0)))
    start = window.start_sample * own_rate // rate
    # rounded outwards, so that a span that only touches the window counts
    stop = -(-(window.start_sample + window.valid_samples) * own_rate // rate)
    return (
        SILENT * (peak <= SILENCE or _within(silenced, start, stop))
        # counted only where it can be: few windows touch full scale
        | CLIPPED * (peak >= FULL_SCALE and _n_at_full_scale(sound) > MOST_AT_FULL_SCALE)
        | NONFINITE * _meets(nonfinite, start, stop)
        | GAP * _meets(gaps, start, stop)
    )


def _n_at_full_scale(sound: NDArray[np.float32]) -> int:
    return int(np.count_nonzero(np.abs(sound) >= FULL_SCALE))


def _meets(spans: Sequence[tuple[int, int]], start: int, stop: int) -> bool:
    return any(first < stop and last > start for first, last in reversed(spans))


def _within(spans: Sequence[tuple[int, int]], start: int, stop: int) -> bool:
    # + 1: the window's end may be rounded one sample up
    return any(first <= start and last + 1 >= stop for first, last in reversed(spans))
