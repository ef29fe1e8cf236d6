"""Whether an Ogg file ends as its stream does: the one sign that a copy was cut off.

Source: RFC 3533, section 6.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_PAGE: Final = 65_307
CAPTURE: Final = b"OggS"
LAST_PAGE: Final = 4  # bit of the header type
HEADER: Final = 27


def breaks_off(path: Path) -> bool:
    """Whether the file's last page is not the last of its stream, or is not whole.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * LONGEST_PAGE))
        tail = file.read()
    at = tail.rfind(CAPTURE)
    if at < 0 or at + HEADER > len(tail):
        return True
    n_segments = tail[at + 26]
    body = sum(tail[at + HEADER : at + HEADER + n_segments])
    return not tail[at + 5] & LAST_PAGE or at + HEADER + n_segments + body > len(tail)
