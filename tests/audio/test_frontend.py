"""The log-mel against the original's tensors and against a slow reading of the formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import originals
from dawnchorus.audio import frontend
from dawnchorus.errors import UsageError

GOLDEN = originals.arrays("frontend")
FACTS = originals.facts("frontend")
TONES = {"tone440_1s", "am_tone_10s", "chirp_10s"}


def slow_log_mel(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """One frame and one band at a time, in float64, as Kaldi describes it."""
    samples = samples - samples.mean()
    window = [0.5 - 0.5 * math.cos(2 * math.pi * n / 399) for n in range(400)]

    def mel(hz: float) -> float:
        return 1127.0 * math.log(1 + hz / 700)

    low, high = mel(20.0), mel(8000.0)
    step = (high - low) / 129
    rows = []
    for first in range(0, len(samples) - 399, 160):
        frame = samples[first : first + 400] - samples[first : first + 400].mean()
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(frame * window, 512)) ** 2
        row = []
        for band in range(128):
            left = low + band * step
            energy = 0.0
            for k in range(256):  # the bin at 8 kHz has no weight
                at = mel(k * 16_000 / 512)
                weight = min((at - left) / step, (left + 2 * step - at) / step)
                energy += max(weight, 0.0) * power[k]
            row.append(math.log(max(energy, float(np.finfo(np.float32).eps))))
        rows.append(row)
    return np.array(rows)


@pytest.mark.golden
@pytest.mark.parametrize("case", list(originals.LENGTHS))
def test_the_log_mel_is_the_originals(case: str) -> None:
    waveform = originals.wave(case)
    assert float(waveform.double().abs().sum()) == pytest.approx(
        FACTS[case]["wave_abs_sum"], rel=1e-9
    )
    found = frontend.log_mel(waveform)[0].numpy()
    assert len(found) == FACTS[case]["n_frames"]
    want = GOLDEN[f"{case}/logmel"]
    got = found[GOLDEN[f"{case}/frames"]]
    atol = 1e-5 if case == "silence_2s" else 6e-2 if case in TONES else 5e-3
    mean = 5e-4 if case in TONES else 1e-5
    assert np.abs(got - want).max() <= atol
    assert np.abs(got - want).mean() <= mean
    assert float(np.abs(found.astype(np.float64)).sum()) == pytest.approx(
        FACTS[case]["logmel_abs_sum"], rel=1e-5
    )


@pytest.mark.golden
@pytest.mark.parametrize("case", list(originals.LENGTHS))
def test_the_encoders_input_is_the_originals(case: str) -> None:
    energies = frontend.log_mel(originals.wave(case))
    found = frontend.normalise(frontend.fit_frames(energies, 1024), *originals.NORMALIZATION)
    got = found[0].numpy()[GOLDEN[f"{case}/norm_rows"]]
    atol = 1e-5 / 9 if case == "silence_2s" else (6e-2 if case in TONES else 5e-3) / 9
    originals.near(got, GOLDEN[f"{case}/norm"], atol=max(atol, 1e-5 / 9), rtol=1e-6)


@pytest.mark.golden
@pytest.mark.parametrize("case", ["noise_3s", "clipped_4s", "silence_2s"])
@pytest.mark.parametrize("how", ["norm_audioset", "norm_perclip"])
def test_other_normalisations_are_the_originals(case: str, how: str) -> None:
    energies = frontend.fit_frames(frontend.log_mel(originals.wave(case)), 1024)
    if how == "norm_audioset":
        found = frontend.normalise(energies, -4.268, 4.569)
    else:
        found = frontend.normalise_per_clip(energies)
    rows = [0, 100, 197, 200, 297, 298, 397, 398, 1023]
    want = originals.arrays("lengths_and_norms")[f"{how}/{case}"]
    originals.near(found[0, rows], want, atol=5e-3 / 4, rtol=1e-6)
    total = originals.facts("lengths_and_norms")[f"{how}/{case}"][1]
    assert float(found.double().abs().sum()) == pytest.approx(total, rel=1e-5)


@example(n_samples=720, seed=777, level=1e-3, offset=0.3)  # a faint sound on a large offset
@given(
    n_samples=st.integers(400, 1_500),
    seed=st.integers(0, 2**32 - 1),
    level=st.sampled_from([1e-3, 0.1, 1.0]),
    offset=st.sampled_from([0.0, 0.3]),
)
@settings(max_examples=15, deadline=None)
def test_a_slow_reading_of_the_formulas_agrees(
    n_samples: int, seed: int, level: float, offset: float
) -> None:
    samples = level * np.random.default_rng(seed).standard_normal(n_samples) + offset
    samples = samples.astype(np.float32).astype(np.float64)
    got = frontend.log_mel(torch.from_numpy(samples.astype(np.float32))[None])[0].numpy()
    assert np.abs(got - slow_log_mel(samples)).max() <= 5e-3


def test_a_clip_is_the_same_alone_and_in_a_batch() -> None:
    short, long = originals.wave("short_0.1s"), originals.wave("odd_12345")
    batch = torch.zeros(2, long.shape[1])
    batch[0, : short.shape[1]], batch[1] = short[0], long[0]
    batch[0, short.shape[1] :] = 0.7  # whatever lies behind the clip must not be heard
    together = frontend.log_mel(batch, torch.tensor([short.shape[1], long.shape[1]]))
    alone = frontend.log_mel(short)
    torch.testing.assert_close(together[0, : alone.shape[1]], alone[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(together[1], frontend.log_mel(long)[0], atol=1e-6, rtol=0)


def test_gradients_reach_the_waveform() -> None:
    waveform = originals.wave("short_0.1s").requires_grad_()
    frontend.log_mel(waveform).sum().backward()
    assert waveform.grad is not None
    assert bool((waveform.grad[0, :1_360] != 0).any())
    assert bool(waveform.grad.isfinite().all())


def test_a_first_call_without_gradients_does_not_bar_later_ones_with_them() -> None:
    frontend._window_and_bank.cache_clear()
    waveform = originals.wave("short_0.1s")
    with torch.inference_mode():
        frontend.log_mel(waveform)
    frontend.log_mel(waveform.requires_grad_()).sum().backward()
    assert waveform.grad is not None


def test_less_than_a_frame_is_refused() -> None:
    with pytest.raises(UsageError, match="399"):
        frontend.log_mel(torch.zeros(1, 399))
