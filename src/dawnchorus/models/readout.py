"""What is taken of an encoder's layers as the embedding of a window.

A read-out is a list of parts, joined in order. Each part names a layer and may name a pooling and a
weight: ``8``, ``8:bands``, ``pre_norm:bands:0.2``, ``output:cls``. A weight changes nothing for a
probe that standardises its inputs; for distances it says how much a part counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from dawnchorus.errors import UsageError
from dawnchorus.models.encoder import POOLINGS

if TYPE_CHECKING:
    from torch import Tensor

    from dawnchorus.configs import LayerSelection, Pooling
    from dawnchorus.models.encoder import EncoderOutput

OUTPUT: Final = "output"
BY_BAND: Final = frozenset({"bands", "band_deviations"})  # wider than a token
BLIND_TO_PADDING: Final = frozenset({"valid", "deviation", "cls", *BY_BAND})


@dataclass(frozen=True, slots=True)
class ReadoutPart:
    """One layer, pooled; ``layer`` is None for the encoder's output."""

    layer: int | str | None
    pooling: Pooling
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Readout:
    """Layers to an embedding."""

    parts: tuple[ReadoutPart, ...]

    @classmethod
    def of(cls, layers: LayerSelection | None, pooling: Pooling) -> Readout:
        """Parse layers; those that name no pooling have ``pooling``.

        Raises:
            UsageError: A pooling is unknown or a weight is no number above 0.
        """
        return cls(tuple(_part(layer, pooling) for layer in layers or (OUTPUT,)))

    @property
    def layers(self) -> list[int | str]:
        """What `Encoder.encode` is to be asked for."""
        return list(dict.fromkeys(p.layer for p in self.parts if p.layer is not None))

    @property
    def is_output(self) -> bool:
        """Whether it is as wide as the encoder says it is."""
        return [part.layer for part in self.parts] == [None] and self.parts[
            0
        ].pooling not in BY_BAND

    @property
    def ignores_padding(self) -> bool:
        """Whether padding may be cut off without changing the result."""
        return all(part.pooling in BLIND_TO_PADDING for part in self.parts)

    def take(self, out: EncoderOutput) -> Tensor:
        """``(batch, dim)``, the parts side by side."""
        pooled = [part.weight * out.pool(part.pooling, part.layer) for part in self.parts]
        return torch.cat(pooled, dim=-1)


def _part(item: int | str, pooling: Pooling) -> ReadoutPart:
    if isinstance(item, int):
        return ReadoutPart(item, pooling)
    name, *rest = item.split(":")
    how, weight = [*rest, "", ""][:2]
    if len(rest) > 2 or (how and how not in POOLINGS):
        raise UsageError(
            f"layer {item!r}: need LAYER, LAYER:POOLING or LAYER:POOLING:WEIGHT, the pooling one "
            f"of {', '.join(POOLINGS)}"
        )
    layer = int(name) if name.lstrip("-").isdecimal() else name
    return ReadoutPart(
        layer=None if layer == OUTPUT else layer,
        pooling=how or pooling,
        weight=_weight(item, weight) if weight else 1.0,
    )


def _weight(item: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise UsageError(f"layer {item!r}: the weight must be a number above 0, got {text!r}")
    return weight
