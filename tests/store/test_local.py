"""Clocks of many windows at once say what a loop over single windows says."""

from __future__ import annotations

from datetime import date, datetime, time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.local_time import iso_text
from dawnchorus.store.filter import WindowFilter
from dawnchorus.store.local import local_column, local_times, wall_clock

# the clocks in Berlin change at 01:00 UTC of 2024-03-31 and 2024-10-27; in Lima never
NEAR_CHANGES = st.one_of(
    st.datetimes(datetime(2024, 3, 30, 20), datetime(2024, 3, 31, 6)),
    st.datetimes(datetime(2024, 10, 26, 20), datetime(2024, 10, 27, 6)),
    st.datetimes(datetime(1970, 1, 1), datetime(2030, 1, 1)),
)
CLOCKS = st.one_of(
    st.none(),
    st.just(""),
    st.builds(
        lambda at, kind: at.isoformat() + kind,
        NEAR_CHANGES,
        st.sampled_from(["", "", "+00:00", "-04:00", "+05:30"]),
    ),
)
ZONES = st.sampled_from([None, None, "Europe/Berlin", "America/Lima", "+09:00", "UTC"])
SINCE = st.one_of(st.integers(0, 40).map(lambda n: n * 900.0), st.floats(0, 90_000), st.just(1e7))
RECORDINGS = st.lists(st.tuples(CLOCKS, ZONES, st.lists(SINCE, min_size=1, max_size=6)), max_size=5)


def table_of(recordings: list[tuple[str | None, str | None, list[float]]]) -> pa.Table:
    rows = [(s, began, zone) for began, zone, since in recordings for s in since]
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    types = {"start_s": pa.float64(), "recorded_at": pa.string(), "time_zone": pa.string()}
    arrays = [pa.array(c, of) for c, of in zip(columns, types.values(), strict=True)]
    table = pa.table(dict(zip(types, arrays, strict=True)))
    # windows of a recording do not lie side by side
    return table.take(np.random.default_rng(len(table)).permutation(len(table)))


@settings(max_examples=200, deadline=None)
@given(RECORDINGS, ZONES)
def test_all_windows_at_once_have_the_times_of_single_ones(
    recordings: list[tuple[str | None, str | None, list[float]]], zone: str | None
) -> None:
    table = table_of(recordings)
    wanted = local_times(table, zone)
    assert local_column(table, zone).to_pylist() == [m and iso_text(m) for m in wanted]
    shown = [None if m is None else m.replace(tzinfo=None) for m in wanted]
    assert wall_clock(table, zone).shown.astype(object).tolist() == shown


def passes_one(rule: WindowFilter, moment: datetime | None) -> bool:
    """The rule as a sentence, for one window."""
    if moment is None:
        return False
    if rule.dates and not rule.dates[0] <= moment.date() <= rule.dates[1]:
        return False
    if rule.time_of_day is None:
        return True
    (first, before), at = rule.time_of_day, moment.time()
    return first <= at < before if first <= before else at >= first or at < before


DAYS = st.dates(date(2024, 3, 29), date(2024, 10, 29))
TIMES = st.one_of(st.times(), st.integers(0, 23).map(time))


@settings(max_examples=200, deadline=None)
@given(
    RECORDINGS,
    ZONES,
    st.one_of(st.none(), st.tuples(DAYS, DAYS).map(lambda two: tuple(sorted(two)))),
    st.one_of(st.none(), st.tuples(TIMES, TIMES)),
)
def test_a_filter_on_times_passes_what_a_loop_over_windows_passes(
    recordings: list[tuple[str | None, str | None, list[float]]],
    zone: str | None,
    dates: tuple[date, date] | None,
    span: tuple[time, time] | None,
) -> None:
    table = table_of(recordings)
    rule = WindowFilter(dates=dates, time_of_day=span, time_zone=zone)
    if not rule.needs_clock:
        return
    wanted = [passes_one(rule, moment) for moment in local_times(table, zone)]
    assert rule.passes(table).tolist() == wanted


def test_a_window_at_the_first_moment_passes_and_one_at_the_last_does_not() -> None:
    table = table_of([("2024-05-01T03:59:59.5+02:00", None, [0.0, 0.5, 0.500001, 1.5, 1.499999])])
    rule = WindowFilter(time_of_day=(time(4), time(4, 0, 1)))
    kept = table.filter(pa.array(rule.passes(table)))["start_s"].to_pylist()
    assert sorted(kept) == [0.5, 0.500001, 1.499999]


@pytest.mark.parametrize("column", ["recorded_at", "time_zone"])
def test_a_column_without_any_value_is_one_that_is_not_known(column: str) -> None:
    table = table_of([("2024-05-01T04:00:00", "UTC", [0.0, 1.0])])
    at = table.column_names.index(column)
    table = table.set_column(at, column, pa.nulls(2))
    assert local_column(table, None).to_pylist() == [
        m and iso_text(m) for m in local_times(table, None)
    ]
