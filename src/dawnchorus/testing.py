"""Checks that any encoder can be put through, ours and those of other packages.

A package that offers an encoder calls `check_encoder` in its tests; what passes works with every
command here. What an encoder offers beyond `dawnchorus.Encoder` (``facts`` and the methods of the
other protocols in `dawnchorus.models.encoder`) is checked only where it is there.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING

import torch

from dawnchorus.errors import UsageError
from dawnchorus.models.encoder import (
    Encoder,
    EncoderFacts,
    EncoderOutput,
    ReleasedLayers,
    StagedEncoder,
    facts_of,
)

if TYPE_CHECKING:
    from torch import Tensor

ATOL = 1e-4  # float32 through a dozen blocks, other kernels for other batch sizes


def check_encoder(encoder: Encoder, *, seed: int = 0) -> None:
    """Check shapes, spans, finiteness, determinism and that a clip ignores its batch.

    Args:
        encoder: the encoder, in evaluation mode, on the CPU.
        seed: of the noise that it is given.

    Raises:
        UsageError: The first promise that does not hold, in words.
    """
    _need(isinstance(encoder, Encoder), "lacks an attribute or method of dawnchorus.Encoder")
    _need(encoder.sample_rate > 0, f"sample_rate is {encoder.sample_rate}, need Hz")
    _need(encoder.window_s > 0, f"window_s is {encoder.window_s}, need seconds")
    n_samples = round(encoder.window_s * encoder.sample_rate)
    generator = torch.Generator().manual_seed(seed)
    # a clip that fills the window, and one of half its length with nothing behind it
    clips = 0.1 * torch.randn(2, n_samples, generator=generator)
    lengths = torch.tensor([n_samples, n_samples // 2])
    clips[1, n_samples // 2 :] = 0
    with torch.no_grad():
        both = encoder.encode(clips, lengths)
        again = encoder.encode(clips, lengths)
        # what stands behind a clip's end is nobody's sound, so it must not count
        padded = clips.clone()
        padded[1, n_samples // 2 :] = 0.5
        other_padding = encoder.encode(padded, lengths)
        alone = encoder.encode(clips[:1])
        # a division by the loudness of nothing would give NaN
        silence = encoder.encode(torch.zeros(1, n_samples))
        inner = encoder.encode(clips[:1], layers=[0, -1])
    _check_shapes(encoder, both)
    _need(bool(silence.tokens.isfinite().all()), "silence gives values that are not finite")
    _same(both.tokens, again.tokens, 0.0, "the same input twice gives other tokens")
    _same(both.tokens[:1], alone.tokens, ATOL, "a clip alone and in a batch gives other tokens")
    _same(
        both.pool("valid"),
        other_padding.pool("valid"),
        ATOL,
        "what is behind a clip's end changes its embedding",
    )
    _need(set(inner.layers) == {0, -1}, f"layers=[0, -1] gave {list(inner.layers)}")
    for tokens in inner.layers.values():
        _need(tokens.shape == alone.tokens.shape, "a layer has another shape than the output")
    _check_facts(encoder, clips, lengths)
    _check_optional_methods(encoder, clips, lengths, both)


def _check_facts(encoder: Encoder, clips: Tensor, lengths: Tensor) -> None:
    """Each fact that was said lets others do less, so a wrong one changes results."""
    facts = facts_of(encoder)
    _need(isinstance(facts, EncoderFacts), f"facts is a {type(facts).__name__}")
    try:
        json.dumps(facts.settings)
    except (TypeError, ValueError) as error:
        raise UsageError(f"not a valid encoder: facts.settings is not JSON: {error}") from error
    shorter = clips[1:, : int(lengths[1])]
    with torch.no_grad():
        whole = encoder.encode(clips, lengths, facts.readout.layers or None)
        cut = encoder.encode(shorter)
        vectors = facts.readout.pool(whole)
        _need(bool(vectors.isfinite().all()), "facts.readout gives values that are not finite")
        if facts.copies_share_weights:
            again = deepcopy(encoder).encode(clips, lengths)
            _same(whole.tokens, again.tokens, 0.0, "facts.copies_share_weights: a copy differs")
    if facts.pads_to_window:
        same_length = cut.tokens.shape[1] == whole.tokens.shape[1]
        _need(same_length, "facts.pads_to_window: a short input gives fewer tokens")
    if facts.logits_ignore_padding and whole.logits is not None and cut.logits is not None:
        _same(
            whole.logits[1:], cut.logits, ATOL, "facts.logits_ignore_padding: padding changes them"
        )


def _check_optional_methods(
    encoder: Encoder, clips: Tensor, lengths: Tensor, output: EncoderOutput
) -> None:
    with torch.no_grad():
        if isinstance(encoder, StagedEncoder):
            staged = encoder.encode_features(*encoder.features(clips, lengths))
            _same(output.tokens, staged.tokens, 0.0, "encode_features differs from encode")
        if isinstance(encoder, ReleasedLayers):
            (name,) = encoder.released_layers(["last_layer"])
            width = encoder.encode(clips[:1], layers=[name]).layers[name].shape[-1]
            _need(encoder.layer_width(name) == width, f"layer_width of {name} is not {width}")


def _check_shapes(encoder: Encoder, output: EncoderOutput) -> None:
    n_clips, n_tokens, dim = output.tokens.shape
    _need((n_clips, dim) == (2, encoder.dim), f"tokens are {tuple(output.tokens.shape)}")
    _need(output.tokens.dtype == torch.float32, f"tokens are {output.tokens.dtype}, need float32")
    _need(bool(output.tokens.isfinite().all()), "noise gives values that are not finite")
    for name in ("time_span_s", "band_span"):
        spans = getattr(output, name)
        _need(spans.shape == (n_tokens, 2), f"{name} is {tuple(spans.shape)}")
        _need(
            bool((spans[:, 0] < spans[:, 1]).all()), f"{name} has a span that ends before it begins"
        )
    _need(
        output.has_signal.shape == (2, n_tokens), f"has_signal is {tuple(output.has_signal.shape)}"
    )
    # tokens of both clips that cover sound: the shorter clip must have fewer
    patches = output.has_signal[:, output.n_cls :].sum(dim=1)
    _need(bool(patches[0] > patches[1] > 0), "has_signal does not follow the lengths")
    if encoder.labels is None:
        _need(output.logits is None, "logits without labels")
    else:
        _need(
            output.logits is not None and output.logits.shape == (2, len(encoder.labels)),
            f"{len(encoder.labels)} labels do not name the logits",
        )


def _same(first: Tensor, second: Tensor, atol: float, complaint: str) -> None:
    # "not <=": a NaN is no agreement
    worst = float((first - second).abs().max())
    _need(worst <= atol, f"{complaint}: largest difference {worst:.2g}")


def _need(holds: bool, complaint: str) -> None:  # noqa: FBT001 - an assertion
    if not holds:
        raise UsageError(f"not a valid encoder: {complaint}")
