"""What turns the tokens of the chosen layers into features, and features into logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

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
