"""The recipes of the golden files: weights and waveforms that the original code was run on."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from dawnchorus.labels import write_label_map
from dawnchorus.models.card import Card
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.nn.positions import sincos_positions

GOLDEN = Path(__file__).parent / "golden"
POSITIONS = "fixed_positional_encoder.positions"
TOK = (0, 1, 2, 8, 9, 63, 64, 128, 255, 256, 300, 400, 480, 496, 505, 511, 512)
HEADS = ("classifier.weight", "model.head.weight")
NORMALIZATION = (-5.553, 4.606)


def rng(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode("utf-8")))


def arrays(name: str) -> dict[str, NDArray[Any]]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


def facts(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def tensor(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    if name.endswith(POSITIONS):
        return sincos_positions(shape[-1], 768, 8)  # itself held to the golden table
    drawn = rng(name).standard_normal(shape)
    if len(shape) > 1:
        drawn /= np.sqrt(np.prod(shape[1:]))
    elif name.endswith("weight") and "norm" in name:
        drawn = 1 + 0.1 * drawn
    else:
        drawn *= 0.02
    return torch.from_numpy(drawn.astype(np.float32))


def layout(name: str) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes of one published layout, with ten classes."""
    shapes = facts("state_dict_layouts")[name]
    return {
        key: tuple(10 if n == "C" else n for n in shape)
        for key, shape in shapes.items()
        if isinstance(shape, list)
    }


def smaller(
    shapes: dict[str, tuple[int, ...]], dim: int, n_blocks: int
) -> dict[str, tuple[int, ...]]:
    """The same layout for a narrower and shallower encoder."""
    by_base = {768: dim, 2304: 3 * dim, 3072: 4 * dim}
    return {
        key: tuple(by_base.get(n, n) for n in shape)
        for key, shape in shapes.items()
        if not ((block := re.search(r"\bblocks\.(\d+)\.", key)) and int(block[1]) >= n_blocks)
    }


def weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    return {key: tensor(key, shape) for key, shape in shapes.items()}


def write_model(weights: dict[str, torch.Tensor], folder: Path, *, dim: int, n_blocks: int) -> Path:
    """A folder with such weights, the card that belongs to them, and labels for its classes."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors")
    config = EATConfig(dim=dim, n_layers=n_blocks, n_heads=dim // 64, normalization=NORMALIZATION)
    Card(name=folder.name, config=config).write(folder / "card.yaml")
    heads = [len(value) for key, value in weights.items() if key in HEADS]
    write_label_map(folder / "label_map.json", [f"Species {i}" for i in range(*heads or [10])])
    return folder


LENGTHS = {
    "noise_10s": 160_000, "noise_5s": 80_000, "noise_3s": 48_000, "chirp_10s": 160_000,
    "silence_2s": 32_000, "impulse_2s": 32_000, "quiet_4s": 64_000, "clipped_4s": 64_000,
    "dc_4s": 64_000, "tone440_1s": 16_000, "short_0.1s": 1_600, "one_frame": 400,
    "odd_12345": 12_345, "exact_1024": 164_080, "one_over_1025": 164_240, "long_12s": 192_000,
    "am_tone_10s": 160_000,
}  # fmt: skip


def wave(case: str) -> torch.Tensor:
    """``(1, samples)`` float32."""
    n = LENGTHS[case]
    r, t = rng(f"wave:{case}").standard_normal(n), np.arange(n) / 16_000
    if case == "chirp_10s":
        made = 0.5 * np.sin(2 * np.pi * (100 * t + 0.5 * (7800 / 10) * t**2))
    elif case == "silence_2s":
        made = np.zeros(n)
    elif case == "impulse_2s":
        made = (np.arange(n) == 16_000).astype(np.float64)
    elif case == "quiet_4s":
        made = 1e-5 * r
    elif case == "clipped_4s":
        made = np.clip(2 * r, -1, 1)
    elif case == "dc_4s":
        made = 0.05 * r + 0.5
    elif case == "tone440_1s":
        made = 0.3 * np.sin(2 * np.pi * 440 * t)
    elif case == "am_tone_10s":
        tone = 0.4 * np.sin(2 * np.pi * 3000 * t) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * t))
        made = tone + 0.01 * r
    else:
        made = 0.1 * r
    return torch.from_numpy(made.astype(np.float32))[None]


def near(got: Any, want: Any, atol: float, rtol: float = 1e-5) -> None:
    """The tolerance rule of the golden files."""
    if isinstance(got, torch.Tensor):
        got = got.detach().cpu().numpy()
    assert np.shape(got) == np.shape(want)
    np.testing.assert_allclose(got, want, atol=atol, rtol=rtol)


def strided(gradient: torch.Tensor) -> torch.Tensor:
    """How the golden files thin a gradient out."""
    if gradient.ndim == 1:
        return gradient
    flat = gradient.reshape(len(gradient), -1)
    return flat[:: max(len(flat) // 16, 1), :: max(flat.shape[1] // 32, 1)]
