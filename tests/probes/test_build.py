"""A probe sees the layers it names, trains what it may, and refuses what it cannot take."""

from __future__ import annotations

import pytest
import torch

from dawnchorus.configs import ProbeConfig
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.probes.build import Probe, build_probe_from_config
from dawnchorus.probes.heads import aggregate


@pytest.fixture
def encoder() -> EAT:
    torch.manual_seed(0)
    config = EATConfig(
        dim=64, n_layers=2, n_heads=1, window_s=1.0, padded_frames=None, stored_positions=False
    )
    return EAT(config, name="probed").eval()


WAVES = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(1))


def build(config: ProbeConfig, encoder: EAT, n_classes: int = 3) -> Probe:
    return build_probe_from_config(config, n_classes, "cpu", encoder)


def test_a_frozen_encoder_gets_no_gradient_and_stays_in_evaluation(encoder: EAT) -> None:
    probe = build(ProbeConfig(), encoder)
    probe.train()
    probe(WAVES).sum().backward()
    assert all(p.grad is None for p in encoder.parameters())
    assert probe.classifier.weight.grad is not None
    assert not encoder.training


def test_an_unfrozen_encoder_is_trained(encoder: EAT) -> None:
    probe = build(ProbeConfig(freeze_backbone=False), encoder)
    probe.train()
    probe(WAVES).sum().backward()
    assert encoder.training
    gradient = encoder.get_submodule("blocks.0.attn.qkv").weight.grad
    assert gradient is not None
    assert bool((gradient != 0).any())


def test_stored_features_give_the_logits_of_waveforms(encoder: EAT) -> None:
    online = build(ProbeConfig(target_layers=["all"]), encoder)
    stored = build(ProbeConfig(target_layers=["all"], online_training=False), encoder)
    stored.classifier.load_state_dict(online.classifier.state_dict())
    torch.testing.assert_close(stored(online.features(WAVES)), online(WAVES))
    assert online.n_features == 128
    with pytest.raises(UsageError, match=r"\(2, 64\), need \(batch, 128\)"):
        stored(torch.zeros(2, 64))


def test_every_aggregation_joins_layers_along_the_channels() -> None:
    first, second = torch.rand(2, 5, 3), torch.rand(2, 5, 3)
    assert aggregate([first, second], "none").shape == (2, 5, 6)
    torch.testing.assert_close(aggregate([first, second], "cls_token")[:, 3:], second[:, 0])
    torch.testing.assert_close(aggregate([first, second], "max")[:, :3], first.amax(1))
    torch.testing.assert_close(aggregate([first, second], "mean")[:, 3:], second.mean(1))


@pytest.mark.parametrize(
    ("config", "n_classes", "complaint"),
    [
        (ProbeConfig(), 0, "num_classes is 0"),
        (ProbeConfig(design="dawnchorus", aggregation="none"), 3, "mean, max or cls_token"),
        (ProbeConfig(target_layers=["blocks.7"]), 3, r"blocks\.7"),
        (ProbeConfig(target_layers=[5]), 3, "no layer 5"),
        (
            ProbeConfig(design="dawnchorus", probe_type="lstm", aggregation="mean"),
            3,
            "reads tokens; use none",
        ),
        (
            ProbeConfig(probe_type="attention", aggregation="none", num_heads=5),
            3,
            "num_heads 5 does not divide the 64 channels",
        ),
        (ProbeConfig(probe_type="knn"), 3, "fit it on stored embeddings"),
    ],
)
def test_what_cannot_be_built_is_refused(
    encoder: EAT, config: ProbeConfig, n_classes: int, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        build(config, encoder, n_classes)


def test_our_design_weighs_all_layers_equally_until_something_is_learned(encoder: EAT) -> None:
    config = ProbeConfig(design="dawnchorus", target_layers=["all"])
    probe = build(config, encoder)
    assert probe.layer_weights == {"blocks.0.attn.proj": 0.5, "blocks.1.attn.proj": 0.5}
    first, second = probe.features(WAVES).split(64, dim=1)
    torch.testing.assert_close(probe(WAVES), probe.classifier((first + second) / 2))


def test_layers_of_different_width_get_an_adapter(encoder: EAT) -> None:
    layers = ["blocks.0.mlp.fc1", "output", "last_layer"]
    config = ProbeConfig(design="dawnchorus", target_layers=layers)
    probe = build(config, encoder)
    assert probe.widths == [256, 64, 64]
    assert probe(WAVES).shape == (2, 3)
    assert set(probe.layer_weights or {}) == {"blocks.0.mlp.fc1", "output", "blocks.1.attn.proj"}


def test_output_is_not_the_released_last_layer(encoder: EAT) -> None:
    def features(layer: str) -> torch.Tensor:
        config = ProbeConfig(target_layers=[layer], aggregation="cls_token")
        return build(config, encoder).features(WAVES)

    out = encoder.encode(WAVES, layers=["blocks.1.attn.proj"])
    torch.testing.assert_close(features("output"), out.tokens[:, 0])
    torch.testing.assert_close(features("last_layer"), out.layers["blocks.1.attn.proj"][:, 0])
    assert not torch.allclose(features("output"), features("last_layer"))


@pytest.mark.parametrize("kind", ["lstm", "attention", "transformer", "prototype"])
def test_a_probe_on_tokens_gives_the_same_from_waveforms_and_stored_tokens(
    encoder: EAT, kind: str
) -> None:
    layers = ["last_layer", "output"]
    config = ProbeConfig(design="dawnchorus", probe_type=kind, target_layers=layers)
    assert config.aggregation == "none"
    online = build(config, encoder).eval()
    tokens = online.features(WAVES)
    assert tokens.shape == (2, 1 + 8 * 7, 128)
    stored = build(config.model_copy(update={"online_training": False}), encoder).eval()
    stored.load_state_dict(online.state_dict())
    torch.testing.assert_close(stored(tokens), online(WAVES))
