"""Pictures of sound: one function for plots, review folders, reports and the page in a browser.

Frequencies are linear, because field biologists know their species' calls on a linear axis, and
levels are relative to the loudest point, so that a faint call fills the scale as a loud one does.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW_S: Final = 0.020  # a compromise: 50 Hz apart, and clicks 10 ms apart stay two
RANGE_DB: Final = 60.0  # below the loudest point; recordings in the field have little more
DEFAULT_HEIGHT: Final = 192
DEFAULT_WIDTH: Final = 480
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
    power = np.abs(np.fft.rfft(frames * np.hanning(size).astype(np.float32), axis=1)) ** 2
    loudest = float(power.max())
    if loudest == 0.0:  # digital silence: all of it is as quiet as the scale goes
        return np.full((power.shape[1], n_frames), -RANGE_DB, np.float32)
    levels = 10 * np.log10(np.maximum(power / loudest, 10 ** (-RANGE_DB / 10)))
    return np.asarray(levels.T, np.float32)


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

    255 is the loudest point, 0 is `RANGE_DB` below it or quieter.

    Raises:
        UsageError: As of `spectrogram_image`.
    """
    if min(height, width) < 1 or (highest_hz is not None and highest_hz <= 0):
        raise UsageError(f"picture: need sizes over 0, got {width} x {height}, up to {highest_hz}")
    top_hz = min(highest_hz or rate / 2, rate / 2)
    if not 0 <= lowest_hz < top_hz:
        raise UsageError(f"picture: need 0 <= lowest < {top_hz:g} Hz, got {lowest_hz:g} Hz")
    levels = spectrogram_db(samples, rate, width=width)
    per_hz = (levels.shape[0] - 1) / (rate / 2)
    first = min(round(lowest_hz * per_hz), levels.shape[0] - 2)
    stop = max(first + 2, round(top_hz * per_hz) + 1)
    shown = _resized(_resized(levels[first:stop], height).T, width).T[::-1]
    return np.asarray(np.rint(np.clip(1 + shown / RANGE_DB, 0, 1) * LAST_SHADE), np.uint8)


def _resized(rows: NDArray[np.float32], n_rows: int) -> NDArray[np.float32]:
    """As many rows as asked for: the loudest of several, or between two by distance."""
    if len(rows) >= n_rows:
        # the loudest and not the mean: a call of 5 ms must be seen in a picture of a minute
        edges = np.arange(n_rows) * len(rows) // n_rows
        return np.maximum.reduceat(rows, edges, axis=0)
    at = np.linspace(0, len(rows) - 1, n_rows)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(rows) - 1)
    share = (at - low)[:, None].astype(np.float32)
    return np.asarray(rows[low] * (1 - share) + rows[high] * share, np.float32)


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
    chunks += [(b"IDAT", zlib.compress(lines.tobytes(), ZLIB_LEVEL)), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    checked = name + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))
