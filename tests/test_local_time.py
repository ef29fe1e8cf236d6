"""One rule for clocks: what a recording says is kept, what the user names fills in."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest

from dawnchorus.errors import UsageError
from dawnchorus.local_time import iso_text, later, local_start, parse_zone, zone_kind, zone_warnings

LIMA = "America/Lima"  # five hours behind UTC all year


@pytest.mark.parametrize(
    ("recorded_at", "zone", "local"),
    [
        # its own offset is kept, whatever is named
        ("2024-05-01T05:00:00-04:00", None, "2024-05-01T05:00:00-04:00"),
        ("2024-05-01T05:00:00-04:00", LIMA, "2024-05-01T05:00:00-04:00"),
        # UTC is moved to the named zone, over midnight too
        ("2024-05-01T04:15:00+00:00", None, "2024-05-01T04:15:00+00:00"),
        ("2024-05-01T04:15:00+00:00", LIMA, "2024-04-30T23:15:00-05:00"),
        # a clock without a zone is local
        ("2024-05-01T04:15:00", None, "2024-05-01T04:15:00"),
        ("2024-05-01T04:15:00", LIMA, "2024-05-01T04:15:00-05:00"),
        ("2024-05-01T04:15:00", "Europe/Berlin", "2024-05-01T04:15:00+02:00"),
        ("2024-01-01T04:15:00", "Europe/Berlin", "2024-01-01T04:15:00+01:00"),
    ],
)
def test_local_time_is_the_recordings_own_or_the_named_zones(
    recorded_at: str, zone: str | None, local: str
) -> None:
    named = None if zone is None else parse_zone(zone)
    assert local_start(recorded_at, named).isoformat() == local


def test_a_night_of_clock_change_has_no_hour_twice() -> None:
    start = local_start("2024-10-27T02:30:00", parse_zone("Europe/Berlin"))  # 03:00 becomes 02:00
    assert iso_text(later(start, 1800)) == "2024-10-27T02:00:00.000+01:00"
    assert iso_text(later(start, 3600.25)) == "2024-10-27T02:30:00.250+01:00"
    assert later(start, 3600) - later(start, 0) == timedelta(0)  # on the wall, not in truth


@pytest.mark.parametrize(
    ("text", "hours"),
    [("+02:00", 2), ("-0400", -4), ("UTC+5:30", 5.5), ("utc-3", -3), ("UTC", 0), ("Z", 0)],
)
def test_fixed_offsets_are_read(text: str, hours: float) -> None:
    assert parse_zone(text).utcoffset(None) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["Mars/Base", "+31:00", "+02:75", "-13:00", "", "../etc/passwd"])
def test_what_is_no_zone_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="time zone"):
        parse_zone(text)


def test_mixed_and_missing_zones_are_said_and_one_clock_is_not() -> None:
    def said(*times: str, zone: str | None = None) -> str:
        named = None if zone is None else parse_zone(zone)
        return " | ".join(zone_warnings(Counter(zone_kind(time, named) for time in times)))

    utc, east, west = ("2024-05-01T04:00:00" + z for z in ("+00:00", "+02:00", "-04:00"))
    assert said(east, east) == said(utc, utc[:19], zone=LIMA) == ""
    assert "1 recordings say UTC" in said(utc)
    assert "do not say their time zone" in said(utc[:19])
    assert "+02:00 (1), UTC (1)" in said(utc, east)
    assert "-04:00 (1)" in said(west, east, zone=LIMA)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("+05:30", 330), ("-03:30", -210), ("+0545", 345), ("+02", 120), ("-12:00", -720),
     ("+14:00", 840)],
)  # fmt: skip
def test_a_fixed_offset_has_its_sign_and_its_minutes(text: str, minutes: int) -> None:
    assert parse_zone(text).utcoffset(None) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["+05:60", "-12:01", "+14:01"])
def test_an_offset_that_no_place_has_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"offsets lie between -12:00 and \+14:00"):
        parse_zone(text)


def test_a_moment_after_a_clock_without_a_zone_has_none_either() -> None:
    start = datetime.fromisoformat("2024-05-01T23:59:59")
    assert later(start, 1.5) == datetime.fromisoformat("2024-05-02T00:00:00.500")
