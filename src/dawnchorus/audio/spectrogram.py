"""Pictures of sound: one function for plots, review folders, reports and the page in a browser.

Frequencies are linear, because field biologists know their species' calls on a linear axis, and
levels are relative to the loudest point that is shown, so that a faint call, or a band of faint
calls, fills the scale as a loud one does.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW_S: Final = 0.020  # a compromise: 50 Hz apart, and clicks 10 ms apart stay two
RANGE_DB: Final = 60.0  # below the loudest point; recordings in the field have little more
DEFAULT_HEIGHT: Final = 192
DEFAULT_WIDTH: Final = 480
DB_OF_E: Final = 10 / np.log(10)
FEW: Final = 6  # rows that become one
LAST_SHADE: Final = 255
RGB, PALETTED, RGBA = 2, 3, 6  # of a PNG
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
ZLIB_LEVEL: Final = 2  # 6 is four times slower, for a file 12 % smaller
# Dark to light with steady lightness, so that it reads the same in grey and for the colour-blind.
_ANCHORS: Final = np.array(
    [(8, 8, 20), (44, 22, 84), (110, 34, 108), (174, 52, 98), (226, 92, 74), (248, 156, 70),
     (250, 218, 130), (255, 252, 230)], np.float64,
)  # fmt: skip


def spectrogram_db(
    samples: NDArray[np.float32], rate: int, *, width: int = DEFAULT_WIDTH
) -> NDArray[np.float32]:
    """Levels in dB relative to the loudest, ``(bins, frames)``, lowest frequency first.

    Args:
        samples: ``(samples,)``, one channel.
        rate: their rate in Hz.
        width: about how many frames are wanted; a picture shows no more than it has columns.

    Raises:
        UsageError: There are no samples, or some are not finite.
    """
    return np.ascontiguousarray(_decibels(_power(samples, rate, width)).T)


def _power(samples: NDArray[np.float32], rate: int, width: int) -> NDArray[np.float32]:
    """Power by time and frequency, ``(frames, bins)``; its unit means nothing."""
    if samples.ndim != 1 or not len(samples):
        raise UsageError(f"samples: need one channel with sound, got shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise UsageError("samples: some are not finite, so there is nothing to draw")
    size = max(64, 2 ** round(np.log2(max(WINDOW_S * rate, 2))))
    # half a window at most, or sound between two frames would not be seen
    hop = max(1, min(size // 2, len(samples) // max(width, 1)))
    n_frames = 1 + max(0, len(samples) - 1) // hop
    padded = np.pad(samples.astype(np.float32), (size // 2, size // 2 + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: n_frames * hop : hop]
    windowed = frames * np.hanning(size).astype(np.float32)
    # torch's transform takes half the time of NumPy's, which is most of a picture
    spectrum = torch.fft.rfft(torch.from_numpy(windowed), dim=1).numpy()
    return np.asarray(spectrum.real**2 + spectrum.imag**2, np.float32)


def _decibels(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Levels relative to the loudest; all `-RANGE_DB` of digital silence."""
    loudest = power.max()
    if not loudest > 0:
        return np.full_like(power, -RANGE_DB)
    share = np.maximum(power / loudest, np.float32(10 ** (-RANGE_DB / 10)))
    # NumPy has a vector instruction for the natural logarithm, and none for that of 10
    levels = np.log(share) * np.float32(DB_OF_E)
    # rounding of the floor may be a hair below it
    return np.asarray(np.maximum(levels, -RANGE_DB), np.float32)


def spectrogram_image(
    samples: NDArray[np.float32],
    rate: int,
    *,
    height: int = DEFAULT_HEIGHT,
    width: int = DEFAULT_WIDTH,
    lowest_hz: float = 0.0,
    highest_hz: float | None = None,
) -> NDArray[np.uint8]:
    """A picture of sound: time to the right, frequency upwards and linear.

    Args:
        samples: ``(samples,)``, one channel.
        rate: their rate in Hz.
        height: of the picture, in pixels.
        width: likewise; a long sound shows the loudest moment of each column.
        lowest_hz: the lower edge.
        highest_hz: the upper edge. None: half the rate.

    Returns:
        ``(height, width, 3)`` 8-bit RGB of 256 colours; the first row is the highest frequency.

    Raises:
        UsageError: There are no samples, some are not finite, a size is not positive, or the lower
            edge is not under the upper one.
    """
    shades = spectrogram_shades(
        samples, rate, height=height, width=width, lowest_hz=lowest_hz, highest_hz=highest_hz
    )
    colours: NDArray[np.uint8] = PALETTE.take(shades, axis=0)
    return colours


def spectrogram_shades(
    samples: NDArray[np.float32],
    rate: int,
    *,
    height: int = DEFAULT_HEIGHT,
    width: int = DEFAULT_WIDTH,
    lowest_hz: float = 0.0,
    highest_hz: float | None = None,
) -> NDArray[np.uint8]:
    """`spectrogram_image` as places of its colours in `PALETTE`, ``(height, width)``.

    255 is the loudest point between the edges, 0 is `RANGE_DB` below it or quieter.

    Raises:
        UsageError: As of `spectrogram_image`.
    """
    if min(height, width) < 1 or (highest_hz is not None and highest_hz <= 0):
        raise UsageError(f"picture: need sizes over 0, got {width} x {height}, up to {highest_hz}")
    top_hz = min(highest_hz or rate / 2, rate / 2)
    if not 0 <= lowest_hz < top_hz:
        raise UsageError(f"picture: need 0 <= lowest < {top_hz:g} Hz, got {lowest_hz:g} Hz")
    power = _power(samples, rate, width)
    n_bins = power.shape[1]
    per_hz = (n_bins - 1) / (rate / 2)
    first = min(round(lowest_hz * per_hz), n_bins - 2)
    stop = max(first + 2, round(top_hz * per_hz) + 1)
    # the loudest is the loudest in decibels too, and a logarithm costs more than a comparison
    power = _fewer(_fewer(power[:, first:stop], width, 0), height, 1)
    levels = _more(_more(_decibels(power), width, 0), height, 1).T[::-1]
    return np.asarray(np.rint(np.clip(1 + levels / RANGE_DB, 0, 1) * LAST_SHADE), np.uint8)


def _fewer(values: NDArray[np.float32], n: int, axis: int) -> NDArray[np.float32]:
    """At most ``n`` rows or columns: the loudest of several.

    The loudest and not the mean: a call of 5 ms must be seen in a picture of a minute.
    """
    if values.shape[axis] <= n:
        return values
    edges = np.arange(n + 1) * values.shape[axis] // n
    longest = int(np.diff(edges).max())
    if longest > FEW:
        return np.asarray(np.maximum.reduceat(values, edges[:-1], axis=axis), np.float32)
    # of two or three a comparison of whole arrays is four times as fast
    found = np.asarray(values.take(edges[:-1], axis=axis), np.float32)
    for step in range(1, longest):
        np.maximum(
            found, values.take(np.minimum(edges[:-1] + step, edges[1:] - 1), axis=axis), out=found
        )
    return found


def _more(values: NDArray[np.float32], n: int, axis: int) -> NDArray[np.float32]:
    """At least ``n`` rows or columns: between two by distance."""
    if values.shape[axis] >= n:
        return values
    at = np.linspace(0, values.shape[axis] - 1, n)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, values.shape[axis] - 1)
    share = (at - low).astype(np.float32)
    share = share[:, None] if axis == 0 else share
    lower, upper = values.take(low, axis=axis), values.take(high, axis=axis)
    return np.asarray(lower * (1 - share) + upper * share, np.float32)


def _palette() -> NDArray[np.uint8]:
    at = np.linspace(0, len(_ANCHORS) - 1, LAST_SHADE + 1)
    channels = [np.interp(at, np.arange(len(_ANCHORS)), channel) for channel in _ANCHORS.T]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


PALETTE: Final = _palette()  # (256, 3)


def png_bytes(image: NDArray[np.uint8]) -> bytes:
    """A picture as a PNG file.

    Args:
        image: ``(height, width, 3)`` RGB, with a fourth channel how opaque it is, or ``(height,
            width)`` places in `PALETTE`, which make a file a third as large in a fifth of the time.
    """
    height, width = image.shape[:2]
    has_palette = image.ndim == 2
    colours = PALETTED if has_palette else RGBA if image.shape[2] == 4 else RGB
    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    # each line begins with the number of its filter: 0, none
    lines = np.zeros((height, 1 + image[0].size), np.uint8)
    lines[:, 1:] = image.reshape(height, -1)
    chunks = [(b"IHDR", header)]
    if has_palette:
        chunks.append((b"PLTE", PALETTE.tobytes()))
    # sound repeats nothing to the last shade: to search for more than runs takes thrice as long
    strategy = zlib.Z_RLE if has_palette else zlib.Z_DEFAULT_STRATEGY
    packer = zlib.compressobj(ZLIB_LEVEL, strategy=strategy)
    chunks += [(b"IDAT", packer.compress(lines.tobytes()) + packer.flush()), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    checked = name + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))
