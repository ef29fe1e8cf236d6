"""Resampling in blocks equals resampling at once, with a length that is known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.audio.resample import band_warning, resample, resample_blocks, resampled_length

RATES = [
    1_000,
    4_000,
    8_000,
    11_025,
    22_050,
    32_000,
    44_099,
    44_100,
    48_000,
    96_000,
    256_000,
    500_000,
]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(RATES), st.integers(1, 30_000), st.lists(st.integers(0, 30_000), max_size=5))
def test_blocks_give_what_the_whole_gives(rate: int, n_samples: int, edges: list[int]) -> None:
    sound = np.random.default_rng(n_samples).standard_normal(n_samples).astype(np.float32)
    blocks = np.split(sound, sorted(min(edge, n_samples) for edge in edges))
    streamed = np.concatenate([np.zeros(0, np.float32), *resample_blocks(blocks, rate, 16_000)])
    whole = resample(sound, rate, 16_000)
    assert len(streamed) == len(whole) == resampled_length(n_samples, rate, 16_000)
    assert np.array_equal(streamed, whole)


@pytest.mark.parametrize("rate", RATES)
def test_agrees_with_one_call_of_soxr(rate: int) -> None:
    sound = np.random.default_rng(0).standard_normal(rate).astype(np.float32)
    theirs = soxr.resample(sound, rate, 16_000, quality="HQ")
    ours = resample(sound, rate, 16_000)
    assert len(ours) == len(theirs)
    assert np.abs(ours - theirs).max() < 1e-6


def test_a_tone_keeps_its_place_in_time() -> None:
    time = np.arange(48_000) / 48_000
    tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    there = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert np.abs(resample(tone, 48_000, 16_000) - there)[200:-200].max() < 1e-3


def test_equal_rates_pass_through() -> None:
    sound = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    assert np.array_equal(resample(sound, 16_000, 16_000), sound)


@pytest.mark.parametrize(("surplus", "tail"), [(5, [1, 1, 1]), (1, [1, 0, 0])])
def test_what_soxr_gives_too_much_is_cut_and_too_little_is_silence(
    monkeypatch: pytest.MonkeyPatch, surplus: int, tail: list[int]
) -> None:
    class Clumsy:
        def __init__(self, *_: object, **__: object) -> None: ...

        def resample_chunk(self, block: np.ndarray, *, last: bool = False) -> np.ndarray:
            return np.ones(surplus, np.float32) if last else block[::2][:-3]

    monkeypatch.setattr(soxr, "ResampleStream", Clumsy)
    assert resample(np.full(20, 7, np.float32), 32_000, 16_000).tolist() == [7] * 7 + tail


def test_quality_is_what_was_asked_for() -> None:
    sound = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    quick = resample(sound, 44_100, 16_000, quality="QQ")
    assert np.array_equal(quick, soxr.resample(sound, 44_100, 16_000, quality="QQ"))
    assert not np.allclose(quick, resample(sound, 44_100, 16_000), atol=1e-3)


def test_nothing_stays_nothing() -> None:
    assert len(resample(np.zeros(0, np.float32), 44_100, 16_000)) == 0
    assert list(resample_blocks([], 44_100, 16_000)) == []


@pytest.mark.parametrize(
    ("rate", "says"),
    [
        (8_000, "above 4 kHz"),
        (15_999, "scores may suffer"),
        (16_000, None),
        (48_000, None),
        (64_000, "bats"),
        (96_000, "bats"),
        (384_000, "bats"),
    ],
)
def test_warns_when_recorder_and_model_hear_different_bands(rate: int, says: str | None) -> None:
    text = band_warning(rate, 16_000)
    assert (text is None) == (says is None)
    if says:
        assert says in (text or "")


def test_a_model_that_hears_ultrasound_needs_no_warning_of_it() -> None:
    assert band_warning(256_000, 256_000) is None
    assert band_warning(384_000, 192_000) is None
    assert band_warning(96_000, 48_000) is not None
