"""What is written loads as it was; whatever does not fit is refused by the name of its tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from conftest import LABELS, TINY
from dawnchorus import load_model
from dawnchorus.errors import UsageError, WeightsError
from dawnchorus.models.build import build, fill
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.fingerprint import check, fingerprint, largest_difference
from dawnchorus.models.layouts import expected_shapes, infer_shape
from dawnchorus.models.write import DTYPES, as_precision, smallest_exact, write_files, write_model
from dawnchorus.paths import sha256_of_file

NAMES = sorted(expected_shapes(TINY))
CARD = Card(name="tiny", config=TINY, licence="CC0-1.0")


def weights_of(encoder: EAT) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in encoder.state_dict().items()}


@pytest.mark.parametrize("precision", DTYPES)
def test_a_written_model_is_its_rounded_weights_and_its_card_is_true(
    precision: Any, tiny_encoder: EAT, tmp_path: Path
) -> None:
    card = write_model(tmp_path, CARD, LABELS, weights_of(tiny_encoder), precision)
    model = load_model(tmp_path, "cpu")
    for name, value in tiny_encoder.state_dict().items():
        assert torch.equal(model.state_dict()[name], value.to(DTYPES[precision]).float()), name
    path = tmp_path / "model.safetensors"
    assert card.sha256 == sha256_of_file(path) == model.weights_sha256
    assert card.n_bytes == path.stat().st_size
    assert card.precision == precision
    assert {value.dtype for value in load_file(path).values()} == {DTYPES[precision]}
    assert model.labels == LABELS
    assert card == Card.read(tmp_path / "card.yaml")
    assert card.fingerprint is not None
    assert check(model, card.fingerprint) <= 1e-5
    again = write_model(tmp_path / "again", CARD, LABELS, weights_of(tiny_encoder), precision)
    assert again == card  # byte by byte, for its hash is the same


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_counts_and_is_named_where_it_does_not_fit(
    name: str, tiny_encoder: EAT
) -> None:
    shapes = expected_shapes(TINY)
    without = {key: shape for key, shape in shapes.items() if key != name}
    with pytest.raises(WeightsError, match=r"does not fit tiny: 1 of .* tensors") as missing:
        build(TINY, "tiny", without, "a.file")
    assert f"{name}: None, need {shapes[name]}" in str(missing.value)
    wider = {**shapes, name: (*shapes[name][:-1], shapes[name][-1] + 1)}
    with pytest.raises(WeightsError, match=r"a\.file: does not fit tiny: 1 of") as reshaped:
        build(TINY, "tiny", wider, "a.file")
    assert f"{name}: {wider[name]}, need {shapes[name]}" in str(reshaped.value)
    tensors = weights_of(tiny_encoder)
    model = build(TINY, "tiny", shapes, "a.file")
    for wrong in (float("nan"), float("inf")):
        tensors[name].view(-1)[-1] = wrong
        with pytest.raises(WeightsError, match="1 tensors hold values that are not finite") as told:
            fill(model, tensors, "a.file")
        assert name in str(told.value)
        with pytest.raises(WeightsError, match=r"is not finite in float32$") as unwritten:
            as_precision(tensors, "float32", "a.folder")
        assert name in str(unwritten.value)
    for dtype in (torch.int32, torch.bool, torch.complex64):
        tensors[name] = torch.zeros(shapes[name], dtype=dtype)
        with pytest.raises(WeightsError, match=f"of the type {dtype}; need one of bfloat16"):
            fill(model, tensors, "a.file")


@pytest.mark.parametrize("name", NAMES)
def test_one_other_weight_changes_the_fingerprint_beyond_its_tolerance(
    name: str, tiny_encoder: EAT
) -> None:
    known = fingerprint(tiny_encoder)
    moved = EAT(TINY, name="moved", labels=LABELS, initialise=False)
    tensors = weights_of(tiny_encoder)
    if name.endswith("attn.qkv.bias"):
        tensors[name][TINY.dim : 2 * TINY.dim] = 0  # a bias of the keys is lost in the softmax
        tensors[name][2 * TINY.dim :] += 0.5
    else:
        noise = torch.randn(tensors[name].shape, generator=torch.Generator().manual_seed(7))
        tensors[name] += noise
    moved.load_state_dict(tensors)
    assert largest_difference(moved.eval(), known) > known.atol
    with pytest.raises(WeightsError, match="moved: computes other values than its card says"):
        check(moved, known)


def test_a_fingerprint_of_another_kind_of_model_is_refused(tiny_encoder: EAT) -> None:
    known = fingerprint(tiny_encoder)
    shorter = known.model_copy(update={"values": known.values[:-1]})
    with pytest.raises(WeightsError, match=r"has 21 values, the card 20"):
        check(tiny_encoder, shorter)


def test_half_precision_is_chosen_only_where_it_loses_nothing(tiny_encoder: EAT) -> None:
    tensors = weights_of(tiny_encoder)
    assert smallest_exact(tensors) == "float32"
    rounded = {name: value.half().float() for name, value in tensors.items()}
    assert smallest_exact(rounded) == "float16"
    rounded["cls_token"][0, 0, 0] = 1e6
    assert smallest_exact(rounded) == "float32"
    with pytest.raises(WeightsError, match="cls_token is not finite in float16; write it in float"):
        as_precision(rounded, "float16", "a.folder")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cls_token": None}, "no CLS token or no blocks"),
        ({"blocks.7.norm1.weight": (64,)}, "names block 7 and holds 3 blocks"),
        ({"blocks.999999999.norm1.weight": (64,)}, "names block 999999999"),
        ({"cls_token": (64,)}, r"cls_token has the shape \(64,\); need 1 to"),
        ({"cls_token": (1, 1, 0)}, r"cls_token has the shape \(1, 1, 0\)"),
        ({"head.linear.weight": (10**9, 64)}, r"head.linear.weight has the shape"),
    ],
)
def test_shapes_that_no_model_has_are_refused_before_anything_is_made(
    change: dict[str, tuple[int, ...] | None], said: str
) -> None:
    changed = {**expected_shapes(TINY), **change}
    shapes = {name: shape for name, shape in changed.items() if shape is not None}
    with pytest.raises(WeightsError, match=said):
        infer_shape(shapes, "a.file")


def test_a_card_says_what_is_wrong_with_it_and_comes_back_from_its_text(tmp_path: Path) -> None:
    CARD.write(tmp_path / "card.yaml")
    assert Card.read(tmp_path / "card.yaml") == CARD
    values = CARD.model_dump(mode="json", exclude_defaults=True)
    for change, said in (({"licens": "x"}, "licens"), ({"config": {"dim": -1}}, "dim")):
        with pytest.raises(UsageError, match=rf"a\.card: not a card that can be used: .*{said}"):
            Card.of({**values, **change}, "a.card")
    with pytest.raises(UsageError, match=r"none\.yaml"):
        Card.read(tmp_path / "none.yaml")


def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing_half_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "b" / "in the way").mkdir(parents=True)
    with pytest.raises(WeightsError, match="the model cannot be written"):
        write_files(tmp_path, {"a": b"1", "b": b"2"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert (tmp_path / "a").read_bytes() == b"1"
