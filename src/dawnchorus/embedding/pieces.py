"""The rule by which a clip becomes what an encoder is given.

A clip is cut from its start into pieces as long as the window, the last one as long as what is
left. Each piece is encoded as the sound that it is, without padding that counts, and the clip's
embedding is their mean, weighted by their length: half a second counts a tenth of five. So no
sound is left out, and a clip that is a hair longer than the window is where its window is.

The benchmark, `DawnChorusClassifier` and probe fitting follow it, and the windows of a store with
hop = window give the same when they are averaged by ``valid_samples``. The one exception is the
benchmark's ``paper`` protocol (`PieceRule.first_only`), which repeats what the published code did.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from dawnchorus.audio.frontend import FRAME_HOP_SAMPLES, FRAME_SAMPLES
from dawnchorus.audio.windows import to_samples
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dawnchorus.models.encoder import Encoder

    Samples = NDArray[np.float32]

PATCH_SAMPLES: Final = 16 * FRAME_HOP_SAMPLES  # one time step of an EAT: 16 frames, 160 ms


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a clip as the encoder gets it.

    Attributes:
        samples: ``(n,)``, mono at the encoder's rate.
        n_valid: how many of them are sound; what follows is zeros.
    """

    samples: Samples
    n_valid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceRule:
    """How clips are cut.

    Attributes:
        window_s: length of a piece.
        sample_rate: of the encoder, Hz.
        first_only: only the first window, padded with zeros to its full length, as the code behind
            the published table does; everything else of this package is then as always.
        crop_s: seconds from the clip's start that ``first_only`` may take; None: the window.
    """

    window_s: float
    sample_rate: int
    first_only: bool = False
    crop_s: float | None = None

    @classmethod
    def of(cls, encoder: Encoder) -> PieceRule:
        """Pieces as long as the encoder's own window."""
        return cls(window_s=encoder.window_s, sample_rate=encoder.sample_rate)

    @property
    def window(self) -> int:
        """Samples of a piece."""
        return to_samples(self.window_s, self.sample_rate)

    @property
    def longest_s(self) -> float | None:
        """How much of a clip has to be read; None: all of it."""
        if not self.first_only:
            return None
        return self.window_s if self.crop_s is None else min(self.crop_s, self.window_s)

    def cut(self, samples: Samples) -> list[Piece]:
        """Pieces of a clip ``(n,)``, in order.

        Raises:
            UsageError: There is no sound in the clip.
        """
        if not len(samples):
            raise UsageError("a clip holds no samples, so it has no embedding; leave it out")
        window = self.window
        if self.first_only:
            heard = samples[:window]
            return [Piece(np.pad(heard, (0, window - len(heard))), len(heard))]
        parts = (samples[start : start + window] for start in range(0, len(samples), window))
        return [Piece(part, len(part)) for part in parts]


def batches(pieces: Sequence[Piece], most_samples: int) -> Iterator[list[int]]:
    """Indices of pieces that are encoded together.

    Only pieces with the same number of patches share a batch: a short call next to a long one would
    be padded, and poolings such as ``mean`` take padding for sound.

    Args:
        pieces: in any order; the batches depend on their lengths alone.
        most_samples: of a batch.
    """
    by_steps: dict[int, list[int]] = defaultdict(list)
    for index, piece in enumerate(pieces):
        by_steps[max(0, len(piece.samples) - FRAME_SAMPLES) // PATCH_SAMPLES].append(index)
    for steps in sorted(by_steps):
        indices = sorted(by_steps[steps], key=lambda i: len(pieces[i].samples))
        # by the length that this number of patches may have, so that equal plans give equal batches
        n_at_once = max(1, most_samples // ((steps + 1) * PATCH_SAMPLES))
        for start in range(0, len(indices), n_at_once):
            yield indices[start : start + n_at_once]


def as_batch(pieces: Sequence[Piece]) -> tuple[torch.Tensor, torch.Tensor]:
    """Waveforms ``(batch, samples)`` and their valid lengths ``(batch,)``.

    Less than one frame of sound counts as one frame, the rest of it silence: the frontend has no
    spectrum of less.
    """
    lengths = torch.tensor([max(piece.n_valid, FRAME_SAMPLES) for piece in pieces])
    longest = max(FRAME_SAMPLES, *(len(piece.samples) for piece in pieces))
    waveforms = torch.zeros(len(pieces), longest)
    for row, piece in zip(waveforms, pieces, strict=True):
        row[: len(piece.samples)] = torch.from_numpy(np.ascontiguousarray(piece.samples))
    return waveforms, lengths
