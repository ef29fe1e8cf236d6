"""What the page for users of the released library shows runs as it is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from dawnchorus.models.eat import EAT

PAGE = Path(__file__).parents[2] / "docs/reference/migrating.md"


def test_the_example_for_users_of_the_released_library_runs() -> None:
    text = PAGE.read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102 - our own page
    assert names["logits"].shape == (1, len(names["model"].labels))


def test_the_calls_for_embeddings_give_what_the_page_says(tiny_encoder: EAT) -> None:
    x = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = tiny_encoder.encode(x, layers=["all", "last_layer", "blocks.0.attn.proj"])
        first, last = list(out.layers.values())[:2]
        torch.testing.assert_close(out.pool("mean", "last_layer"), last.mean(dim=1))
        torch.testing.assert_close(out.pool("cls", "blocks.0.attn.proj"), first[:, 0])
        torch.testing.assert_close(out.pool("mean"), out.tokens.mean(dim=1))
