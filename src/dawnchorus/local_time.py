"""Local time: the one rule for what the clock of a recording means.

A recording gives its offset (``+02:00``), gives UTC, or gives none, and that is kept. Local time is

- its own clock, where it gives an offset from UTC;
- the time in the zone that the user names, where it gives UTC;
- its own clock, where it gives no zone; the zone that the user names then gives the offset.

Without a named zone the local time of a recording in UTC is not known: UTC is shown, and
`zone_warnings` says so. Arithmetic is done in UTC, so that a recording over the night of a clock
change has no hour twice.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections import Counter

FIXED_OFFSET: Final = re.compile(
    r"(?:UTC|GMT)?(?P<sign>[+\N{MINUS SIGN}-])(?P<hours>\d{1,2}):?(?P<minutes>\d\d)?", re.IGNORECASE
)
# The zones that people live in: from Baker Island to the Line Islands. A clock with another offset
# is not to be believed.
WEST, EAST = timedelta(hours=-12), timedelta(hours=14)
IN_UTC, NO_ZONE, NAMED = "UTC", "no zone", "named"
MAX_NAMED: Final = 4  # offsets in a warning; the others are an ellipsis


@lru_cache(maxsize=1024)
def parse_zone(text: str) -> tzinfo:
    """A time zone by its IANA name (``Europe/Berlin``) or offset (``+02:00``, ``UTC-4``).

    Raises:
        UsageError: It is neither.
    """
    name = text.strip()
    if name.upper() in {"UTC", "GMT", "Z"}:
        return UTC
    offset = FIXED_OFFSET.fullmatch(name)
    if offset:
        return _fixed(text, offset)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"time zone {text!r}: need an IANA name such as Europe/Berlin or America/Lima, or an "
            "offset from UTC such as +02:00"
        ) from error


def _fixed(text: str, offset: re.Match[str]) -> tzinfo:
    span = timedelta(hours=int(offset["hours"]), minutes=int(offset["minutes"] or 0))
    span = span if offset["sign"] == "+" else -span
    if not is_offset(span) or int(offset["minutes"] or 0) >= 60:
        raise UsageError(f"time zone {text!r}: offsets lie between -12:00 and +14:00")
    return timezone(span)


def is_offset(offset: timedelta) -> bool:
    """Whether a place on Earth has this offset from UTC."""
    return WEST <= offset <= EAST


def zone_kind(recorded_at: str, zone: tzinfo | None = None) -> str:
    """What is known of a recording's zone.

    Returns:
        Its own offset such as ``+02:00``, or ``named`` where the user named its zone, or ``UTC``
        or ``no zone``.
    """
    start = datetime.fromisoformat(recorded_at)
    if start.utcoffset():
        return start.isoformat()[-len("+02:00") :]
    if zone is not None:
        return NAMED
    return NO_ZONE if start.tzinfo is None else IN_UTC


def local_start(recorded_at: str, zone: tzinfo | None = None) -> datetime:
    """When a recording began, in local time; with an offset if one is known.

    Args:
        recorded_at: ISO 8601, as the recording gives it.
        zone: of the site, for recordings that give UTC or no zone.
    """
    start = datetime.fromisoformat(recorded_at)
    if zone is None or start.utcoffset():
        return start
    return start.replace(tzinfo=zone) if start.tzinfo is None else start.astimezone(zone)


def later(start: datetime, seconds: float) -> datetime:
    """The moment some seconds after a local start, in its zone."""
    if start.tzinfo is None:
        return start + timedelta(seconds=seconds)
    return (start.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(start.tzinfo)


def iso_text(moment: datetime) -> str:
    """ISO 8601 to the millisecond, the same length for every moment of one kind."""
    return moment.isoformat(timespec="milliseconds")


def zone_warnings(kinds: Counter[str]) -> list[str]:
    """What a reader of local times must know: zones that are mixed or not known.

    Args:
        kinds: how many recordings are of each `zone_kind`.
    """
    n_utc, n_none = kinds[IN_UTC], kinds[NO_ZONE]
    warnings = []
    if n_utc:
        warnings.append(
            f"{n_utc} recordings say UTC, and no time zone was named: their local time is not "
            "known, so UTC is shown; name the zone of the site with --time-zone"
        )
    if n_none:
        warnings.append(
            f"{n_none} recordings do not say their time zone: their clock is taken for local "
            "time; --time-zone says which"
        )
    own = [kind for kind in sorted(kinds) if kind not in {NO_ZONE, NAMED} and kinds[kind]]
    if len(own) > 1:
        counts = [f"{kind} ({kinds[kind]})" for kind in own[:MAX_NAMED]]
        more = ", ..." if len(own) > MAX_NAMED else ""
        warnings.append(
            f"offsets from UTC are mixed: {', '.join(counts)}{more}; each recording counts by its "
            "own clock"
        )
    return warnings
