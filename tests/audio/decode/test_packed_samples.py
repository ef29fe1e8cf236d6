"""Integers become the floats that libsndfile itself makes of them, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.audio.decode import packed_samples
from dawnchorus.audio.decode.packed_samples import PackedReader, is_packed
from dawnchorus.audio.decode.read import open_recording
from dawnchorus.audio.decode.recording import mean_of_channels

HZ = 8_000
EDGES = np.array([-(2**31), 2**31 - 256, 0, 256, -256, 2**30, -(2**30) - 256], np.int32)


def written(path: Path, subtype: str, n_samples: int, channels: int, **more: str) -> np.ndarray:
    """A file of random numbers and extremes; returns what libsndfile reads."""
    rng = np.random.default_rng(n_samples + channels)
    numbers = rng.integers(-(2**31), 2**31, (n_samples, channels), np.int32)
    flat = numbers.reshape(-1)
    flat[: len(EDGES)] = EDGES[: len(flat)]
    soundfile.write(path, numbers, HZ, subtype, **more)
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "W64", "RF64", "AIFF", "FLAC"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_integers_are_the_floats_that_libsndfile_makes(
    tmp_path: Path, container: str, subtype: str, channels: int
) -> None:
    path = tmp_path / "a.sound"
    wanted = written(path, subtype, 1_003, channels, format=container)
    for channel in range(channels):
        with open_recording(path, channel=channel) as recording:
            found = np.concatenate(list(recording.blocks(250)))
        np.testing.assert_array_equal(found, wanted[:, channel])


def test_big_endian_samples_are_left_to_libsndfile(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    wanted = written(path, "PCM_24", 500, 1, format="WAV", endian="BIG")
    with soundfile.SoundFile(path) as file:
        assert not is_packed(file)
    with open_recording(path) as recording:
        np.testing.assert_array_equal(np.concatenate(list(recording.blocks())), wanted[:, 0])


def test_a_soundfile_without_raw_reads_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = written(tmp_path / "a.wav", "PCM_24", 100, 2)
    monkeypatch.setattr(packed_samples, "is_packed", lambda _file: False)
    monkeypatch.setattr("dawnchorus.audio.decode.sndfile_source.is_packed", lambda _file: False)
    with open_recording(tmp_path / "a.wav", channel=1) as recording:
        np.testing.assert_array_equal(np.concatenate(list(recording.blocks())), wanted[:, 1])


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 300), min_size=1, max_size=8), channels=st.integers(1, 3))
def test_reads_of_any_size_give_the_same_samples(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], channels: int
) -> None:
    path = tmp_path_factory.mktemp("packed") / "a.wav"
    wanted = written(path, "PCM_24", 701, channels)
    with soundfile.SoundFile(path) as file:
        reader = PackedReader(file)
        found = [reader.read(size) for size in [*sizes, 701, 5]]
    assert len(found[-1]) == 0
    np.testing.assert_array_equal(np.concatenate(found), wanted)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_the_mean_of_channels_is_rounded_once(channels: int) -> None:
    rng = np.random.default_rng(channels)
    chunk = rng.standard_normal((5_000, channels)).astype(np.float32)
    chunk[:100] *= np.float32(1e-38)  # next to the smallest numbers there are
    chunk[100:200, 0] *= np.float32(1e20)
    wanted = chunk.astype(np.float64).mean(axis=1).astype(np.float32)
    np.testing.assert_array_equal(mean_of_channels(chunk), wanted)
