"""Numbers, spans and dates: what may mean two things is refused."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.text_tables.values import (
    day_first,
    has_decimal_comma,
    parse_moment,
    parse_number,
    parse_seconds,
)

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@given(FINITE, st.booleans())
def test_a_number_is_read_as_it_was_written(value: float, comma: bool) -> None:  # noqa: FBT001
    text = repr(value).replace(".", ",") if comma else repr(value)
    read = parse_number(text, decimal_comma=comma)
    assert read == value


@pytest.mark.parametrize("text", ["inf", "nan", "1e999x", "1_000", "0x10", "", "1 500", "1,2,3"])
def test_what_is_no_number_is_refused(text: str) -> None:
    for comma in (False, True):
        with pytest.raises(ValueError, match="number"):
            parse_number(text, decimal_comma=comma)


def test_a_comma_proves_itself_only_where_it_groups_no_thousands() -> None:
    assert has_decimal_comma(["1", "0,5"])
    assert has_decimal_comma(["12,3456"])
    assert not has_decimal_comma(["1,500", "12,000", "1.5"])
    with pytest.raises(ValueError, match=r"1.5 or 1500"):
        parse_number("1,500")
    assert parse_number("1,500", decimal_comma=True) == 1.5
    with pytest.raises(ValueError, match="decimal commas"):
        parse_number("1.500", decimal_comma=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("0:01:30", 90.0), ("01:00:00.25", 3600.25), ("1:30.5", 90.5), ("2:3:4", 7384)],
)
def test_a_span_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@given(st.dates(date(1990, 1, 1), date(2030, 1, 1)), st.sampled_from(["/", "-", "."]))
def test_a_date_is_read_as_one_day_or_refused(day: date, sign: str) -> None:
    european = f"{day.day}{sign}{day.month}{sign}{day.year}"
    assert parse_moment(european, first_is_day=True) == day.isoformat()
    told = day_first([european])
    if day.day > 12 or sign == "." or day.day == day.month:
        assert parse_moment(european, first_is_day=told) == day.isoformat()
    else:
        with pytest.raises(ValueError, match="two days"):
            parse_moment(european, first_is_day=told)
    if sign != ".":
        american = f"{day.month}{sign}{day.day}{sign}{day.year}"
        assert parse_moment(american, first_is_day=False) == day.isoformat()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-01T04:30:00+02:00", "2024-05-01T04:30:00+02:00"),
        ("2024/5/1 4:30", "2024-05-01T04:30:00"),
        ("13/5/2024 4:30:10 PM", "2024-05-13T16:30:10"),
        ("1.5.2024 12:05 am", "2024-05-01T00:05:00"),
        ("1 May 2024", "2024-05-01"),
        ("May 1, 2024", "2024-05-01"),
    ],
)
def test_a_time_is_read_as_iso_8601(text: str, moment: str) -> None:
    assert parse_moment(text, first_is_day=day_first([text])) == moment


@pytest.mark.parametrize(
    "text", ["45424", "45424.19", "soon", "31/02/2024", "13/5/2024 25:00", "4:30"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_moment(text, first_is_day=day_first([text]))
