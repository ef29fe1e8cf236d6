"""When a recording began, and by which recorder: from what that wrote into it, or from its name.

The time is kept as it was written, with its offset from UTC where that is known: the hour of a dawn
chorus is local, and a guessed zone would shift it. Sources: GUANO 1.0 specification; comments as
the AudioMoth firmware (1.0 to 1.11) writes them; file names of AudioMoth, Song Meter and BAR.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

MAX_CHUNKS: Final = 64
MAX_NOTE: Final = 1 << 16  # bytes of a chunk of notes that are read
PADDED: Final = 2  # chunks of RIFF lie on even bytes
EARLIEST, LATEST = datetime(1985, 1, 1), datetime(2100, 1, 1)
AUDIOMOTH: Final = re.compile(
    r"Recorded at (?P<time>\d\d:\d\d:\d\d) (?P<date>\d\d/\d\d/\d{4}) "
    r"\(UTC(?P<sign>[+-])?(?P<hours>\d{1,2})?(?::(?P<minutes>\d\d))?\)"
)
IN_NAME: Final = re.compile(
    r"(?<!\d)(?P<date>\d{4}-?\d\d-?\d\d)[T_$ -](?P<time>\d\d[-:_]?\d\d[-:_]?\d\d)(?!\d)"
    r"(?:\.\d+)?(?P<zone>Z|[+-]\d{4}(?!\d))?"
)
HEX_NAME: Final = re.compile(r"[0-9A-F]{8}")


@dataclass(frozen=True, slots=True)
class Began:
    """``time`` as ISO 8601, with an offset if one is known; ``source`` is where it was found."""

    time: str
    source: str


def when_began(path: Path) -> Began | None:
    """From GUANO, else from AudioMoth's comment, else from the file's name; None: nowhere."""
    notes = wav_notes(path)
    return (
        _began(_from_guano(notes.get("guan", "")), "guano")
        or _began(_from_audiomoth(notes.get("ICMT", "")), "audiomoth")
        or _began(_from_name(path.stem), "file name")
    )


def which_recorder(path: Path) -> str | None:
    """Make, model and serial number as the recorder wrote them, None if it did not."""
    notes = wav_notes(path)
    lines = dict(
        re.findall(r"^(Make|Model|Serial):\s*(\S.*?)\s*$", notes.get("guan", ""), re.MULTILINE)
    )
    if lines:
        return " ".join(lines[key] for key in ("Make", "Model", "Serial") if key in lines)
    found = re.search(r"by (AudioMoth [0-9A-F]+)", notes.get("ICMT", ""))
    return found[1] if found else None


def _began(time: datetime | None, source: str) -> Began | None:
    # a clock that was never set says 1970
    if time is None or not EARLIEST <= time.replace(tzinfo=None) < LATEST:
        return None
    return Began(time.isoformat(), source)


def _from_guano(text: str) -> datetime | None:
    found = re.search(r"^Timestamp:\s*(\S+(?: \d\S*)?)\s*$", text, re.MULTILINE)
    if found is None:
        return None
    try:
        return datetime.fromisoformat(found[1])
    except ValueError:
        return None


def _from_audiomoth(text: str) -> datetime | None:
    found = AUDIOMOTH.search(text)
    if found is None:
        return None
    try:
        local = datetime.strptime(f"{found['date']} {found['time']}", "%d/%m/%Y %H:%M:%S")
    except ValueError:
        return None
    offset = timedelta(hours=int(found["hours"] or 0), minutes=int(found["minutes"] or 0))
    return local.replace(tzinfo=timezone(-offset if found["sign"] == "-" else offset))


def _from_name(stem: str) -> datetime | None:
    if HEX_NAME.fullmatch(stem) and not stem.isdecimal():
        return datetime.fromtimestamp(int(stem, 16), UTC)  # the first AudioMoths
    found = IN_NAME.search(stem)
    if found is None:
        return None
    digits = re.sub(r"\D", "", found["date"] + found["time"])
    zone = (found["zone"] or "").replace("Z", "+0000")
    try:
        return datetime.strptime(digits + zone, "%Y%m%d%H%M%S%z" if zone else "%Y%m%d%H%M%S")
    except ValueError:
        return None


def wav_notes(path: Path) -> dict[str, str]:
    """Texts in a WAV: the ``guan`` chunk and the strings of ``LIST INFO``, by name.

    Empty for other formats, and as far as it goes for a file that breaks off.
    """
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
                return {}
            return _notes(file)
    except OSError:
        return {}  # whoever reads the sound says what is wrong


def _notes(file: BinaryIO) -> dict[str, str]:
    notes: dict[str, str] = {}
    for _ in range(MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            break
        kind, size = struct.unpack("<4sI", head)
        next_chunk = file.tell() + size + size % PADDED
        if kind == b"guan":
            notes["guan"] = _text(file.read(min(size, MAX_NOTE)))
        elif kind == b"LIST":
            notes |= _info(file.read(min(size, MAX_NOTE)))
        file.seek(next_chunk)
    return notes


def _info(content: bytes) -> dict[str, str]:
    notes: dict[str, str] = {}
    at = 4
    while content[:4] == b"INFO" and at + 8 <= len(content):
        kind, size = struct.unpack("<4sI", content[at : at + 8])
        notes[kind.decode("latin-1")] = _text(content[at + 8 : at + 8 + size])
        at += 8 + size + size % PADDED
    return notes


def _text(content: bytes) -> str:
    return content.rstrip(b"\0").decode("utf-8", "replace")
