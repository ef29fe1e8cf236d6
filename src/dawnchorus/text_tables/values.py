"""Numbers, spans of time and dates as people and programs write them.

What may mean two things is an error that says how to write it so that it means one.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# How R, pandas and spreadsheets write that there is no value; compared without case.
MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "#n/a", "<na>"})
# Seconds in each unit; ``sample`` needs a rate.
UNITS: Final = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "µs", "usec", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
}
SAMPLES: Final = frozenset({"sample", "samples", "samp", "samps", "ind"})
_POINT: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.I)
_COMMA: Final = re.compile(r"[+-]?(\d+,\d*|,\d+)(e[+-]?\d+)?", re.I)
_THOUSANDS: Final = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")  # or 1.500 with a decimal comma
_CLOCK: Final = re.compile(r"(\d+):([0-5]?\d):([0-5]?\d(?:[.,]\d+)?)")
_MINUTES: Final = re.compile(r"(\d+):([0-5]?\d[.,]\d+)")
_DAYS: Final = re.compile(
    r"(?P<first>\d{1,2})(?P<sign>[./-])(?P<second>\d{1,2})(?P=sign)(?P<year>\d{4})"
    r"(?:[ T](?P<time>.+))?"
)
_YEARS: Final = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})(?:[ T](.+))?")
_MONTH_NAMES: Final = ("%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%b %d, %Y", "%B %d, %Y")


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return text.strip().casefold() in MISSING


def has_decimal_comma(cells: Iterable[str]) -> bool:
    """Whether numbers of a table are written with a decimal comma, as one of them proves.

    ``0,5`` and ``12,25`` can be nothing else; ``1,500`` may be either, and proves nothing.
    """
    return any(_COMMA.fullmatch(cell) and not _THOUSANDS.fullmatch(cell) for cell in cells)


def parse_number(text: str, *, decimal_comma: bool = False) -> float:
    """A number.

    Raises:
        ValueError: It is none, is not finite, or may mean two numbers; the message goes behind
            what was found.
    """
    if decimal_comma:
        if _COMMA.fullmatch(text):
            return float(text.replace(",", "."))
        if _POINT.fullmatch(text) and "." in text:
            raise ValueError("while other numbers have decimal commas; write all in one way")
    elif _THOUSANDS.fullmatch(text):
        raise ValueError("which may be 1.5 or 1500, say; write it with a decimal point")
    if not _POINT.fullmatch(text):
        raise ValueError("need a number")
    return float(text)


def parse_seconds(text: str, *, decimal_comma: bool = False) -> float:
    """Seconds, or ``h:mm:ss`` with or without a fraction, or ``m:ss.f``.

    Raises:
        ValueError: It is neither; ``1:30`` may be hours or minutes.
    """
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        hours, minutes, seconds = (float(part.replace(",", ".")) for part in clock.groups())
        return 3600 * hours + 60 * minutes + seconds
    minutes_only = _MINUTES.fullmatch(text)
    if minutes_only is not None:
        return 60 * float(minutes_only[1]) + float(minutes_only[2].replace(",", "."))
    if re.fullmatch(r"\d+:\d+", text):
        raise ValueError("which may be hours or minutes; write seconds, or h:mm:ss")
    return parse_number(text, decimal_comma=decimal_comma)


def day_first(cells: Iterable[str]) -> bool | None:
    """Whether the day stands before the month in dates such as 25/05/2024; None: nothing tells.

    Raises:
        ValueError: Some dates say yes and some no.
    """
    proofs: dict[bool, str] = {}
    for cell in cells:
        date = _DAYS.fullmatch(cell.strip())
        if date is None:
            continue
        if int(date["first"]) > 12 or date["sign"] == ".":  # 12.05.2024 has the day first
            proofs.setdefault(True, cell)
        elif int(date["second"]) > 12:
            proofs.setdefault(False, cell)
    if len(proofs) == 2:
        raise ValueError(
            f"{proofs[True]!r} has the day first and {proofs[False]!r} the month; write 2024-05-25"
        )
    return next(iter(proofs), None)


def parse_moment(text: str, *, first_is_day: bool | None = None) -> str:
    """A date, or date and time, as ISO 8601, as exact as it was.

    Args:
        text: ISO 8601, or a date with slashes, dots or names of months, and a time behind it.
        first_is_day: what the other dates of the column prove, see `day_first`.

    Raises:
        ValueError: It is none, or may mean two days.
    """
    text = text.strip()
    if _is_iso(text):
        return text
    years = _YEARS.fullmatch(text)
    if years is not None:
        return _iso(int(years[1]), int(years[2]), int(years[3]), years[4])
    days = _DAYS.fullmatch(text)
    if days is not None:
        first, second = int(days["first"]), int(days["second"])
        if days["sign"] == ".":
            first_is_day = True
        if first_is_day is None and first != second:
            raise ValueError(
                "which may be two days, and no other date of the column tells which; write it as "
                "2024-05-25"
            )
        day, month = (second, first) if first_is_day is False else (first, second)
        return _iso(int(days["year"]), month, day, days["time"])
    for form in _MONTH_NAMES:
        try:
            return datetime.strptime(text, form).date().isoformat()
        except ValueError:
            continue
    raise ValueError("which is not a time such as 2024-05-01T04:30:00+02:00")


def _is_iso(text: str) -> bool:
    if re.fullmatch(r"\d{5,7}(\.\d+)?", text):
        return False  # days since 1900, as a spreadsheet counts them
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _iso(year: int, month: int, day: int, time: str | None) -> str:
    date = datetime(year, month, day).date().isoformat()
    if not time:
        return date
    # 12 hours with AM or PM
    half = re.fullmatch(r"(.*?)\s*([AP]M)", time.strip(), re.I)
    time = half[1] if half else time.strip()
    time = f"0{time}" if re.match(r"\d:", time) else time
    moment = datetime.fromisoformat(f"{date}T{time}")
    if half and not 1 <= moment.hour <= 12:
        raise ValueError("which is not a time of day")
    if half:
        moment = moment.replace(hour=moment.hour % 12 + 12 * (half[2].upper() == "PM"))
    return moment.isoformat()
