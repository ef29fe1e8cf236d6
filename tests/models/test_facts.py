"""What is done by an encoder's facts changes time, never results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from dawnchorus.configs import EmbedConfig
from dawnchorus.engine.encoding.batches import BatchEncoder
from dawnchorus.engine.encoding.workers import n_workers, replicas
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.encoder import (
    Encoder,
    EncoderFacts,
    EncoderOutput,
    ReleasedLayers,
    Retrainable,
    StagedEncoder,
    facts_of,
    readout_for,
)
from dawnchorus.nn.seeding import seeded


class Plain:
    """An encoder with the members of the protocol and nothing else, as plugins were."""

    def __init__(self, encoder: EAT) -> None:
        self._encoder = encoder
        self.name, self.sample_rate, self.window_s = "plain", 16_000, encoder.window_s
        self.dim, self.n_layers, self.labels = encoder.dim, encoder.n_layers, encoder.labels

    def encode(
        self,
        waveforms: Tensor,
        lengths: Tensor | None = None,
        layers: Sequence[int | str] | None = None,
    ) -> EncoderOutput:
        return self._encoder.encode(waveforms, lengths, layers)


@pytest.fixture(scope="module", params=["native length", "padded"])
def encoder(request: pytest.FixtureRequest) -> EAT:
    padded = 112 if request.param == "padded" else None
    config = EATConfig(
        dim=64, n_layers=2, n_heads=1, n_classes=3, window_s=1.0, padded_frames=padded,
        stored_positions=False, readout="0:cls,-1:std", head_pooling="cls",
    )  # fmt: skip
    with seeded(3):
        return EAT(config, name="facts", labels=["a", "b", "c"]).eval()


@pytest.fixture(scope="module")
def windows() -> tuple[Tensor, Tensor]:
    waves = 0.1 * torch.randn(3, 16_000, generator=torch.Generator().manual_seed(4))
    lengths = torch.tensor([9_000, 6_000, 700])
    for row, length in zip(waves, lengths.tolist(), strict=True):
        row[length:] = 0
    return waves, lengths


@pytest.mark.parametrize("readout", ["0:cls,-1:std", "output:mean", "1:max", "0:bands"])
def test_an_encoder_that_says_nothing_gives_the_same_vectors(
    encoder: EAT, windows: tuple[Tensor, Tensor], readout: str
) -> None:
    wanted = EmbedConfig(readout=readout).readout
    ours = BatchEncoder(encoder, readout=wanted, n_workers=2)
    plain = BatchEncoder(Plain(encoder), readout=wanted)
    np.testing.assert_allclose(ours.vectors(*windows), plain.vectors(*windows), atol=2e-5)
    np.testing.assert_allclose(ours.logits(*windows), plain.logits(*windows), atol=2e-5)
    both = ours.vectors_and_logits(*windows)
    np.testing.assert_allclose(both, plain.vectors_and_logits(*windows), atol=2e-5)


def test_what_is_left_out_is_what_holds_for_any_encoder(encoder: EAT) -> None:
    plain: Encoder = Plain(encoder)
    assert isinstance(plain, Encoder)
    for optional in (StagedEncoder, ReleasedLayers, Retrainable):
        assert not isinstance(plain, optional)
        assert isinstance(encoder, optional)
    assert facts_of(plain) == EncoderFacts()
    assert n_workers(plain, 4) == 1  # it may not bear two threads
    assert n_workers(encoder, 4) == 4
    assert str(readout_for(plain)) == "output:mean"
    assert str(readout_for(encoder)) == "0:cls,-1:std"
    assert str(readout_for(encoder, "own:max,output")) == "0:max,-1:std,output:cls"


def test_facts_of_ours_are_those_of_its_config(encoder: EAT) -> None:
    facts = facts_of(encoder)
    assert facts.settings == encoder.config.model_dump(mode="json")
    assert facts.pads_to_window == (encoder.config.padded_frames is not None)
    assert facts.logits_ignore_padding
    mean = EAT(encoder.config.model_copy(update={"head_pooling": "mean"}), initialise=False)
    assert not facts_of(mean).logits_ignore_padding


def test_copies_share_their_weights_and_not_their_hooks(encoder: EAT) -> None:
    first, second = replicas(encoder, 2)
    assert first is encoder
    assert second is not encoder
    pairs = zip(first.parameters(), second.parameters(), strict=True)  # type: ignore[attr-defined]
    assert all(a is b for a, b in pairs)
    plain: Encoder = Plain(encoder)
    assert replicas(plain, 2) == [plain, plain]  # it says nothing of copies


def test_an_untrained_twin_has_the_shape_and_other_weights(encoder: EAT) -> None:
    with seeded(0):
        twin = encoder.untrained()
    with seeded(0):
        again = encoder.untrained()
    assert twin.config == encoder.config
    assert twin.name == "random facts"
    assert torch.equal(twin.cls_token, again.cls_token)
    assert not torch.equal(twin.cls_token, encoder.cls_token)


def test_a_layer_is_as_wide_as_what_it_gives(encoder: EAT) -> None:
    for name in ("blocks.0.mlp.fc1", "blocks.1.attn.proj", "pre_norm"):
        given = encoder.encode(torch.zeros(1, 16_000), layers=[name]).layers[name]
        assert encoder.layer_width(name) == given.shape[-1]
