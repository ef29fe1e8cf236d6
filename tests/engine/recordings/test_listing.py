"""A list of recordings: its columns come along, and a wrong line is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dawnchorus.engine.embed import embed
from dawnchorus.engine.recordings.listing import describe_listing, read_listing
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.store.read import Store

WriteSound = Callable[..., Path]


def test_columns_come_along_and_times_are_kept_as_written(
    tmp_path: Path, tiny_encoder: EAT, write_sound: WriteSound
) -> None:
    write_sound(tmp_path / "disk 1" / "a.wav", 2.0, seed=1)
    write_sound(tmp_path / "disk 1" / "20240501_043000.wav", 2.0, seed=2)
    write_sound(tmp_path / "disk 1" / "not listed.wav", 2.0, seed=3)
    listing = tmp_path / "list.csv"
    listing.write_text(
        "path,site,start_time\n"
        "disk 1/a.wav,Nørd,2024-05-01T04:30:00+02:00\n"
        "disk 1/20240501_043000.wav,South,\n"
        "disk 1/gone.wav,South,\n"
        "disk 1/a.wav,Nørd,\n",
        encoding="utf-8",
    )
    report = embed(listing, model=tiny_encoder, store=tmp_path / "s")
    assert (report.n_found, report.n_done, report.n_failed) == (3, 2, 1)
    rows = {row["path"]: row for row in Store(tmp_path / "s").recordings().to_pylist()}
    assert rows["disk 1/a.wav"]["site"] == "Nørd"
    assert rows["disk 1/a.wav"]["recorded_at"] == "2024-05-01T04:30:00+02:00"
    assert rows["disk 1/a.wav"]["recorded_from"] == "list"
    assert rows["disk 1/20240501_043000.wav"]["recorded_at"] == "2024-05-01T04:30:00"
    assert rows["disk 1/20240501_043000.wav"]["recorded_from"] == "file name"
    assert (rows["disk 1/gone.wav"]["site"], rows["disk 1/gone.wav"]["reason"]) == (
        "South",
        "missing",
    )
    assert embed(listing, model=tiny_encoder, store=tmp_path / "s").n_skipped == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("place,site\na.wav,x\n", "need a column 'path', found place, site"),
        ("", "list.csv: is empty"),
        ("path,status\na.wav,x\n", "a column 'status' of its own"),
        ("path,vector\na.wav,x\n", "a column 'vector' of its own"),
        ("path,site\na.wav\n", "line 2: need 2 fields as in line 1, found 1"),
        ("path,site\na.wav,x,y\n", "line 2: need 2 fields"),
        ("path,site\na.wav,x\n ,y\n", "line 3: the path is empty"),
        ("path,start_time\na.wav,yesterday\n", "line 2: start_time 'yesterday'"),
        ("path,start_time\na.wav,12/05/2024\n", "line 2: start_time '12/05/2024', .* two days"),
        ("path,start_time\na.wav,13/05/2024\nb.wav,05/13/2024\n", "has the day first and"),
        ("path,start_time\na.wav,45424.5\n", "line 2: start_time '45424.5'"),
        ('path,note\na.wav,"x\nb.wav,y\n', "line 2: a quotation mark"),
    ],
)
def test_a_wrong_list_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    listing = tmp_path / "list.csv"
    listing.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        list(read_listing(listing))


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    listing = tmp_path / "list.csv"
    listing.write_bytes(b"\xff\xfe\x00path")
    with pytest.raises(UsageError, match=r"list of recordings .*list.csv: cannot be read"):
        list(read_listing(listing))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_list_is_read_however_it_was_saved(tmp_path: Path, encoding: str, separator: str) -> None:
    listing = tmp_path / "list.csv"
    rows = [
        ("File", "Stätte", "Start time"),
        ("x\\a.wav", "Nørd", "25/05/2024 04:30"),
        ("./b.wav", "", "12/05/2024 14:30:05"),
        ("c.wav", "", "NA"),
    ]
    listing.write_text("\n".join(map(separator.join, rows)), encoding=encoding)
    found = {
        path.relative_to(tmp_path).as_posix(): dict(row) for path, row in read_listing(listing)
    }
    assert list(found) == ["x/a.wav", "b.wav", "c.wav"]
    assert [row["start_time"] for row in found.values()] == [
        "2024-05-25T04:30:00", "2024-05-12T14:30:05", ""
    ]  # fmt: skip
    assert found["x/a.wav"]["Stätte"] == "Nørd"
    said = describe_listing(listing)[-1]
    assert "read: path = File, start_time = Start time; carried along: Stätte" in said


def test_dates_that_are_not_read_as_the_start_are_named(tmp_path: Path) -> None:
    listing = tmp_path / "list.csv"
    listing.write_text("path,date,time,site\na.wav,2024-05-01,04:30,x\n")
    (said,) = describe_listing(listing)
    assert "carried along: date, time, site (date, time not read as the time" in said


@pytest.mark.parametrize("when", ["2999-01-01T00:00:00", "2999-01-01T00:00:00+02:00", "2999-01-01"])
def test_a_time_that_is_still_to_come_is_refused_by_its_line(tmp_path: Path, when: str) -> None:
    listing = tmp_path / "list.csv"
    listing.write_text(f"path,start_time\na.wav,2024-05-01\nb.wav,{when}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"list.csv, line 3: start_time '2999.*still to come"):
        list(read_listing(listing))
