"""Fields of text as values."""

from __future__ import annotations

import pytest

from dawnchorus.sources.source_row import listed, place_of, seconds_of, when


@pytest.mark.parametrize(
    ("date", "time", "found"),
    [
        ("2021-05-01", "05:30", "2021-05-01T05:30"),
        ("2021-05-01", "5:30:07", "2021-05-01T05:30:07"),
        ("2021-05-01", "05:30:00+02:00", "2021-05-01T05:30:00+02:00"),
        ("2021-05-01", "05:30/06:00", "2021-05-01T05:30"),
        ("2021-05-01T05:30:00Z", "", "2021-05-01T05:30:00Z"),
        ("2021-05-01 05:30", "", "2021-05-01T05:30"),
        ("2021-05-01T00:00:00", "05:30", "2021-05-01T05:30"),
        ("2021-05-01/2021-05-03", "", "2021-05-01"),
        ("2021-05-01", "?", "2021-05-01"),
        ("2021-05-01", "25:00", "2021-05-01"),
        ("2021-05-00", "05:30", "2021-05"),
        ("2021-00-00", "05:30", "2021"),
        ("2021-13-01", "", "2021"),
        ("2021", "", "2021"),
        ("0000-00-00", "", ""),
        ("May 2021", "05:30", ""),
        ("", "05:30", ""),
    ],
)
def test_a_date_is_kept_as_far_as_it_is_known(date: str, time: str, found: str) -> None:
    assert when(date, time) == found


def test_day_month_and_year_may_stand_apart() -> None:
    assert when("", "07:05", year="1998", month="4", day="7") == "1998-04-07T07:05"
    assert when("", "07:05", year="1998", month="4") == "1998-04"
    assert when("", "", year="", month="4", day="7") == ""
    assert when("1999-01-01", "", year="1998") == "1999-01-01"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("24 s", 24.0),
        ("2.5 s", 2.5),
        ("length 13 sec", 13.0),
        ("0:24", 24.0),
        ("1:02:03", 3723.0),
        ("0:00", None),
        ("", None),
        ("song of 3 males", None),
    ],
)
def test_durations_come_in_several_forms(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("latitude", "longitude", "place"),
    [
        ("52.5", "-13.35", (52.5, -13.35)),
        ("52.5", "", (None, None)),
        ("95", "10", (None, None)),
        ("10", "181", (None, None)),
        ("nan", "10", (None, None)),
        ("52,5", "13", (None, None)),
    ],
)
def test_impossible_coordinates_are_none(
    latitude: str, longitude: str, place: tuple[float | None, float | None]
) -> None:
    assert place_of(latitude, longitude) == place


def test_background_species_are_listed_in_several_ways() -> None:
    assert listed('has background sounds: "Pica pica"|"Parus major"') == (
        "Pica pica",
        "Parus major",
    )
    assert listed("Pica pica; Parus major") == ("Pica pica", "Parus major")
    assert listed("") == ()
