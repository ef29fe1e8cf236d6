"""What every encoder offers: the protocol, and the tokens it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, get_args, runtime_checkable

import torch

from dawnchorus.configs import Pooling
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
TINY: Final = 1e-12  # under a root, whose slope at 0 has no number


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOutput:
    """Tokens of a batch of windows, where each lies in time and band, and which hold sound.

    Attributes:
        tokens: ``(batch, tokens, dim)`` float32, the encoder's output; CLS tokens come first.
        layers: layer as asked for (index or name) to its ``(batch, tokens, dim)`` output.
        time_span_s: ``(tokens, 2)`` start and stop in the window; a CLS token spans all of it.
        band_span: ``(tokens, 2)`` first band and the one after the last; a CLS token spans all.
        has_signal: ``(batch, tokens)`` bool, False where a patch covers only padding.
        logits: ``(batch, classes)`` before the sigmoid, None for an encoder without a head.
        n_cls: how many leading tokens are CLS tokens.
        padding_counts: whether pooling takes padding for sound, as models do that were trained so.
    """

    tokens: Tensor
    time_span_s: Tensor
    band_span: Tensor
    has_signal: Tensor
    layers: Mapping[int | str, Tensor] = field(default_factory=dict)
    logits: Tensor | None = None
    n_cls: int = 1
    padding_counts: bool = True

    def pool(self, how: Pooling, layer: int | str | None = None) -> Tensor:
        """One embedding per window, ``(batch, dim)``; wider for those by band.

        Args:
            how: ``mean`` all tokens with CLS, as the released library does; ``cls`` the CLS token;
                ``patches`` all patches; ``max`` the largest value of each channel over all tokens
                (``mean``, ``patches`` and ``max`` with padding, if ``padding_counts``); ``valid``
                patches that hold sound and ``deviation`` how far they are from it, by channel;
                ``bands`` and ``band_deviations`` mean and deviation
                over time of each row of patches, lowest first, joined to ``(batch, rows x dim)``.
            layer: one of the layers asked for in ``encode``; None: the output.

        Raises:
            UsageError: The pooling is unknown or needs a CLS token, the layer was not asked for, or
                a window holds nothing but padding where that does not count.
        """
        if layer is not None and layer not in self.layers:
            raise UsageError(f"layer {layer!r} was not asked for; encode gave {list(self.layers)}")
        tokens = self.tokens if layer is None else self.layers[layer]
        if how == "cls":
            if self.n_cls == 0:
                raise UsageError(
                    "pooling 'cls': this encoder has no CLS token; use 'mean' or 'valid'"
                )
            return tokens[:, 0]
        if how in {"mean", "max"}:
            return self._over_all(tokens, how)
        patches, held = tokens[:, self.n_cls :], self.has_signal[:, self.n_cls :]
        if how == "patches" and self.padding_counts:
            return patches.mean(dim=1)
        if how in {"valid", "patches"}:
            return masked_mean(patches, held)
        if how == "deviation":
            return masked_deviation(patches, held)
        if how in {"bands", "band_deviations"}:
            of = masked_mean if how == "bands" else masked_deviation
            row = self.band_span[self.n_cls :, 0]
            rows = [row == first for first in torch.unique(row)]
            return torch.cat([of(patches[:, one], held[:, one]) for one in rows], dim=-1)
        raise UsageError(f"pooling {how!r}: need one of {', '.join(POOLINGS)}")

    def _over_all(self, tokens: Tensor, how: str) -> Tensor:
        """Mean or largest value over CLS and patches, of those that count."""
        if how == "mean":
            if self.padding_counts:
                return tokens.mean(dim=1)
            return masked_mean(tokens, self.has_signal)
        if not self.padding_counts:
            tokens = tokens.masked_fill(~self.has_signal[..., None], -torch.inf)
        return tokens.amax(dim=1)


def masked_mean(tokens: Tensor, keep: Tensor) -> Tensor:
    """Average the tokens that hold sound, ``(batch, tokens, dim)`` to ``(batch, dim)``.

    Args:
        tokens: patch tokens without CLS.
        keep: ``(batch, tokens)`` bool, True where the token covers sound.

    Raises:
        UsageError: A window holds nothing but padding; zeros would pass for an embedding.
    """
    if not bool(keep.any(dim=1).all()):
        raise UsageError("pooling: a window holds nothing but padding")
    weights = keep.to(tokens.dtype)
    return torch.einsum("btd,bt->bd", tokens, weights) / weights.sum(dim=1, keepdim=True)


def masked_deviation(tokens: Tensor, keep: Tensor) -> Tensor:
    """Standard deviation of each channel over the tokens that hold sound, ``(batch, dim)``.

    Arguments and errors as for `masked_mean`.
    """
    away = tokens - masked_mean(tokens, keep)[:, None]
    return (masked_mean(away.square(), keep) + TINY).sqrt()


@runtime_checkable
class Encoder(Protocol):
    """What `embed`, probes and benchmarks need of an encoder; ``dawnchorus.testing`` checks it."""

    name: str
    sample_rate: int  # Hz
    window_s: float  # the length it was made for; encode may take less, and says so when given more
    dim: int
    n_layers: int

    @property
    def labels(self) -> Sequence[str] | None:
        """Name of each logit, None without a head."""
        ...

    def encode(
        self,
        waveforms: Tensor,
        lengths: Tensor | None = None,
        layers: Sequence[int | str] | None = None,
    ) -> EncoderOutput:
        """Encode windows.

        Args:
            waveforms: ``(batch, samples)`` float32 at ``sample_rate``.
            lengths: ``(batch,)`` samples that hold sound, None: all of them. A clip gives the same
                alone and in any batch.
            layers: layers to return besides the output: block indices (negative from the end) or
                names.
        """
        ...
