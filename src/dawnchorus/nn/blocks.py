"""The post-norm transformer block of EAT, and its MLP."""

import torch
from torch import Tensor, nn

from dawnchorus.nn.attention import Attention
from dawnchorus.nn.reuse import may_be_overwritten
from dawnchorus.nn.rounded import Linear

NORM_EPS = 1e-6  # of every LayerNorm in the encoder, as in the released code; torch's is 1e-5


class MLP(nn.Module):
    """Two linear layers with the exact (erf) GELU between."""

    def __init__(self, dim: int, hidden: int) -> None:
        """Map ``dim`` to ``hidden`` and back."""
        super().__init__()
        self.fc1 = Linear(dim, hidden)
        self.act = nn.GELU()
        self.fc2 = Linear(hidden, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(..., dim)`` to ``(..., dim)``."""
        hidden: Tensor = self.fc1(tokens)  # (..., hidden), the largest tensor of the encoder
        if may_be_overwritten(self.fc1, self.act):
            torch.ops.aten.gelu_(hidden)
        else:
            hidden = self.act(hidden)
        out: Tensor = self.fc2(hidden)
        return out


class Block(nn.Module):
    """Attention and MLP, each followed by its residual and then its norm (post-norm)."""

    def __init__(self, dim: int, n_heads: int, mlp_ratio: float) -> None:
        """One layer of the encoder."""
        super().__init__()
        self.attn = Attention(dim, n_heads)
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = MLP(dim, int(dim * mlp_ratio))
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)

    def forward(
        self, tokens: Tensor, keep: Tensor | None = None, branches: Tensor | None = None
    ) -> Tensor:
        """``(batch, tokens, dim)`` to the same.

        Args:
            tokens: of each clip.
            keep: as in :class:`Attention`.
            branches: ``(2, batch)``, what each clip's attention and MLP count before they are
                added (drop path); None: 1, as always outside of training.
        """
        if branches is None and may_be_overwritten(
            self.attn, self.attn.proj, self.mlp, self.mlp.fc2
        ):
            tokens = self.norm1(self.attn(tokens, keep).add_(tokens))
            out: Tensor = self.norm2(self.mlp(tokens).add_(tokens))
            return out
        return self.with_mlp(tokens, keep, branches)[0]

    def with_mlp(
        self, tokens: Tensor, keep: Tensor | None = None, branches: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As calling the block, and the MLP's output before its residual."""
        attended = self.attn(tokens, keep)
        if branches is not None:
            attended = attended * branches[0, :, None, None]
        tokens = self.norm1(tokens + attended)
        # what the teacher of pretraining averages as its targets; data2vec 2.0 takes it there too
        added = self.mlp(tokens)
        counted = added if branches is None else added * branches[1, :, None, None]
        return self.norm2(tokens + counted), added
