"""Encoder clips per second, against the machine's matrix products and against eager attention.

python benchmarks/encoder.py
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import torch
from paired import paired

from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import SIZES, EATConfig
from dawnchorus.nn.attention import Attention

if TYPE_CHECKING:
    from torch import Tensor

FRAMES, BATCH, TOKENS = 1024, 4, 513


def eager(self: Attention, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
    """Attention written out: the whole table of weights is made in memory."""
    batch, count, dim = tokens.shape
    q, k, v = self.qkv(tokens).reshape(batch, count, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
    weights = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    if keep is not None:
        weights = weights.masked_fill(~keep[:, None, None], -torch.inf)
    mixed: Tensor = self.proj((weights.softmax(-1) @ v).transpose(1, 2).reshape(batch, count, dim))
    return mixed


def flops(dim: int, n_layers: int) -> float:
    """Multiplications and additions of one clip of 10 s."""
    linear = 2 * TOKENS * 12 * dim * dim
    attention = 2 * 2 * TOKENS * TOKENS * dim
    return n_layers * (linear + attention) + 2 * (TOKENS - 1) * 256 * dim


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", nargs="*", default=["tiny", "small", "base"])
    options = parser.parse_args()
    fused = Attention.forward
    side = torch.randn(2048, 2048)
    print("size   clips/s  eager clips/s  ratio  GFLOP/s  of matrix product")
    for size in options.sizes:
        dim, n_layers, _ = SIZES[size]
        model = EAT(EATConfig.of_size(size)).eval()
        features = torch.randn(BATCH, FRAMES, 128)

        def run(forward: object, model: EAT = model, features: Tensor = features) -> Tensor:
            Attention.forward = forward
            return model.encode_features(features).tokens

        with torch.inference_mode():
            took = paired(
                {
                    "fused": lambda run=run: run(fused),
                    "eager": lambda run=run: run(eager),
                    "product": lambda: side @ side,
                },
                options.rounds,
            )
        Attention.forward = fused
        rate = BATCH * flops(dim, n_layers) / took["fused"] / 1e9
        peak = 2 * 2048**3 / took["product"] / 1e9
        print(
            f"{size:6s} {BATCH / took['fused']:7.2f}  {BATCH / took['eager']:13.2f}  "
            f"{took['eager'] / took['fused']:5.2f}  {rate:7.1f}  {rate / peak:17.2f}"
        )


if __name__ == "__main__":
    main()
