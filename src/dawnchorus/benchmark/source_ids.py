"""What a recording is called where it was published, found in the texts of a manifest's row.

Two data sets that took one recording from one archive name it in their own ways, in an id, a path,
an address or a credit; its catalogue number is in one of them nearly always.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXT_COLUMNS: Final = ("id", "path", "source", "source_path", "url", "attribution", "note")
_SOUND_FILE: Final = r"(?:\.(?:wav|mp3|ogg|flac|opus|m4a))?(?=$|\s)"
# Archive, and how its numbers are written; the group is the number. Texts stand on lines.
_PATTERNS: Final = tuple(
    (archive, re.compile(pattern, re.IGNORECASE | re.MULTILINE))
    for archive, pattern in (
        ("xeno-canto", r"(?<![a-z0-9])xc[ _-]?(\d{2,8})(?!\d)"),
        ("xeno-canto", r"(?<!\d)(\d{2,8})@xc\b"),
        ("xeno-canto", r"xeno-canto\.org/(?:sounds/[^/\s]+/)?(\d+)"),
        ("inaturalist", r"inaturalist\.org/observations/(\d+)"),
        ("inaturalist", r"(?:^|/)inaturalist/(\d+)"),
        ("inaturalist", r"(?<![a-z0-9])inat[ _-]?(\d{3,})"),
        ("inaturalist-sound", r"inaturalist[^\s]*/sounds/(\d+)"),
        ("freesound", r"freesound\.org/(?:people/[^/\s]+/sounds|s)/(\d+)"),
        # ESC-50 (fold-clip-take-class) and UrbanSound8K (clip-class-occurrence-slice)
        ("freesound", r"(?<![\w-])[1-5]-(\d+)-[A-Z]-\d{1,2}" + _SOUND_FILE),
        ("freesound", r"(?<![\w-])(\d+)-\d-\d+-\d+" + _SOUND_FILE),
        ("macaulay", r"(?<![a-z0-9])ml[ _-]?(\d{5,9})(?!\d)"),
        ("macaulay", r"macaulaylibrary\.org/asset/(\d+)"),
        ("gbif", r"gbif\.org/occurrence/(\d+)"),
        ("watkins", r"watkins[^\s]*/(\d{5}[0-9a-z]{3})" + _SOUND_FILE),
        ("animal-sound-archive", r"(?:\bTSA:|animal-sound-archive/)([\w.-]*\w)"),
    )
)
# An identifier of YouTube knows upper from lower case.
_YOUTUBE: Final = (
    re.compile(r"(?:youtu\.be/|youtube\.com/(?:watch\?v=|embed/))([\w-]{11})"),
    re.compile(r"(?i:audioset)[^\s]*/Y?([\w-]{11})(?:_[\d._]+?)?" + _SOUND_FILE, re.MULTILINE),
)
# The clock of a recorder: two devices that started together have files of one name.
_CLOCK: Final = re.compile(r"(?:19|20)\d{6}[_T-]?\d{4,6}")
_FEWEST_SIGNS, _FEWEST_DIGITS = 8, 3


def source_ids(texts: Iterable[str | None]) -> frozenset[str]:
    """Catalogue numbers in the texts of one row, each as ``archive:number``.

    A mixture has those of all its parts.
    """
    text = "\n".join(filter(None, texts))
    found = {
        f"{archive}:{number.lower().lstrip('0') or '0'}"
        for archive, pattern in _PATTERNS
        for number in pattern.findall(text)
    }
    found.update(f"youtube:{name}" for pattern in _YOUTUBE for name in pattern.findall(text))
    return frozenset(found)


def telling_name(path: str) -> str | None:
    """The name of a file without folder and suffix, if it hardly occurs twice by chance.

    It has 8 letters and digits and 3 digits beside those of a recorder's clock; ``rec_001`` and
    ``20240501_043000`` say nothing.
    """
    stem = path.replace("\\", "/").rpartition("/")[2]
    stem = (stem.rpartition(".")[0] or stem).lower()
    rest = [sign for sign in _CLOCK.sub("", stem) if sign.isalnum()]
    enough = len(rest) >= _FEWEST_SIGNS and sum(map(str.isdigit, rest)) >= _FEWEST_DIGITS
    return stem if enough else None
