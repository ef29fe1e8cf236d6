"""Whether an Ogg file ends as its stream does: the one sign that a copy was cut off.

Source: RFC 3533, section 6 (the page and its header).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_PAGE: Final = 65_307  # bytes: a header, 255 segment sizes, 255 segments of 255
CAPTURE: Final = b"OggS"  # how a page begins
HEADER: Final = 27  # bytes before the sizes of the segments
FLAGS_AT, N_SEGMENTS_AT = 5, 26  # in the header
LAST_PAGE: Final = 4  # a flag


def breaks_off(path: Path) -> bool:
    """Whether the file's last page is not the last of its stream, or is not whole.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        # two pages: whatever lies behind the last one, its beginning is among these bytes
        file.seek(max(0, size - 2 * LONGEST_PAGE))
        tail = file.read()
    at = tail.rfind(CAPTURE)
    if at < 0 or at + HEADER > len(tail):
        return True
    n_segments = tail[at + N_SEGMENTS_AT]
    n_body = sum(tail[at + HEADER : at + HEADER + n_segments])
    is_last = tail[at + FLAGS_AT] & LAST_PAGE
    return not is_last or at + HEADER + n_segments + n_body > len(tail)
