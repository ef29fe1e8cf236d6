"""What turns the tokens of the chosen layers into features, and features into logits.

Heads know nothing of encoders or of training.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from dawnchorus.errors import UsageError
from dawnchorus.models.encoder import masked_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.configs import HeadConfig

Aggregation = Literal["mean", "max", "cls_token", "none"]
ACTIVATIONS: Final = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh, "swish": nn.SiLU}
START_SLOPE: Final = 10.0  # logits per cosine when training starts; cosines differ by tenths


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

    Source: the released library: softmax over one number a layer, which start at 0; all layers are
    brought to the width that more than half of them have, else to the largest, by linear adapters.
    """

    def __init__(self, dims: Sequence[int]) -> None:
        """``dims``: width of each layer."""
        super().__init__()
        self.dims = tuple(dims)
        usual = max(dims, key=self.dims.count)
        self.dim = usual if 2 * self.dims.count(usual) > len(dims) else max(dims)
        self.raw = nn.Parameter(torch.zeros(len(self.dims)))  # through a softmax: equal shares
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


class Mlp(nn.Sequential):
    """Hidden layers with a dropout after each, then a linear one: ``(batch, dim)`` to logits."""

    def __init__(self, config: HeadConfig, dim: int, n_classes: int) -> None:
        """``dim``: of the features."""
        widths = [dim, *config.hidden_dims]
        hidden = [
            part
            for before, after in pairwise(widths)
            for part in (
                nn.Linear(before, after),
                ACTIVATIONS[config.activation](),
                nn.Dropout(config.dropout_rate),
            )
        ]
        super().__init__(*hidden, nn.Linear(widths[-1], n_classes))


class Positions(nn.Module):
    """A learned vector for each place among the tokens, added to them."""

    def __init__(self, n_tokens: int, dim: int) -> None:
        """``n_tokens``: the most there can be."""
        super().__init__()
        self.table = nn.Parameter(torch.randn(n_tokens, dim))

    def forward(self, tokens: Tensor) -> Tensor:
        """``(batch, tokens, dim)``, likewise.

        Raises:
            UsageError: There are more tokens than places.
        """
        if tokens.shape[1] > len(self.table):
            raise UsageError(
                f"{tokens.shape[1]} tokens, the probe has positions for {len(self.table)}; set "
                "max_sequence_length"
            )
        moved: Tensor = tokens + self.table[: tokens.shape[1]]
        return moved


class Lstm(nn.Module):
    """A recurrent net over the tokens, its outputs averaged."""

    def __init__(self, config: HeadConfig, dim: int, n_classes: int) -> None:
        """``dim``: of a token."""
        super().__init__()
        self.positions = Positions(config.n_positions, dim) if config.n_positions else None
        self.lstm = nn.LSTM(
            dim,
            config.lstm_hidden_size,
            config.num_layers,
            batch_first=True,
            bidirectional=config.bidirectional,
            dropout=config.dropout_rate if config.num_layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(config.dropout_rate)
        self.classifier = nn.Linear((1 + config.bidirectional) * config.lstm_hidden_size, n_classes)

    def forward(self, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """``(batch, tokens, dim)`` to logits; tokens that are not kept are left out."""
        tokens = tokens if self.positions is None else self.positions(tokens)
        kept = all_kept(tokens) if keep is None else keep
        # packing needs the kept tokens at the front, in their order
        front = kept.int().argsort(dim=1, descending=True, stable=True)
        ordered = tokens.gather(1, front[..., None].expand_as(tokens))
        lengths = kept.sum(dim=1)
        packed = pack_padded_sequence(
            ordered, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        outputs, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        pooled = outputs.sum(dim=1) / lengths[:, None]  # padding comes back as zeros
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits


class Attention(nn.Module):
    """Layers of self-attention over the tokens, each added and normalised, then their mean."""

    def __init__(self, config: HeadConfig, dim: int, n_classes: int) -> None:
        """``dim``: of a token."""
        super().__init__()
        width = config.attention_dim
        self.entry = nn.Identity() if dim == width else nn.Linear(dim, width)
        self.has_positions = config.use_positional_encoding
        self.layers = nn.ModuleList(
            nn.MultiheadAttention(
                width, config.num_heads, dropout=config.dropout_rate, batch_first=True
            )
            for _ in range(config.num_layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.num_layers))
        self.dropout = nn.Dropout(config.dropout_rate)
        self.classifier = nn.Linear(width, n_classes)

    def forward(self, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """``(batch, tokens, dim)`` to logits; tokens that are not kept do not count."""
        x = self.entry(tokens)
        x = with_positions(x) if self.has_positions else x
        hidden = None if keep is None else ~keep
        for attention, norm in zip(self.layers, self.norms, strict=True):
            seen, _ = attention(x, x, x, key_padding_mask=hidden, need_weights=False)
            x = self.dropout(norm(x + seen))
        logits: Tensor = self.classifier(self.dropout(mean_of_kept(x, keep)))
        return logits


class Transformer(nn.Module):
    """Whole transformer blocks over the tokens, then the mean of the tokens."""

    def __init__(self, config: HeadConfig, dim: int, n_classes: int) -> None:
        """``dim``: of a token."""
        super().__init__()
        width = config.attention_dim
        self.entry = nn.Identity() if dim == width else nn.Linear(dim, width)
        self.has_positions = config.use_positional_encoding
        self.positions = Positions(config.n_positions, width) if config.n_positions else None
        block = nn.TransformerEncoderLayer(
            width,
            config.num_heads,
            config.feedforward_dim or 4 * width,
            config.dropout_rate,
            ACTIVATIONS[config.activation](),
            batch_first=True,
        )
        self.blocks = nn.TransformerEncoder(block, config.num_layers, enable_nested_tensor=False)
        self.dropout = nn.Dropout(config.dropout_rate)
        self.classifier = nn.Linear(width, n_classes)

    def forward(self, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """As `Attention.forward`."""
        x = self.entry(tokens)
        x = with_positions(x) if self.has_positions else x
        x = x if self.positions is None else self.positions(x)
        x = self.blocks(x, src_key_padding_mask=None if keep is None else ~keep)
        logits: Tensor = self.classifier(self.dropout(mean_of_kept(x, keep)))
        return logits


class Prototypes(nn.Module):
    """Each class looks for its own prototypes among the tokens.

    The similarity of a prototype to a clip is its cosine with the token most like it; a class adds
    up those of its own prototypes with weights that cannot be negative. So a logit can be traced to
    the tokens that raised it: `similarities` says which.

    Source: prototypical probing of Rauch et al., arXiv 2504.12880, after AudioProtoPNet, arXiv
    2404.10420; written from scratch, without their orthogonality loss.
    """

    def __init__(self, config: HeadConfig, dim: int, n_classes: int) -> None:
        """``dim``: of a token."""
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(n_classes, config.n_prototypes, dim))
        self.raw_weights = nn.Parameter(
            torch.full((n_classes, config.n_prototypes), START_SLOPE / config.n_prototypes)
        )
        self.bias = nn.Parameter(torch.zeros(n_classes))

    def similarities(self, tokens: Tensor) -> Tensor:
        """Cosine of tokens ``(batch, tokens, dim)`` with each prototype.

        Returns:
            ``(batch, tokens, classes, prototypes)``, -1 to 1.
        """
        unit = F.normalize(self.prototypes, dim=-1)
        return torch.einsum("btd,cpd->btcp", F.normalize(tokens, dim=-1), unit)

    def forward(self, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """``(batch, tokens, dim)`` to logits; tokens that are not kept are not searched."""
        near = self.similarities(tokens)  # (batch, tokens, classes, prototypes)
        if keep is not None:
            near = near.masked_fill(~keep[:, :, None, None], -1.0)
        return (near.amax(dim=1) * self.raw_weights.relu()).sum(dim=-1) + self.bias


class Neighbours(nn.Module):
    """The nearest training items by cosine vote for their classes.

    An item counts by its cosine, at least 0; the classes' shares in train, with half an item on
    either side, count as one item more, so that no probability is 0 or 1. Logits
    are the logarithm of the share of the votes, or its log-odds for multi-label items.
    """

    def __init__(self, dim: int, n_classes: int) -> None:
        """An empty one; `hold` fills it."""
        super().__init__()
        self.register_buffer("bank", torch.zeros(0, dim))
        self.register_buffer("labels", torch.zeros(0, n_classes))
        self.register_buffer("k", torch.ones((), dtype=torch.int64))
        self.register_buffer("by_odds", torch.zeros((), dtype=torch.bool))
        self.bank: Tensor
        self.labels: Tensor
        self.k: Tensor
        self.by_odds: Tensor

    def hold(self, x: Tensor, y: Tensor, k: int, *, multi_label: bool) -> None:
        """Keep the training items ``(items, dim)`` with labels ``(items, classes)``."""
        self.bank = F.normalize(x, dim=-1)
        self.labels = y.to(x.dtype)
        self.k = torch.tensor(min(k, len(x)), device=x.device)
        self.by_odds = torch.tensor(multi_label, device=x.device)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, dim)`` to logits ``(batch, classes)``."""
        cosine, nearest = (F.normalize(x, dim=-1) @ self.bank.T).topk(int(self.k), dim=1)
        votes = cosine.clamp_min(0)  # (batch, k); a neighbour in the opposite direction has no vote
        counted = torch.einsum("bk,bkc->bc", votes, self.labels[nearest])
        prior = (self.labels.sum(dim=0) + 0.5) / (len(self.labels) + 1)
        share = (counted + prior) / (votes.sum(dim=1, keepdim=True) + 1)
        return share.logit() if bool(self.by_odds) else share.log()


def all_kept(tokens: Tensor) -> Tensor:
    """``(batch, tokens)`` of True."""
    return torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)


def mean_of_kept(tokens: Tensor, keep: Tensor | None) -> Tensor:
    """Mean over the tokens that are kept, ``(batch, dim)``."""
    return tokens.mean(dim=1) if keep is None else masked_mean(tokens, keep)


def with_positions(tokens: Tensor) -> Tensor:
    """Add sines and cosines of each token's position."""
    dim = tokens.shape[-1]
    # Vaswani et al., Attention is all you need, 2017: wavelengths from 2 pi to 10,000 * 2 pi tokens
    rate = 10_000 ** (-torch.arange(0, dim, 2, device=tokens.device) / dim)
    angle = torch.arange(tokens.shape[1], device=tokens.device)[:, None] * rate
    table = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :dim]
    return tokens + table.to(tokens.dtype)


def make_head(config: HeadConfig, dim: int, n_classes: int) -> nn.Module:
    """A head with fresh weights that gives ``(batch, classes)`` logits.

    linear, mlp and knn take ``(batch, dim)``; the others take ``(batch, tokens, dim)`` and,
    optionally, which tokens to keep.
    """
    if config.probe_type == "linear":
        return nn.Linear(dim, n_classes)
    if config.probe_type == "knn":
        return Neighbours(dim, n_classes)
    head_class = {
        "mlp": Mlp,
        "lstm": Lstm,
        "attention": Attention,
        "transformer": Transformer,
        "prototype": Prototypes,
    }[config.probe_type]
    head: nn.Module = head_class(config, dim, n_classes)
    return head
