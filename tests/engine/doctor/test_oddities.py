"""Each oddity of a recorder's clock and schedule is found alone, and a regular one has none."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.engine.doctor.finding import Finding, counted
from dawnchorus.engine.doctor.oddities import oddities_of

START = datetime(2024, 5, 1, 4, 0)


def finding(
    minute: float | None,
    *,
    length_s: float = 60.0,
    recorder: str | None = "A",
    zone: str = "+02:00",
    began_from: str = "header",
) -> Finding:
    moment = None if minute is None else (START + timedelta(minutes=minute)).isoformat()
    return Finding(
        path=f"{minute}.wav",
        folder="",
        recorder=recorder,
        duration_s=length_s,
        verdict="ok",
        message="",
        readable=True,
        began=None if moment is None else moment + zone,
        began_from=began_from,
        local_start=moment,
    )


def oddities(*minutes: float | None, length_s: float = 60.0) -> list[str]:
    return oddities_of([finding(minute, length_s=length_s) for minute in minutes], ["A"])


@given(st.integers(2, 40), st.sampled_from([1, 5, 10, 30, 60]), st.integers(0, 5))
def test_a_regular_schedule_has_nothing_odd(n: int, every: int, late: int) -> None:
    minutes = [every * k + late / 60 * (k % 2) for k in range(n)]  # clocks are seconds late
    assert oddities(*minutes, length_s=every * 60 - 6) == []


@given(st.permutations([0, 10, 20, 30, 40, 70, 80]))
def test_a_gap_is_found_in_whatever_order_recordings_come(minutes: list[float]) -> None:
    assert oddities(*minutes) == [
        "1 gap in a schedule of one start every 10 min; "
        "the longest from 2024-05-01 04:41 to 2024-05-01 05:10"
    ]


@pytest.mark.parametrize(("last", "is_gap"), [(65, False), (66, True)])
def test_a_gap_is_more_than_one_and_a_half_intervals(last: int, is_gap: bool) -> None:  # noqa: FBT001
    assert bool(oddities(0, 10, 20, 30, 40, 50, last)) is is_gap


@pytest.mark.parametrize(("minutes", "is_gap"), [([0, 1, 2, 9], False), ([0, 1, 2, 3, 9], True)])
def test_a_few_starts_are_no_schedule(minutes: list[float], is_gap: bool) -> None:  # noqa: FBT001
    assert bool(oddities(*minutes, length_s=1)) is is_gap


def test_the_longest_of_several_gaps_is_named_and_all_are_counted() -> None:
    (sentence,) = oddities(0, 1, 2, 3, 4, 5, 9, 10, 30, 31, 32, length_s=30)
    assert sentence.startswith("2 gaps in a schedule of one start every 60 s; the longest from ")
    assert sentence.endswith("from 2024-05-01 04:10 to 2024-05-01 04:30")


@pytest.mark.parametrize(("length_s", "is_odd"), [(601.0, False), (601.5, True)])
def test_an_overlap_of_a_second_is_a_clock_and_more_is_odd(length_s: float, is_odd: bool) -> None:  # noqa: FBT001
    said = oddities(0, 10, length_s=length_s)
    assert said == (["1 start before the recording before it ends"] if is_odd else [])


def test_two_recordings_at_one_second_are_counted_and_are_no_overlap() -> None:
    assert oddities(0, 0, 0, 5) == ["2 recordings at the same second as another one"]


def test_starts_that_are_not_known_are_counted_unless_none_is_known() -> None:
    assert oddities(0, None, 5, None) == ["no start time is known of 2 of 4 recordings"]
    assert oddities(None, None) == []
    assert oddities() == []


def test_a_start_in_the_future_is_named() -> None:
    ahead = (datetime.now() - START) / timedelta(minutes=1) + 3 * 24 * 60
    moment = START + timedelta(minutes=ahead)
    assert oddities(0, ahead) == [f"starts in the future: {moment.isoformat(' ', 'minutes')}"]
    assert oddities(0, ahead - 2.5 * 24 * 60) == []  # zones differ by less than a day


def test_offsets_that_change_are_listed_but_a_name_of_a_file_has_none() -> None:
    both = [finding(0), finding(9, zone="+01:00")]
    assert oddities_of(both, ["A"]) == ["the clock's offset changes: +01:00, +02:00"]
    mixed = [finding(0), finding(9, zone="")]
    assert oddities_of(mixed, ["A"]) == ["the clock's offset changes: +02:00, none"]
    named = [finding(0), finding(9, zone="", began_from="file name")]
    assert oddities_of(named, ["A"]) == []


def test_what_two_recorders_do_at_one_time_is_not_odd() -> None:
    side_by_side = [finding(m, recorder=name) for m in (0, 1, 2) for name in "AB"]
    assert oddities_of(side_by_side, ["A", "B"]) == []
    own = [
        *side_by_side,
        finding(2, recorder="B"),
        finding(0, recorder=None),
        finding(0, recorder=None),
    ]
    assert oddities_of(own, ["A", "B"]) == [
        "B: 1 recording at the same second as another one",
        "of no named recorder: 1 recording at the same second as another one",
    ]


def nights(n: int, *, missing: tuple[tuple[int, int], ...] = ()) -> list[float]:
    """Starts every half hour from 4:00 to 7:30, on so many days, without some (day, slot)."""
    return [
        day * 1440 + 30 * slot
        for day in range(n)
        for slot in range(8)
        if (day, slot) not in missing
    ]


def test_a_rest_every_night_is_no_gap_and_a_missed_start_is_one() -> None:
    assert oddities(*nights(5)) == []
    (sentence,) = oddities(*nights(5, missing=((2, 3), (2, 4), (2, 5), (2, 6))))
    assert "gap in a schedule of one start every 30 min" in sentence
    assert "2024-05-03" in sentence


@pytest.mark.parametrize(("n", "text"), [(0, "0 gaps"), (1, "1 gap"), (2, "2 gaps")])
def test_one_of_a_thing_has_no_s(n: int, text: str) -> None:
    assert counted(n, "gap") == text
