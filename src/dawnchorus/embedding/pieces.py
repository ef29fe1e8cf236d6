"""One embedding of a clip, however long it is, whoever makes it.

The rule: a clip is cut from its start into pieces as long as the window, the last one as long as
what is left. Each piece is encoded as the sound that it is, without padding that counts, and the
clip's embedding is their mean, weighted by their length: half a second counts a tenth of five. So
no sound is left out, and a clip that is a hair longer than the window is where its window is.

The benchmark, `DawnChorusClassifier` and probe fitting go by it, and the windows of a store with
hop = window give the same when they are averaged by ``valid_samples``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from dawnchorus.audio.frontend import FRAME_SAMPLES
from dawnchorus.audio.windows import to_samples
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.configs import Readout
    from dawnchorus.models.encoder import Encoder

    Floats = NDArray[np.floating[Any]]

AT_ONCE: Final = 16  # windows of a long clip
LEAST_SHARE: Final = 0.25  # of a window, for a piece to be an item of its own


def cut_clip(samples: NDArray[np.float32], window: int) -> list[NDArray[np.float32]]:
    """Pieces of ``(n,)``, each ``window`` samples long, the last as long as what is left.

    Raises:
        UsageError: There is no sound in the clip.
    """
    if not len(samples):
        raise UsageError("a clip holds no samples, so it has no embedding; leave it out")
    return [samples[at : at + window] for at in range(0, len(samples), window)]


def as_batch(
    pieces: Sequence[NDArray[np.float32]], n_heard: Sequence[int] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """``(batch, samples)`` and lengths; less than one frame of sound is one, the rest silence.

    Args:
        pieces: ``(n,)`` each.
        n_heard: how many samples of each are sound; None: all.
    """
    heard = [len(piece) for piece in pieces] if n_heard is None else n_heard
    lengths = torch.tensor([max(n, FRAME_SAMPLES) for n in heard])
    waveforms = torch.zeros(len(pieces), max(FRAME_SAMPLES, *(len(piece) for piece in pieces)))
    for row, piece in zip(waveforms, pieces, strict=True):
        row[: len(piece)] = torch.from_numpy(np.ascontiguousarray(piece))
    return waveforms, lengths


def pooled(vectors: Sequence[Floats] | Floats, n_samples: Sequence[int]) -> Floats:
    """The clip's embedding ``(dim,)``: the mean of its pieces' ``(pieces, dim)``, by length."""
    if len(vectors) == 1:
        return vectors[0]
    stacked = np.asarray(vectors, np.float64)
    return np.asarray(np.average(stacked, axis=0, weights=n_samples), np.float32)


def without_short_end(
    vectors: NDArray[np.float32], n_samples: Sequence[int], window: int
) -> NDArray[np.float32]:
    """Pieces as items of a probe: a last one under a quarter of a window joins the one before.

    An item that is almost nothing would teach a label as loudly as a whole window; left out, its
    sound would be lost. Joined by length, a clip just over the window is one item, its embedding.
    """
    if len(vectors) < 2 or n_samples[-1] >= LEAST_SHARE * window:
        return vectors
    return np.concatenate([vectors[:-2], pooled(vectors[-2:], n_samples[-2:])[None]])


def embed_clip(
    encoder: Encoder, samples: NDArray[np.float32], readout: Readout
) -> NDArray[np.float32]:
    """Embedding of one clip by the rule of this module, ``(dim,)``.

    Args:
        encoder: whose window the pieces have.
        samples: ``(n,)`` at the encoder's rate.
        readout: what is taken of the encoder's output.
    """
    pieces = cut_clip(samples, to_samples(encoder.window_s, encoder.sample_rate))
    n_whole = len(pieces) - 1
    runs = [pieces[at : min(at + AT_ONCE, n_whole)] for at in range(0, n_whole, AT_ONCE)]
    found = []
    with torch.inference_mode():
        for run in [*runs, pieces[n_whole:]]:  # the end by itself: beside others it would be padded
            out = encoder.encode(*as_batch(run), readout.layers)
            found.append(readout.pool(out).float().cpu().numpy())
    vector = pooled(np.concatenate(found), [len(piece) for piece in pieces])
    return np.asarray(vector, np.float32)
