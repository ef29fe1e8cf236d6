"""Samples of any type to float32 within -1 to 1: integers have a full scale, floats have none.

Decoders give float32. Other readers give what lies in the file, most often int16; taken for
amplitudes, such numbers make a plausible and wrong embedding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# zero and full scale of the integers that sound is stored in; 8 bits are unsigned in WAV
INTEGERS: Final = {
    "int8": (0, 2**7),
    "uint8": (2**7, 2**7),
    "int16": (0, 2**15),
    "int32": (0, 2**31),
}
LOUDEST: Final = 32.0  # 30 dB over full scale; no float recording is so loud, unscaled integers are


def as_float32(samples: NDArray[Any], *, what: str = "samples") -> NDArray[np.float32]:
    """Samples as float32, integers divided by their full scale; float32 passes through.

    Args:
        samples: any shape; floats, or one of int8, uint8, int16 and int32.
        what: how the message calls them.

    Raises:
        UsageError: They are of another type, whose full scale nobody can know.
    """
    if samples.dtype == np.float32 and samples.dtype.isnative:
        return samples
    name = samples.dtype.newbyteorder("=").name
    if name in INTEGERS:
        zero, full = INTEGERS[name]
        return ((samples.astype(np.float64) - zero) / full).astype(np.float32)
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    raise UsageError(wrong_type(what, name))


def wrong_type(what: str, name: str) -> str:
    """The message for numbers that are not samples of sound."""
    scaled = ", ".join(INTEGERS)
    if "int" in name:
        return (
            f"{what}: {name} has no full scale that sound is stored with; divide by the full scale "
            f"of your recording (32768 for 16 bits) and hand over float32 ({scaled} are scaled)"
        )
    return f"{what}: of type {name}; need floating-point numbers, or one of {scaled}"


def too_loud(what: str, largest: float) -> str:
    """The warning for floats that look like integers which were never scaled."""
    return (
        f"{what}: samples up to {largest:.4g}, where full scale is 1; if they were integers once, "
        "divide them by their full scale (32768 for 16 bits)"
    )
