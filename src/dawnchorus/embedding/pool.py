"""Pieces of a clip back to one thing: a mean by length, items of a probe, or a grid over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.models.encoder import EncoderOutput

    Floats = NDArray[np.floating[Any]]

MIN_SHARE: Final = 0.25  # of a window, for a piece to be an item of its own


def mean_by_length(values: Floats, n_samples: Sequence[int]) -> NDArray[np.float32]:
    """A clip's embedding ``(...)`` from those of its pieces ``(pieces, ...)``."""
    if len(values) == 1:
        return np.asarray(values[0], np.float32)
    wide = np.asarray(values, np.float64)  # so that the order of the pieces does not matter
    return np.asarray(np.average(wide, axis=0, weights=n_samples), np.float32)


def without_short_end(values: Floats, n_samples: Sequence[int], window: int) -> Floats:
    """Pieces as items of a probe: a last one under a quarter of a window joins the one before.

    An item that is almost nothing would teach a label as loudly as a whole window; left out, its
    sound would be lost. Joined by length, a clip just over the window is one item, its embedding.
    """
    if len(values) < 2 or n_samples[-1] >= MIN_SHARE * window:
        return values
    return np.concatenate([values[:-2], mean_by_length(values[-2:], n_samples[-2:])[None]])


def token_grid(tokens: Tensor, out: EncoderOutput, steps: int) -> Tensor:
    """Average tokens over ``steps`` equal shares of a piece's sound, each row of patches by itself.

    So every clip has as many tokens, none of them padding, and no mask is needed; a piece of fewer
    steps repeats the nearest, which leaves a weighted mean over tokens as it is.

    Args:
        tokens: ``(batch, tokens, dim)`` of one layer, or of several joined; CLS is left out.
        out: says which tokens are CLS, which row each patch is in, and which hold sound.
        steps: time steps of the grid.

    Returns:
        ``(batch, steps x rows, dim)``, all rows of the first step first.
    """
    patches, has_signal = tokens[:, out.n_cls :], out.has_signal[:, out.n_cls :]
    row_of = out.band_span[out.n_cls :, 0]
    rows = [torch.nonzero(row_of == first)[:, 0] for first in torch.unique(row_of)]
    by_row = torch.stack([patches[:, row.to(patches.device)] for row in rows], dim=2)
    n_steps = has_signal[:, rows[0].to(has_signal.device)].sum(dim=1)
    grids = [_time_shares(one[: int(n)], steps) for one, n in zip(by_row, n_steps, strict=True)]
    return torch.stack(grids).flatten(1, 2)


def join_grids(grids: Floats, steps: int) -> NDArray[np.float16]:
    """One grid ``(steps x rows, dim)`` of a clip from those of its pieces, which follow in time."""
    if len(grids) == 1:
        return np.asarray(grids[0], np.float16)
    wide = np.asarray(grids, np.float32)
    cells = torch.from_numpy(wide.reshape(len(grids) * steps, -1, wide.shape[-1]))
    return _time_shares(cells, steps).flatten(0, 1).numpy().astype(np.float16)


def _time_shares(cells: Tensor, steps: int) -> Tensor:
    """``(time, rows, dim)`` to ``(steps, rows, dim)``."""
    n = len(cells)
    # shares of equal length; with fewer cells than steps a cell is in several shares
    edges = [
        (i * n // steps, max(-(-(i + 1) * n // steps), i * n // steps + 1)) for i in range(steps)
    ]
    return torch.stack([cells[start:stop].mean(dim=0) for start, stop in edges])
