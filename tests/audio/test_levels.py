"""Samples that cannot be sound are silenced and counted, absurd levels are reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dawnchorus.audio.decode.read import open_recording
from decode_samples import HZ, tone, write


def test_samples_that_are_not_numbers_become_silence_and_are_counted(tmp_path: Path) -> None:
    sound = tone()[:, 0].astype(np.float32)
    sound[[5, 900]] = np.nan, np.inf
    path = write(tmp_path / "x.wav", sound, subtype="FLOAT")
    with open_recording(path) as recording:
        found = np.concatenate(list(recording.blocks()))
        assert recording.levels.n_nonfinite == 2
    assert np.isfinite(found).all()
    assert found[5] == found[900] == 0


def test_what_is_not_a_number_in_one_channel_leaves_the_others(tmp_path: Path) -> None:
    sound = np.full((100, 3), 0.3)
    sound[10] = np.inf, -np.inf, 0.3
    sound[20, 0] = 1e300  # a number in the file, none as float32
    path = write(tmp_path / "x.wav", sound, subtype="DOUBLE")
    with open_recording(path) as recording:
        found = np.concatenate(list(recording.blocks()))
    assert recording.levels.n_nonfinite == 3
    assert found[[0, 10, 20]] == pytest.approx([0.3, 0.1, 0.2])


def test_absurd_samples_become_silence_and_loud_ones_are_reported(tmp_path: Path) -> None:
    sound = tone(1.0, HZ)[:, 0].astype(np.float32)
    sound[[5, 900]] = 1e19, -1e20
    path = write(tmp_path / "x.wav", sound, HZ, subtype="FLOAT")
    with open_recording(path) as recording:
        assert max(np.abs(block).max() for block in recording.blocks()) < 1
    assert recording.levels.n_nonfinite == 2
    assert recording.verdict is None
    path = write(tmp_path / "y.wav", 32_768 * tone(1.0, HZ)[:, 0], HZ, subtype="FLOAT")
    with open_recording(path) as recording:
        for _ in recording.blocks():
            pass
    assert recording.damage is None
    assert (recording.verdict or "").startswith("beyond-full-scale: ")
    path = write(
        tmp_path / "z.wav", 8 * tone(1.0, HZ)[:, 0], HZ, subtype="FLOAT"
    )  # 18 dB: a hot recorder
    with open_recording(path) as recording:
        for _ in recording.blocks():
            pass
    assert recording.verdict is None


def test_channels_that_cancel_each_other_are_reported(tmp_path: Path) -> None:
    left = tone(4.0, HZ)[:, 0]
    noise = 1e-3 * np.random.default_rng(0).standard_normal((len(left), 2))
    opposite = write(tmp_path / "x.wav", np.stack([left, -left], 1) + noise, HZ)
    with open_recording(opposite) as recording:
        for _ in recording.blocks():
            pass
    assert (recording.verdict or "").startswith("opposite-channels: ")
    with open_recording(opposite, channel=0) as recording:
        for _ in recording.blocks():
            pass
    assert recording.verdict is None
    unrelated = np.random.default_rng(1).standard_normal((64_000, 6)) / 10
    for fine in (np.stack([left, left], 1), np.stack([left, 0 * left], 1), unrelated, noise * 1e-3):
        with open_recording(write(tmp_path / "y.wav", fine, HZ)) as recording:
            for _ in recording.blocks():
                pass
        assert recording.verdict is None


def test_windows_of_silenced_sound_are_marked(tmp_path: Path) -> None:
    left = tone(4.0, HZ)[:, 0]
    with open_recording(write(tmp_path / "x.wav", np.stack([left, -left], 1), HZ)) as recording:
        for _ in recording.blocks():
            pass
    assert recording.levels.silenced == [(0, len(left))]
