"""Names of files that hold results: legal on any system, short enough, and never one for two.

What a name loses by being made legal or short comes back as eight letters of a hash, so that two
names that differ still do.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

Key = TypeVar("Key")
LONGEST: Final = 255  # bytes of a name on the disks of Linux, letters on the others
ROOM_TO_WRITE: Final = 24  # hidden names while a file is written: a dot, eight letters, .beside
FORBIDDEN: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')  # Windows, and no letters
RESERVED: Final = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)
MARK: Final = "~"


def legal(name: str, *, behind: str = "", whole: str | None = None) -> str:
    """A name that every system takes, with ``behind`` at its end.

    Args:
        name: as it is to be, without its ending.
        behind: the ending.
        whole: what tells it from others, for the hash; None: the name.
    """
    # Windows drops blanks and dots at the end, and a dot in front hides a file elsewhere
    clean = FORBIDDEN.sub("_", name).strip(" .") or "_"
    if RESERVED.match(clean):
        clean = f"_{clean}"
    room = LONGEST - ROOM_TO_WRITE - len(behind.encode())
    if len(clean.encode()) > room:
        clean = _cut(clean, room - len(marked("", "")))
        return marked(clean, name if whole is None else whole) + behind
    return clean + behind


def marked(name: str, whole: str) -> str:
    """The name with eight letters that stand for ``whole``."""
    digest = hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{name}{MARK}{digest}"


def same_name(name: str) -> str:
    """Equal for names that some disk takes for one: in any case, composed in any way."""
    # twice: folding the case may take a letter apart again
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def apart(wanted: Mapping[Key, tuple[str, str]]) -> dict[Key, str]:
    """A name for each key, all different on any disk, whatever the keys' order.

    Args:
        wanted: key to a legal name, and what tells it from others of that name.
    """
    counts = Counter(same_name(name) for name, _ in wanted.values())
    return {
        key: name if counts[same_name(name)] == 1 else marked(name, whole)
        for key, (name, whole) in wanted.items()
    }


def _cut(text: str, n_bytes: int) -> str:
    return text.encode()[: max(n_bytes, 1)].decode(errors="ignore").rstrip(" .")
