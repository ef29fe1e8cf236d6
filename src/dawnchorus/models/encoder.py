"""What every encoder offers: the protocol, and the tokens it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, cast, runtime_checkable

import torch

from dawnchorus.configs.readout import (
    MEAN_OF_OUTPUT,
    OUTPUT,
    POOLINGS,
    Pooling,
    Readout,
    pooling_name,
)
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from dawnchorus.configs.readout import ReadoutLike, ReadoutPart

TINY: Final = 1e-12  # under a root, whose slope at 0 is infinite: one patch has no deviation


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
                patches that hold sound, and ``std`` the standard deviation of each channel over
                them; ``bands`` and ``band_stds`` the same two over the time of each row of patches,
                lowest first, joined to ``(batch, rows x dim)``.
            layer: one of the layers asked for in ``encode``; None or ``output``: the output.

        Raises:
            UsageError: The pooling is unknown or needs a CLS token, the layer was not asked for, or
                a window holds nothing but padding where that does not count.
        """
        tokens = self.tokens_of(layer)
        how = cast("Pooling", pooling_name(how))
        if how == "cls":
            if self.n_cls == 0:
                raise UsageError(
                    "pooling 'cls': this encoder has no CLS token; use 'mean' or 'valid'"
                )
            return tokens[:, 0]
        if how in {"mean", "max"}:
            return self._over_all(tokens, how)
        # (batch, patches, dim), and (batch, patches): CLS tokens stand in front
        patches, holds_sound = tokens[:, self.n_cls :], self.has_signal[:, self.n_cls :]
        if how == "patches" and self.padding_counts:
            return patches.mean(dim=1)
        if how in {"valid", "patches"}:
            return masked_mean(patches, holds_sound)
        if how == "std":
            return masked_std(patches, holds_sound)
        if how in {"bands", "band_stds"}:
            over_time = masked_mean if how == "bands" else masked_std
            return torch.cat(
                [over_time(patches[:, row], holds_sound[:, row]) for row in self._rows()], dim=-1
            )
        raise UsageError(f"pooling {how!r}: need one of {', '.join(POOLINGS)}")

    def _rows(self) -> list[slice | Tensor]:
        """Which patches lie in each row, lowest band first: slices where they are equally apart.

        A mask of the host would make a GPU wait for its copy, once a row.
        """
        first_band = self.band_span[self.n_cls :, 0]
        places = [torch.nonzero(first_band == band)[:, 0] for band in torch.unique(first_band)]
        return [_as_slice(row) for row in places]

    def tokens_of(self, layer: int | str | None) -> Tensor:
        """``(batch, tokens, dim)`` of a layer; None or ``output``: of the output.

        Raises:
            UsageError: The layer was not asked for.
        """
        if layer is None or layer == OUTPUT:
            return self.tokens
        if layer not in self.layers:
            raise UsageError(f"layer {layer!r} was not asked for; encode gave {list(self.layers)}")
        return self.layers[layer]

    def pool_parts(self, parts: Sequence[ReadoutPart]) -> Tensor:
        """The parts of a readout side by side, ``(batch, dim)``; see `Readout.pool`."""
        nameless = [part for part in parts if part.pooling is None]
        if nameless:
            raise UsageError(f"readout part {str(nameless[0])!r} names no pooling; add :mean or so")
        pooled = [
            part.weight * self.pool(part.pooling, part.layer) for part in parts if part.pooling
        ]
        return torch.cat(pooled, dim=-1)

    def _over_all(self, tokens: Tensor, how: str) -> Tensor:
        """Mean or largest value over CLS and patches, of those that count."""
        if how == "mean":
            if self.padding_counts:
                return tokens.mean(dim=1)
            return masked_mean(tokens, self.has_signal)
        if not self.padding_counts:
            # -inf: a channel may be below 0 everywhere, so 0 would win
            tokens = tokens.masked_fill(~self.has_signal[..., None], -torch.inf)
        return tokens.amax(dim=1)


def _as_slice(places: Tensor) -> slice | Tensor:
    """Rising places as a slice, if they are equally far from each other."""
    steps = torch.diff(places)
    if not len(steps) or not bool((steps == steps[0]).all()):
        return places
    return slice(int(places[0]), int(places[-1]) + 1, int(steps[0]))


def masked_mean(tokens: Tensor, keep: Tensor) -> Tensor:
    """Average the tokens that hold sound, ``(batch, tokens, dim)`` to ``(batch, dim)``.

    Args:
        tokens: patch tokens without CLS.
        keep: ``(batch, tokens)`` bool, True where the token covers sound.

    Raises:
        UsageError: A window holds nothing but padding; zeros would pass for an embedding. Only on a
            CPU: a GPU would be waited for, and gives NaN, which whoever uses it has to refuse.
    """
    if keep.device.type == "cpu" and not bool(keep.any(dim=1).all()):
        raise UsageError("pooling: a window holds nothing but padding")
    weights = keep.to(tokens.dtype)
    # einsum, not tokens[keep]: rows hold different numbers of tokens, and nothing is copied
    return torch.einsum("btd,bt->bd", tokens, weights) / weights.sum(dim=1, keepdim=True)


def masked_std(tokens: Tensor, keep: Tensor) -> Tensor:
    """Standard deviation of each channel over the tokens that hold sound, ``(batch, dim)``.

    Arguments and errors as for `masked_mean`.
    """
    # two passes: the mean of squares less the square of the mean cancels in float32
    centred = tokens - masked_mean(tokens, keep)[:, None]
    return (masked_mean(centred.square(), keep) + TINY).sqrt()


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderFacts:
    """What an encoder may say of itself, in an attribute ``facts``.

    Every default is safe for an encoder of which nothing is known, so an encoder without ``facts``
    is as good, only slower or with less noted in results.

    Attributes:
        readout: what makes its embedding where the user does not say, every pooling named.
        settings: all that decides its output beside its weights, as JSON has it. Cached features
            are computed again when it changes; None: the weights and the name tell it all.
        normalization: mean and standard deviation of its input, or how they are found. Noted in
            stores.
        copies_share_weights: whether deep copies with the same parameters may encode in several
            threads at once.
        logits_ignore_padding: whether padding may be cut off without changing the logits.
        pads_to_window: whether it pads every input to one length itself, so that padding may be cut
            off before.
        paper_reads_cls: whether the published tables read its CLS token and let it see padding as
            silence, as those of EAT do; all others are read as the mean over time.
    """

    readout: Readout = MEAN_OF_OUTPUT
    settings: Mapping[str, object] | None = None
    normalization: tuple[float, float] | str | None = None
    copies_share_weights: bool = False
    logits_ignore_padding: bool = False
    pads_to_window: bool = False
    paper_reads_cls: bool = False


NOTHING_KNOWN: Final = EncoderFacts()


@runtime_checkable
class Encoder(Protocol):
    """What `embed`, probes and benchmarks need of an encoder; ``dawnchorus.testing`` checks it.

    More may be offered, and is used where it is there: an attribute ``facts`` (`EncoderFacts`), the
    methods of `StagedEncoder`, `ReleasedLayers` and `Retrainable`, and a ``weights_sha256`` that
    names the weights in results.
    """

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


class Model(Encoder, Protocol):
    """What `load_model` gives: an encoder that can also be called and embed.

    All models of this package are. An encoder of another package is given as it is, and may offer
    no more than `Encoder`.
    """

    def __call__(self, waveforms: Tensor) -> Tensor:
        """Logits ``(batch, classes)``, or tokens ``(batch, tokens, dim)`` without a head."""
        ...

    def embed(self, waveforms: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Its own embedding of each window, ``(batch, width)``."""
        ...


@runtime_checkable
class StagedEncoder(Encoder, Protocol):
    """An encoder whose `encode` is two steps, which are timed apart on a CPU."""

    def features(self, waveforms: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features ``(batch, frames, bands)``, and how many frames of each hold sound."""
        ...

    def encode_features(
        self,
        features: Tensor,
        n_frames: Tensor | None = None,
        layers: Sequence[int | str] | None = None,
    ) -> EncoderOutput:
        """As `encode`, from features on."""
        ...


@runtime_checkable
class ReleasedLayers(Protocol):
    """An encoder whose layers have the names and numbers of the released library."""

    def released_layers(self, selection: Sequence[int | str]) -> list[str]:
        """Names for a selection; ``last_layer`` and ``all`` are understood."""
        ...

    def layer_width(self, name: str) -> int:
        """Channels of a layer."""
        ...


@runtime_checkable
class Retrainable(Protocol):
    """An encoder of which an untrained twin can be made."""

    def untrained(self) -> Encoder:
        """The same network on the same device, with weights as before its training."""
        ...


def facts_of(encoder: Encoder) -> EncoderFacts:
    """What an encoder says of itself, or what holds for any encoder."""
    facts: EncoderFacts = getattr(encoder, "facts", NOTHING_KNOWN)
    return facts


def readout_for(encoder: Encoder, wanted: ReadoutLike | None = None) -> Readout:
    """The readout that a user wants of an encoder, complete; None: the encoder's own.

    Raises:
        UsageError: ``wanted`` is not a readout.
    """
    own = facts_of(encoder).readout
    return own if wanted is None else Readout.parse(wanted).complete(own)
