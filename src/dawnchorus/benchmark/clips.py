"""Items to waveforms: what is read of each file, and how clips make batches.

Under ``strict`` an item is heard whole: cut into the encoder's windows, each as long as its sound.
Only pieces with the same number of patches share a batch, so that a short call carries no padding,
whatever the pooling. Under ``paper`` it is the item's first window, zeros to the right.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.audio.decode.read import read_audio, read_info
from dawnchorus.audio.frontend import FRAME_HOP_SAMPLES, FRAME_SAMPLES
from dawnchorus.audio.resample import resample
from dawnchorus.audio.windows import to_samples
from dawnchorus.embedding.pieces import as_batch, cut_clip
from dawnchorus.errors import AudioError, TaskError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from dawnchorus.benchmark.tasks.base import Item, Protocol

PATCH_SAMPLES: Final = 16 * FRAME_HOP_SAMPLES  # of one time step of an EAT; 160 ms
UNKNOWN_S: Final = 10.0  # an item without a stop counts as so long when work is shared out
BLOCK_S: Final = 120.0  # items of one file this near to each other are read in one go


@dataclass(frozen=True, slots=True)
class Rules:
    """What an encoder is given of an item.

    Attributes:
        window_s: longest piece it takes.
        crop_s: heard from the item's start; None: all of it.
        first_only: the first window, padded with zeros that count as sound, as the paper's code.
    """

    protocol: Protocol
    window_s: float
    crop_s: float | None

    @property
    def first_only(self) -> bool:
        """Whether an item is one padded window."""
        return self.protocol == "paper"

    @property
    def longest_s(self) -> float | None:
        """What of an item need be read."""
        if not self.first_only:
            return None
        return self.window_s if self.crop_s is None else min(self.crop_s, self.window_s)


def read_clips(
    folder: Path, items: Sequence[Item], rate: int, longest_s: float | None
) -> list[NDArray[np.float32]]:
    """Sound of each item, mono at the encoder's rate, as if the clip were all there is.

    Raises:
        TaskError: A file cannot be read; a score without it would be one of another task.
    """
    by_path: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        by_path[item.path].append(index)
    clips: dict[int, NDArray[np.float32]] = {}
    for path, indices in by_path.items():
        try:
            clips |= _of_file(folder / path, {i: _span(items[i], longest_s) for i in indices}, rate)
        except AudioError as error:
            named = items[indices[0]].id
            raise TaskError(f"item {named!r}: {error}; fetch the file again") from error
    return [clips[index] for index in range(len(items))]


def _span(item: Item, longest_s: float | None) -> tuple[float, float | None]:
    if longest_s is None:
        return item.start_s, item.stop_s
    stop_s = item.start_s + longest_s
    return item.start_s, stop_s if item.stop_s is None else min(stop_s, item.stop_s)


def _of_file(
    path: Path, spans: dict[int, tuple[float, float | None]], rate: int
) -> dict[int, NDArray[np.float32]]:
    first = min(start for start, _ in spans.values())
    known = {i: (start, stop) for i, (start, stop) in spans.items() if stop is not None}
    last = max((stop for _, stop in known.values()), default=first)
    if len(spans) == 1 or len(known) < len(spans) or last - first > BLOCK_S:
        return {
            i: read_audio(path, start_s=start, stop_s=stop, sample_rate=rate)
            for i, (start, stop) in spans.items()
        }
    own_rate = read_info(path).sample_rate
    block = read_audio(path, start_s=first, stop_s=last)
    clips = {}
    for index, (start, stop) in known.items():
        origin = to_samples(first, own_rate)
        clip = block[to_samples(start, own_rate) - origin : to_samples(stop, own_rate) - origin]
        if not len(clip):
            raise AudioError(f"{path}: nothing between {start:g} and {stop:g} s", reason="empty")
        clips[index] = resample(clip, own_rate, rate)
    return clips


@dataclass(frozen=True, slots=True)
class Piece:
    """A window of a clip; ``n_heard`` is how many of its samples are sound."""

    clip: int
    samples: NDArray[np.float32]
    n_heard: int


def pieces_of(clips: Sequence[NDArray[np.float32]], rules: Rules, rate: int) -> list[Piece]:
    """Windows of clips, in order, by `models.clips`; under ``paper`` the first of each, padded."""
    window = to_samples(rules.window_s, rate)
    if rules.first_only:
        heard = [clip[:window] for clip in clips]
        return [
            Piece(i, np.pad(clip, (0, window - len(clip))), len(clip))
            for i, clip in enumerate(heard)
        ]
    return [
        Piece(i, part, len(part)) for i, clip in enumerate(clips) for part in cut_clip(clip, window)
    ]


def batches(pieces: Sequence[Piece], most_samples: int) -> Iterator[list[int]]:
    """Indices of pieces with the same number of patches, as many as make ``most_samples``."""
    by_steps: dict[int, list[int]] = defaultdict(list)
    for index, piece in enumerate(pieces):
        by_steps[max(0, len(piece.samples) - FRAME_SAMPLES) // PATCH_SAMPLES].append(index)
    for steps in sorted(by_steps):
        indices = sorted(by_steps[steps], key=lambda i: len(pieces[i].samples))
        n_at_once = max(1, most_samples // ((steps + 1) * PATCH_SAMPLES))
        for start in range(0, len(indices), n_at_once):
            yield indices[start : start + n_at_once]


def as_tensors(pieces: Sequence[Piece]) -> tuple[torch.Tensor, torch.Tensor]:
    """As `models.clips.as_batch`."""
    return as_batch([piece.samples for piece in pieces], [piece.n_heard for piece in pieces])


def length_s(item: Item, longest_s: float | None) -> float:
    """Seconds that are encoded of an item, as far as is known before it is read."""
    start_s, stop_s = _span(item, longest_s)
    return UNKNOWN_S if stop_s is None else stop_s - start_s
