"""How far vectors of one way to compute lie from those of another, and whether it matters.

Two figures: the lowest cosine of a window's vectors, and how many of the ten windows that a search
finds nearest are the same. The second can fail where the first looks fine: vectors of one encoder
often share most of their direction, so that little separates near from far.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from dawnchorus.errors import UsageError
from dawnchorus.models.precision import to_precision
from dawnchorus.models.shipped_clips import shipped_windows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dawnchorus.models.eat import EAT

    Floats = NDArray[np.float32]

NEAREST: Final = 10  # neighbours of a search that are compared
BATCH: Final = 8
LEAST_OVERLAP: Final = 0.95
LEAST_COSINE_BFLOAT16: Final = 0.999
LEAST_COSINE_INT8: Final = 0.995


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """What two sets of vectors of the same windows have in common.

    Attributes:
        cosine: the lowest of any window.
        overlap: share of a window's ten nearest that both have, mean over windows.
        n_windows: that were compared.
    """

    cosine: float
    overlap: float
    n_windows: int

    def holds(self, least_cosine: float) -> bool:
        """Whether one set may stand for the other."""
        return self.cosine >= least_cosine and self.overlap >= LEAST_OVERLAP

    def __str__(self) -> str:
        """Both figures, rounded down: what is printed as enough was enough."""
        cosine = np.floor(self.cosine * 1e5) / 1e5
        overlap = np.floor(self.overlap * 1e3) / 10
        return (
            f"cosine at least {cosine:.5f}, {overlap:.1f} % of the {NEAREST} nearest are the same "
            f"({self.n_windows} windows)"
        )


def parity(vectors: Floats, others: Floats) -> Parity:
    """Compare vectors ``(windows, dim)`` of one way with those of another.

    Raises:
        UsageError: The shapes differ, or there are too few windows for ten neighbours each.
    """
    if vectors.shape != others.shape or len(vectors) <= NEAREST:
        raise UsageError(
            f"parity: vectors {vectors.shape} and {others.shape}; need the same shape, and more "
            f"than {NEAREST} windows"
        )
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(others, axis=1)
    cosine = np.einsum("ij,ij->i", vectors, others) / lengths
    pairs = zip(_nearest(vectors), _nearest(others), strict=True)
    shared = [len(set(one) & set(other)) / NEAREST for one, other in pairs]
    # a NaN anywhere makes NaN of it, which holds for nothing
    return Parity(
        cosine=float(cosine.min()), overlap=float(np.mean(shared)), n_windows=len(vectors)
    )


def _nearest(vectors: Floats) -> NDArray[np.intp]:
    """Indices of each window's nearest others ``(windows, 10)``, as a search finds them."""
    centred = vectors - vectors.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    scores = unit @ unit.T  # (windows, windows)
    np.fill_diagonal(scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :NEAREST]


def embedded(embed: Callable[[torch.Tensor], torch.Tensor], windows: Floats) -> Floats:
    """Vectors ``(windows, dim)`` of windows ``(windows, samples)``, in small batches."""
    with torch.inference_mode():
        pieces = [embed(piece).cpu() for piece in torch.split(torch.from_numpy(windows), BATCH)]
    return torch.cat(pieces).numpy()


def bfloat16_parity(model: EAT) -> Parity:
    """A float32 model against itself in bfloat16, on the clips that are shipped with the package.

    Raises:
        WeightsError: The clips are missing.
    """
    windows = shipped_windows()
    # a copy: its owner's weights would stay rounded
    half = to_precision(deepcopy(model), "bfloat16")
    return parity(embedded(model.embed, windows), embedded(half.embed, windows))
