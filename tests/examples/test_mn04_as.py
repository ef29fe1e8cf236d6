"""The example of a plugin keeps what any encoder promises, with random weights."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from dawnchorus import load_model
from dawnchorus.errors import UsageError, WeightsError
from dawnchorus.models import plugins
from dawnchorus.testing import check_encoder

FILE = Path(__file__).parents[2] / "examples" / "mn04_as" / "mn04_as.py"
N_PARAMETERS = 983_599


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mn04_as", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def encoder(plugin: ModuleType) -> Any:
    torch.manual_seed(0)
    return plugin.MN04AS().eval()


@pytest.fixture
def _registered() -> Iterator[None]:
    before = dict(plugins._registered)
    yield
    plugins._registered.clear()
    plugins._registered.update(before)


def test_it_is_an_encoder_with_the_published_shapes(encoder: Any) -> None:
    check_encoder(encoder)
    tensors = encoder.network.state_dict()
    assert tensors["features.1.block.0.0.weight"].shape == (8, 1, 3, 3)
    assert tensors["features.4.block.2.conc_se_layers.0.fc1.weight"].shape == (8, 32)
    assert tensors["features.15.block.3.0.weight"].shape == (64, 384, 1, 1)
    assert tensors["features.16.0.weight"].shape == (384, 64, 1, 1)
    assert tensors["classifier.5.weight"].shape == (527, 512)
    assert sum(p.numel() for p in encoder.parameters()) == N_PARAMETERS


def test_short_clips_are_those_with_silence_behind_them(encoder: Any) -> None:
    sound = 0.1 * torch.randn(2, 70_000, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([70_000, 9_000])
    with torch.no_grad():
        both = encoder.encode(sound, lengths)
        padded = torch.zeros(1, 32_000)
        padded[0, :9_000] = sound[1, :9_000]
        alone = encoder.encode(padded)
    assert torch.allclose(both.logits[1:], alone.logits, atol=1e-5)
    assert torch.allclose(both.pool("mean")[1:], alone.pool("mean"), atol=1e-5)
    # tokens of 0.32 s by 32 bands: seven steps, and four of a second
    assert both.time_span_s[-1].tolist() == pytest.approx([1.92, 2.24])
    assert both.band_span[-1].tolist() == [96, 128]
    assert both.has_signal.sum(1).tolist() == [28, 16]
    assert alone.tokens.shape == (1, 16, 384)


def test_its_log_mel_is_that_of_the_formula(plugin: ModuleType) -> None:
    sound = 0.1 * np.random.default_rng(0).standard_normal(32_000)
    ours = plugin.log_mel(torch.from_numpy(sound).float()[None])[0].numpy()
    emphasised = sound[1:] - 0.97 * sound[:-1]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(800) / 799)
    low, high = 0.0, 1127 * np.log1p(15_000 / 700)
    corners = np.linspace(low, high, 130)
    mels = 1127 * np.log1p(np.arange(513) * 31.25 / 700)
    for frame in (10, 50):
        first = frame * 320 - 400
        power = np.abs(np.fft.rfft(emphasised[first : first + 800] * window, 1024)) ** 2
        for band in (0, 60, 127):
            left, middle, right = corners[band : band + 3]
            rise = (mels - left) / (middle - left)
            fall = (right - mels) / (right - middle)
            weights = np.clip(np.minimum(rise, fall), 0, None) * (np.arange(513) < 512)
            want = (np.log(power @ weights + 1e-5) + 4.5) / 5
            assert ours[band, frame] == pytest.approx(want, abs=2e-4)


@pytest.mark.usefixtures("_registered")
def test_it_loads_by_name_and_takes_exactly_its_own_weights(
    plugin: ModuleType, encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins.register("mn04_as", plugin.load)
    monkeypatch.delenv("MN04_AS_WEIGHTS", raising=False)
    with pytest.raises(UsageError, match="need the path of mn04_as_mAP_432"):
        load_model("mn04_as", device="cpu")
    path = tmp_path / "weights.pt"
    monkeypatch.setenv("MN04_AS_WEIGHTS", str(path))
    tensors = encoder.network.state_dict()
    torch.save(tensors, path)
    (tmp_path / "audioset_classes.csv").write_text(
        "index,mid,display_name\n" + "".join(f'{i},/m/{i},"Sound, {i}"\n' for i in range(527))
    )
    loaded: Any = load_model("mn04_as", device="cpu")
    assert loaded.labels[3] == "Sound, 3"
    assert len(loaded.weights_sha256) == 64
    sound = 0.1 * torch.randn(1, 32_000)
    with torch.no_grad():
        assert torch.equal(loaded.encode(sound).logits, encoder.encode(sound).logits)
    torch.save({**tensors, "classifier.5.bias": torch.zeros(10)}, path)
    with pytest.raises(WeightsError, match=r"1 tensors are missing.*classifier.5.bias"):
        load_model("mn04_as", device="cpu")
    with pytest.raises(UsageError, match="no layer 4"):
        encoder.encode(sound, layers=[4])
