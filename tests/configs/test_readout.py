"""A readout pools the layers that it names, and is the same in text, in JSON and in older files."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.configs import EmbedConfig, ProbeRunConfig, Readout
from dawnchorus.configs.readout import BLIND_TO_PADDING, POOLINGS, ReadoutPart, with_readout
from dawnchorus.errors import DawnChorusWarning, UsageError
from dawnchorus.models.card import known_cards
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.encoder import masked_std, readout_for

OWN = Readout.parse("8:valid,-1:valid:0.5,8:std")
PARTS = st.builds(
    ReadoutPart,
    layer=st.integers(-99, 99) | st.sampled_from(["output", "pre_norm", "blocks.1.attn.proj"]),
    pooling=st.none() | st.sampled_from(POOLINGS),
    weight=st.floats(1e-6, 1e6),
)
READOUTS = st.lists(PARTS, min_size=1, max_size=5).map(lambda parts: Readout(tuple(parts)))


@pytest.fixture(scope="module")
def clips() -> tuple[torch.Tensor, torch.Tensor]:
    waves = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(1))
    waves[1, 6_000:] = 0
    return waves, torch.tensor([16_000, 6_000])


def test_parts_are_parsed() -> None:
    readout = Readout.parse("0, 1:bands,pre_norm:cls:0.25,output", "valid")
    assert readout.parts == (
        ReadoutPart(0, "valid"),
        ReadoutPart(1, "bands"),
        ReadoutPart("pre_norm", "cls", 0.25),
        ReadoutPart("output", "valid"),
    )
    assert readout.layers == [0, 1, "pre_norm"]
    assert Readout().is_output
    assert not Readout.parse("output:bands").is_output
    assert not Readout.parse("output:band_stds").is_output


@given(READOUTS)
def test_text_list_and_json_of_a_readout_are_the_same_readout(readout: Readout) -> None:
    text = str(readout)
    assert Readout.parse(text) == readout
    assert Readout.parse([str(part) for part in readout.parts]) == readout
    config = EmbedConfig(readout=text)
    assert EmbedConfig(**json.loads(config.model_dump_json())).readout == readout
    assert {config.readout: 1} == {readout: 1}  # equal ones are one key


@pytest.mark.parametrize(
    ("wanted", "means"),
    [
        ("3", "3:valid"),
        ("own", "8:valid,-1:valid:0.5,8:std"),
        # what is special in the encoder's own readout stays: the standard deviation
        ("own:cls", "8:cls,-1:cls:0.5,8:std"),
        ("output:max,own::2", "output:max,8:valid:2.0,-1:valid,8:std:2.0"),
    ],
)
def test_what_a_user_leaves_out_is_the_encoders_own(wanted: str, means: str) -> None:
    assert Readout.parse(wanted).complete(OWN) == Readout.parse(means)


def test_an_embedding_is_its_parts_side_by_side(
    tiny_encoder: EAT, clips: tuple[torch.Tensor, torch.Tensor]
) -> None:
    readout = readout_for(tiny_encoder, "1:bands,pre_norm:cls:0.25,output")
    with torch.no_grad():
        out = tiny_encoder.encode(*clips, readout.layers)
    got = readout.pool(out)
    grid = out.layers[1][:, 1:].unflatten(1, (-1, 8))  # clips, time steps, rows of patches, dim
    held = out.has_signal[:, 1:].unflatten(1, (-1, 8)).float()[..., None]
    bands = ((grid * held).sum(1) / held.sum(1)).flatten(1)
    wanted = torch.cat([bands, 0.25 * out.layers["pre_norm"][:, 0], out.pool("valid")], dim=1)
    torch.testing.assert_close(got, wanted)


def test_a_readout_that_names_no_pooling_is_not_guessed(
    tiny_encoder: EAT, clips: tuple[torch.Tensor, torch.Tensor]
) -> None:
    with pytest.raises(UsageError, match="'output' names no pooling"):
        Readout.parse("output").pool(tiny_encoder.encode(*clips))


def test_standard_deviations_are_those_of_the_patches_that_hold_sound(
    tiny_encoder: EAT, clips: tuple[torch.Tensor, torch.Tensor]
) -> None:
    with torch.no_grad():
        out = tiny_encoder.encode(*clips, [1])
    for clip in range(2):
        there = out.layers[1][clip, 1:][out.has_signal[clip, 1:]]
        wanted = there.std(dim=0, unbiased=False)
        torch.testing.assert_close(out.pool("std", 1)[clip], wanted)
        rows = there.unflatten(0, (-1, 8)).std(dim=0, unbiased=False)
        torch.testing.assert_close(out.pool("band_stds", 1)[clip], rows.flatten())


def test_the_standard_deviation_of_one_patch_has_a_slope() -> None:
    token = torch.ones(1, 1, 3, requires_grad=True)
    masked_std(token, torch.ones(1, 1, dtype=torch.bool)).sum().backward()
    assert token.grad is not None
    assert bool(token.grad.isfinite().all())


@pytest.mark.parametrize("how", sorted(BLIND_TO_PADDING))
def test_padding_and_other_clips_are_not_seen(
    tiny_encoder: EAT, clips: tuple[torch.Tensor, torch.Tensor], how: str
) -> None:
    waves, lengths = clips
    readout = Readout.parse(f"1:{how}")
    assert readout.ignores_padding
    with torch.no_grad():
        both = readout.pool(tiny_encoder.encode(waves, lengths, readout.layers))
        alone = readout.pool(tiny_encoder.encode(waves[1:, :6_000], None, readout.layers))
    torch.testing.assert_close(both[1:], alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "layer", ["1:median", "1:mean:0", "1:mean:x", "1:mean:1:1", "1:mean:inf", "1:mean:nan"]
)
def test_nonsense_is_refused_by_name(layer: str) -> None:
    with pytest.raises(UsageError, match=layer):
        Readout.parse(layer)
    with pytest.raises(UsageError, match=f"EmbedConfig: readout: .*{layer}"):
        EmbedConfig(readout=["0", layer])


@pytest.mark.parametrize("value", ["", ",", [], True, [True], 1.5, [None], {"layer": 3}, b"1"])
def test_what_names_no_layer_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="readout"):
        Readout.parse(value)  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("config", [EmbedConfig, ProbeRunConfig])
@pytest.mark.parametrize(
    ("old", "readout"),
    [
        ({"layers": (5, "-1:deviation"), "pooling": "valid"}, "5:valid,-1:std"),
        ({"layers": "5,11:bands"}, "5,11:bands"),
        ({"pooling": "cls"}, "own:cls"),
    ],
)
def test_what_two_options_said_is_read_with_a_warning_that_names_the_new_one(
    config: type[EmbedConfig] | type[ProbeRunConfig], old: dict[str, object], readout: str
) -> None:
    with pytest.warns(DawnChorusWarning, match=f"readout '{readout}'"):
        made = config(**old)
    assert made.readout == Readout.parse(readout)


def test_a_readout_beside_the_older_keys_is_refused() -> None:
    with pytest.raises(UsageError, match="pooling beside readout"):
        EmbedConfig(readout="5", pooling="cls")


def test_older_names_of_poolings_are_read_with_a_warning() -> None:
    with pytest.warns(DawnChorusWarning, match="'deviation' is now called 'std'"):
        assert Readout.parse("1:deviation") == Readout.parse("1:std")


@pytest.mark.parametrize(
    ("values", "layers", "readout"),
    [
        # a store's header
        ({"pooling": "valid", "layers": None}, "layers", "output:valid"),
        ({"pooling": "mean", "layers": [8, "-1:deviation"]}, "layers", "8:mean,-1:std"),
        # a probe's description: features of unknown origin, then of an encoder
        ({"pooling": "", "readout": []}, "readout", None),
        ({"pooling": "valid", "readout": ["8", "-1:bands:0.5"]}, "readout", "8:valid,-1:bands:0.5"),
        ({"pooling": "", "readout": ["-1"]}, "readout", "-1:mean"),
        # today's, whatever the kind of file
        ({"readout": "8,-1:std"}, "readout", "8,-1:std"),
        ({"readout": "8,-1:std"}, "layers", "8,-1:std"),
    ],
)
def test_a_file_of_any_age_is_read_without_a_word(
    values: dict[str, object], layers: str, readout: str | None
) -> None:
    found = with_readout(values, layers=layers, base="output", pooling="mean")
    assert found.keys() == (set() if readout is None else {"readout"})
    assert readout is None or Readout.parse(found["readout"]) == Readout.parse(readout)


@pytest.mark.parametrize(
    "values", [{"pooling": "median"}, {"pooling": 3}, {"layers": [None]}, {"layers": ["1:median"]}]
)
def test_an_older_file_that_is_damaged_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"pooling|readout|layer"):
        with_readout(values, layers="layers", base="output")


def test_the_card_in_the_bundled_weights_is_read_without_a_word() -> None:
    readout = known_cards()["dawnchorus_eat_tiny"].config.readout
    assert str(readout) == "8:valid,-1:valid,8:std,-1:std"
    old = {"pooling": "valid", "embedding_layers": [8, -1, "8:deviation", "-1:deviation"]}
    assert EATConfig.of_size("tiny", **old).readout == readout
    assert EATConfig.of_size("tiny", pooling="cls").readout == Readout.parse("output:cls")
    assert EATConfig.of_size("tiny").readout == Readout.parse("output:mean")
