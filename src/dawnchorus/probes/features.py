"""What a probe reads: features of items, out of an encoder or stored, with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import torch

from dawnchorus.configs import Readout
from dawnchorus.errors import TaskError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.models.encoder import EncoderOutput

FeatureKind = Literal["vectors", "layers", "tokens", "layer_tokens"]

BLOCK_VALUES: Final = 1 << 24  # values in memory twice while means are computed: 128 MB of float64


@dataclass(frozen=True, slots=True)
class Features:
    """Items of one split.

    Attributes:
        x: float32 ``(items, dim)``; ``(items, layers, dim)`` for probes on vectors, ``(items,
            tokens, dim)`` for probes on tokens; ``(items, layers, tokens, dim)`` has both.
        y: ``(items, classes)`` of 0 and 1.
        group: ``(items,)``, what must not sit on two sides of a split; None: every item alone.
        keep: ``(items, tokens)`` bool, False on tokens that are padding; None: all count.
    """

    x: NDArray[np.float32]
    y: NDArray[np.generic]
    group: NDArray[np.generic] | Sequence[str] | None = None
    keep: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        """How many items."""
        return len(self.x)

    def take(
        self, items: NDArray[np.integer], classes: NDArray[np.integer] | None = None
    ) -> Features:
        """Some of the items, and some of the classes; None: all classes."""
        y = np.asarray(self.y)[items]
        return Features(
            x=self.x[items],
            y=y if classes is None else y[:, classes],
            group=None if self.group is None else np.asarray(self.group)[items],
            keep=None if self.keep is None else self.keep[items],
        )

    def check(self, where: str, n_classes: int, *, multi_label: bool) -> None:
        """Refuse what cannot be fitted.

        Raises:
            UsageError: Shapes do not fit each other.
            TaskError: There are no items, some values are not finite, or labels are not 0 and 1.
        """
        y = np.asarray(self.y)
        if y.ndim != 2 or y.shape != (len(self.x), n_classes):
            raise UsageError(
                f"{where}: labels of shape {y.shape}, need ({len(self.x)}, {n_classes}): a row an "
                f"item, a column a class"
            )
        if self.group is not None and len(self.group) != len(self.x):
            raise UsageError(f"{where}: {len(self.group)} groups for {len(self.x)} items")
        if not len(self.x):
            raise TaskError(f"{where}: there are no items")
        if not np.isfinite(self.x).all():
            bad = int((~np.isfinite(self.x.reshape(len(self.x), -1)).all(axis=1)).sum())
            raise TaskError(f"{where}: features of {bad} of {len(self.x)} items are not finite")
        if not np.isin(y, (0, 1)).all():
            raise TaskError(f"{where}: labels must be 0 or 1")
        if not multi_label and not (y.sum(axis=1) == 1).all():
            wrong = int((y.sum(axis=1) != 1).sum())
            raise TaskError(
                f"{where}: {wrong} of {len(y)} items have none or several labels; a single-label "
                f"probe needs exactly one, set multi_label"
            )


def mean_and_scale(
    x: NDArray[np.float32], keep: NDArray[np.bool_] | None, *, by_layer: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel, for standardising.

    Args:
        x: as `Features.x`.
        keep: as `Features.keep`.
        by_layer: whether the second axis of ``x`` is layers, each with numbers of its own.

    Returns:
        Each ``(dim,)``, or shaped to be used with ``(items, layers, ..., dim)``. The standard
        deviation of a channel that does not vary is 1.
    """
    layers = x.shape[1] if by_layer else 1
    rows = x.reshape(len(x), layers, -1, x.shape[-1])  # (items, layers, tokens, dim)
    counted = np.ones((len(x), rows.shape[2]), bool) if keep is None else keep
    step = max(1, BLOCK_VALUES // max(1, rows[0].size))
    blocks = [slice(start, start + step) for start in range(0, len(x), step)]
    n = counted.sum()
    if not n:
        raise TaskError("features: every token is padding")

    def total(about: NDArray[np.float64] | None) -> NDArray[np.float64]:
        sums = np.zeros((layers, x.shape[-1]))
        for block in blocks:
            values = rows[block].astype(np.float64)
            if about is not None:
                values = (values - about[None, :, None]) ** 2
            sums += np.einsum("nltd,nt->ld", values, counted[block].astype(np.float64))
        return sums

    mean = total(None) / n
    std = np.sqrt(total(mean) / n)  # in two passes: sums of squares lose all digits of a large mean
    # rounding alone gives a constant channel a deviation of this order
    is_constant = std <= 10 * np.finfo(np.float32).eps * np.abs(mean)
    scale = np.where(is_constant, 1.0, std)
    shape = (layers, *([1] * (x.ndim - 3)), x.shape[-1]) if by_layer else (x.shape[-1],)
    return mean.reshape(shape), scale.reshape(shape)


def read_features(
    out: EncoderOutput, readout: Readout, kind: FeatureKind
) -> tuple[Tensor, Tensor | None]:
    """Features of a batch of windows, in the shape that `Features.x` has.

    Args:
        out: of an encoder, with the readout's layers.
        readout: what is pooled, and how.
        kind: ``vectors`` joins the pooled parts to ``(batch, dim)``, ``layers`` keeps them apart as
            ``(batch, parts, dim)``; ``tokens`` takes every token of the one part, ``(batch, tokens,
            dim)``, ``layer_tokens`` those of all, ``(batch, parts, tokens, dim)``.

    Returns:
        Features, and for tokens ``(batch, tokens)`` bool: holds sound.

    Raises:
        UsageError: Several parts where one is read, or parts of different widths kept apart.
    """
    if kind == "vectors":
        return readout.pool(out), None
    if kind == "layers":
        return _stacked([Readout((part,)).pool(out) for part in readout.parts], readout), None
    tokens = [out.tokens_of(part.layer) for part in readout.parts]
    if kind == "layer_tokens":
        return _stacked(tokens, readout), out.has_signal
    if len(tokens) > 1:
        raise UsageError(f"tokens of one layer are read, found {len(tokens)}: {readout}")
    return tokens[0], out.has_signal


def _stacked(parts: Sequence[Tensor], readout: Readout) -> Tensor:
    widths = {part.shape[-1] for part in parts}
    if len(widths) > 1:
        raise UsageError(
            f"the parts of {readout} are {sorted(widths)} wide and cannot be weighed against each "
            f"other in one array; pool them alike, or join them"
        )
    return torch.stack(list(parts), dim=1)
