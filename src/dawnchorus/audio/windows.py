"""Windows by integer sample position: every sample lies in one, none lies beyond the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.audio.samples import as_float32
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of a recording as the encoder sees it.

    Attributes:
        index: number of the window in its recording, from 0.
        start_sample: its first sample.
        valid_samples: how many of its samples are sound; the rest is zero padding at the end.
        samples: ``(window,)`` float32.
    """

    index: int
    start_sample: int
    valid_samples: int
    samples: NDArray[np.float32]


def to_samples(seconds: float, sample_rate: int) -> int:
    """Seconds as a whole number of samples, rounded to the nearest."""
    return round(seconds * sample_rate)


def n_windows(n_samples: int, window: int, hop: int) -> int:
    """How many windows cover a recording; the last one may reach past its end.

    Raises:
        UsageError: Unless ``0 < hop <= window``.
    """
    _check(window, hop)
    if n_samples <= 0:
        return 0
    return 1 + max(0, -(-(n_samples - window) // hop))


def cut(
    samples: NDArray[np.float32], window: int, hop: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cut an array ``(n,)`` into windows; integers are divided by their full scale.

    Returns:
        ``(windows, window)`` with zero padding in the last ones, and ``(windows,)`` valid samples.

    Raises:
        UsageError: Unless ``0 < hop <= window``, or it is not one channel of samples.
    """
    if np.ndim(samples) != 1:
        raise UsageError(
            f"samples: of shape {np.shape(samples)}; need one channel, (n,): mix channels first"
        )
    pieces = list(cut_blocks([samples], window, hop))
    if not pieces:
        return np.zeros((0, window), np.float32), np.zeros(0, np.int64)
    valid = np.array([piece.valid_samples for piece in pieces], dtype=np.int64)
    return np.stack([piece.samples for piece in pieces]), valid


def cut_blocks(blocks: Iterable[NDArray[np.float32]], window: int, hop: int) -> Iterator[Window]:
    """Cut a stream of blocks into windows, holding no more than a window and a block.

    Args:
        blocks: ``(n,)`` float32 each, any lengths, in order.
        window: samples in a window.
        hop: samples from one window's start to the next.

    Yields:
        The same windows as `cut` gives for the blocks joined.

    Raises:
        UsageError: Unless ``0 < hop <= window``.
    """
    _check(window, hop)
    samples = np.zeros(window, np.float32)
    start = index = n_filled = 0  # start: position in the recording of samples[0]
    for block in blocks:
        sound = as_float32(block)
        while len(sound):
            # Only when more comes: a window that ends with the sound so far may be the last one of
            # the recording, which is left to the end.
            if n_filled == window:
                yield Window(index, start, window, samples)
                samples, n_filled = _next_window(samples, hop), window - hop
                index, start = index + 1, start + hop
            n_more = min(window - n_filled, len(sound))
            samples[n_filled : n_filled + n_more] = sound[:n_more]
            n_filled, sound = n_filled + n_more, sound[n_more:]
    if n_filled:
        samples[n_filled:] = 0.0
        yield Window(index, start, n_filled, samples)


def _next_window(samples: NDArray[np.float32], hop: int) -> NDArray[np.float32]:
    """An array for the window after this one, beginning with what the two share."""
    following = np.empty_like(samples)
    following[: len(samples) - hop] = samples[hop:]
    return following


def _check(window: int, hop: int) -> None:
    if not 0 < hop <= window:
        raise UsageError(
            f"windows: need 0 < hop <= window, got a window of {window} and a hop of {hop} samples"
        )
