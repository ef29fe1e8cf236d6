"""Samples in files are the numbers that were written, whole, in spans and up to where they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.audio.clock import StartTime, start_time
from dawnchorus.audio.decode.read import open_recording, read_audio
from dawnchorus.audio.resample import resample, resampled_length

BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}
WRITTEN = [
    ("WAV", "PCM_U8"), ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("FLAC", "PCM_S8"),
    ("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("AIFF", "PCM_16"), ("W64", "PCM_24"),
    ("RF64", "PCM_16"), ("CAF", "PCM_24"),
]  # fmt: skip


def steps(bits: int, n: int, channels: int, seed: int = 0) -> np.ndarray:
    """Whole numbers over all of what so many bits hold, both ends among them."""
    most = 2 ** (bits - 1)
    numbers = np.random.default_rng(seed).integers(-most, most, (n, channels))
    numbers[0], numbers[1] = -most, most - 1
    return numbers


def write_steps(path: Path, numbers: np.ndarray, rate: int, container: str, encoding: str) -> Path:
    # libsndfile takes the highest bits of a 32-bit number
    left = (numbers << (32 - BITS[encoding])).astype(np.int32)
    soundfile.write(path, left, rate, format=container, subtype=encoding)
    return path


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize(("container", "encoding"), WRITTEN)
def test_every_step_of_every_depth_is_its_share_of_full_scale(
    container: str, encoding: str, channels: int, tmp_path: Path
) -> None:
    bits = BITS[encoding]
    numbers = steps(bits, 3000, channels)
    path = write_steps(tmp_path / "x", numbers, 22_050, container, encoding)
    scaled = numbers / 2 ** (bits - 1)
    for channel in range(channels):
        found = read_audio(path, channel=channel)
        np.testing.assert_array_equal(found, scaled[:, channel].astype(np.float32))
    np.testing.assert_allclose(read_audio(path), scaled.mean(axis=1), atol=2**-24)


@settings(max_examples=25)
@given(data=st.data())
def test_a_span_is_that_part_of_the_whole(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    container, encoding = data.draw(st.sampled_from(WRITTEN))
    rate = data.draw(st.sampled_from([8_000, 16_000, 44_100]))
    folder = tmp_path_factory.mktemp("span")
    numbers = steps(BITS[encoding], 6000, 1)
    path = write_steps(folder / "x", numbers, rate, container, encoding)
    whole = read_audio(path)
    first, last = sorted(data.draw(st.lists(st.integers(0, 6000), min_size=2, max_size=2)))
    if first == last:
        return
    found = read_audio(path, start_s=first / rate, stop_s=last / rate)
    np.testing.assert_array_equal(found, whole[first:last])


@settings(max_examples=20)
@given(
    n_bytes=st.integers(100, 15_900),
    channels=st.integers(1, 3),
    encoding=st.sampled_from(["PCM_16", "PCM_24"]),
)
def test_a_wav_that_breaks_off_keeps_every_whole_sample_and_says_so(
    n_bytes: int, channels: int, encoding: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("cut") / "x.wav"
    write_steps(path, steps(BITS[encoding], 8000, channels), 8_000, "WAV", encoding)
    whole = read_audio(path)
    content = path.read_bytes()
    head = len(content) - 8000 * channels * BITS[encoding] // 8
    path.write_bytes(content[: head + n_bytes])
    with open_recording(path) as recording:
        found = np.concatenate(list(recording.blocks(997)))
    assert len(found) == n_bytes // (channels * BITS[encoding] // 8)
    np.testing.assert_array_equal(found, whole[: len(found)])
    n_lost = 8000 - len(found)
    if n_lost > 82:
        assert (recording.damage or "").startswith("truncated: ")
    elif n_lost <= 80:  # 10 ms are a writer's slip
        assert recording.damage is None
    assert recording.verdict == recording.damage


RATES = st.sampled_from([8_000, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000])


@settings(max_examples=25)
@given(RATES, RATES, st.integers(1, 20_000))
def test_a_constant_stays_that_constant_at_any_rate_and_of_the_exact_length(
    from_hz: int, to_hz: int, n: int
) -> None:
    n_expected = resampled_length(n, from_hz, to_hz)
    assert abs(n_expected - n * to_hz / from_hz) <= 0.5
    found = resample(np.full(n, 0.25, np.float32), from_hz, to_hz)
    assert len(found) == n_expected
    edge = 200 * max(1, to_hz // from_hz)  # the filter hears silence beyond both ends
    np.testing.assert_allclose(found[edge:-edge], 0.25, atol=1e-4)


@settings(max_examples=25)
@given(RATES, RATES, st.floats(0.02, 0.42), st.floats(0.01, 2.0))
def test_resampling_keeps_what_both_rates_hold_and_is_linear(
    from_hz: int, to_hz: int, share: float, gain: float
) -> None:
    hz = share * min(from_hz, to_hz)
    tone = np.sin(2 * np.pi * hz * np.arange(from_hz // 4) / from_hz).astype(np.float32)
    found = resample(tone, from_hz, to_hz)
    expected = np.sin(2 * np.pi * hz * np.arange(len(found)) / to_hz)
    edge = 400 * max(1, to_hz // from_hz)
    np.testing.assert_allclose(found[edge:-edge], expected[edge:-edge], atol=2e-3)
    louder = resample(np.float32(gain) * tone, from_hz, to_hz)
    np.testing.assert_allclose(louder, gain * found, atol=1e-5)


TIMES = st.datetimes(datetime(1986, 1, 1), datetime(2024, 12, 31))
NOW = datetime(2025, 1, 2, tzinfo=UTC)


@given(
    TIMES,
    st.sampled_from(["%Y%m%d_%H%M%S", "%Y%m%dT%H%M%S", "%Y-%m-%d %H-%M-%S", "%Y%m%d%H%M%S"]),
    st.sampled_from(["", "SITE_", "A-1_"]),
    st.sampled_from(["", "_000", "_REC"]),
)
def test_a_time_in_a_name_is_read_as_it_was_written(
    time: datetime, form: str, before: str, behind: str
) -> None:
    time = time.replace(microsecond=0)
    found = start_time("", "", f"{before}{time.strftime(form)}{behind}", NOW)
    assert found == StartTime(time.isoformat(), "file name")


@given(TIMES, st.integers(-12 * 4, 14 * 4))
def test_an_offset_that_a_place_has_is_kept(time: datetime, quarters: int) -> None:
    zone = timezone(timedelta(minutes=15 * quarters))
    noted = time.replace(tzinfo=zone)
    assert start_time(noted.isoformat(), "", "x", NOW) == StartTime(noted.isoformat(), "guano")
    whole = noted.replace(microsecond=0)
    named = start_time("", "", whole.strftime("%Y%m%dT%H%M%S%z") + "_REC", NOW)
    assert named == StartTime(whole.isoformat(), "file name")


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_any_words_are_a_possible_time_or_none(guano: str, comment: str, stem: str) -> None:
    found = start_time(guano, comment, stem, NOW)
    if found is not None:
        time = datetime.fromisoformat(found.time)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        assert datetime(1985, 1, 1, tzinfo=UTC) <= time < NOW + timedelta(days=1)
