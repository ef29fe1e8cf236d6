"""The network of a fitted probe: standardising, mixing layers, the head."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor, nn

from dawnchorus.configs.probes import TOKEN_PROBES
from dawnchorus.errors import UsageError
from dawnchorus.probes.heads import LayerMix, make_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.configs import HeadConfig

BLOCK_ITEMS: Final = 1024  # scored at once
BLOCK_VALUES: Final = 1 << 22  # of their features: 16 MB; an item of tokens has many


class Net(nn.Module):
    """Features to logits.

    Attributes:
        mean, scale: what features are standardised with, shaped for `Features.x`.
        mix: weights of the layers, None where features come from one.
        head: the classifier.
    """

    def __init__(self, config: HeadConfig, shape: Sequence[int], n_classes: int) -> None:
        """Make one with fresh weights that standardises nothing.

        Args:
            config: kind and size of the head.
            shape: of one item's features, tokens as 0: ``(dim,)``, ``(layers, dim)`` and so on.
            n_classes: how many logits.
        """
        super().__init__()
        self.shape = tuple(shape)
        self.n_classes = n_classes
        self.reads_tokens = config.probe_type in TOKEN_PROBES
        self.by_layer = has_layers(config, len(shape))
        n_layers, dim = (shape[0], shape[-1]) if self.by_layer else (0, shape[-1])
        # shape of mean and scale: each layer has numbers of its own, tokens share them
        across = (n_layers, *([1] * (len(shape) - 2)), dim) if self.by_layer else (dim,)
        self.register_buffer("mean", torch.zeros(across, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(across, dtype=torch.float64))
        self.mean: Tensor
        self.scale: Tensor
        self.mix = LayerMix([dim] * n_layers) if self.by_layer else None
        self.head = make_head(config, dim, n_classes)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Logits ``(items, classes)`` of features ``(items, *shape)``."""
        return self.classify(self.standardised(x), keep)

    def classify(self, scaled: Tensor, keep: Tensor | None = None) -> Tensor:
        """As calling it, on features that are `standardised` already."""
        if self.mix is not None:
            scaled = self.mix(list(scaled.unbind(dim=1)))
        logits: Tensor = self.head(scaled, keep) if self.reads_tokens else self.head(scaled)
        return logits

    def standardised(self, x: Tensor) -> Tensor:
        """Features less train's mean, over train's spread, in the head's precision."""
        dtype = next(chain(self.head.parameters(), self.head.buffers())).dtype
        return (x.to(dtype) - self.mean.to(dtype)) / self.scale.to(dtype)


def has_layers(config: HeadConfig, n_axes: int) -> bool:
    """Whether the first of an item's axes is layers.

    Raises:
        UsageError: The head cannot read features of so many axes.
    """
    most = {"knn": 1}.get(config.probe_type, 3 if config.probe_type in TOKEN_PROBES else 2)
    least = 2 if config.probe_type in TOKEN_PROBES else 1
    if not least <= n_axes <= most:
        need = {
            1: "(items, dim)",
            2: "(items, dim) or (items, layers, dim)",
            3: "(items, tokens, dim) or (items, layers, tokens, dim)",
        }[most]
        raise UsageError(
            f"a probe of type {config.probe_type!r} reads features {need}, found {n_axes + 1} axes"
        )
    return n_axes == most and most > 1


def net_logits(
    net: Net, x: NDArray[np.floating], keep: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Logits of a network ``(items, classes it was trained on)``, in blocks, in evaluation mode."""
    device = net.mean.device
    was_training = net.training
    net.eval()
    parts = []
    # blocks of about the same size in memory, whatever the shape of an item
    step = min(BLOCK_ITEMS, max(1, BLOCK_VALUES // max(1, math.prod(x.shape[1:]))))
    with torch.inference_mode():
        for start in range(0, len(x), step):
            block = slice(start, start + step)
            features = torch.from_numpy(np.ascontiguousarray(x[block])).to(device)
            kept = None if keep is None else torch.from_numpy(keep[block]).to(device)
            parts.append(net(features, kept).double().cpu().numpy())
    net.train(was_training)
    return np.concatenate(parts) if parts else np.zeros((0, net.n_classes))
