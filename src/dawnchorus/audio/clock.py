"""When a recording began, where, and by which recorder: as it is written into it, or in its name.

The time is kept as it was written, with its offset from UTC where that is known: the hour of a dawn
chorus is local, and a guessed zone would shift it. What cannot be (a time to come, a time before
there were recorders, an offset that no place has) is no time at all. Sources: GUANO 1.0
specification; comments as the AudioMoth firmware (1.0 to 1.11) writes them; file names of
AudioMoth, Song Meter, SoundTrap and several firmwares of Frontier Labs' BAR.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, BinaryIO, Final

from dawnchorus.local_time import is_offset

if TYPE_CHECKING:
    from pathlib import Path

MAX_CHUNKS: Final = 64
MAX_NOTE: Final = 1 << 16  # bytes of a chunk of notes that are read
PADDED: Final = 2  # chunks of RIFF lie on even bytes
EARLIEST: Final = datetime(1985, 1, 1, tzinfo=UTC)
FIRST_AUDIOMOTH: Final = datetime(2016, 1, 1, tzinfo=UTC)
CLOCK_ERROR: Final = timedelta(days=1)  # a clock may be that far ahead, a zone too
AUDIOMOTH: Final = re.compile(
    r"Recorded at (?P<time>\d\d:\d\d:\d\d(?:\.\d{1,6})?) (?P<date>\d\d/\d\d/\d{4}) "
    r"\(UTC(?P<sign>[+-])?(?P<hours>\d{1,2})?(?::(?P<minutes>\d\d))?\)"
)
AUDIOMOTH_TEMPERATURE: Final = re.compile(r"temperature was (-?\d+(?:\.\d+)?) ?C")
IN_NAME: Final = re.compile(
    r"(?<!\d)(?P<date>\d{4}-?\d\d-?\d\d)[T_$ -]?(?P<time>\d\d[-:_.]?\d\d[-:_.]?\d\d)"
    r"(?:(?P<ms>\d{3})|\.\d+)?(?!\d)(?P<zone>Z|[+-]\d{4}(?!\d))?"
)
SOUNDTRAP: Final = re.compile(r"\d{3,}\.(?P<time>\d{12})(?!\d)")  # serial number, then yymmdd...
FILE_NAME: Final = "file name"
HEX_NAME: Final = re.compile(r"[0-9A-F]{8}")


@dataclass(frozen=True, slots=True)
class Began:
    """``time`` as ISO 8601, with an offset if one is known; ``source`` is where it was found."""

    time: str
    source: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a recorder stood, in degrees, and how warm it was, as it wrote that down itself."""

    latitude: float | None = None
    longitude: float | None = None
    temperature_int_c: float | None = None
    temperature_ext_c: float | None = None


def is_to_come(time: datetime, now: datetime | None = None) -> bool:
    """Whether no clock that is a day off at most can have shown it yet; without zone: in UTC."""
    moment = time.replace(tzinfo=UTC) if time.utcoffset() is None else time
    return moment >= (now or datetime.now(UTC)) + CLOCK_ERROR


def when_began(path: Path, now: datetime | None = None) -> Began | None:
    """From GUANO, else from AudioMoth's comment, else from the file's name; None: nowhere.

    Args:
        path: of the file.
        now: no recording began later than a day after it; None: the computer's clock.
    """
    notes = wav_notes(path)
    latest = (now or datetime.now(UTC)) + CLOCK_ERROR
    return (
        _began(_from_guano(notes.get("guan", "")), "guano", latest)
        or _began(_from_audiomoth(notes.get("ICMT", "")), "audiomoth", latest)
        or _began_by_name(path.stem, latest)
    )


def which_recorder(path: Path) -> str | None:
    """Make, model and serial number as the recorder wrote them, None if it did not."""
    notes = wav_notes(path)
    lines = _guano_lines(notes.get("guan", ""))
    names = [lines[key] for key in ("Make", "Model", "Serial") if lines.get(key)]
    if names:
        return " ".join(names)
    found = re.search(r"by (AudioMoth [0-9A-F]+)", notes.get("ICMT", ""))
    return found[1] if found else None


def surroundings(path: Path) -> Surroundings:
    """Position and temperature from GUANO, and the temperature from AudioMoth's comment."""
    notes = wav_notes(path)
    lines = _guano_lines(notes.get("guan", ""))
    moth = AUDIOMOTH_TEMPERATURE.search(notes.get("ICMT", ""))
    inside = lines.get("Temperature Int") or (moth[1] if moth else "")
    latitude, longitude = _position(lines.get("Loc Position", ""))
    return Surroundings(
        latitude=latitude,
        longitude=longitude,
        temperature_int_c=_number(inside),
        temperature_ext_c=_number(lines.get("Temperature Ext", "")),
    )


def _position(text: str) -> tuple[float | None, float | None]:
    both = [_number(part) for part in text.split()]
    if len(both) != 2 or both[0] is None or both[1] is None:
        return None, None
    known = abs(both[0]) <= 90 and abs(both[1]) <= 180 and (both[0], both[1]) != (0.0, 0.0)
    return (both[0], both[1]) if known else (None, None)  # 0, 0 is a receiver without a fix


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[+-]?\d+(?:\.\d+)?", text) else None


def _guano_lines(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([^:\n]+?):[ \t]*(.*?)\s*$", text, re.MULTILINE))


def _began(
    time: datetime | None, source: str, latest: datetime, earliest: datetime = EARLIEST
) -> Began | None:
    if time is None:
        return None
    offset = time.utcoffset()
    if offset is not None and not is_offset(offset):
        return None
    moment = time.replace(tzinfo=UTC) if offset is None else time
    # a clock that was never set says 1970
    return Began(time.isoformat(), source) if earliest <= moment < latest else None


def _from_guano(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(_guano_lines(text).get("Timestamp", ""))
    except ValueError:
        return None


def _from_audiomoth(text: str) -> datetime | None:
    found = AUDIOMOTH.search(text)
    if found is None:
        return None
    offset = timedelta(hours=int(found["hours"] or 0), minutes=int(found["minutes"] or 0))
    if not is_offset(offset):
        return None
    day, month, year = found["date"].split("/")
    try:
        local = datetime.fromisoformat(f"{year}-{month}-{day}T{_micro(found['time'])}")
    except ValueError:
        return None
    return local.replace(tzinfo=timezone(-offset if found["sign"] == "-" else offset))


def _micro(time: str) -> str:
    """A time whose fraction of a second, if it has one, has six digits."""
    whole, dot, fraction = time.partition(".")
    return f"{whole}.{fraction:0<6}" if dot else whole


def _began_by_name(stem: str, latest: datetime) -> Began | None:
    if HEX_NAME.fullmatch(stem) and not stem.isdecimal():  # seconds, as the first AudioMoths wrote
        time = datetime.fromtimestamp(int(stem, 16), UTC)
        return _began(time, FILE_NAME, latest, FIRST_AUDIOMOTH)
    soundtrap = SOUNDTRAP.match(stem)
    if soundtrap:
        began = _began(_parsed("20" + soundtrap["time"]), FILE_NAME, latest)
        if began:
            return began
    times = (_from_name(found) for found in IN_NAME.finditer(stem))
    return next((began for time in times if (began := _began(time, FILE_NAME, latest))), None)


def _from_name(found: re.Match[str]) -> datetime | None:
    digits = re.sub(r"\D", "", found["date"] + found["time"])
    return _parsed(digits, (found["zone"] or "").replace("Z", "+0000"), found["ms"])


def _parsed(digits: str, zone: str = "", ms: str | None = None) -> datetime | None:
    """The time of ``yyyymmddhhmmss``; `strptime` would take 13 for the first month and 3."""
    text = f"{digits[:8]}T{digits[8:]}{f'.{ms}' if ms else ''}{zone}"
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def wav_notes(path: Path) -> dict[str, str]:
    """Texts in a WAV: the ``guan`` chunk and the strings of ``LIST INFO``, by name.

    Empty for other formats, and as far as it goes for a file that breaks off.
    """
    if not os.path.isfile(path):  # noqa: PTH113  no error where it cannot be seen
        return {}  # to open a pipe would be to wait for ever
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
