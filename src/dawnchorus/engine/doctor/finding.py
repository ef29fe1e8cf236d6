"""What the doctor finds out about one recording."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

OK: Final = "ok"  # the verdict on a recording that nothing is wrong with


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One recording.

    Attributes:
        path: relative to the folder that holds everything named.
        folder: the part of it before the name.
        verdict: ``ok``, or one word of the table in `dawnchorus.audio.decode`; ``message``
            is the sentence.
        readable: some of its sound can be had.
        began: its start as it was written, None if nothing says it; ``began_from`` is where.
        local_start: the same in local time.
        latitude, longitude: of the recorder in degrees, as it wrote them itself.
        temperature_int_c, temperature_ext_c: inside and outside of the recorder.
    """

    path: str
    folder: str
    recorder: str | None = None
    n_bytes: int = 0
    rate: int | None = None
    channels: int | None = None
    duration_s: float = 0.0
    verdict: str
    message: str
    readable: bool
    began: str | None = None
    began_from: str | None = None
    local_start: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    temperature_int_c: float | None = None
    temperature_ext_c: float | None = None

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """From when to when, in local time."""
        if self.local_start is None:
            return None
        start = datetime.fromisoformat(self.local_start).replace(tzinfo=None)
        return start, start + timedelta(seconds=self.duration_s)


def counted(n: int, noun: str) -> str:
    """``1 gap``, ``2 gaps``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
