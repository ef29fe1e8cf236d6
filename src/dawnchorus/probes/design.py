"""What a `ProbeConfig` asks for: how layers are joined, and how large the head on them is.

Source of design ``released``: what avex 1.4.0 builds, seen by building it. Pooled layers stand side
by side; token by token, or flattened, they are weighed against each other. Its attention works in
the channels of the layers whatever ``attention_dim`` says, its transformer takes that for the
width inside a block and lowers ``num_heads`` to a divisor, and a head on tokens that is given one
pooled vector reads its channels as a sequence of single numbers.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.configs import HeadConfig
from dawnchorus.configs.probes import TOKEN_PROBES
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.configs import ProbeConfig

# defaults of the released classes, which its own config does not show
DROPOUT: Final = 0.1
HIDDEN_DIMS: Final = (512, 256)
LSTM_SIZE: Final = 256  # channels of a direction
N_POSITIONS: Final = 1000  # learned positions where no max_sequence_length is given


@dataclass(frozen=True, slots=True)
class Joining:
    """How the features of some layers become what a head reads.

    Attributes:
        widths: channels of each layer.
        n_tokens: of a clip, where they are flattened to one vector; None: they are not.
        weighs: layers are weighed against each other; otherwise they stand side by side.
        has_tokens: features are ``(batch, tokens, channels)``, not ``(batch, channels)``.
        reads_tokens: the head does.
    """

    widths: tuple[int, ...]
    n_tokens: int | None
    weighs: bool
    has_tokens: bool
    reads_tokens: bool

    @property
    def item_widths(self) -> list[int]:
        """Numbers of each layer that are joined: its channels, or all tokens flattened."""
        return [(self.n_tokens or 1) * width for width in self.widths]

    @property
    def reads_numbers(self) -> bool:
        """Whether a head on tokens is given a vector, and takes each number of it for a token."""
        return self.reads_tokens and not self.has_tokens


def joining_of(config: ProbeConfig, widths: Sequence[int], n_tokens: int) -> Joining:
    """How the layers of an encoder are joined.

    Args:
        config: of the probe.
        widths: channels of each layer.
        n_tokens: of a clip; used where tokens are flattened.

    Raises:
        UsageError: One of our own heads does not go with the aggregation.
    """
    _check_aggregation(config)
    reads_tokens = config.probe_type in TOKEN_PROBES
    has_tokens = config.aggregation == "none"
    if reads_tokens and not has_tokens:
        warnings.warn(
            f"a probe of type {config.probe_type!r} with aggregation {config.aggregation!r} reads "
            f"the {sum(widths)} numbers of one vector in turn, as in the released library; "
            "aggregation='none' gives it the tokens",
            UserWarning,
            stacklevel=5,
        )
    return Joining(
        widths=tuple(widths),
        n_tokens=n_tokens if has_tokens and not reads_tokens else None,
        # released: pooled layers stand side by side, layers of tokens are weighed; ours: always
        weighs=len(widths) > 1 and (has_tokens or _is_ours(config)),
        has_tokens=has_tokens,
        reads_tokens=reads_tokens,
    )


def joining_of_stored(config: ProbeConfig, input_dim: Any) -> Joining:
    """How stored features of a known shape are joined.

    Args:
        config: of the probe.
        input_dim: channels; or the shape of an item, ``(channels,)`` or ``(tokens, channels)``; or
            a list of such shapes, one a layer.

    Raises:
        UsageError: It is nothing of the kind.
    """
    reads_tokens = config.probe_type in TOKEN_PROBES
    if isinstance(input_dim, int):
        input_dim = (1, input_dim) if reads_tokens else (input_dim,)
    # from here on always a list, one shape a layer
    shapes = [tuple(x) for x in input_dim] if isinstance(input_dim, list) else [tuple(input_dim)]
    ranks, tokens = {len(shape) for shape in shapes}, {shape[:-1] for shape in shapes}
    numbers = [n for shape in shapes for n in shape]
    whole = all(isinstance(n, int) and n > 0 for n in numbers)
    if not shapes or len(ranks) > 1 or not ranks <= {1, 2} or len(tokens) > 1 or not whole:
        raise UsageError(
            f"input_dim {input_dim!r}: need a number of channels, the shape of an item as "
            "(channels,) or (tokens, channels), or a list of such shapes with as many tokens"
        )
    has_tokens = ranks == {2}
    return Joining(
        widths=tuple(shape[-1] for shape in shapes),
        n_tokens=shapes[0][0] if has_tokens and not reads_tokens else None,
        weighs=len(shapes) > 1,
        has_tokens=has_tokens,
        reads_tokens=reads_tokens,
    )


def head_config(config: ProbeConfig, dim: int) -> HeadConfig:
    """Kind and size of the head.

    Args:
        config: of the probe.
        dim: of the vector or of a token that the head reads.

    Raises:
        UsageError: There is no such head, or its heads do not divide the channels.
    """
    if config.probe_type == "knn":
        raise UsageError("a knn probe has nothing to train here; fit it on stored embeddings")
    if _is_ours(config):
        return _own_head(config)
    sizes: dict[str, Any] = {
        "probe_type": config.probe_type,
        "dropout_rate": DROPOUT if config.dropout_rate is None else config.dropout_rate,
        "hidden_dims": config.hidden_dims or HIDDEN_DIMS,
        "activation": config.activation,
        "num_layers": config.num_layers or 2,
        "bidirectional": bool(config.bidirectional),
        # the released library keeps this floor for long sequences
        "lstm_hidden_size": max(
            (config.max_sequence_length or 0) // 4, config.lstm_hidden_size or LSTM_SIZE
        ),
    }
    positions = config.use_positional_encoding
    if config.probe_type == "attention":
        sizes |= {"attention_dim": dim, "num_heads": _dividing(config.num_heads or 8, dim)}
        sizes |= {"use_positional_encoding": positions}
    elif positions:
        sizes |= {"n_positions": config.max_sequence_length or N_POSITIONS}
    if config.probe_type == "transformer":
        sizes |= {
            "attention_dim": dim,
            # the released transformer lowers the number to the next one that divides the channels
            "num_heads": next(n for n in range(config.num_heads or 12, 0, -1) if dim % n == 0),
            "feedforward_dim": config.attention_dim or 768,
            "num_layers": config.num_layers or 4,
            "activation": "relu",
        }
    return HeadConfig(**sizes)


def _dividing(num_heads: int, dim: int) -> int:
    if dim % num_heads:
        near = math.gcd(num_heads, dim)
        raise UsageError(
            f"num_heads {num_heads} does not divide the {dim} channels that the attention works "
            f"in; use {near}, for example"
        )
    return num_heads


def _own_head(config: ProbeConfig) -> HeadConfig:
    """Our sizes, where the user says nothing else."""
    given = config.model_dump(include=set(HeadConfig.model_fields), exclude_none=True)
    return HeadConfig(**given)


def _is_ours(config: ProbeConfig) -> bool:
    return config.design == "dawnchorus" or config.probe_type == "prototype"


def _check_aggregation(config: ProbeConfig) -> None:
    kind = config.probe_type
    if not _is_ours(config):
        return
    if kind not in TOKEN_PROBES and config.aggregation == "none":
        raise UsageError(
            f"aggregation 'none' keeps every token, a probe of type {kind!r} of this design takes "
            f"one vector a window; use mean, max or cls_token"
        )
    if kind in TOKEN_PROBES and config.aggregation != "none":
        raise UsageError(
            f"aggregation {config.aggregation!r} leaves one vector a window, a probe of type "
            f"{kind!r} reads tokens; use none"
        )
