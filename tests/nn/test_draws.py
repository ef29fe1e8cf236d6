"""Draws depend on their address alone, and are what their names say."""

from __future__ import annotations

import pytest
import torch

from dawnchorus.nn import draws

M = (1 << 64) - 1


def splitmix64(state: int, count: int) -> list[int]:
    """The published generator, in Python's own integers."""
    found = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & M
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & M
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M
        found.append(z ^ (z >> 31))
    return found


@pytest.mark.parametrize("key", [0, 1234567, -5, (1 << 63) - 1])
def test_bits_are_those_of_splitmix64(key: int) -> None:
    found = draws.bits(torch.tensor([key]), 50)[0].tolist()
    assert [value & M for value in found] == splitmix64(key & M, 50)
    if key == 1234567:  # the generator's published test values
        assert found[0] & M == 6457827717110365317


def test_a_row_has_the_same_draws_in_any_part_of_a_batch() -> None:
    whole = draws.normal(draws.row_keys(3, 7, 1, torch.arange(8)), 33)
    part = draws.normal(draws.row_keys(3, 7, 1, torch.arange(4, 6)), 33)
    assert torch.equal(whole[4:6], part)


def test_seed_step_stream_and_row_each_change_everything() -> None:
    rows = torch.arange(4)
    keys = [
        draws.row_keys(seed, step, stream, rows)
        for seed in range(3)
        for step in (0, 1, 2, 100_000)
        for stream in range(3)
    ]
    assert len(torch.cat(keys).unique()) == 4 * len(keys)


def test_integers_fill_their_range_evenly() -> None:
    drawn = draws.below(draws.row_keys(0, 0, 0, torch.arange(1000)), 100, 7)
    share = drawn.flatten().bincount(minlength=7) / drawn.numel()
    assert len(share) == 7
    assert (share - 1 / 7).abs().max() < 0.005  # five deviations


@pytest.mark.parametrize("count", [1, 4, 5])
def test_normal_draws_have_the_moments_of_a_standard_normal(count: int) -> None:
    drawn = draws.normal(draws.row_keys(0, 0, 0, torch.arange(100_000)), count).double()
    assert drawn.shape == (100_000, count)
    assert drawn.isfinite().all()
    assert drawn.mean(0).abs().max() < 0.016  # five deviations
    assert (drawn.var(0) - 1).abs().max() < 0.023
    assert (drawn.pow(4).mean(0) - 3).abs().max() < 0.16
    assert (torch.corrcoef(drawn.T) - torch.eye(count)).abs().max() < 0.016 or count == 1
