"""The few recordings that come with the package, cut into windows: sound to compare encoders on.

They are those of ``demo/recordings``: three crickets and four birds, a minute in all, with their
licences beside them. A test of numbers (another precision, another backend) needs real sound, and
must not need the network.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.audio.decode.read import read_audio
from dawnchorus.errors import WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

INSTALLED: Final = Path(__file__).parent / "clips"
IN_SOURCES: Final = Path(__file__).parents[3] / "demo" / "recordings"
SAMPLE_RATE: Final = 16_000  # of all of them
WINDOW_S: Final = 2.0
HOP_S: Final = 1.0


def shipped_clips() -> list[Path]:
    """The recordings, in the order of their names.

    Raises:
        WeightsError: They are not there, so the package was not installed whole.
    """
    for folder in (INSTALLED, IN_SOURCES):
        found = sorted(folder.glob("*.opus"))
        if found:
            return found
    raise WeightsError(f"{INSTALLED}: the clips that come with dawnchorus are missing; install it")


def shipped_windows(window_s: float = WINDOW_S, hop_s: float = HOP_S) -> NDArray[np.float32]:
    """Whole windows of them at 16 kHz, ``(windows, samples)``; by default 53.

    Raises:
        WeightsError: The clips are missing.
    """
    window, hop = round(window_s * SAMPLE_RATE), round(hop_s * SAMPLE_RATE)
    cut = [
        samples[start : start + window]
        for samples in map(read_audio, shipped_clips())
        for start in range(0, len(samples) - window + 1, hop)
    ]
    return np.stack(cut)
