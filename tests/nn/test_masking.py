"""Inverse block masks against the original's: exact where it is determined, alike where random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import originals
from dawnchorus.nn import draws
from dawnchorus.nn.masking import MaskShape, as_mask, cover, inverse_block_masks, settle

BASE, LARGE = MaskShape(), MaskShape(ratio=0.75, adjust=0.1)
SETTINGS = {"base": (64, BASE), "large": (64, LARGE), "short5s": (32, BASE), "len12s": (75, BASE)}


def unpacked(name: str, n_patches: int) -> NDArray[np.bool_]:
    """True where masked, as the golden file has it."""
    return np.unpackbits(originals.arrays("masks")[name], axis=1)[:, :n_patches].astype(bool)


@pytest.mark.golden
@pytest.mark.parametrize("setting", SETTINGS)
def test_blocks_and_counts_are_the_originals(setting: str) -> None:
    n_time, shape = SETTINGS[setting]
    n_patches = n_time * 8
    facts = originals.facts("masks")[setting]
    assert shape.n_blocks(n_patches) == facts["n_centres"]
    assert [shape.n_kept(n_patches)] == facts["kept_final"]
    centres = torch.from_numpy(originals.arrays("masks")[f"{setting}/centres"].astype(np.int64))
    covered = cover(centres, n_time, 8, shape.block)
    assert np.array_equal(~covered.numpy(), unpacked(f"{setting}/after_blocks", n_patches))
    scores = draws.bits(torch.arange(len(covered)), n_patches)
    ours = ~as_mask(settle(covered, scores, shape.n_kept(n_patches)), n_patches)
    theirs = torch.from_numpy(~unpacked(f"{setting}/final", n_patches))
    for final in (ours, theirs):  # the original's obey the rule that ours are held to
        assert (final.sum(1) == facts["kept_final"][0]).all()
        few = covered.sum(1) <= facts["kept_final"][0]
        assert (final[few] | ~covered[few]).all()  # all covered patches are kept
        assert (covered[~few] | ~final[~few]).all()  # none but covered ones are
    assert not torch.equal(ours, theirs)


@pytest.mark.golden
def test_masks_have_the_statistics_of_the_originals() -> None:
    want: dict[str, Any] = originals.facts("masks")["stats_4000_base"]
    n_rows = 20_000
    kept = inverse_block_masks(draws.row_keys(5, 0, 1, torch.arange(n_rows)), 64, 8, BASE)
    grid = (~as_mask(kept, 512)).view(n_rows, 64, 8).double()
    # five deviations of the original's 4000 masks
    band = np.array(want["keep_rate_by_freq_column"])
    assert abs(grid.mean((0, 1)).numpy() - band).max() < 0.006
    rows = grid.mean((0, 2)).numpy()[[0, 1, 2, 31, 32, 61, 62, 63]]
    assert abs(rows - want["keep_rate_by_time_row_0_1_2_31_32_61_62_63"]).max() < 0.016
    for name, dim in (("freq", 2), ("time", 1)):
        size = grid.shape[dim] - 1
        pairs = (grid.narrow(dim, 0, size) * grid.narrow(dim, 1, size)).sum((1, 2))
        mean, deviation = want[f"adjacent_{name}_pairs_mean_std"]
        assert abs(float(pairs.mean()) - mean) < 5 * deviation / 4000**0.5
        assert abs(float(pairs.std()) - deviation) < 0.4


def test_a_clone_has_the_same_mask_in_any_part_and_another_at_another_address() -> None:
    def kept(seed: int, step: int, rows: torch.Tensor) -> torch.Tensor:
        return inverse_block_masks(draws.row_keys(seed, step, 1, rows), 16, 8, BASE)

    whole = kept(1, 2, torch.arange(12))
    assert torch.equal(whole[8:], kept(1, 2, torch.arange(8, 12)))
    assert len(whole.unique(dim=0)) == 12
    for other in (kept(2, 2, torch.arange(12)), kept(1, 3, torch.arange(12))):
        assert not torch.equal(whole, other)


@pytest.mark.parametrize("n_time", [1, 2, 5, 16, 32])
def test_short_grids_keep_their_share_in_a_block(n_time: int) -> None:
    kept = inverse_block_masks(draws.row_keys(0, 0, 1, torch.arange(200)), n_time, 8, BASE)
    assert kept.shape == (200, max(1, int(n_time * 8 * (1 - 0.8))))
    assert (kept.diff(dim=1) > 0).all()
    assert 0 <= int(kept.min()) <= int(kept.max()) < n_time * 8
    if n_time == 5:  # a block covers 9 patches even in a corner, and 7 are kept: all within it
        bands = kept % 8
        assert (bands.max(1).values - bands.min(1).values < 5).all()
