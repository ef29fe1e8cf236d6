"""The post-norm transformer block of EAT, its MLP and stochastic depth."""

from torch import Tensor, nn

from dawnchorus.nn.attention import Attention

NORM_EPS = 1e-6  # of every LayerNorm in the encoder


class MLP(nn.Module):
    """Two linear layers with the exact (erf) GELU between."""

    def __init__(self, dim: int, hidden: int) -> None:
        """Map ``dim`` to ``hidden`` and back."""
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(..., dim)`` to ``(..., dim)``."""
        out: Tensor = self.fc2(self.act(self.fc1(tokens)))
        return out


class DropPath(nn.Module):
    """Drop a whole residual branch for some of the clips, in training only."""

    def __init__(self, rate: float) -> None:
        """``rate``: share of clips whose branch is dropped, in [0, 1)."""
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor, kept: Tensor | None = None) -> Tensor:
        """Scale what is kept, so that the expectation stays.

        Args:
            branch: ``(batch, ...)``.
            kept: ``(batch,)`` bool, drawn by whoever trains, clip by clip; None: all are kept.
        """
        if kept is None or self.rate == 0:
            return branch
        shape = (branch.shape[0],) + (1,) * (branch.ndim - 1)
        return branch * (kept.view(shape).to(branch.dtype) / (1 - self.rate))


class Block(nn.Module):
    """Attention and MLP, each followed by its residual and then its norm (post-norm)."""

    def __init__(self, dim: int, n_heads: int, mlp_ratio: float, drop_path: float = 0.0) -> None:
        """One layer of the encoder."""
        super().__init__()
        self.attn = Attention(dim, n_heads)
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = MLP(dim, int(dim * mlp_ratio))
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.drop_path = DropPath(drop_path)

    def forward(
        self, tokens: Tensor, keep: Tensor | None = None, branches: Tensor | None = None
    ) -> Tensor:
        """``(batch, tokens, dim)`` to the same.

        Args:
            tokens: of each clip.
            keep: as in :class:`Attention`.
            branches: ``(2, batch)`` bool, which clips keep the attention and which the MLP; None:
                all, as always outside of training.
        """
        return self.with_mlp(tokens, keep, branches)[0]

    def with_mlp(
        self, tokens: Tensor, keep: Tensor | None = None, branches: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As calling the block, and the MLP's output before its residual."""
        attended, mixed = (None, None) if branches is None else branches.unbind(0)
        tokens = self.norm1(tokens + self.drop_path(self.attn(tokens, keep), attended))
        added = self.mlp(tokens)
        return self.norm2(tokens + self.drop_path(added, mixed)), added
