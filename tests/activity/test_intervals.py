"""Intervals over days, and windows with the call from a density."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dawnchorus.activity.day_intervals import rate_interval
from dawnchorus.activity.density_file import read_density
from dawnchorus.activity.run import measure_activity
from dawnchorus.errors import UsageError
from made_deployments import Made, make_store

pytestmark = pytest.mark.filterwarnings("ignore::dawnchorus.errors.DawnChorusWarning")
HEAD = "label,site,date,local_hour,n_windows,n_judged,density,low,high,method,note\n"


def test_the_interval_is_students_on_the_logarithm_of_a_ratio() -> None:
    calls, hours = np.array([3, 0, 8, 2, 4, 1]), np.array([1.0, 0.5, 1.0, 1.0, 0.25, 1.0])
    rate = calls.sum() / hours.sum()
    beyond = calls - rate * hours
    error = np.sqrt(6 / 5 * (beyond**2).sum()) / hours.sum()
    reach = stats.t.ppf(0.95, 5) * error / rate
    low, high = rate_interval(calls, hours)  # type: ignore[misc]
    assert (low, high) == pytest.approx((rate * np.exp(-reach), rate * np.exp(reach)), rel=5e-3)
    assert rate_interval(calls * 7, hours) == pytest.approx((low * 7, high * 7))
    assert rate_interval(calls, hours / 7) == pytest.approx((low * 7, high * 7))


def test_days_that_are_alike_have_a_narrow_interval_whatever_their_length() -> None:
    hours = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
    assert rate_interval((hours * 10).astype(int), hours) == pytest.approx((10, 10))


def test_few_days_and_no_calls_have_no_interval() -> None:
    assert rate_interval(np.array([1, 2, 3, 4]), np.ones(4)) is None
    assert rate_interval(np.zeros(30, int), np.ones(30)) is None


def test_about_nine_in_ten_intervals_hold_the_true_rate() -> None:
    draws = np.random.default_rng(3)
    held = []
    for _ in range(600):
        hours = draws.uniform(0.3, 1.0, 10)
        calls = draws.poisson(5.0 * hours * draws.gamma(2, 1 / 2, 10))
        low, high = rate_interval(calls, hours)  # type: ignore[misc]
        held.append(low <= 5.0 <= high)
    assert 0.85 <= np.mean(held) <= 0.95


def test_rows_over_several_days_have_an_interval_and_rows_of_a_date_have_none(
    tmp_path: Path,
) -> None:
    days = [
        Made(f"{d}.wav", f"2024-05-0{d}T04:00:00", 60, {"wren": range(d)}, site="x")
        for d in range(1, 7)
    ]
    activity = measure_activity(make_store(tmp_path / "s", days), labels=["wren"])
    (row,) = activity.rows(("site",)).to_pylist()
    expected = rate_interval(np.arange(1, 7), np.full(6, 1 / 60))
    assert (row["low"], row["high"]) == pytest.approx(expected, rel=1e-4)
    assert (row["n_days"], row["calls_per_hour"]) == (6, 210.0)
    hours = activity.rows(("site", "hour")).to_pylist()
    assert [(r["low"] is None, r["n_days"]) for r in hours if r["local_hour"] in (3, 4)] == [
        (True, 0), (False, 6),
    ]  # fmt: skip
    assert activity.table["low"].null_count == len(activity.table)


def test_a_density_gives_windows_with_the_call_per_recorded_hour(tmp_path: Path) -> None:
    made = [
        Made("a.wav", "2024-05-01T04:30:00", 3600, {"wren": [1]}, site="x"),
        Made("b.wav", "2024-05-01T04:30:00", 1800, {}, site="y"),
    ]
    (tmp_path / "d.csv").write_text(
        HEAD
        + "wren,,,,5400,100,0.1,0.05,0.2,own,\n"
        + "wren,x,,04,1800,50,0.2,0.1,0.3,own,\n"
        + "wren,y,,04,1800,0,,0,0.5,others,nothing judged\n"
        + "robin,z,,04,1800,0,,0,0.5,others,\n"
    )
    store = make_store(tmp_path / "s", made)
    activity = measure_activity(store, labels=["wren"], density=tmp_path / "d.csv")
    names = ("windows_per_hour", "windows_low", "windows_high")
    (whole,) = activity.rows(()).to_pylist()
    assert [whole[name] for name in names] == [360, 180, 720]
    rows = {(r["site"], r["local_hour"]): r for r in activity.rows(("site", "hour")).to_pylist()}
    assert [rows["x", 4][name] for name in names] == [720, 360, 1080]
    assert [rows["y", 4][name] for name in names] == [None, 0, 1800]
    assert [rows["x", 5][name] for name in names] == [None, None, None]
    assert activity.rows(("site",))["windows_low"].null_count == 2  # no density of these strata
    assert activity.density is not None
    assert activity.density.strata == ((), ("site", "hour"))
    assert any("is of robin" in text for text in activity.warnings)
    assert any("not recorded here: z" in text for text in activity.warnings)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("wren,,,,10,5,1.5,0,1,own,", "line 2: density '1.5': need a share"),
        ("wren,,,24,10,5,0.5,0,1,own,", "line 2: local_hour '24'"),
        ("wren,,,,many,5,0.5,0,1,own,", "n_windows 'many' is not a count"),
        ("wren,,,,10,5,0.5,0,1,own,\nwren,,,,10,5,0.5,0,1,own,", "line 3: wren is there twice"),
    ],
    ids=["share", "hour", "count", "twice"],
)
def test_a_density_that_cannot_be_is_refused(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(f"{HEAD}{line}\n")
    with pytest.raises(UsageError, match=message):
        read_density(tmp_path / "d.csv")
    (tmp_path / "d.csv").write_text("label,density\nwren,0.5\n")
    with pytest.raises(UsageError, match="missing: site, date"):
        read_density(tmp_path / "d.csv")


def test_windows_of_unknown_times_have_a_stratum_that_no_hour_meets(tmp_path: Path) -> None:
    # as label density writes it where a recording does not say when it began
    lines = "wren,,,07,10,5,0.5,0.1,0.9,own,\nwren,rec,unknown,unknown,9,5,0.5,0,1,own,\n"
    (tmp_path / "d.csv").write_text(f"{HEAD}{lines}")
    table = read_density(tmp_path / "d.csv")
    assert table.rows["wren", "rec", "unknown", "unknown"] == (9, 0.5, 0.0, 1.0)
    assert table.per_hour("wren", (None, None, 7), 2.0)["windows_per_hour"] == 2.5
