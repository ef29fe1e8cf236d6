"""A detection says when and where: from recordings, from lists and from stores alike."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dawnchorus.engine.embed import embed
from dawnchorus.engine.predict import predict
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.store.read import Store

WriteSound = Callable[..., Path]
LIST = """\
path,start_time,time_zone,site,label,list_label
in/20240501_043000Z.wav,,Europe/Berlin,North,x,y
in/b.wav,2024-05-01T05:00:00-04:00,,South,,
"""


@pytest.fixture
def listing(tmp_path: Path, write_sound: WriteSound) -> Path:
    """A recording that says UTC, and one whose time stands in the list."""
    write_sound(tmp_path / "in" / "20240501_043000Z.wav", 2.0, seed=1)
    write_sound(tmp_path / "in" / "b.wav", 1.0, seed=2)
    (tmp_path / "list.csv").write_text(LIST)
    return tmp_path / "list.csv"


def test_detections_say_when_they_began_and_carry_the_lists_columns(
    listing: Path, tiny_encoder: EAT
) -> None:
    rows = predict(listing, model=tiny_encoder, top_k=1).table.to_pylist()
    assert [row["path"] for row in rows] == ["in/20240501_043000Z.wav"] * 2 + ["in/b.wav"]
    assert [row["recorded_at"] for row in rows[1:]] == [
        "2024-05-01T06:30:00+02:00",
        "2024-05-01T05:00:00-04:00",
    ]
    assert [row["local_time"] for row in rows] == [
        "2024-05-01T06:30:00.000+02:00",
        "2024-05-01T06:30:01.000+02:00",
        "2024-05-01T05:00:00.000-04:00",
    ]
    assert [row["site"] for row in rows] == ["North", "North", "South"]
    # a name that is ours: the list's is kept under another one
    assert rows[0]["label"] in (tiny_encoder.labels or ())
    assert (rows[0]["list_label"], rows[0]["list_list_label"]) == ("x", "y")


def test_files_of_every_kind_from_recordings_and_from_a_store_are_alike(
    listing: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    embed(listing, model=tiny_encoder, store=tmp_path / "s", dtype="float32", predict=True)
    for source, name in ((listing, "new"), (tmp_path / "s", "kept")):
        model = {"model": tiny_encoder} if source == listing else {}
        for suffix in ("csv", "jsonl", "parquet"):
            predict(source, output=tmp_path / f"{name}.{suffix}", top_k=1, **model)
    tables = [pq.read_table(tmp_path / f"{name}.parquet") for name in ("new", "kept")]
    inexact = ["probability"]
    assert tables[0].drop(inexact).to_pylist() == tables[1].drop(inexact).to_pylist()
    for name, table in zip(("new", "kept"), tables, strict=True):
        lines = (tmp_path / f"{name}.jsonl").read_text().splitlines()
        with (tmp_path / f"{name}.csv").open(newline="") as file:
            cells = list(csv.DictReader(file))
        for wanted, line, row in zip(table.to_pylist(), lines, cells, strict=True):
            said = {key: wanted[key] for key in ("path", "local_time", "site", "list_label")}
            assert said.items() <= json.loads(line).items()
            assert said.items() <= row.items()


def test_paths_are_relative_to_the_audio_root_and_whole_on_request(
    listing: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    folder = listing.parent / "in"

    def paths(**options: object) -> list[str]:
        report = predict(folder, model=tiny_encoder, top_k=1, **options)
        return list(dict.fromkeys(report.table["path"].to_pylist()))

    assert paths() == ["20240501_043000Z.wav", "b.wav"]
    assert paths(audio_root=tmp_path)[1] == "in/b.wav"
    assert paths(absolute_paths=True)[1] == (folder / "b.wav").as_posix()
    embed(folder, model=tiny_encoder, store=tmp_path / "s", predict=True)
    moved = predict(tmp_path / "s", top_k=1, absolute_paths=True, audio_root="/mnt/disk")
    assert moved.table["path"].to_pylist()[-1] == "/mnt/disk/b.wav"


def test_a_detection_that_was_merged_has_the_time_of_its_first_window(
    listing: Path, tiny_encoder: EAT
) -> None:
    report = predict(listing, model=tiny_encoder, threshold=0.0, merge=True)
    rows = [row for row in report.table.to_pylist() if row["n_windows"] == 2]
    assert rows
    assert {row["local_time"] for row in rows} == {"2024-05-01T06:30:00.000+02:00"}


def test_zones_that_are_mixed_or_missing_are_a_warning_of_the_run(
    tmp_path: Path, tiny_encoder: EAT, write_sound: WriteSound
) -> None:
    write_sound(tmp_path / "in" / "20240501T041500Z.wav", 1.0)
    write_sound(tmp_path / "in" / "20240501T050000-0400.wav", 1.0, seed=1)
    report = predict(tmp_path / "in", model=tiny_encoder, top_k=1)
    assert any("offsets from UTC are mixed: -04:00 (1), UTC (1)" in w for w in report.warnings)
    named = predict(tmp_path / "in", model=tiny_encoder, top_k=1, time_zone="America/New_York")
    assert not any("UTC" in warning for warning in named.warnings)
    times = set(named.table["recorded_at"].to_pylist())
    assert times == {"2024-05-01T00:15:00-04:00", "2024-05-01T05:00:00-04:00"}


def test_the_site_comes_from_the_folder(
    tmp_path: Path, tiny_encoder: EAT, write_sound: WriteSound
) -> None:
    for name in ("North/day 1/a.wav", "South/b.wav", "c.wav"):
        write_sound(tmp_path / "in" / name, 1.0, seed=len(name))

    def sites(kind: str) -> list[str]:
        report = predict(tmp_path / "in", model=tiny_encoder, top_k=1, site_from=kind)
        return [row["site"] for row in report.table.sort_by("path").to_pylist()]

    assert sites("folder") == ["North", "South", "in"]
    assert sites("parent") == ["day 1", "South", "in"]
    embed(tmp_path / "in", model=tiny_encoder, store=tmp_path / "s", site_from="folder")
    assert Store(tmp_path / "s").recordings()["site"].to_pylist() == ["North", "South", "in"]
    with pytest.raises(UsageError, match="site_from"):
        sites("name")


def test_a_row_that_names_a_folder_holds_for_all_recordings_in_it(
    tmp_path: Path, tiny_encoder: EAT, write_sound: WriteSound
) -> None:
    for name in ("North/x/a.wav", "North/b.wav", "South/c.wav"):
        write_sound(tmp_path / "in" / name, 1.0, seed=len(name))
    listing = tmp_path / "list.csv"
    listing.write_text(
        "path,site,habitat\nin/North,North,wood\nin/North/x,,bog\nin/North/b.wav,B,\n"
    )
    report = predict([tmp_path / "in", listing], model=tiny_encoder, top_k=1)
    said = {row["path"]: (row["site"], row["habitat"]) for row in report.table.to_pylist()}
    assert said == {
        "in/North/x/a.wav": ("North", "bog"),
        "in/North/b.wav": ("B", "wood"),
        "in/South/c.wav": (None, None),
    }
    assert not any("found already" in warning for warning in report.warnings)
    listing.write_text("path,start_time\nin/North,2024-05-01T04:30:00\n")
    with pytest.raises(UsageError, match="leave its start_time empty"):
        predict(listing, model=tiny_encoder)


def test_a_recorders_position_and_temperature_are_columns_of_the_store(
    tmp_path: Path, tiny_encoder: EAT, write_sound: WriteSound
) -> None:
    path = write_sound(tmp_path / "a.wav", 1.0)
    guano = b"GUANO|Version: 1.0\nLoc Position: 47.5 8.25\nTemperature Int: 12.5\n"
    chunk = b"guan" + len(guano).to_bytes(4, "little") + guano + b"\0" * (len(guano) % 2)
    whole = path.read_bytes() + chunk
    path.write_bytes(whole[:4] + (len(whole) - 8).to_bytes(4, "little") + whole[8:])
    embed(path, model=tiny_encoder, store=tmp_path / "s")
    (row,) = Store(tmp_path / "s").recordings().to_pylist()
    names = ("latitude", "longitude", "temperature_int_c", "temperature_ext_c")
    assert [row[f"recorder_{name}"] for name in names] == [47.5, 8.25, 12.5, None]
    _, windows = Store(tmp_path / "s").read(["path", "recorder_latitude"])
    assert windows["recorder_latitude"].to_pylist() == [47.5]
