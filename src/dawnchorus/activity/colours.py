"""Colours of heat maps: light and dark, steady in lightness, for colour-blind eyes and print."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.audio.spectrogram import png_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The first colour is 0; what is above 0 begins a step further on, so that one call is seen.
LIGHT: Final = ("#eef0ea", "#d3e5c9", "#8cc9ba", "#3f9cb5", "#2263a0", "#152a63")
DARK: Final = ("#22292c", "#1f4c5b", "#22808c", "#45b296", "#a3df7c", "#fbf7ab")
LEAST: Final = 0.16  # where the smallest number above 0 is on the scale


def place_on_scale(values: NDArray[np.float64], top: float) -> NDArray[np.float64]:
    """Where numbers are on the scale, 0 to 1; by the square root, as counts differ by that."""
    share = np.sqrt(np.clip(values / top, 0, 1)) if top > 0 else np.zeros_like(values)
    return np.where(values > 0, LEAST + (1 - LEAST) * share, 0.0)


def heat_png(values: NDArray[np.float64], top: float, colours: tuple[str, ...]) -> str:
    """A picture with a pixel for each number, as a ``data:`` address; nan is transparent.

    Args:
        values: ``(rows, columns)``, the first row on top.
        top: the number that has the last colour.
        colours: of the scale.
    """
    at = place_on_scale(np.nan_to_num(values), top) * (len(colours) - 1)
    steps = np.arange(len(colours))
    channels = np.array([[int(c[n : n + 2], 16) for n in (1, 3, 5)] for c in colours], np.float64)
    shown = np.stack([np.interp(at, steps, channel) for channel in channels.T], axis=-1)
    opaque = np.where(np.isnan(values), 0, 255)[..., None]
    image = np.concatenate([shown.round(), opaque], axis=-1).astype(np.uint8)
    return f"data:image/png;base64,{base64.b64encode(png_bytes(image)).decode()}"


def scale_stops(colours: tuple[str, ...], n_stops: int = 24) -> list[tuple[float, str]]:
    """Shares of the top and their colours, for a legend that is linear in the number."""
    shares = np.concatenate([[1e-9], np.linspace(0, 1, n_stops)[1:]])
    at = place_on_scale(shares, 1.0) * (len(colours) - 1)
    steps = np.arange(len(colours))
    channels = np.array([[int(c[n : n + 2], 16) for n in (1, 3, 5)] for c in colours], np.float64)
    shown = np.stack([np.interp(at, steps, channel) for channel in channels.T], axis=-1)
    hexes = ["#" + "".join(f"{round(v):02x}" for v in colour) for colour in shown.tolist()]
    return list(zip(shares.tolist(), hexes, strict=True))
