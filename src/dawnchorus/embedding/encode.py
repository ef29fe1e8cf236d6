"""Clips through an encoder: cut, batched, encoded, and put together again clip by clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence  # noqa: TC003  types of a public signature
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from dawnchorus.embedding.pieces import PieceRule, as_batch, batches
from dawnchorus.embedding.pool import mean_by_length
from dawnchorus.engine.encoding.canary import WindowsError
from dawnchorus.engine.encoding.workers import one_core_each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.configs import Readout
    from dawnchorus.embedding.pieces import Piece
    from dawnchorus.models.encoder import Encoder

    Floats = NDArray[np.floating[Any]]
    Samples = NDArray[np.float32]
    # waveforms (batch, samples) and valid lengths (batch,) to arrays (batch, ...), one an output
    Encode = Callable[[Tensor, Tensor], Sequence[Floats]]

N_AT_ONCE: Final = 16  # windows of a clip that is encoded by itself


@dataclass(frozen=True, slots=True)
class PieceValues:
    """What one output of an encoder is for the pieces of a clip.

    Attributes:
        values: ``(pieces, ...)``.
        n_samples: of sound in each piece.
    """

    values: Floats
    n_samples: tuple[int, ...]

    @property
    def finite(self) -> bool:
        """Whether all of them are numbers."""
        return bool(np.isfinite(self.values).all())

    def mean(self) -> NDArray[np.float32]:
        """The clip's embedding, by the rule of `dawnchorus.embedding.pieces`."""
        return mean_by_length(self.values, self.n_samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceEncoder:
    """An encoder made ready for pieces of clips.

    Attributes:
        name: of the encoder, for messages.
        encode: called from ``n_workers`` threads at once; all its outputs come from one pass.
        rule: how clips are cut.
        most_samples: of a batch.
        n_workers: batches at once.
    """

    name: str
    encode: Encode
    rule: PieceRule
    most_samples: int
    n_workers: int = 1

    @property
    def no_numbers(self) -> str:
        """What is wrong with a clip whose values are not finite."""
        return f"{self.name} makes no numbers of its sound; see: dawnchorus doctor --deep"

    def encode_clips(self, clips: Sequence[Samples]) -> list[tuple[PieceValues, ...]]:
        """Encode clips ``(n,)`` of at least one sample, mono at the rule's rate.

        Returns:
            For each clip, the values of its pieces for each output.
        """
        cut = [self.rule.cut(clip) for clip in clips]
        pieces = [piece for of_clip in cut for piece in of_clip]
        by_piece: list[list[Floats]] = [[] for _ in pieces]
        for indices, outputs in self._batches(pieces):
            for row, index in enumerate(indices):
                by_piece[index] = [output[row] for output in outputs]
        # pieces were encoded in the order of their lengths; here they are in that of the clips
        ends = np.cumsum([len(of_clip) for of_clip in cut])
        return [
            tuple(
                PieceValues(np.stack(values), tuple(piece.n_valid for piece in of_clip))
                for values in zip(*by_piece[end - len(of_clip) : end], strict=True)
            )
            for of_clip, end in zip(cut, ends, strict=True)
        ]

    def _batches(self, pieces: Sequence[Piece]) -> Iterator[tuple[list[int], Sequence[Floats]]]:
        """Indices of pieces, and the outputs for them."""

        def run(indices: Sequence[int]) -> Sequence[Floats]:
            return self.encode(*as_batch([pieces[i] for i in indices]))

        rows = list(batches(pieces, self.most_samples))
        if self.n_workers == 1:  # all of torch's threads work on one batch
            yield from zip(rows, map(run, rows), strict=True)
            return
        with one_core_each(self.n_workers), ThreadPoolExecutor(self.n_workers) as pool:
            yield from zip(rows, pool.map(run, rows), strict=True)


def vectors_or_nan(vectors: Callable[[Tensor, Tensor], Floats], dim: int) -> Encode:
    """The one output of `BatchEncoder.vectors`, with NaN for pieces that give no numbers.

    So one clip of impossible sound costs itself, and not the clips that share its batch.

    Args:
        vectors: raises `WindowsError` for such pieces.
        dim: of the result.
    """

    def encode(waveforms: Tensor, lengths: Tensor) -> list[Floats]:
        values = np.full((len(waveforms), dim), np.nan, np.float32)
        good = np.arange(len(waveforms))
        while len(good):
            try:
                values[good] = vectors(waveforms[good], lengths[good])
                break
            except WindowsError as error:
                good = np.delete(good, error.rows)
        return [values]

    return encode


def embed_clip(encoder: Encoder, samples: Samples, readout: Readout) -> NDArray[np.float32]:
    """Embedding ``(dim,)`` of one clip, by the rule of `dawnchorus.embedding.pieces`.

    Args:
        encoder: the pieces are as long as its window.
        samples: ``(n,)`` at the encoder's rate.
        readout: which layers, and how they are pooled.
    """

    def encode(waveforms: Tensor, lengths: Tensor) -> Sequence[Floats]:
        with torch.inference_mode():
            out = encoder.encode(waveforms, lengths, readout.layers)
            return [readout.pool(out).float().cpu().numpy()]

    rule = PieceRule.of(encoder)
    ready = PieceEncoder(
        name=encoder.name, encode=encode, rule=rule, most_samples=N_AT_ONCE * rule.window
    )
    [(values,)] = ready.encode_clips([samples])
    return values.mean()
