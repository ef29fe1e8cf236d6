"""Integers are scaled wherever arrays come in; what has no full scale is refused."""

from __future__ import annotations

import numpy as np
import pytest

from dawnchorus.audio.resample import resample
from dawnchorus.audio.samples import as_float32
from dawnchorus.audio.windows import cut
from dawnchorus.errors import UsageError

TONE = 0.3 * np.sin(2 * np.pi * 440 * np.arange(8_000) / 16_000)
INT16 = (TONE * 2**15).astype(np.int16)


def test_float32_passes_through_untouched() -> None:
    samples = TONE.astype(np.float32)
    assert as_float32(samples) is samples


@pytest.mark.parametrize("to_hz", [16_000, 22_050])
def test_integers_are_scaled_before_they_are_cut_or_resampled(to_hz: int) -> None:
    np.testing.assert_allclose(cut(INT16, 3_000, 3_000)[0].ravel()[:8_000], TONE, atol=1e-4)
    np.testing.assert_allclose(
        resample(INT16, 16_000, to_hz), resample(TONE.astype(np.float32), 16_000, to_hz), atol=1e-4
    )


def test_big_endian_samples_are_those_of_little_endian() -> None:
    np.testing.assert_array_equal(as_float32(INT16.astype(">i2")), as_float32(INT16))


def test_numbers_without_a_full_scale_and_channels_are_refused() -> None:
    with pytest.raises(UsageError, match="int64 has no full scale"):
        cut(np.arange(10), 5, 5)
    with pytest.raises(UsageError, match=r"shape \(2, 10\); need one channel"):
        cut(np.zeros((2, 10), np.float32), 5, 5)
