"""Sounds to decode, and what reading one gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.audio.decode.read import open_recording, read_audio
from dawnchorus.errors import AudioError

RATE = 16_000
HZ = 48_000  # of the files that are damaged


def tone(seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return np.stack(
        [0.4 * np.sin(2 * np.pi * 300 * (c + 1) * time) for c in range(channels)], axis=1
    )


def write(path: Path, sound: np.ndarray, rate: int = RATE, **how: str) -> Path:
    soundfile.write(path, sound, rate, **how)
    return path


def joined(path: Path, block_samples: int, start_sample: int = 0) -> np.ndarray:
    with open_recording(path) as recording:
        blocks = list(recording.blocks(block_samples, start_sample=start_sample))
    assert max(map(len, blocks), default=0) <= block_samples
    return np.concatenate([np.zeros(0, np.float32), *blocks])


def reason_for(path: Path) -> str:
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value.reason


def read_to_end(path: Path) -> tuple[float, str]:
    with open_recording(path) as recording:
        n_samples = sum(map(len, recording.blocks()))
    return n_samples / recording.info.sample_rate, recording.damage or ""
