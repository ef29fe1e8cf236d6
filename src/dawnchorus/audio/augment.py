"""Stripes of a log-mel that training blanks; random choices come from a generator passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor

    from dawnchorus.configs import SpecAugmentConfig


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
    for row, (n_sound, rng) in enumerate(zip(n_frames, rngs, strict=True)):
        for _ in range(config.n_time_masks):
            frames[row, _stripe(n_sound, config.time_share, rng)] = True
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
    # width and start in this order: a training run is repeated by drawing the same numbers
    width = int(rng.integers(0, int(size * largest_share) + 1))
    start = int(rng.integers(0, size - width + 1))
    return slice(start, start + width)
