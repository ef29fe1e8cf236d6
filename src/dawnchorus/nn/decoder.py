"""Convolutional decoder of pretraining: from visible tokens and noise to every patch's features.

Grids are held as ``(rows, time, bands, channels)`` throughout. To a convolution that is torch's
channels-last layout, and to the norm over channels it is the last dimension, so nothing is copied.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional


class DecoderBlock(nn.Module):
    """Grouped convolution, norm over channels without weights, GELU; added to its input."""

    def __init__(self, dim: int, width: int, kernel: int, n_groups: int) -> None:
        """``kernel`` is odd, so that the grid keeps its size."""
        super().__init__()
        self.conv = nn.Conv2d(dim, width, kernel, padding=kernel // 2, groups=n_groups)

    def forward(self, grid: Tensor) -> Tensor:
        """``(rows, time, bands, dim)`` to ``(rows, time, bands, width)``."""
        out = self.conv(grid.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        # channels last again, so the norm is over the channels of each patch
        out = functional.gelu(functional.layer_norm(out, out.shape[-1:]))
        # the first block changes the width, so it has nothing to be added to
        return out + grid if out.shape == grid.shape else out


class Decoder(nn.Module):
    """A stack of `DecoderBlock` and a linear layer back to the encoder's dimension."""

    def __init__(self, dim: int, *, n_layers: int, kernel: int, width: int, n_groups: int) -> None:
        """``n_groups`` divides ``dim`` and ``width``. Weights start at the framework's default."""
        super().__init__()
        sizes = [dim] + [width] * n_layers
        self.blocks = nn.ModuleList(
            DecoderBlock(before, after, kernel, n_groups) for before, after in pairwise(sizes)
        )
        self.proj = nn.Linear(sizes[-1], dim)

    def forward(self, patches: Tensor, n_time: int, n_bands: int) -> Tensor:
        """Predict features for every patch.

        Args:
            patches: ``(rows, patches, dim)``, visible tokens in their places, noise elsewhere.
            n_time: time steps of the grid.
            n_bands: band steps of the grid.

        Returns:
            ``(rows, patches, dim)``.
        """
        grid = patches.view(len(patches), n_time, n_bands, -1)
        for block in self.blocks:
            grid = block(grid)
        out: Tensor = self.proj(grid.flatten(1, 2))
        return out


def fill_grid(visible: Tensor, kept: Tensor, filler: Tensor) -> Tensor:
    """Put visible tokens in their places.

    Args:
        visible: ``(rows, kept, dim)``.
        kept: ``(rows, kept)`` their patches.
        filler: ``(rows, patches, dim)``, what the masked patches get.

    Returns:
        ``(rows, patches, dim)``.
    """
    return filler.to(visible.dtype).scatter(1, kept[..., None].expand_as(visible), visible)
