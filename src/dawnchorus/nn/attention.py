"""Multi-head self-attention through torch's fused kernels."""

from torch import Tensor
from torch.nn import functional

from dawnchorus.nn.rounded import Linear, Products


class Attention(Products):
    """Self-attention with one projection for query, key and value, stacked in that order."""

    def __init__(self, dim: int, n_heads: int) -> None:
        """``dim`` is a multiple of ``n_heads``, which the model's config checks."""
        super().__init__()
        self.n_heads = n_heads
        self.qkv = Linear(dim, 3 * dim)
        self.proj = Linear(dim, dim)

    def forward(self, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """Attend over the tokens of each clip.

        Args:
            tokens: ``(batch, tokens, dim)``.
            keep: ``(batch, tokens)``, False for tokens that no token may look at; None: all are
                seen.

        Returns:
            ``(batch, tokens, dim)``.
        """
        batch, n_tokens, dim = tokens.shape
        qkv = self.qkv(tokens).view(batch, n_tokens, 3, self.n_heads, dim // self.n_heads)
        if self.in_float32:
            qkv = qkv.float()
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (batch, heads, tokens, dim / heads)
        # (batch, 1, 1, tokens): the same keys are hidden from every head and query. Without a mask
        # torch takes its fastest kernel
        mask = None if keep is None else keep[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed = mixed.transpose(1, 2).reshape(batch, n_tokens, dim)
        out: Tensor = self.proj(mixed.to(tokens.dtype))
        return out
