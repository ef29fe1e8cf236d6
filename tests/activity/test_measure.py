"""Calls per recorded hour, from stores and tables, held against counts by hand."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.activity.run import Activity, measure_activity
from dawnchorus.annotations.annotation_table import AnnotationTable, new_row
from dawnchorus.engine.predict import predict
from dawnchorus.errors import UsageError
from dawnchorus.store.schema import recording_id
from made_deployments import MADE_HEADER, Made, make_store

pytestmark = pytest.mark.filterwarnings("ignore::dawnchorus.errors.DawnChorusWarning")

# three quarters of an hour over five o'clock at one site, a minute at another, two days later
DAWN = Made("north/a.wav", "2024-05-01T04:30:00+02:00", 2700, {"wren": [0, 1799, 1800]},
            site="north")  # fmt: skip
LATER = Made("south/b.wav", "2024-05-03T04:00:00+02:00", 60, {"robin": [5]}, site="south")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "archive.store", [DAWN, LATER])


def row_of(activity: Activity, by: tuple[str, ...], **of: object) -> dict[str, Any]:
    rows = [
        row
        for row in activity.rows(by).to_pylist()
        if all(row[name] == value for name, value in of.items())
    ]
    assert len(rows) == 1, (of, rows)
    return rows[0]


def test_calls_are_divided_by_the_time_that_was_recorded(store: Path) -> None:
    activity = measure_activity(store)
    four = {"label": "wren", "site": "north", "date": "2024-05-01", "local_hour": 4}
    row = row_of(activity, ("site", "date", "hour"), **four)
    assert (row["n_calls"], row["recorded_hours"], row["calls_per_hour"]) == (2, 0.5, 4.0)
    five = row_of(activity, ("site", "date", "hour"), **{**four, "local_hour": 5})
    assert (five["n_calls"], five["recorded_hours"], five["calls_per_hour"]) == (1, 0.25, 4.0)
    silent = row_of(activity, ("site", "date", "hour"), **{**four, "label": "robin"})
    assert (silent["n_calls"], silent["calls_per_hour"]) == (0, 0.0)
    assert activity.recorded_hours == pytest.approx(0.75 + 1 / 60)


def test_an_hour_that_was_not_recorded_is_empty_and_never_zero(store: Path, tmp_path: Path) -> None:
    activity = measure_activity(store)
    table = tmp_path / "activity.csv"
    activity.write(table)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 24 * 2  # labels, hours, site and date: neither site has a day between
    empty = [row for row in rows if row["recorded_hours"] == "0.0"]
    assert len(empty) == len(rows) - 2 * 3
    assert {(row["n_calls"], row["calls_per_hour"]) for row in empty} == {("", "")}
    wholes = {row["local_hour"]: row["calls_per_hour"] for row in rows
              if row["site"] == "north" and row["label"] == "robin"}  # fmt: skip
    assert (wholes["4"], wholes["5"], wholes["6"]) == ("0.0", "0.0", "")


def test_days_between_recordings_of_a_site_are_there_and_empty(tmp_path: Path) -> None:
    days = [Made(f"{day}.wav", f"2024-05-0{day}T04:00:00", site="x") for day in (1, 4)]
    activity = measure_activity(make_store(tmp_path / "s", days))
    (site,) = activity.sites
    assert [day.day for day in site.dates] == [1, 2, 3, 4]
    assert site.hours.sum(axis=1).tolist() == pytest.approx([1 / 60, 0, 0, 1 / 60])
    far = [*days, Made("y.wav", "2026-05-01T04:00:00", site="x")]
    (site,) = measure_activity(make_store(tmp_path / "t", far)).sites
    assert len(site.dates) == 5  # two years of nothing are not rows


def test_detections_and_the_store_that_they_are_of_give_the_same(
    store: Path, tmp_path: Path
) -> None:
    from_store = measure_activity(store).table
    for name in ("d.csv", "d.parquet"):
        predict(store, output=tmp_path / name)
        found = measure_activity(tmp_path / name, effort=store, labels=["robin", "wren"])
        expected = measure_activity(store, labels=["robin", "wren"])
        assert found.table.equals(expected.table)
        assert found.what == "a window of 1 s with the label"
    assert sorted(from_store.column_names) == sorted(found.table.column_names)


def test_effort_comes_from_headers_of_recordings_and_their_list(tmp_path: Path) -> None:
    for name, seconds in (("north/a.wav", 120.0), ("south/20240501_045930.wav", 60.0)):
        path = tmp_path / "sound" / name
        path.parent.mkdir(parents=True)
        soundfile.write(path, 0.1 * np.ones(int(seconds * 8000), np.float32), 8000)
    (tmp_path / "sound" / "south" / "broken.wav").write_bytes(b"nothing")
    listing = tmp_path / "sound" / "list.csv"
    listing.write_text(
        "path,start_time,site\nnorth/a.wav,2024-05-01T04:59:00,Hill\nsouth,,Valley\n"
    )
    detections = tmp_path / "d.csv"
    detections.write_text("path,start_s,label\nnorth/a.wav,59.9,wren\nnorth/a.wav,60,wren\n")
    activity = measure_activity(detections, effort=listing)
    by = ("site", "hour")
    assert row_of(activity, by, site="Hill", local_hour=4)["calls_per_hour"] == 60
    assert row_of(activity, by, site="Hill", local_hour=5)["n_calls"] == 1
    valley = row_of(activity, by, site="Valley", local_hour=5)
    assert (valley["n_calls"], valley["recorded_hours"]) == (0, pytest.approx(30 / 3600, rel=1e-4))
    assert [failure.path for failure in activity.archive.troubles] == ["south/broken.wav"]
    by_folder = measure_activity(detections, effort=[listing], site_from="folder")
    assert by_folder.table.equals(activity.table)  # what a list says counts before the path


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_every_call_and_every_second_is_counted_once(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    recordings, calls, seconds = (
        [],
        Counter[tuple[str, str, int]](),
        Counter[tuple[str, str, int]](),
    )
    for number in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.datetimes(datetime(2024, 5, 1), datetime(2024, 5, 4)))
        start = start.replace(microsecond=0)
        n_windows = data.draw(st.integers(1, 400))
        at = data.draw(st.lists(st.integers(0, n_windows - 1), max_size=4, unique=True))
        site = data.draw(st.sampled_from(["north", "south"]))
        recordings.append(
            Made(f"{number}.wav", start.isoformat(), n_windows, {"wren": at}, site=site)
        )
        for second in range(n_windows):
            moment = start + timedelta(seconds=second)
            key = site, moment.date().isoformat(), moment.hour
            seconds[key] += 1
            calls[key] += second in at
    folder = tmp_path_factory.mktemp("made") / "s"
    activity = measure_activity(make_store(folder, recordings), labels=["wren"])
    rows = {
        (row["site"], row["date"], row["local_hour"]): row for row in activity.table.to_pylist()
    }
    for key, row in rows.items():
        assert row["recorded_hours"] == pytest.approx(seconds[key] / 3600, rel=1e-5)
        assert row["n_calls"] == (calls[key] if seconds[key] else None)
    assert set(seconds) <= set(rows)
    (whole,) = activity.rows(()).to_pylist()
    assert whole["n_calls"] == sum(calls.values())


def test_calls_of_the_hour_that_comes_twice_are_divided_by_both(tmp_path: Path) -> None:
    night = Made("a.wav", "2024-10-26T23:00:00Z", 4 * 3600, {"wren": range(0, 14_400, 100)},
                 time_zone="Europe/Berlin", site="x")  # fmt: skip
    activity = measure_activity(make_store(tmp_path / "s", [night]), labels=["wren"])
    rows = {row["local_hour"]: row for row in activity.rows(("hour",)).to_pylist()}
    assert {hour: row["recorded_hours"] for hour, row in rows.items() if row["recorded_hours"]} == {
        1: 1.0, 2: 2.0, 3: 1.0,
    }  # fmt: skip
    assert {rows[hour]["calls_per_hour"] for hour in (1, 2, 3)} == {36.0}


def test_sound_without_signal_and_gaps_are_not_recorded_time(tmp_path: Path) -> None:
    made = Made("a.wav", "2024-05-01T04:00:00", 100, {"wren": [50]}, silent=range(10),
                gaps=((500, 2000),), site="x")  # fmt: skip
    activity = measure_activity(make_store(tmp_path / "s", [made]))
    assert activity.recorded_hours * 3600 == pytest.approx(80)  # 0 to 20 s are not heard


def test_labels_are_found_whatever_their_case_and_an_unknown_one_is_refused(
    store: Path, tmp_path: Path
) -> None:
    assert measure_activity(store, labels=["WREN"]).labels == ("wren",)
    predict(store, output=tmp_path / "d.csv")
    with pytest.raises(UsageError, match=r"'owl'.*nobody looked for has no rate.*robin, wren"):
        measure_activity(tmp_path / "d.csv", effort=store, labels=["owl"])
    with pytest.raises(UsageError, match="owl"):
        measure_activity(store, labels=["owl"])
    # a classifier's label that was never heard was looked for: its rate is 0
    assert measure_activity(store, threshold=0.95, labels=["wren"]).rows(("site",))[
        "n_calls"
    ].to_pylist() == [0, 0]


def test_detections_alone_are_refused_with_what_to_give(store: Path, tmp_path: Path) -> None:
    predict(store, output=tmp_path / "d.csv")
    with pytest.raises(UsageError, match=r"not what was recorded.*--effort"):
        measure_activity(tmp_path / "d.csv")


def test_detections_of_other_recordings_are_refused(store: Path, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("path,start_s,label\nwest/c.wav,0,wren\n")
    with pytest.raises(UsageError, match=r"1 recordings with detections are not among.*west/c.wav"):
        measure_activity(tmp_path / "d.csv", effort=store)


def test_paths_from_another_folder_are_found_by_their_end_where_it_is_clear(
    tmp_path: Path,
) -> None:
    recordings = [
        Made("disk1/north/a.wav", "2024-05-01T04:00:00", site="n"),
        Made("disk2/north/a.wav", "2024-05-01T05:00:00", site="n"),
        Made("disk2/south/a.wav", "2024-05-01T06:00:00", site="s"),
    ]
    store = make_store(tmp_path / "s", recordings)
    table = tmp_path / "d.csv"
    table.write_text("path,start_s,label\nsouth/a.wav,0,wren\n/mnt/disk1/north/a.wav,1,wren\n")
    activity = measure_activity(table, effort=store)
    assert activity.calls["local_time"].to_pylist() == [
        "2024-05-01T06:00:00.000", "2024-05-01T04:00:01.000",
    ]  # fmt: skip
    table.write_text("path,start_s,label\nnorth/a.wav,0,wren\n")
    with pytest.raises(UsageError, match=r"means 2 recordings.*disk1/north/a.wav, disk2"):
        measure_activity(table, effort=store)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,start_s,label\na.wav,x,wren\n", "line 2: start_s 'x' is not a number"),
        ("path,start_s,label\na.wav,nan,wren\n", "line 2: start_s 'nan' is not a number"),
        ("path,start_s,label\na.wav,1,\n", "line 2: label is empty"),
        ("path,label\na.wav,wren\n", "need the columns label, path, start_s"),
        ("path,start_s,label\n", "holds no detection"),
        ("path,start_s,label\na.wav,1\n", "line 2: need 3 fields"),
    ],
    ids=["word", "nan", "no label", "no start", "no rows", "short row"],
)
def test_a_table_that_is_not_of_detections_is_refused_with_its_line(
    content: str, message: str, store: Path, tmp_path: Path
) -> None:
    (tmp_path / "d.csv").write_text(content)
    with pytest.raises(UsageError, match=message):
        measure_activity(tmp_path / "d.csv", effort=store)


def test_a_parquet_file_that_is_not_of_detections_is_refused(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    path.write_bytes(b"no parquet")
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        measure_activity(path, effort=store)
    pq.write_table(pa.table({"path": ["a"], "start_s": [1.0], "label": [None]}), path)
    with pytest.raises(UsageError, match="1 rows have no label"):
        measure_activity(path, effort=store)


def test_what_a_stopped_run_left_is_refused(store: Path, tmp_path: Path) -> None:
    (tmp_path / "d.partial.csv").write_text("path,start_s,label\nnorth/a.wav,0,wren\n")
    with pytest.raises(UsageError, match="of a run that was stopped"):
        measure_activity(tmp_path / "d.partial.csv", effort=store)


def test_text_that_was_made_safe_for_spreadsheets_is_read_as_it_was(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", [Made("-a.wav", "2024-05-01T04:00:00", site="x")])
    (tmp_path / "d.csv").write_text("path,start_s,label\n'-a.wav,0,'=wren\n")
    activity = measure_activity(tmp_path / "d.csv", effort=store)
    assert activity.labels == ("=wren",)
    activity.write(tmp_path / "out.csv", spreadsheet_safe=True)
    assert "\n'=wren," in (tmp_path / "out.csv").read_text()


def test_recordings_without_a_time_are_named_and_left_out(tmp_path: Path) -> None:
    undated = Made("z.wav", None, 60, {"wren": [1]}, site="north")
    activity = measure_activity(make_store(tmp_path / "s", [DAWN, undated]))
    assert activity.recorded_hours == 0.75
    assert row_of(activity, ("site",), label="wren")["n_calls"] == 3
    assert any("1 recordings (0.02 h) do not say when" in text for text in activity.warnings)
    with pytest.raises(UsageError, match=r"no recording says when it began.*start_time"):
        measure_activity(make_store(tmp_path / "t", [undated]))


def test_recordings_without_a_site_count_as_unknown(tmp_path: Path) -> None:
    activity = measure_activity(make_store(tmp_path / "s", [Made("a.wav", "2024-05-01T04:00")]))
    assert activity.rows(("site",))["site"].to_pylist() == ["unknown", "unknown"]
    assert any("no recording has a site" in text for text in activity.warnings)
    by_path = measure_activity(tmp_path / "s", site_from="parent", audio_root="/data/hill")
    assert by_path.sites[0].site == "hill"


def test_windows_that_follow_each_other_are_one_call_where_that_is_asked(tmp_path: Path) -> None:
    made = Made("a.wav", "2024-05-01T04:00", 60, {"wren": [3, 4, 5, 9]}, site="x")
    store = make_store(tmp_path / "s", [made])
    assert row_of(measure_activity(store, merge=True), ("site",), label="wren")["n_calls"] == 2
    assert row_of(measure_activity(store), ("site",), label="wren")["n_calls"] == 4


def test_what_people_call_present_is_counted_once_whoever_says_it(tmp_path: Path) -> None:
    made = Made("a.wav", "2024-05-01T04:00", 3600, site="x")
    store = make_store(tmp_path / "s", [made])
    table = AnnotationTable(tmp_path / "s.annotations", create=True)

    def said(author: str, start_s: float, end_s: float, state: str = "present") -> Any:
        return new_row(
            recording_id=recording_id("a.wav"), path="a.wav", start_s=start_s, end_s=end_s,
            label="wren", state=state, author=author,
        )  # fmt: skip

    table.append([
        said("ann", 1, 3), said("ann", 2, 4), said("bob", 2.5, 5), said("bob", 10, 11),
        said("ann", 20, 21, "absent"), said("bob", 30, 31, "unsure"),
    ])  # fmt: skip
    activity = measure_activity(store, annotations=tmp_path / "s.annotations")
    # ann's two boxes are two birds, bob's first is of one of them
    assert activity.calls["start_s"].to_pylist() == [1, 2, 10]
    assert any("annotated every recording throughout" in text for text in activity.warnings)
    with pytest.raises(UsageError, match="threshold is for scores"):
        measure_activity(store, annotations=tmp_path / "s.annotations", threshold=0.5)


def test_a_store_without_scores_says_what_to_give(tmp_path: Path) -> None:
    header = MADE_HEADER.model_copy(update={"labels": None})
    store = make_store(tmp_path / "s", [DAWN], header)
    with pytest.raises(UsageError, match=r"holds no scores.*--probe.*--annotations.*--predict"):
        measure_activity(store)


def test_options_of_stores_are_refused_for_tables(store: Path, tmp_path: Path) -> None:
    predict(store, output=tmp_path / "d.csv")
    with pytest.raises(UsageError, match="is a table of detections; merge is for stores"):
        measure_activity(tmp_path / "d.csv", effort=store, merge=True)


def test_rarer_labels_are_left_out_and_that_is_said(store: Path, tmp_path: Path) -> None:
    rows = [f"north/a.wav,{n},bird {k:02d}" for k in range(14) for n in range(k + 1)]
    (tmp_path / "d.csv").write_text("path,start_s,label\n" + "\n".join(rows) + "\n")
    activity = measure_activity(tmp_path / "d.csv", effort=store)
    assert activity.labels == tuple(f"bird {k:02d}" for k in range(13, 1, -1))
    assert any("2 rarer labels are left out" in text for text in activity.warnings)


def test_the_table_is_the_same_as_parquet(store: Path, tmp_path: Path) -> None:
    activity = measure_activity(store)
    activity.write(tmp_path / "a.parquet", by=("site", "hour"))
    assert pq.read_table(tmp_path / "a.parquet").equals(activity.rows(("site", "hour")))
    with pytest.raises(UsageError, match=r"ends in .csv or .parquet"):
        activity.write(tmp_path / "a.xlsx")
    with pytest.raises(UsageError, match="need some of site, date, hour"):
        activity.rows(("week",))
