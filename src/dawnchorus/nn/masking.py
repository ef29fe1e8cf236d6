"""Inverse block masks: a few blocks of patches stay visible, everything else is masked.

The counts come from the same floating-point expressions as the original's, so that every clip of
a grid keeps exactly as many patches (102 of 512, 119 of 600). Source: EAT, section 3.2, and the
released code, which places all blocks at once and then adds or removes single patches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from dawnchorus.nn import draws

if TYPE_CHECKING:
    from torch import Tensor

SINGLES_KEY: Final = 0x5DEECE66D  # scores must not repeat the numbers that centres came from


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskShape:
    """How much is masked, and in what blocks.

    Attributes:
        ratio: share of the patches that are masked.
        adjust: added to the visible share when blocks are counted, since blocks overlap.
        block: patches along a side of a block, odd.
    """

    ratio: float = 0.8
    adjust: float = 0.07
    block: int = 5

    def n_kept(self, n_patches: int) -> int:
        """Visible patches of a grid; at least one."""
        # int() of this very expression: 1 - 0.8 is a little under 0.2 in floating point
        return max(1, int(n_patches * (1 - self.ratio)))

    def n_blocks(self, n_patches: int) -> int:
        """Blocks of a grid; at least one, which only matters for grids under 93 patches."""
        return max(1, int(n_patches * ((1 - self.ratio + self.adjust) / self.block**2)))


def inverse_block_masks(keys: Tensor, n_time: int, n_bands: int, shape: MaskShape) -> Tensor:
    """Choose the visible patches of every clone.

    Args:
        keys: ``(rows,)`` int64, one a clone, from `draws.row_keys`.
        n_time: time steps of the grid.
        n_bands: band steps of the grid; patch = time step x n_bands + band step.
        shape: of the masks.

    Returns:
        ``(rows, kept)`` indices of the visible patches, ascending.
    """
    n_patches = n_time * n_bands
    centres = draws.below(keys, shape.n_blocks(n_patches), n_patches)
    covered = cover(centres, n_time, n_bands, shape.block)
    scores = draws.bits(keys ^ SINGLES_KEY, n_patches)
    return settle(covered, scores, shape.n_kept(n_patches))


def cover(centres: Tensor, n_time: int, n_bands: int, block: int) -> Tensor:
    """Patches within the blocks, ``(rows, patches)`` bool.

    A block that reaches over the edge is squeezed, not shifted: what would lie outside is moved
    to the edge, so it covers fewer patches.

    Args:
        centres: ``(rows, blocks)`` patch indices.
        n_time: time steps of the grid.
        n_bands: band steps of the grid.
        block: patches along a side.
    """
    reach = torch.arange(block, device=centres.device) - block // 2
    times = (centres[..., None] // n_bands + reach).clamp(0, n_time - 1)
    bands = (centres[..., None] % n_bands + reach).clamp(0, n_bands - 1)
    # (rows, blocks, block, block) to (rows, cells); cells may repeat
    cells = (times[..., None] * n_bands + bands[..., None, :]).flatten(1)
    covered = torch.zeros(len(centres), n_time * n_bands, dtype=torch.bool, device=centres.device)
    return covered.scatter_(1, cells, value=True)


def settle(covered: Tensor, scores: Tensor, n_kept: int) -> Tensor:
    """Add or remove single patches at random until each row has ``n_kept``.

    Args:
        covered: ``(rows, patches)`` bool.
        scores: ``(rows, patches)`` random int64; the order among equals.
        n_kept: visible patches.

    Returns:
        ``(rows, n_kept)`` indices, ascending: all of the covered ones if they are too few, and
        none but covered ones if they are too many.
    """
    # one sort for both: bit 62 puts covered patches in front, the 62 bits below shuffle within
    top = 1 << 62
    order = (scores & (top - 1)) | (covered.long() * top)
    kept = order.argsort(dim=1, descending=True)[:, :n_kept]
    return kept.sort(dim=1).values


def as_mask(kept: Tensor, n_patches: int) -> Tensor:
    """``(rows, patches)`` bool, True where a patch is masked, from the indices that are kept."""
    masked = torch.ones(len(kept), n_patches, dtype=torch.bool, device=kept.device)
    return masked.scatter_(1, kept, value=False)
