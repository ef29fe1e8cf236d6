"""When a recording began, by its recorder's notes or by the name of its file.

The time is kept as it was written, with its offset from UTC where that is known: the hour of a dawn
chorus is local, and a guessed zone would shift it. An impossible time (one in the future, one
before there were recorders, an offset that no place has) counts as none.

Sources: GUANO 1.0 specification; comments as the AudioMoth firmware (1.0 to 1.11) writes them; file
names of AudioMoth, Song Meter, SoundTrap and several firmwares of Frontier Labs' BAR.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from dawnchorus.local_time import is_offset

EARLIEST: Final = datetime(1985, 1, 1, tzinfo=UTC)  # a clock that was never set says 1970
FIRST_AUDIOMOTH: Final = datetime(2016, 1, 1, tzinfo=UTC)
CLOCK_ERROR: Final = timedelta(days=1)  # a clock may be that far ahead, a zone too
AUDIOMOTH: Final = re.compile(
    r"Recorded at (?P<time>\d\d:\d\d:\d\d(?:\.\d{1,6})?) (?P<date>\d\d/\d\d/\d{4}) "
    r"\(UTC(?P<sign>[+-])?(?P<hours>\d{1,2})?(?::(?P<minutes>\d\d))?\)"
)
# yyyymmdd and hhmmss with any of the usual separators, then milliseconds, then Z or an offset
IN_NAME: Final = re.compile(
    r"(?<!\d)(?P<date>\d{4}-?\d\d-?\d\d)[T_$ -]?(?P<time>\d\d[-:_.]?\d\d[-:_.]?\d\d)"
    r"(?:(?P<ms>\d{3})|\.\d+)?(?!\d)(?P<zone>Z|[+-]\d{4}(?!\d))?"
)
SOUNDTRAP: Final = re.compile(r"\d{3,}\.(?P<time>\d{12})(?!\d)")  # serial number, then yymmdd...
HEX_NAME: Final = re.compile(r"[0-9A-F]{8}")  # seconds since 1970, as the first AudioMoths wrote
FILE_NAME: Final = "file name"


@dataclass(frozen=True, slots=True)
class StartTime:
    """``time`` as ISO 8601, with an offset if one is known; ``source`` is where it was found."""

    time: str
    source: str


def is_in_future(time: datetime, now: datetime | None = None) -> bool:
    """Whether a time lies more than a day ahead, so that no clock can have shown it yet.

    A time without a zone is taken for UTC.
    """
    return _in_utc(time) >= (now or datetime.now(UTC)) + CLOCK_ERROR


def start_time(
    guano_timestamp: str, audiomoth_comment: str, stem: str, now: datetime | None = None
) -> StartTime | None:
    """From GUANO, else from AudioMoth's comment, else from the file's name; None: from none.

    Args:
        guano_timestamp: the field ``Timestamp``, empty if there is none.
        audiomoth_comment: the comment of a WAV, empty if there is none.
        stem: the name of the file without its suffix.
        now: no recording began later than a day after it; None: the computer's clock.
    """
    now = now or datetime.now(UTC)
    return (
        _possible(_iso_time(guano_timestamp), "guano", now)
        or _possible(_audiomoth_time(audiomoth_comment), "audiomoth", now)
        or _by_name(stem, now)
    )


def _possible(
    time: datetime | None, source: str, now: datetime, earliest: datetime = EARLIEST
) -> StartTime | None:
    if time is None:
        return None
    offset = time.utcoffset()
    if offset is not None and not is_offset(offset):
        return None
    if _in_utc(time) < earliest or is_in_future(time, now):
        return None
    return StartTime(time.isoformat(), source)


def _in_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.utcoffset() is None else time


def _iso_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _audiomoth_time(comment: str) -> datetime | None:
    match = AUDIOMOTH.search(comment)
    if match is None:
        return None
    offset = timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
    day, month, year = match["date"].split("/")
    local = _iso_time(f"{year}-{month}-{day}T{match['time']}")
    if local is None or not is_offset(offset):
        return None
    return local.replace(tzinfo=timezone(-offset if match["sign"] == "-" else offset))


def _by_name(stem: str, now: datetime) -> StartTime | None:
    if HEX_NAME.fullmatch(stem) and not stem.isdecimal():
        time = datetime.fromtimestamp(int(stem, 16), UTC)
        return _possible(time, FILE_NAME, now, FIRST_AUDIOMOTH)
    times = [_name_time(match) for match in IN_NAME.finditer(stem)]
    soundtrap = SOUNDTRAP.match(stem)
    if soundtrap:
        times.insert(0, _digits_time("20" + soundtrap["time"]))
    possible = (_possible(time, FILE_NAME, now) for time in times)
    return next((start for start in possible if start), None)


def _name_time(match: re.Match[str]) -> datetime | None:
    digits = re.sub(r"\D", "", match["date"] + match["time"])
    return _digits_time(digits, (match["zone"] or "").replace("Z", "+0000"), match["ms"])


def _digits_time(digits: str, zone: str = "", ms: str | None = None) -> datetime | None:
    """The time of ``yyyymmddhhmmss``; `strptime` would read month 13 as month 1, then day 3."""
    return _iso_time(f"{digits[:8]}T{digits[8:]}{f'.{ms}' if ms else ''}{zone}")
