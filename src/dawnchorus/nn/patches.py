"""Patch embedding: each 16 frames by 16 bands of a log-mel becomes one token."""

from typing import Final

from torch import Tensor, nn

from dawnchorus.nn.rounded import Conv2d

PATCH: Final = 16  # frames and bands a side, as in AST and MAE; 160 ms by 16 mel bands


class PatchEmbed(nn.Module):
    """A convolution whose kernel is its stride."""

    def __init__(self, dim: int) -> None:
        """``dim``: channels of a token."""
        super().__init__()
        self.proj = Conv2d(1, dim, kernel_size=PATCH, stride=PATCH)

    def forward(self, features: Tensor) -> Tensor:
        """Turn a log-mel into patch tokens.

        Args:
            features: ``(batch, frames, bands)``; frames past a multiple of 16 are not seen.

        Returns:
            ``(batch, time steps x bands / 16, dim)``, time-major: patch = time step x 8 + band
            step.
        """
        grid: Tensor = self.proj(features[:, None])  # (batch, dim, time steps, band steps)
        return grid.flatten(2).transpose(1, 2)
