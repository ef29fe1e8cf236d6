"""Recorded time by local hour, held against a clock that is looked at every minute."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.activity.effort import (
    MICROSECONDS,
    RecordedSound,
    effort_by_hour,
    merged,
    overlap_s,
)

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # its summer time is half an hour
ST_JOHNS = ZoneInfo("America/St_Johns")  # until 2011 its clocks changed at one minute past midnight
SPRING, AUTUMN = date(2024, 3, 31), date(2024, 10, 27)
MINUTE = timedelta(minutes=1)


def sound(start: datetime | None, duration_s: float, **more: object) -> RecordedSound:
    given_facts: dict[str, object] = {"path": "a.wav", "site": "north", **more}
    return RecordedSound(start=start, duration_s=duration_s, **given_facts)  # type: ignore[arg-type]


def by_the_minute(start: datetime, n_minutes: int) -> Counter[tuple[date, int]]:
    """Microseconds of each hour, by looking at the wall clock every minute."""
    shown: Counter[tuple[date, int]] = Counter()
    for minute in range(n_minutes):
        if start.tzinfo is None:
            moment = start + minute * MINUTE
        else:
            moment = (start.astimezone(UTC) + minute * MINUTE).astimezone(start.tzinfo)
        shown[moment.date(), moment.hour] += 60 * MICROSECONDS
    return shown


@given(
    st.datetimes(datetime(2024, 3, 29), datetime(2024, 4, 2)),
    st.integers(1, 3000),
    st.sampled_from([None, UTC, BERLIN, LORD_HOWE, timezone(timedelta(hours=5, minutes=45))]),
)
@settings(max_examples=60, deadline=None)
def test_every_minute_counts_in_the_hour_that_the_wall_clock_shows(
    moment: datetime, n_minutes: int, zone: tzinfo | None
) -> None:
    start = moment.replace(second=0, microsecond=0)
    # from UTC, so that the hour that is not there in spring is no start
    start = start if zone is None else start.replace(tzinfo=UTC).astimezone(zone)
    effort = effort_by_hour([sound(start, 60.0 * n_minutes)])
    assert effort == {("north", *key): n for key, n in by_the_minute(start, n_minutes).items()}
    assert sum(effort.values()) == 60 * n_minutes * MICROSECONDS


def test_a_recording_over_the_end_of_an_hour_is_split_between_two() -> None:
    start = datetime(2024, 5, 1, 23, 50)
    effort = effort_by_hour([sound(start, 1200.5)])
    assert effort == {
        ("north", date(2024, 5, 1), 23): 600_000_000,
        ("north", date(2024, 5, 2), 0): 600_500_000,
    }


def test_the_hour_that_is_lost_in_spring_has_no_time() -> None:
    start = datetime(2024, 3, 31, 0, 0, tzinfo=BERLIN)
    effort = effort_by_hour([sound(start, 4 * 3600.0)])
    assert {hour: n // MICROSECONDS for (_, day, hour), n in effort.items() if day == SPRING} == {
        0: 3600, 1: 3600, 3: 3600, 4: 3600,
    }  # fmt: skip


def test_the_hour_that_comes_twice_in_autumn_has_two_hours() -> None:
    start = datetime(2024, 10, 27, 0, 0, tzinfo=BERLIN)
    effort = effort_by_hour([sound(start, 5 * 3600.0)])
    assert {hour: n // MICROSECONDS for (_, day, hour), n in effort.items() if day == AUTUMN} == {
        0: 3600, 1: 3600, 2: 7200, 3: 3600,
    }  # fmt: skip


def test_a_clock_that_changes_within_an_hour_is_followed_to_the_minute() -> None:
    start = datetime(2010, 11, 6, 23, 0, tzinfo=ST_JOHNS)
    effort = effort_by_hour([sound(start, 3 * 3600.0)])
    # one minute of the new day, then back to the old one
    assert effort == {("north", *key): n for key, n in by_the_minute(start, 180).items()}
    assert effort["north", date(2010, 11, 6), 23] == (60 + 59) * 60 * MICROSECONDS


def test_two_recorders_at_one_site_both_count_and_the_overlap_is_known() -> None:
    start = datetime(2024, 5, 1, 4, 0, tzinfo=BERLIN)
    both = [sound(start, 600.0), sound(start + 5 * MINUTE, 600.0, path="b.wav")]
    other = sound(start, 600.0, path="c.wav", site="south")
    effort = effort_by_hour([*both, other])
    assert effort["north", date(2024, 5, 1), 4] == 1200 * MICROSECONDS
    assert overlap_s([*both, other]) == {"north": 300.0}
    assert overlap_s([both[0], other]) == {}


def test_sound_that_was_not_heard_is_not_recorded_time() -> None:
    start = datetime(2024, 5, 1, 4, 59)
    unheard = ((30.0, 90.0), (80.0, 100.0), (170.0, 999.0))
    effort = effort_by_hour([sound(start, 180.0, unheard=unheard)])
    assert effort == {
        ("north", date(2024, 5, 1), 4): 30 * MICROSECONDS,
        ("north", date(2024, 5, 1), 5): 70 * MICROSECONDS,
    }


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8))
def test_merged_spans_cover_what_the_spans_cover(spans: list[tuple[int, int]]) -> None:
    ordered = [(float(min(span)), float(max(span))) for span in spans]
    covered = {second for start, stop in ordered for second in range(int(start), int(stop))}
    joined = merged(ordered)
    again = [second for start, stop in joined for second in range(int(start), int(stop))]
    assert sorted(covered) == again
    assert all(first[1] < second[0] for first, second in pairwise(joined))


def test_without_a_start_there_is_no_hour_and_no_overlap() -> None:
    assert effort_by_hour([sound(None, 60.0)]) == {}
    assert overlap_s([sound(None, 60.0)] * 2) == {}


@pytest.mark.parametrize("duration_s", [0.0, 1e-7])
def test_a_recording_of_no_length_has_no_effort(duration_s: float) -> None:
    assert effort_by_hour([sound(datetime(2024, 5, 1, 4), duration_s)]) == {}
