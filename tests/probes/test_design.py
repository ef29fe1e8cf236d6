"""A probe has the layers, widths and defaults that the released library's would have.

The widths are what avex 1.4.0 builds from the same config on an encoder of 2 blocks of 64 channels.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn

from dawnchorus.configs import ProbeConfig
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.probes.build import Probe, build_probe_from_config

TOKENS = 1 + 8 * 7  # of a second, native length
WAVES = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def encoder() -> EAT:
    torch.manual_seed(0)
    config = EATConfig(
        dim=64, n_layers=2, n_heads=1, window_s=1.0, padded_frames=None, stored_positions=False
    )
    return EAT(config, name="probed").eval()


def build(encoder: EAT | None = None, **values: object) -> Probe:
    named = {k: values.pop(k) for k in ("input_dim", "target_length") if k in values}
    return build_probe_from_config(ProbeConfig(**values), 3, "cpu", encoder, **named).eval()


def linears(module: nn.Module) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in module.modules() if type(m) is nn.Linear]


@pytest.mark.parametrize("aggregation", ["mean", "max", "cls_token"])
@pytest.mark.parametrize(
    ("layers", "width"),
    [
        (["last_layer"], 64),
        (["all"], 128),
        ([0, -1], 128),
        (["all", "blocks.0.mlp.fc1"], 384),
        (["last_layer", -1, "all"], 128),  # each is read once
    ],
)
def test_pooled_layers_stand_side_by_side(
    encoder: EAT, aggregation: str, layers: list[int | str], width: int
) -> None:
    probe = build(encoder, target_layers=layers, aggregation=aggregation)
    assert linears(probe.classifier) == [(width, 3)]
    assert probe.layer_weights is None
    assert probe(WAVES).shape == (2, 3)


def test_all_comes_after_the_layers_that_are_named(encoder: EAT) -> None:
    probe = build(encoder, target_layers=["all", "blocks.0.mlp.fc1"])
    assert probe.layers == ["blocks.0.mlp.fc1", "blocks.0.attn.proj", "blocks.1.attn.proj"]


def test_tokens_of_one_layer_are_flattened_and_those_of_several_weighed(encoder: EAT) -> None:
    one = build(encoder, aggregation="none")
    assert linears(one.classifier) == [(TOKENS * 64, 3)]
    several = build(encoder, aggregation="none", target_layers=["all"])
    assert linears(several.classifier) == [(TOKENS * 64, 3)]
    assert several.layer_weights == {"blocks.0.attn.proj": 0.5, "blocks.1.attn.proj": 0.5}
    first, second = several.features(WAVES).split(64, dim=-1)
    mean = ((first + second) / 2).flatten(1)
    torch.testing.assert_close(several(WAVES), several.classifier(mean))
    with pytest.raises(UsageError, match=f"25 tokens, this probe flattens {TOKENS}"):
        one(WAVES[:, :8_000])
    assert build(encoder, aggregation="none", target_length=8_000)(WAVES[:, :8_000]).shape == (2, 3)


def test_an_mlp_has_the_released_widths_and_dropout(encoder: EAT) -> None:
    probe = build(encoder, probe_type="mlp", target_layers=["all"])
    assert linears(probe.classifier) == [(128, 512), (512, 256), (256, 3)]
    assert [m.p for m in probe.modules() if isinstance(m, nn.Dropout)] == [0.1, 0.1]
    assert linears(build(encoder, probe_type="mlp", hidden_dims=[7]).classifier) == [
        (64, 7),
        (7, 3),
    ]


def test_an_lstm_has_two_layers_in_one_direction(encoder: EAT) -> None:
    probe = build(encoder, probe_type="lstm", aggregation="none", target_layers=["all"])
    lstm = probe.classifier.lstm
    assert (lstm.input_size, lstm.hidden_size, lstm.num_layers) == (64, 256, 2)
    assert (lstm.bidirectional, lstm.dropout) == (False, 0.1)
    assert linears(probe.classifier) == [(256, 3)]
    assert probe.layer_weights is not None
    long = build(encoder, probe_type="lstm", aggregation="none", max_sequence_length=2_000)
    assert long.classifier.lstm.hidden_size == 500
    placed = build(
        encoder, probe_type="lstm", aggregation="none", use_positional_encoding=True,
        max_sequence_length=30,
    )  # fmt: skip
    with pytest.raises(UsageError, match="57 tokens, the probe has positions for 30"):
        placed(WAVES)


def test_attention_works_in_the_channels_of_the_layers_whatever_attention_dim_says(
    encoder: EAT,
) -> None:
    probe = build(encoder, probe_type="attention", aggregation="none", attention_dim=16)
    layers = [m for m in probe.modules() if isinstance(m, nn.MultiheadAttention)]
    assert [(m.embed_dim, m.num_heads, m.dropout) for m in layers] == [(64, 8, 0.1)] * 2
    assert linears(probe.classifier) == [(64, 3)]


def test_a_transformer_takes_attention_dim_for_its_inner_width(encoder: EAT) -> None:
    probe = build(encoder, probe_type="transformer", aggregation="none", attention_dim=16)
    blocks = [m for m in probe.modules() if isinstance(m, nn.TransformerEncoderLayer)]
    assert len(blocks) == 4
    assert [(b.linear1.in_features, b.linear1.out_features) for b in blocks] == [(64, 16)] * 4
    assert blocks[0].self_attn.num_heads == 8  # 12 do not divide 64
    default = build(encoder, probe_type="transformer", aggregation="none")
    assert linears(default.classifier)[0] == (64, 768)


def test_a_head_on_tokens_reads_the_numbers_of_a_pooled_vector_in_turn(encoder: EAT) -> None:
    with pytest.warns(UserWarning, match="aggregation='none' gives it the tokens"):
        probe = build(encoder, probe_type="lstm")
    assert probe.classifier.lstm.input_size == 1
    vectors = probe.features(WAVES)
    torch.testing.assert_close(probe(WAVES), probe.classifier(vectors[..., None]))


@pytest.mark.parametrize(
    ("values", "shape", "first"),
    [
        ({"input_dim": 40}, (2, 40), (40, 3)),
        ({"input_dim": (40,)}, (2, 40), (40, 3)),
        ({"input_dim": (5, 8)}, (2, 5, 8), (40, 3)),
        ({"input_dim": 40, "probe_type": "mlp"}, (2, 40), (40, 512)),
        ({"input_dim": 40, "online_training": True}, (2, 40), (40, 3)),
        ({"input_dim": 40, "target_layers": ["all"]}, (2, 40), (40, 3)),
    ],
)
def test_a_probe_without_an_encoder_takes_stored_features(
    values: dict[str, object], shape: tuple[int, ...], first: tuple[int, int]
) -> None:
    probe = build(**values)
    assert linears(probe)[0] == first
    assert probe(torch.randn(shape)).shape == (2, 3)
    with pytest.raises(UsageError, match=r"features of shape .* need \(batch"):
        probe(WAVES)


@pytest.mark.parametrize("kind", ["lstm", "attention", "transformer"])
def test_stored_tokens_may_be_padded(kind: str) -> None:
    probe = build(probe_type=kind, input_dim=16)
    tokens = torch.randn(2, 5, 16)
    padded = torch.cat([tokens, torch.randn(2, 3, 16)], dim=1)
    mask = torch.arange(8).expand(2, 8) >= 5
    torch.testing.assert_close(probe(padded, padding_mask=mask), probe(tokens), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        probe({"raw_wav": padded, "padding_mask": mask}), probe(tokens), atol=1e-5, rtol=0
    )
    with pytest.raises(UsageError, match=r"padding_mask of shape \(2, 5\)"):
        probe(padded, mask[:, 3:])


def test_stored_features_may_be_arrays_and_must_be_finite_numbers() -> None:
    probe = build(input_dim=8)
    features = np.random.default_rng(0).standard_normal((3, 8))
    torch.testing.assert_close(probe(features), probe(torch.from_numpy(features).float()))
    features[1, 2] = np.nan
    with pytest.raises(UsageError, match="features of item 1 are not finite"):
        probe(features)
    for wrong in (np.zeros((3, 8), int), "features.npy", None, [[0.0] * 8]):
        with pytest.raises(UsageError, match="need a tensor or array of floating-point"):
            probe(wrong)


def test_stored_features_of_several_layers_are_weighed() -> None:
    probe = build(input_dim=[(8,), (8,)])
    first, second = torch.randn(2, 8), torch.randn(2, 8)
    torch.testing.assert_close(probe([first, second]), probe.classifier((first + second) / 2))
    assert probe.layer_weights == {0: 0.5, 1: 0.5}


def test_a_padding_mask_of_samples_is_taken_and_not_used(encoder: EAT) -> None:
    probe = build(encoder, probe_type="attention", aggregation="none")
    mask = torch.zeros(2, 16_000, dtype=torch.bool)
    mask[:, 8_000:] = True
    torch.testing.assert_close(probe(WAVES, padding_mask=mask), probe(WAVES))
    torch.testing.assert_close(probe({"raw_wav": WAVES}), probe(WAVES))


def test_both_orders_of_the_arguments_build_the_same(encoder: EAT) -> None:
    config = ProbeConfig()
    for probe in (
        build_probe_from_config(config, 3, "cpu", encoder),
        build_probe_from_config(config, encoder, 3, "cpu"),
        build_probe_from_config(config, encoder, num_classes=3, device="cpu"),
        build_probe_from_config(
            probe_config=config, base_model=encoder, num_classes=3, device="cpu"
        ),
    ):
        assert linears(probe.classifier) == [(64, 3)]
        assert probe.base_model is encoder


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("cpu", 3), "num_classes: need a whole number, got str; build_probe_from_config("),
        ((3, 3), "device: need a name such as cpu, got int"),
        ((True, "cpu"), "num_classes: need a whole number, got bool"),
        ((3, "cpu"), "need either base_model .* or input_dim .*, got neither"),
        ((3, "cpu", "tiny"), "base_model: need an encoder, as load_model returns it, got str"),
        ((3, "cpu", None, (1, 2, 3)), "input_dim (1, 2, 3): need a number of channels"),
        ((3, "cpu", None, [(5, 8), (8,)]), "need a number of channels"),
        ((3, "cpu", None, 0), "need a number of channels"),
    ],
)
def test_exchanged_and_missing_arguments_are_named(
    arguments: tuple[object, ...], complaint: str
) -> None:
    pattern = complaint if ".*" in complaint else re.escape(complaint)
    with pytest.raises(UsageError, match=pattern):
        build_probe_from_config(ProbeConfig(), *arguments)  # type: ignore[arg-type]  # on purpose


def test_an_encoder_and_stored_features_exclude_each_other(encoder: EAT) -> None:
    with pytest.raises(UsageError, match="got both"):
        build(encoder, input_dim=64)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"target_layers": [True]}, "need a list of names or numbers"),
        ({"target_layers": "all"}, "need a list of names or numbers"),
        ({"target_layers": []}, "at least one layer"),
        ({"input_processing": "sequence"}, "is for probes on tokens"),
        ({"probe_type": "mlp", "hidden_dims": []}, "need widths of at least 1"),
        ({"hidden_size": 3}, "unknown key 'hidden_size'"),
    ],
)
def test_a_config_that_means_nothing_is_refused(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        ProbeConfig(**values)


def test_released_configs_are_taken_whole() -> None:
    config = ProbeConfig(
        probe_type="attention", target_layers=["last_layer"], aggregation="none", num_heads=8,
        attention_dim=768, num_layers=2, input_processing="sequence", online_training=True,
        extra_config={"mine": 1}, target_length=160_000,
    )  # fmt: skip
    assert config.extra_config == {"mine": 1}


def test_a_probe_built_in_inference_mode_can_be_trained(encoder: EAT) -> None:
    with torch.inference_mode():
        probe = build(encoder)
    probe(WAVES).sum().backward()
    assert linears(probe.classifier)
    assert probe.classifier.weight.grad is not None
