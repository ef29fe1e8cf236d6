"""What the table for users of the released library says of embeddings; its tutorial is run too."""

from __future__ import annotations

import torch

from dawnchorus.models.eat import EAT


def test_the_calls_for_embeddings_give_what_the_page_says(tiny_encoder: EAT) -> None:
    x = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = tiny_encoder.encode(x, layers=["all", "last_layer", "blocks.0.attn.proj"])
        first, last = list(out.layers.values())[:2]
        torch.testing.assert_close(out.pool("mean", "last_layer"), last.mean(dim=1))
        torch.testing.assert_close(out.pool("cls", "blocks.0.attn.proj"), first[:, 0])
        torch.testing.assert_close(out.pool("mean"), out.tokens.mean(dim=1))
