"""A resampler that begins later gives the same bits, wherever `restart_of` says so."""

from __future__ import annotations

import numpy as np
import pytest

from dawnchorus.audio import restarts
from dawnchorus.audio.resample import resample
from dawnchorus.audio.restarts import Restart, restart_of

RATES = (8_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000, 250_000)


@pytest.mark.parametrize("rate", RATES)
def test_a_later_beginning_gives_the_same_bits_to_the_end(rate: int) -> None:
    found = restart_of(rate, 16_000)
    assert found is not None
    begins = 2 * found.period
    noise = np.random.default_rng(rate).standard_normal(begins + 20 * found.settles + 77)
    sound = noise.astype(np.float32)
    whole, later = resample(sound, rate, 16_000), resample(sound[begins:], rate, 16_000)
    first = begins * 16_000 // rate
    assert first * rate == begins * 16_000
    assert len(whole) == first + len(later)
    n_settling = -(-found.settles * 16_000 // rate)
    np.testing.assert_array_equal(whole[first + n_settling :], later[n_settling:])
    # and a sample earlier it would not: the period is no accident
    assert not np.array_equal(
        resample(sound[begins - rate // np.gcd(rate, 16_000) :], rate, 16_000)[
            n_settling : n_settling + 1_000
        ],
        whole[first - 16_000 // np.gcd(rate, 16_000) :][n_settling : n_settling + 1_000],
    )


@pytest.mark.parametrize("rate", RATES)
def test_what_went_in_long_ago_has_come_out(rate: int) -> None:
    found = restart_of(rate, 16_000)
    assert found is not None
    for n_in in (found.lags, 5 * found.lags + 17, 9 * found.lags + found.settles // 3):
        n_out = restarts._n_out(rate, 16_000, n_in)
        assert n_out * rate >= (n_in - found.lags) * 16_000


def test_equal_rates_begin_anywhere() -> None:
    assert restart_of(16_000, 16_000) == Restart(1, 0, 0)


def test_a_period_that_noise_disproves_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarts, "_block_samples", lambda *_: 1_467)
    restart_of.cache_clear()
    try:
        assert restart_of(48_000, 16_000) is None
    finally:
        restart_of.cache_clear()
