"""Names, shapes and hashes of weights: every layout becomes ours, and ours is told by its bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from dawnchorus.errors import WeightsError
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import SIZES, EATConfig
from dawnchorus.models.header import header_metadata, read_header
from dawnchorus.models.layouts import detect_layout, expected_shapes, infer_shape, map_names
from dawnchorus.models.weights_file import (
    forget_file,
    inspect_weights,
    tensors_sha256,
    weights_sha256_of,
)

CONFIGS = st.builds(
    EATConfig,
    dim=st.sampled_from([64, 128, 192]),
    n_layers=st.integers(1, 3),
    n_heads=st.sampled_from([1, 2]),
    mlp_ratio=st.sampled_from([1.0, 2.0, 4.0]),
    n_classes=st.integers(0, 3),
    head_norm_eps=st.none() | st.just(1e-5),
    max_time_steps=st.integers(64, 66),
    stored_positions=st.booleans(),
)


@given(CONFIGS)
def test_shapes_are_known_without_the_model_and_tell_its_config(config: EATConfig) -> None:
    model = EAT(config, initialise=False)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert expected_shapes(config) == shapes
    inferred = infer_shape(shapes, "file")
    of_shapes = {"dim", "n_layers", "mlp_ratio", "n_classes", "stored_positions"}
    for field in of_shapes & inferred.keys():
        assert inferred[field] == getattr(config, field)
    assert ("n_classes" in inferred) == (config.n_classes > 0)


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        ("module.extra_tokens", "cls_token"),
        ("modality_encoders.IMAGE.extra_tokens", "cls_token"),
        ("modality_encoders.IMAGE.local_encoder.proj.bias", "patch_embed.proj.bias"),
        ("modality_encoders.IMAGE.context_encoder.norm.weight", "pre_norm.weight"),
        ("backbone.model.blocks.11.attn.qkv.weight", "blocks.11.attn.qkv.weight"),
        ("model.blocks.0.mlp.fc2.bias", "blocks.0.mlp.fc2.bias"),
        ("classifier.weight", "head.linear.weight"),
        ("fc_norm.bias", "head.norm.bias"),
        ("head.linear.bias", "head.linear.bias"),
    ],
)
def test_a_foreign_name_has_one_of_ours(foreign: str, ours: str) -> None:
    assert map_names([foreign], "file") == ({ours: foreign}, ())


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["modality_encoders.IMAGE.extra_tokens"], "fairseq"),
        (["backbone.model.cls_token"], "AVES2"),
        (["model.extra_tokens"], "Hugging Face EAT"),
        (["model.cls_token"], "dawnchorus"),
        (["conv.weight"], "unknown"),
    ],
)
def test_a_layout_is_detected_by_its_names(names: list[str], layout: str) -> None:
    assert detect_layout(names) == layout


def test_names_that_mean_one_tensor_or_none_are_refused() -> None:
    with pytest.raises(WeightsError, match="two tensors are cls_token"):
        map_names(["cls_token", "model.cls_token"], "file")
    with pytest.raises(WeightsError, match=r"not EAT weights: 1 of 2 .* such as conv\.weight"):
        map_names(["cls_token", "conv.weight"], "file")
    decoder = "modality_encoders.IMAGE.decoder.proj.weight"
    assert map_names([decoder, "_ema"], "file") == ({}, (decoder, "_ema"))


@given(st.data())
def test_a_hash_of_tensors_sees_every_name_type_shape_and_value(data: st.DataObject) -> None:
    tensors = {"a": torch.arange(6.0), "b": torch.zeros(2, 3)}
    before = tensors_sha256(tensors)
    assert tensors_sha256(dict(reversed(tensors.items()))) == before  # the order is not the file's
    change = data.draw(st.sampled_from(["name", "type", "shape", "value"]))
    if change == "name":
        tensors["c"] = tensors.pop("b")
    elif change == "type":
        tensors["a"] = tensors["a"].half()
    elif change == "shape":
        tensors["b"] = tensors["b"].reshape(3, 2)
    else:
        tensors["a"][data.draw(st.integers(0, 5))] += 1
    assert tensors_sha256(tensors) != before


def test_trained_weights_are_no_longer_those_of_their_file(tiny_folder: Path) -> None:
    model = EAT.from_pretrained(tiny_folder)
    of_file = model.weights_sha256
    assert weights_sha256_of(model) == of_file
    forget_file(model)
    assert weights_sha256_of(model) == f"tensors-{tensors_sha256(model.state_dict())}"
    assert weights_sha256_of(object()) is None


@given(
    name=st.text(min_size=1, max_size=20),
    labels=st.none() | st.lists(st.text(min_size=1, max_size=20), unique=True, max_size=5),
)
def test_card_and_labels_come_back_out_of_a_header(
    name: str, labels: list[str] | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("header") / "model.safetensors"
    card = Card(name=name, config=EATConfig.of_size("tiny", readout="8,-1:std"), n_bytes=7)
    save_file({"cls_token": torch.zeros(1, 1, 192)}, path, header_metadata(card, labels))
    header = read_header(path)
    # the size and hash of a file cannot stand in the file
    assert header.card == card.model_copy(update={"n_bytes": None})
    assert header.labels == labels
    assert dict(header.shapes) == {"cls_token": (1, 1, 192)}


@pytest.mark.parametrize("size", SIZES)
def test_a_named_size_has_the_shape_that_it_is_named_after(size: str) -> None:
    dim, n_layers, n_heads = SIZES[size]  # type: ignore[index]
    config = EATConfig.of_size(size)  # type: ignore[arg-type]
    assert config.summary == f"{dim} wide, {n_layers} blocks, {n_heads} heads"
    assert dim // n_heads == 64


def test_what_a_checkpoint_of_a_run_holds_beside_the_model_is_left_out(
    tiny_encoder: EAT, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    weights = {f"model.{name}": value for name, value in tiny_encoder.state_dict().items()}
    save_file({**weights, "teacher.x": torch.zeros(2), "decoder.y": torch.zeros(2)}, path)
    found = inspect_weights(path)
    assert found.names.keys() == tiny_encoder.state_dict().keys()
    assert found.read().keys() == {*weights, "teacher.x", "decoder.y"}
    path.unlink()
    with pytest.raises(WeightsError, match="no such weights file"):
        inspect_weights(path)
    with pytest.raises(WeightsError, match="cannot be read"):
        found.read()
