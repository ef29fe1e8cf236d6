"""Augmentation of waveforms and features; random choices come from a generator passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
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


def spec_augment(
    features: Tensor, n_frames: Tensor, config: SpecAugmentConfig, rng: np.random.Generator
) -> Tensor:
    """Blank stripes of time and band with the features' mean, which is about 0 after normalisation.

    Args:
        features: ``(batch, frames, bands)``, normalised.
        n_frames: ``(batch,)`` frames that hold sound; time stripes lie among them.
        config: how many stripes, and how wide at most.
        rng: source of every choice.

    Returns:
        A new tensor. Source: Park et al., SpecAugment, Interspeech 2019.
    """
    if config.n_time_masks == 0 and config.n_band_masks == 0:
        return features
    features = features.clone()
    n_bands = features.shape[2]
    for clip, held in zip(features, n_frames.tolist(), strict=True):
        for _ in range(config.n_time_masks):
            start, stop = _stripe(held, config.time_share, rng)
            clip[start:stop] = 0.0
        for _ in range(config.n_band_masks):
            start, stop = _stripe(n_bands, config.band_share, rng)
            clip[:, start:stop] = 0.0
    return features


def _stripe(size: int, largest_share: float, rng: np.random.Generator) -> tuple[int, int]:
    width = int(rng.integers(0, int(size * largest_share) + 1))
    start = int(rng.integers(0, size - width + 1))
    return start, start + width
