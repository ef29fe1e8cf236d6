"""What turns the tokens of the chosen layers into features, and features into logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.configs import HeadConfig

Aggregation = Literal["mean", "max", "cls_token", "none"]


def aggregate(layers: Sequence[Tensor], how: Aggregation) -> Tensor:
    """Join the layers of one batch into features.

    Args:
        layers: one or more ``(batch, tokens, dim)``, CLS token first.
        how: ``mean`` or ``max`` over all tokens, CLS and padding among them, as the released
            library does; ``cls_token`` the first token; ``none`` keeps every token.

    Returns:
        ``(batch, n_layers * dim)``, or ``(batch, tokens, n_layers * dim)`` for ``none``.

    Raises:
        UsageError: ``how`` is unknown.
    """
    if how == "mean":
        return torch.cat([tokens.mean(dim=1) for tokens in layers], dim=-1)
    if how == "max":
        return torch.cat([tokens.amax(dim=1) for tokens in layers], dim=-1)
    if how == "cls_token":
        return torch.cat([tokens[:, 0] for tokens in layers], dim=-1)
    if how == "none":
        return torch.cat(list(layers), dim=-1)
    raise UsageError(f"aggregation {how!r}: need mean, max, cls_token or none")


class LayerMix(nn.Module):
    """A weighted mean of layers, the weights learned.

    Source: the released library: softmax over one number a layer, which start at 0; layers of
    another width than the commonest are brought to it by a linear adapter.
    """

    def __init__(self, dims: Sequence[int]) -> None:
        """``dims``: width of each layer."""
        super().__init__()
        self.dims = tuple(dims)
        self.dim = max(dims, key=lambda dim: (self.dims.count(dim), dim))
        self.raw = nn.Parameter(torch.zeros(len(self.dims)))
        self.adapters = nn.ModuleList(
            nn.Identity() if dim == self.dim else nn.Linear(dim, self.dim) for dim in self.dims
        )

    @property
    def weights(self) -> Tensor:
        """Share of each layer, ``(layers,)``, summing to 1."""
        return self.raw.detach().softmax(dim=0)

    def forward(self, layers: Sequence[Tensor]) -> Tensor:
        """``(batch, ..., dim)`` of each layer to one of them."""
        adapted = [adapter(x) for adapter, x in zip(self.adapters, layers, strict=True)]
        mixed: Tensor = torch.stack(adapted, dim=-1) @ self.raw.softmax(dim=0)
        return mixed


def make_head(config: HeadConfig, dim: int, n_classes: int) -> nn.Module:
    """A head with fresh weights: ``(batch, dim)`` to ``(batch, classes)`` logits.

    Raises:
        UsageError: There is no such head.
    """
    if config.probe_type == "linear":
        return nn.Linear(dim, n_classes)
    raise UsageError(f"probe_type {config.probe_type!r} has no head")
