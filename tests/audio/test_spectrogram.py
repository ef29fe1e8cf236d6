"""Pictures of sound show what is heard, where it is heard."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dawnchorus.audio.spectrogram import (
    PALETTE,
    RANGE_DB,
    png_bytes,
    spectrogram_db,
    spectrogram_image,
    spectrogram_shades,
)
from dawnchorus.errors import UsageError

RATE = 16_000


def tone(hz: float, seconds: float = 1.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype("f4")


def brightness(image: np.ndarray) -> np.ndarray:
    return image.astype(int).sum(axis=2)


@pytest.mark.parametrize("hz", [500.0, 2000.0, 4000.0, 7000.0])
def test_a_tone_is_a_line_at_its_frequency(hz: float) -> None:
    image = brightness(spectrogram_image(tone(hz), RATE, height=160, width=200))
    rows = image[:, 20:-20].argmax(axis=0)
    expected = (1 - hz / (RATE / 2)) * 160
    assert np.abs(rows - expected).max() <= 2


@pytest.mark.parametrize("at_s", [0.1, 0.5, 0.83])
def test_a_click_is_a_line_at_its_moment(at_s: float) -> None:
    samples = np.zeros(RATE, np.float32)
    samples[round(at_s * RATE)] = 1.0
    columns = brightness(spectrogram_image(samples, RATE, width=300)).sum(axis=0)
    assert abs(columns.argmax() - at_s * 300) <= 4


def test_a_short_call_in_a_long_sound_is_still_seen() -> None:
    samples = np.random.default_rng(0).normal(0, 1e-4, 60 * RATE).astype("f4")
    samples[30 * RATE : 30 * RATE + 80] += tone(3000, 0.005)
    image = brightness(spectrogram_image(samples, RATE, width=200, height=100))
    assert abs(int(image.max(axis=0).argmax()) - 100) <= 1


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30_000), st.integers(1, 300), st.integers(1, 300), st.integers(0, 99))
def test_a_picture_has_the_size_asked_for(n: int, height: int, width: int, seed: int) -> None:
    samples = np.random.default_rng(seed).normal(0, 0.1, n).astype("f4")
    image = spectrogram_image(samples, RATE, height=height, width=width)
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8


@settings(max_examples=15, deadline=None)
@given(st.floats(1e-3, 100))
def test_a_faint_sound_looks_as_a_loud_one(gain: float) -> None:
    samples = tone(1500) + np.random.default_rng(1).normal(0, 0.01, RATE).astype("f4")
    np.testing.assert_allclose(
        spectrogram_db(samples * np.float32(gain), RATE), spectrogram_db(samples, RATE), atol=0.02
    )


def test_levels_are_decibels_below_the_loudest() -> None:
    both = tone(1000, level=0.5) + tone(5000, level=0.005)
    levels = spectrogram_db(both, RATE)
    bins = levels.shape[0] - 1
    middle = levels[:, levels.shape[1] // 2]
    assert middle[round(1000 / (RATE / 2) * bins)] == pytest.approx(0, abs=0.5)
    assert middle[round(5000 / (RATE / 2) * bins)] == pytest.approx(-40, abs=0.5)
    assert levels.min() >= -RANGE_DB


def test_silence_is_the_darkest_colour_and_no_error() -> None:
    image = spectrogram_image(np.zeros(RATE, np.float32), RATE)
    assert (image == image[0, 0]).all()
    assert brightness(image).max() < 60


def test_highest_hz_cuts_the_picture_there() -> None:
    image = brightness(spectrogram_image(tone(2000), RATE, height=100, highest_hz=4000))
    assert abs(int(image[:, 50:-50].mean(axis=1).argmax()) - 50) <= 2
    wide = spectrogram_image(tone(2000), RATE, highest_hz=99_000)
    np.testing.assert_array_equal(wide, spectrogram_image(tone(2000), RATE))


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros(0, np.float32), r"need one channel with sound, got shape \(0,\)"),
        (np.zeros((2, 9), np.float32), r"got shape \(2, 9\)"),
        (np.array([0.0, np.nan], np.float32), "not finite"),
        (np.array([0.0, np.inf], np.float32), "not finite"),
    ],
)
def test_what_cannot_be_drawn_is_refused(samples: np.ndarray, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        spectrogram_image(samples, RATE)


@pytest.mark.parametrize("sizes", [{"height": 0}, {"width": -1}, {"highest_hz": 0.0}])
def test_an_impossible_size_is_refused(sizes: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="need sizes over 0"):
        spectrogram_image(tone(1000), RATE, **sizes)


@pytest.mark.parametrize("shape", [(192, 480), (1, 1), (3, 7)])
def test_a_png_holds_the_picture_exactly_and_is_the_same_each_time(shape: tuple[int, int]) -> None:
    height, width = shape
    image = spectrogram_image(tone(1000), RATE, height=height, width=width)
    shades = spectrogram_shades(tone(1000), RATE, height=height, width=width)
    for data in (png_bytes(image), png_bytes(shades)):
        shown = Image.open(io.BytesIO(data)).convert("RGB")
        np.testing.assert_array_equal(np.asarray(shown), image)
    assert png_bytes(shades) == png_bytes(shades)


def test_shades_go_from_the_quietest_to_the_loudest() -> None:
    assert PALETTE.shape == (256, 3)
    light = PALETTE.astype(int).sum(axis=1)
    assert (np.diff(light) >= -2).all()  # each channel is rounded by itself
    shades = spectrogram_shades(tone(1000), RATE)
    assert shades.min() == 0
    assert shades.max() >= 250  # a line of one bin is drawn between two rows


@pytest.mark.parametrize("hz", [2500.0, 3000.0, 3500.0])
def test_a_band_shows_its_frequencies_alone(hz: float) -> None:
    both = tone(hz) + tone(500, level=0.4) + tone(6000, level=0.4)
    shades = spectrogram_shades(both, RATE, height=200, lowest_hz=2000, highest_hz=4000)
    rows = shades[:, 20:-20].argmax(axis=0)
    assert np.abs(rows - (1 - (hz - 2000) / 2000) * 200).max() <= 4
    assert (shades[:60, 20:-20].max() > 100) == (hz > 3400)


def test_a_quiet_band_fills_the_scale_as_a_loud_one_does() -> None:
    fade = np.hanning(RATE).astype("f4")  # where a loud tone begins at once, all bands have it
    loud, faint = fade * tone(500, level=0.5), tone(3000, level=0.0001)
    band = {"height": 100, "lowest_hz": 2000, "highest_hz": 4000}
    shades = spectrogram_shades(loud + faint, RATE, **band)
    assert shades[45:55, 20:-20].max(axis=0).min() >= 240
    # the whole picture is as it was: the loud tone is the loudest
    assert spectrogram_shades(loud + faint, RATE)[:140, 20:-20].max() == 0


@pytest.mark.parametrize("band", [(4000.0, 4000.0), (-1.0, None), (8000.0, None)])
def test_an_impossible_band_is_refused(band: tuple[float, float | None]) -> None:
    with pytest.raises(UsageError, match="need 0 <= lowest <"):
        spectrogram_shades(tone(1000), RATE, lowest_hz=band[0], highest_hz=band[1])
