"""Which windows hold enough sound to be an example of something.

The last window of a recording may hold a twentieth of a second of sound and silence behind it. A
vector of that is far from all others, and near to the same of another recording, so it would lead
every list of strange sounds and of twins, and teach nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.search.archive import Archive

LEAST_SHARE: Final = 0.5  # of a window that is sound and no padding
DAMAGE: Final = ("silent", "nonfinite", "gap")  # not clipped: a loud call is one


def enough_sound(archive: Archive) -> NDArray[np.bool_]:
    """Which windows of an archive have enough sound, ``(n_windows,)``.

    Not the rest at the end of a recording, where it fills less than half of a window, and not what
    is silent or was not recorded whole. A recording that is shorter than a window is a sound of its
    own, however short.
    """
    least = LEAST_SHARE * archive.header.window_samples
    is_rest = (_column(archive, "window") > 0) & (_column(archive, "valid_samples") < least)
    enough: NDArray[np.bool_] = ~is_rest
    for name in DAMAGE:
        enough &= ~_column(archive, name)
    return enough


def _column(archive: Archive, name: str) -> NDArray[Any]:
    return np.asarray(archive.column(name).to_numpy())
