"""Encoder clips per second, against the machine's matrix products and other ways to compute.

python benchmarks/encoder.py
python benchmarks/encoder.py --precision bfloat16 --batch 8 --threads 1
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import torch
from paired import paired

from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import SIZES, EATConfig
from dawnchorus.models.precision import to_precision
from dawnchorus.nn import blocks
from dawnchorus.nn.attention import Attention

if TYPE_CHECKING:
    from torch import Tensor

FRAMES, TOKENS = 1024, 513


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
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    options = parser.parse_args()
    fused = Attention.forward
    reuse = blocks.may_be_overwritten
    torch.set_num_threads(options.threads)
    side = torch.randn(2048, 2048).to(getattr(torch, options.precision))
    print(f"{options.precision}, batch {options.batch}, threads {options.threads}; ratios")
    print("size   clips/s  eager attention  new memory  GFLOP/s  of matrix product")
    for size in options.sizes:
        dim, n_layers, _ = SIZES[size]
        model = to_precision(EAT(EATConfig.of_size(size)).eval(), options.precision)
        features = torch.randn(options.batch, FRAMES, 128)

        def run(
            forward: object,
            may_be_overwritten: object = reuse,
            model: EAT = model,
            features: Tensor = features,
        ) -> Tensor:
            Attention.forward, blocks.may_be_overwritten = forward, may_be_overwritten
            return model.encode_features(features).tokens

        with torch.inference_mode():
            took = paired(
                {
                    "fused": lambda run=run: run(fused),
                    "eager": lambda run=run: run(eager),
                    "fresh": lambda run=run: run(fused, lambda *_modules: False),
                    "product": lambda: side @ side,
                },
                options.rounds,
            )
        Attention.forward, blocks.may_be_overwritten = fused, reuse
        rate = options.batch * flops(dim, n_layers) / took["fused"] / 1e9
        peak = 2 * 2048**3 / took["product"] / 1e9
        print(
            f"{size:6s} {options.batch / took['fused']:7.2f}  "
            f"{took['fused'] / took['eager']:15.2f}  {took['fused'] / took['fresh']:10.3f}  "
            f"{rate:7.1f}  {rate / peak:17.2f}"
        )


if __name__ == "__main__":
    main()
