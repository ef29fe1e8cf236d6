"""A read-out takes the layers, poolings and weights that it names, and nothing else."""

from __future__ import annotations

import pytest
import torch

from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.models.encoder import masked_deviation
from dawnchorus.models.readout import BLIND_TO_PADDING, Readout, ReadoutPart


@pytest.fixture(scope="module")
def clips() -> tuple[torch.Tensor, torch.Tensor]:
    waves = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(1))
    waves[1, 6_000:] = 0
    return waves, torch.tensor([16_000, 6_000])


def test_parts_are_parsed() -> None:
    readout = Readout.of((0, "1:bands", "pre_norm:cls:0.25", "output"), "valid")
    assert readout.parts == (
        ReadoutPart(0, "valid"),
        ReadoutPart(1, "bands"),
        ReadoutPart("pre_norm", "cls", 0.25),
        ReadoutPart(None, "valid"),
    )
    assert readout.layers == [0, 1, "pre_norm"]
    assert Readout.of(None, "mean").is_output
    assert not Readout.of(("output:bands",), "mean").is_output
    assert not Readout.of(("output:band_deviations",), "mean").is_output


def test_an_embedding_is_its_parts_side_by_side(
    tiny_encoder: EAT, clips: tuple[torch.Tensor, torch.Tensor]
) -> None:
    readout = Readout.of(("1:bands", "pre_norm:cls:0.25", "output"), "valid")
    with torch.no_grad():
        out = tiny_encoder.encode(*clips, readout.layers)
    got = readout.take(out)
    grid = out.layers[1][:, 1:].unflatten(1, (-1, 8))  # clips, time steps, rows of patches, dim
    held = out.has_signal[:, 1:].unflatten(1, (-1, 8)).float()[..., None]
    bands = ((grid * held).sum(1) / held.sum(1)).flatten(1)
    wanted = torch.cat([bands, 0.25 * out.layers["pre_norm"][:, 0], out.pool("valid")], dim=1)
    torch.testing.assert_close(got, wanted)


def test_deviations_are_those_of_the_patches_that_hold_sound(
    tiny_encoder: EAT, clips: tuple[torch.Tensor, torch.Tensor]
) -> None:
    with torch.no_grad():
        out = tiny_encoder.encode(*clips, [1])
    for clip in range(2):
        there = out.layers[1][clip, 1:][out.has_signal[clip, 1:]]
        wanted = there.std(dim=0, unbiased=False)
        torch.testing.assert_close(out.pool("deviation", 1)[clip], wanted)
        rows = there.unflatten(0, (-1, 8)).std(dim=0, unbiased=False)
        torch.testing.assert_close(out.pool("band_deviations", 1)[clip], rows.flatten())


def test_the_deviation_of_one_patch_has_a_slope() -> None:
    token = torch.ones(1, 1, 3, requires_grad=True)
    masked_deviation(token, torch.ones(1, 1, dtype=torch.bool)).sum().backward()
    assert token.grad is not None
    assert bool(token.grad.isfinite().all())


@pytest.mark.parametrize("how", sorted(BLIND_TO_PADDING))
def test_padding_and_other_clips_are_not_seen(
    tiny_encoder: EAT, clips: tuple[torch.Tensor, torch.Tensor], how: str
) -> None:
    waves, lengths = clips
    readout = Readout.of((f"1:{how}",), "mean")
    assert readout.ignores_padding
    with torch.no_grad():
        both = readout.take(tiny_encoder.encode(waves, lengths, readout.layers))
        alone = readout.take(tiny_encoder.encode(waves[1:, :6_000], None, readout.layers))
    torch.testing.assert_close(both[1:], alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize("layer", ["1:median", "1:mean:0", "1:mean:x", "1:mean:1:1", "1:mean:inf"])
def test_nonsense_is_refused_by_name(layer: str) -> None:
    with pytest.raises(UsageError, match=layer):
        Readout.of((layer,), "mean")
