"""Augmentation of waveforms and features; random choices come from a generator passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor

    from dawnchorus.configs import SpecAugmentConfig

TINY_POWER = 1e-8  # keeps silent noise from dividing by zero; the released code's constant


def mix_at_snr(signal: Tensor, noise: Tensor, snr_db: Tensor | float) -> Tensor:
    """Add noise at a signal-to-noise ratio; silence stays silent, and silent noise adds nothing.

    Args:
        signal: ``(..., samples)``.
        noise: the same shape.
        snr_db: decibels, one for all or ``(...)``.

    Returns:
        The sum, in the signal's shape, not renormalised. Source: AVES2 training code.
    """
    if signal.shape != noise.shape:
        raise UsageError(f"noise has shape {tuple(noise.shape)}, the signal {tuple(signal.shape)}")
    ratio = 10 ** (torch.as_tensor(snr_db, dtype=signal.dtype) / 10)
    noise_power = noise.square().mean(-1)
    scale = (signal.square().mean(-1) / (noise_power * ratio + TINY_POWER)).sqrt()
    return signal + scale[..., None] * noise


def draw_stripes(
    n_frames: Sequence[int],
    shape: tuple[int, int],
    config: SpecAugmentConfig,
    rngs: Sequence[np.random.Generator],
) -> tuple[Tensor, Tensor]:
    """Stripes of time and band to blank in each clip's log-mel, no two clips alike.

    Args:
        n_frames: frames that hold sound, of each clip; time stripes lie among them.
        shape: frames and bands of the log-mel.
        config: how many stripes, and how wide at most.
        rngs: one generator a clip.

    Returns:
        ``(batch, frames)`` and ``(batch, bands)`` bool, True where to blank.
        Source: Park et al., SpecAugment, Interspeech 2019.
    """
    total, n_bands = shape
    frames = torch.zeros(len(rngs), total, dtype=torch.bool)
    bands = torch.zeros(len(rngs), n_bands, dtype=torch.bool)
    for row, (held, rng) in enumerate(zip(n_frames, rngs, strict=True)):
        for _ in range(config.n_time_masks):
            frames[row, _stripe(held, config.time_share, rng)] = True
        for _ in range(config.n_band_masks):
            bands[row, _stripe(n_bands, config.band_share, rng)] = True
    return frames, bands


def blank_stripes(features: Tensor, frames: Tensor, bands: Tensor) -> Tensor:
    """Set stripes to the features' mean, which is about 0 after normalisation.

    Args:
        features: ``(batch, frames, bands)``, normalised.
        frames: ``(batch, frames)`` bool.
        bands: ``(batch, bands)`` bool.
    """
    return features.masked_fill(frames[:, :, None] | bands[:, None], 0.0)


def _stripe(size: int, largest_share: float, rng: np.random.Generator) -> slice:
    width = int(rng.integers(0, int(size * largest_share) + 1))
    start = int(rng.integers(0, size - width + 1))
    return slice(start, start + width)
