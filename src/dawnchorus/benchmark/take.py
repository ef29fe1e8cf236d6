"""What a reading takes of an encoder's output, and how pieces of a clip become one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dawnchorus.configs import Readout
from dawnchorus.embedding.pieces import pooled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.benchmark.clips import Piece
    from dawnchorus.benchmark.plan import Reading
    from dawnchorus.models.encoder import EncoderOutput

    Floats = NDArray[np.floating[Any]]


def take(reading: Reading, out: EncoderOutput) -> Tensor:
    """``(batch, dim)``, ``(batch, layers, dim)`` if stacked, or a grid ``(batch, tokens, dim)``."""
    if reading.grid_steps is not None:
        tokens = [out.tokens_of(part.layer) for part in reading.wanted.parts]
        return _grid(torch.cat(tokens, dim=-1), out, reading.grid_steps)
    if not reading.stacked:
        return reading.wanted.pool(out)
    return torch.stack([Readout((part,)).pool(out) for part in reading.wanted.parts], dim=1)


def _grid(tokens: Tensor, out: EncoderOutput, steps: int) -> Tensor:
    """Average tokens to ``steps`` equal shares of a clip's sound, each row of patches by itself.

    A clip of fewer steps repeats the nearest, which leaves a weighted mean over tokens as it is. So
    every clip has as many tokens, none of them padding, and no mask is needed. CLS is left out.
    """
    patches, held = tokens[:, out.n_cls :], out.has_signal[:, out.n_cls :]
    rows = [torch.nonzero(out.band_span[out.n_cls :, 0] == first)[:, 0]
            for first in torch.unique(out.band_span[out.n_cls :, 0])]  # fmt: skip
    by_row = torch.stack([patches[:, row.to(patches.device)] for row in rows], dim=2)
    n_held = held[:, rows[0].to(held.device)].sum(dim=1)
    cells = [_shares(one[: int(n)], steps) for one, n in zip(by_row, n_held, strict=True)]
    return torch.stack(cells).flatten(1, 2)


def _shares(cells: Tensor, steps: int) -> Tensor:
    """``(time, rows, dim)`` to ``(steps, rows, dim)``."""
    n = len(cells)
    edges = [(i * n // steps, max(-(-(i + 1) * n // steps), i * n // steps + 1))
             for i in range(steps)]  # fmt: skip
    return torch.stack([cells[start:stop].mean(dim=0) for start, stop in edges])


def joined(
    pieces: Sequence[Piece], values: Sequence[Floats], n_clips: int, reading: Reading
) -> Floats:
    """Features of clips from those of their pieces: the mean by length, or a grid over all."""
    of_clip: list[list[int]] = [[] for _ in range(n_clips)]
    for index, piece in enumerate(pieces):
        of_clip[piece.clip].append(index)
    if reading.grid_steps is None:
        rows = [
            pooled([values[i] for i in own], [pieces[i].n_heard for i in own]) for own in of_clip
        ]
        return np.stack(rows).astype(np.float32)
    grids = [_regrid([values[i] for i in own], reading.grid_steps) for own in of_clip]
    return np.stack(grids).astype(np.float16)


def _regrid(grids: Sequence[Floats], steps: int) -> Floats:
    if len(grids) == 1:
        return grids[0]
    dim = grids[0].shape[-1]
    cells = torch.from_numpy(np.concatenate([one.reshape(steps, -1, dim) for one in grids]))
    again: Floats = _shares(cells, steps).flatten(0, 1).numpy()
    return again
