"""Resampling in torch against soxr, and what it promises of rows and lengths."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dawnchorus.audio.polyphase import resample_batch
from dawnchorus.audio.resample import resample, resampled_length

RATES = [(16_000, 32_000), (16_000, 8_000), (16_000, 22_050), (32_000, 16_000), (48_000, 32_000)]


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_it_is_soxr_but_for_the_edges(from_hz: int, to_hz: int) -> None:
    noise = np.random.default_rng(0).standard_normal((2, from_hz)).astype(np.float32)
    ours = resample_batch(torch.from_numpy(noise), from_hz, to_hz).numpy()
    assert ours.shape == (2, resampled_length(from_hz, from_hz, to_hz))
    for row, samples in zip(ours, noise, strict=True):
        theirs = resample(samples, from_hz, to_hz)
        inner = slice(len(theirs) // 10, -len(theirs) // 10)
        error = np.sqrt(np.square(row - theirs)[inner].mean() / np.square(theirs[inner]).mean())
        assert error < 0.002  # of white noise, which has as much on the slope as anywhere


def test_a_tone_keeps_its_height_and_what_does_not_fit_is_gone() -> None:
    t = torch.arange(16_000, dtype=torch.float64) / 16_000  # a phase in float32 is off by 0.002
    low, high = (torch.sin(2 * torch.pi * hz * t).float()[None] for hz in (3000.0, 6000.0))
    kept, gone = (resample_batch(x, 16_000, 8_000)[0, 500:-500] for x in (low, high))
    assert float(kept.square().mean()) == pytest.approx(0.5, rel=1e-3)
    assert float(gone.abs().max()) < 1e-5


def test_a_row_does_not_depend_on_its_batch_and_equal_rates_pass() -> None:
    batch = torch.randn(3, 4000, generator=torch.Generator().manual_seed(0))
    together = resample_batch(batch, 16_000, 24_000)
    assert torch.allclose(together[1:2], resample_batch(batch[1:2], 16_000, 24_000), atol=1e-6)
    assert resample_batch(batch, 16_000, 16_000) is batch
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(together, resample_batch(batch, 16_000, 24_000))
