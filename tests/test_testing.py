"""The check of encoders passes ours and catches broken ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.models.encoder import EncoderOutput
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


def test_something_else_altogether_is_refused() -> None:
    with pytest.raises(UsageError, match=r"dawnchorus\.Encoder"):
        check_encoder(torch.nn.Linear(2, 2))
