"""No part of a forward pass asks a device for a number: a GPU would stand still until it came.

Tensors on torch's meta device have no values, so whatever looks at one fails there.
"""

from __future__ import annotations

import pytest
import torch

from dawnchorus.configs.readout import Readout
from dawnchorus.models.eat import EAT
from dawnchorus.models.encoder import EncoderOutput, masked_mean

LENGTHS = torch.tensor([16_000, 9_000, 400])


@pytest.fixture(scope="module")
def without_values(tiny_encoder: EAT) -> EAT:
    """The same model on a device that holds shapes alone."""
    return EAT(tiny_encoder.config, labels=tiny_encoder.labels).to("meta").eval()


@pytest.mark.parametrize("lengths", [LENGTHS, None], ids=["some shorter", "all full"])
@pytest.mark.parametrize(
    "readout", ["output:valid", "0:std,1:std", "0:bands:0.2,output:band_stds", "0:mean,1:max"]
)
def test_embedding_asks_the_device_for_no_number(
    without_values: EAT, readout: str, lengths: torch.Tensor | None
) -> None:
    parsed = Readout.parse(readout)
    waveforms = torch.zeros(3, 16_000, device="meta")
    with torch.inference_mode():
        features, n_frames = without_values.features(waveforms, lengths)
        out = without_values.encode_features(features, n_frames, parsed.layers)
        vectors = parsed.pool(out)
    assert n_frames.device.type == "cpu"
    assert vectors.device.type == out.has_signal.device.type == "meta"
    assert out.logits is not None
    assert out.logits.shape == (3, 5)


def test_a_mask_is_used_where_a_clip_ends_before_the_last_step(tiny_encoder: EAT) -> None:
    assert not tiny_encoder._needs_mask(None, 6)
    assert not tiny_encoder._needs_mask(torch.tensor([96, 81]), 6)  # in the last step, if barely
    assert tiny_encoder._needs_mask(torch.tensor([96, 80]), 6)
    padded = EAT(tiny_encoder.config.model_copy(update={"padded_frames": 96}))
    assert not padded._needs_mask(torch.tensor([96, 16]), 6)


def test_only_padding_gives_no_number_on_a_device_and_an_error_here() -> None:
    mean = masked_mean(torch.ones(2, 3, 4, device="meta"), torch.zeros(2, 3, device="meta").bool())
    assert mean.shape == (2, 4)
    tokens, nothing = torch.ones(1, 3, 4), torch.zeros(1, 3, dtype=torch.bool)
    weights = nothing.float()  # what is computed where nobody looks
    assert torch.einsum("btd,bt->bd", tokens, weights).div(weights.sum()).isnan().all()


def test_rows_of_patches_are_slices_or_places() -> None:
    def rows(first_bands: list[int]) -> list[object]:
        out = EncoderOutput(
            tokens=torch.zeros(1, len(first_bands), 2),
            time_span_s=torch.zeros(len(first_bands), 2),
            band_span=torch.tensor([[band, band + 16] for band in first_bands]),
            has_signal=torch.ones(1, len(first_bands), dtype=torch.bool),
            n_cls=0,
        )
        return list(out._rows())

    assert rows([0, 16, 0, 16, 0, 16]) == [slice(0, 5, 2), slice(1, 6, 2)]
    uneven = rows([0, 0, 16, 0, 16])
    assert isinstance(uneven[0], torch.Tensor)
    assert uneven[0].tolist() == [0, 1, 3]
    assert uneven[1] == slice(2, 5, 2)
