"""The check of encoders passes ours and catches broken ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dawnchorus.configs import Readout
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.models.encoder import EncoderFacts, EncoderOutput, facts_of, readout_for
from dawnchorus.testing import check_encoder


class Broken:
    """Ours, with one promise broken."""

    def __init__(self, encoder: EAT, mend: Callable[[EncoderOutput, Tensor], EncoderOutput]):
        self.encoder, self.mend = encoder, mend
        self.name, self.sample_rate, self.window_s = "broken", 16_000, encoder.window_s
        self.dim, self.n_layers, self.labels = encoder.dim, encoder.n_layers, encoder.labels

    def encode(
        self,
        waveforms: Tensor,
        lengths: Tensor | None = None,
        layers: Sequence[int | str] | None = None,
    ) -> EncoderOutput:
        return self.mend(self.encoder.encode(waveforms, lengths, layers), waveforms)


def test_ours_passes(tiny_encoder: EAT) -> None:
    check_encoder(tiny_encoder)


@pytest.mark.parametrize(
    ("mend", "complaint"),
    [
        (lambda out, _: replace(out, tokens=out.tokens / 0), "not finite"),
        (lambda out, _: replace(out, tokens=out.tokens.half()), "float16"),
        (lambda out, _: replace(out, tokens=out.tokens * len(out.tokens)), "alone and in a batch"),
        (lambda out, w: replace(out, tokens=out.tokens + w.abs().mean()), "alone and in a batch"),
        (lambda out, _: replace(out, has_signal=out.has_signal | True), "follow the lengths"),
        (lambda out, _: replace(out, logits=None), "labels"),
        (lambda out, _: replace(out, layers={}), "layers="),
        (lambda out, _: replace(out, tokens=out.tokens + torch.rand(1)), "twice"),
    ],
)
def test_a_broken_promise_is_named(
    tiny_encoder: EAT, mend: Callable[[EncoderOutput, Tensor], EncoderOutput], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        check_encoder(Broken(tiny_encoder, mend))


def test_an_encoder_without_facts_is_as_good(tiny_encoder: EAT) -> None:
    plain = Broken(tiny_encoder, lambda out, _: out)
    check_encoder(plain)
    assert facts_of(plain) == EncoderFacts()
    assert str(readout_for(plain)) == "output:mean"
    assert str(readout_for(plain, "0,output:cls")) == "0:mean,output:cls"


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        (EncoderFacts(settings={"path": Path()}), "settings is not JSON"),
        (EncoderFacts(readout=Readout.parse("3:mean")), "no layer 3"),
        (EncoderFacts(readout=Readout.parse("output")), "names no pooling"),
        (EncoderFacts(pads_to_window=True), "a short input gives fewer tokens"),
        (EncoderFacts(logits_ignore_padding=True), "padding changes them"),
        ({"readout": "output:mean"}, "facts is a dict"),
    ],
)
def test_a_fact_that_does_not_hold_is_named(
    tiny_encoder: EAT, facts: EncoderFacts, complaint: str
) -> None:
    def louder_with_padding(out: EncoderOutput, waveforms: Tensor) -> EncoderOutput:
        assert out.logits is not None
        return replace(out, logits=out.logits + waveforms.shape[1])

    encoder = Broken(tiny_encoder, louder_with_padding)
    check_encoder(encoder)
    encoder.facts = facts
    with pytest.raises(UsageError, match=complaint):
        check_encoder(encoder)


def test_what_is_offered_beyond_the_protocol_is_checked(
    tiny_encoder: EAT, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EAT, "layer_width", lambda _self, _name: 3)
    with pytest.raises(UsageError, match="layer_width"):
        check_encoder(tiny_encoder)
    monkeypatch.undo()
    encode = EAT.encode

    def other(model: EAT, *args: Any, **kwargs: Any) -> EncoderOutput:
        out = encode(model, *args, **kwargs)
        return replace(out, tokens=2 * out.tokens)

    monkeypatch.setattr(EAT, "encode", other)
    with pytest.raises(UsageError, match="encode_features differs from encode"):
        check_encoder(tiny_encoder)


def test_something_else_altogether_is_refused() -> None:
    with pytest.raises(UsageError, match=r"dawnchorus\.Encoder"):
        check_encoder(torch.nn.Linear(2, 2))
