"""A small random model and small recordings, made anew for every run of the tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, settings
from safetensors.torch import save_file

from dawnchorus.labels import write_label_map
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig

# No test fails because a machine is slow, and every run draws the same examples.
settings.register_profile(
    "everywhere", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("everywhere")

LABELS = ["blackbird", "great tit", "robin", "song thrush", "wren"]
TINY = EATConfig(
    dim=64,
    n_layers=2,
    n_heads=1,
    n_classes=len(LABELS),
    window_s=1.0,
    padded_frames=None,
    readout="output:valid",
    head_pooling="valid",
    stored_positions=False,
)
WriteSound = Callable[..., Path]

# Numbers that tests pin are float32's, on machines too that would choose bfloat16; programs that
# tests start inherit it.
os.environ.setdefault("DAWNCHORUS_PRECISION", "float32")

# Threads that wait for each other cost small tensors more than they bring, above all where several
# tests run side by side.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_encoder() -> EAT:
    """Two blocks, five labels, windows of one second, random weights."""
    torch.manual_seed(0)
    return EAT(TINY, name="tiny", labels=LABELS).eval()


@pytest.fixture(scope="session")
def tiny_folder(tiny_encoder: EAT, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as a folder that `load_model` takes."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    folder.mkdir()
    save_file(tiny_encoder.state_dict(), folder / "model.safetensors")
    write_label_map(folder / "label_map.json", LABELS)
    Card(name="tiny", config=TINY, licence="CC0-1.0").write(folder / "card.yaml")
    return folder


@pytest.fixture
def write_sound() -> WriteSound:
    """``write_sound(path, seconds, rate, channels=1, seed=0)``: a rising tone in noise."""
    return make_sound


def make_sound(
    path: Path, seconds: float, rate: int = 16_000, channels: int = 1, seed: int = 0
) -> Path:
    """Write a recording whose every second sounds different."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * (300 + 150 * seed + 100 * time_s) * time_s)
    noise = 0.02 * rng.standard_normal((len(time_s), channels))
    soundfile.write(path, (tone[:, None] + noise).astype(np.float32), rate)
    return path
