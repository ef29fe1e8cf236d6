"""One recording of a source, before its name is resolved; and how fields of text become values."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dawnchorus.sources.names.scientific import PublishedName

# a date as far as it is known, and perhaps a time
DATE: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?(T\d{2}:\d{2}.*)?")
TIME: Final = re.compile(r"T?(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?")
SECONDS: Final = re.compile(r"(\d+(?:\.\d+)?)\s*s(?:ec(?:onds?)?)?\b")
CLOCK: Final = re.compile(r"(?:(\d+):)?(\d+):(\d{2}(?:\.\d+)?)")
N_MONTHS, N_DAYS, N_HOURS, N_MINUTES = 12, 31, 24, 60
LATITUDE_AT_MOST, LONGITUDE_AT_MOST = 90.0, 180.0


@dataclass(slots=True, kw_only=True)
class SourceRow:
    """A recording as a source describes it; the fields are those of the manifest.

    Attributes:
        published: the taxon; None where ``labels`` are given outright.
        form: of the file, such as ``audio/mpeg``.
        background: other species that are heard.
        notes: what has no column.
    """

    id: str
    dataset: str
    published: PublishedName | None = None
    labels: tuple[str, ...] = ()
    kind: str = "species"
    path: str = ""  # empty: it is to be downloaded from ``url``
    url: str = ""
    form: str = ""
    source: str = ""
    licence: str | None = None
    recordist: str = ""
    attribution: str = ""
    group: str = ""
    split: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    place: str = ""
    recorded_at: str = ""
    duration_s: float | None = None
    background: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def note(self) -> str:
        """The notes as one line."""
        return "; ".join(f"{key}: {' '.join(text.split())}" for key, text in self.notes if text)


def when(date: str, time: str = "", *, year: str = "", month: str = "", day: str = "") -> str:
    """A date as ISO 8601, as far as it is known, with the time if the day is.

    Of a span (``2021-05-01/2021-05-03``) the first day; ``00`` is not known; anything else
    gives ``""``. ``year``, ``month`` and ``day`` serve where ``date`` is empty.
    """
    if not date and year.isdigit():
        date = "-".join([year, *(part.zfill(2) for part in (month, day) if part.isdigit())])
    found = DATE.fullmatch(date.partition("/")[0].strip().replace(" ", "T"))
    # 0000 is how some archives write that they do not know
    if found is None or int(found[1]) == 0:
        return ""
    known = found[1]
    for part, at_most in ((found[2], N_MONTHS), (found[3], N_DAYS)):
        if part is None or not 1 <= int(part) <= at_most:
            return known
        known += f"-{part}"
    # midnight is what a date without a time becomes in some exports
    if found[4] and not found[4].startswith("T00:00"):
        return known + found[4]
    # the time may be a span: its beginning counts
    clock = TIME.match(time.partition("/")[0].strip())
    if clock is None or int(clock[1]) >= N_HOURS or int(clock[2]) >= N_MINUTES:
        return known
    seconds = f":{clock[3]}" if clock[3] else ""
    return f"{known}T{int(clock[1]):02}:{clock[2]}{seconds}{clock[4] or ''}"


def seconds_of(text: str) -> float | None:
    """A duration from ``24 s``, ``0:24``, ``1:02:03``; None from anything else or zero."""
    clock = CLOCK.fullmatch(text.strip())
    if clock:
        total = int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3])
    else:
        found = SECONDS.search(text)
        total = float(found[1]) if found else 0.0
    return total or None


def place_of(latitude: str, longitude: str) -> tuple[float | None, float | None]:
    """Coordinates in degrees; both None if either is missing or impossible."""
    try:
        pair = float(latitude), float(longitude)
    except ValueError:
        return None, None
    possible = abs(pair[0]) <= LATITUDE_AT_MOST and abs(pair[1]) <= LONGITUDE_AT_MOST
    return pair if possible and all(map(math.isfinite, pair)) else (None, None)


def key_of(text: str) -> int | None:
    """A key of the backbone; None if there is none."""
    return int(text) if text.isdigit() else None


def listed(text: str) -> tuple[str, ...]:
    """Names out of a field: ``has background sounds: Pica pica | Parus major`` gives two."""
    parts = re.split(r"[|;,]", text.rpartition(":")[2])
    return tuple(part.strip().strip('"') for part in parts if part.strip().strip('"'))
