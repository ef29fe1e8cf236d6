"""What a probe reads of an encoder's output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from dawnchorus.errors import UsageError
from dawnchorus.models.readout import Readout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from dawnchorus.configs import Pooling
    from dawnchorus.models.encoder import EncoderOutput

FeatureKind = Literal["vectors", "layers", "tokens", "layer_tokens"]


def read_features(
    out: EncoderOutput, readout: Sequence[int | str], pooling: Pooling, kind: FeatureKind
) -> tuple[Tensor, Tensor | None]:
    """Features of a batch of windows, in the shape that `Features.x` has.

    Args:
        out: of an encoder that was asked for the read-out's layers.
        readout: as in `dawnchorus.models.readout`; empty for the encoder's output.
        pooling: of parts that name none.
        kind: ``vectors`` joins the pooled parts to ``(batch, dim)``, ``layers`` keeps them apart as
            ``(batch, parts, dim)``; ``tokens`` takes every token of the one part, ``(batch, tokens,
            dim)``, ``layer_tokens`` those of all, ``(batch, parts, tokens, dim)``.

    Returns:
        Features, and for tokens ``(batch, tokens)`` bool: holds sound.

    Raises:
        UsageError: Several parts where one is read, or parts of different widths kept apart.
    """
    parts = Readout.of(tuple(readout) or None, pooling)
    if kind == "vectors":
        return parts.take(out), None
    if kind == "layers":
        pooled = [part.weight * out.pool(part.pooling, part.layer) for part in parts.parts]
        return _stacked(pooled, readout), None
    found = [out.tokens if p.layer is None else out.layers[p.layer] for p in parts.parts]
    if kind == "layer_tokens":
        return _stacked(found, readout), out.has_signal
    if len(found) > 1:
        raise UsageError(f"tokens of one layer are read, found {len(found)}: {list(readout)}")
    return found[0], out.has_signal


def _stacked(parts: Sequence[Tensor], readout: Sequence[int | str]) -> Tensor:
    widths = {part.shape[-1] for part in parts}
    if len(widths) > 1:
        raise UsageError(
            f"layers {list(readout)} are {sorted(widths)} wide and cannot be weighed against each "
            f"other in one array; pool them alike, or join them"
        )
    return torch.stack(list(parts), dim=1)
