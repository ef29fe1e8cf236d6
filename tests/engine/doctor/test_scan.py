"""The doctor counts every recording once, names what is wrong, and draws when there was sound."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.cli.app import main
from dawnchorus.engine.doctor import scan as doctor_module
from dawnchorus.engine.doctor.page import make_page
from dawnchorus.engine.doctor.scan import doctor, write_findings
from dawnchorus.error_log import log_errors_beside

WriteSound = Callable[..., Path]


@pytest.fixture
def disk(tmp_path: Path, write_sound: WriteSound) -> Path:
    """Two sites: one regular but for a gap, one with every kind of trouble."""
    root = tmp_path / "disk"
    for minute in (0, 10, 20, 30, 50):
        write_sound(root / "north" / f"20240501_04{minute:02}00.wav", 2.0)
    south = root / "south <&>"
    whole = write_sound(south / "20240502_040000.wav", 3.0).read_bytes()
    write_sound(south / "20240502_040001.wav", 2.0)
    unpatched = whole[:4] + bytes(4) + whole[8:40] + bytes(4) + whole[44:]
    (south / "20240502_050000.wav").write_bytes(unpatched)
    (south / "20240502_060000.wav").write_bytes(whole[: len(whole) // 2])
    (south / "empty.wav").touch()
    holed = bytearray(write_sound(south / "20240502_070000.flac", 30.0).read_bytes())
    holed[len(holed) // 2 : len(holed) // 2 + 4096] = bytes(4096)
    (south / "20240502_070000.flac").write_bytes(holed)
    return root


def test_every_recording_is_counted_and_what_is_wrong_is_named(disk: Path) -> None:
    report = doctor(disk)
    assert report.verdicts == {"ok": 8, "header-unpatched": 1, "truncated": 1, "empty": 1}
    assert report.hours == pytest.approx((5 * 2 + 3 + 2 + 3 + 1.5 + 30) / 3600, rel=1e-3)
    north, south = report.folders
    assert (north.folder, north.n_recordings, north.rates) == ("north", 5, (16_000,))
    assert (north.first, north.last) == ("2024-05-01 04:00", "2024-05-01 04:50")
    (gap,) = north.oddities
    assert "1 gap in a schedule of one start every 10 min" in gap
    assert "from 2024-05-01 04:30 to 2024-05-01 04:50" in gap
    assert "no start time is known of 1 of 6 recordings" in south.oddities
    assert "1 start before the recording before it ends" in south.oddities


def test_a_recorder_that_rests_at_night_has_a_gap_only_where_it_failed(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    for day in range(1, 6):
        for hour in (4, 5, 6, 7, 18, 19):
            if (day, hour) not in {(3, 5), (3, 6), (3, 7)}:
                write_sound(tmp_path / "in" / f"202405{day:02}_{hour:02}0000.wav", 0.5)
    (folder,) = doctor(tmp_path / "in").folders
    (gap,) = folder.oddities
    assert gap.startswith("1 gap in a schedule of one start every 60 min; the longest from ")
    assert "2024-05-03 06:00" in gap


def test_deep_finds_damage_that_headers_do_not_tell(disk: Path) -> None:
    report = doctor(disk, deep=True)
    assert report.verdicts["damaged"] == 1
    (finding,) = [found for found in report.findings if found.verdict == "damaged"]
    assert finding.path == "south <&>/20240502_070000.flac"
    assert "are lost" in finding.message


def test_a_recorder_is_known_by_what_it_wrote(tmp_path: Path, write_sound: WriteSound) -> None:
    guano = b"GUANO|Version: 1.0\nMake: Wildlife Acoustics\nModel: SM4\nSerial: S4A1\n"
    for index, zone in enumerate((b"+02:00", b"+01:00")):
        path = write_sound(tmp_path / "in" / f"{index}.wav", 1.0)
        stamp = b"Timestamp: 2024-05-01T04:%02d:00%s\n" % (index, zone)
        note = guano + stamp
        chunk = b"guan" + struct.pack("<I", len(note)) + note + bytes(len(note) % 2)
        content = path.read_bytes()[8:] + chunk
        path.write_bytes(b"RIFF" + struct.pack("<I", len(content)) + content)
    (folder,) = doctor(tmp_path / "in").folders
    assert folder.recorder == "Wildlife Acoustics SM4 S4A1"
    assert any("offset changes" in oddity for oddity in folder.oddities)


def test_the_page_stands_alone_and_shows_each_folder(disk: Path) -> None:
    page = make_page(doctor(disk))
    assert "south &lt;&amp;&gt;" in page
    assert "south <&>" not in page
    assert not re.search(r"(src|href)=", page)
    assert page.count("<rect") > 5
    assert 'fill="#b22"' in page


def test_a_table_has_a_line_for_each_recording(disk: Path, tmp_path: Path) -> None:
    write_findings(doctor(disk), tmp_path / "x.csv")
    lines = (tmp_path / "x.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 11
    assert lines[0].startswith("path,folder,recorder,n_bytes,rate")


def test_the_command_says_what_is_wrong_and_exits_with_3(
    disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", str(disk), "-q", "--html", str(tmp_path / "x.html")]) == 3
    out = capsys.readouterr().out
    assert "wrong: 1 header-unpatched, 1 truncated, 1 empty" in out
    assert (tmp_path / "x.html").exists()
    assert main(["doctor", str(disk / "north"), "-q"]) == 0


def test_times_are_local_and_mixed_zones_are_said(tmp_path: Path, write_sound: WriteSound) -> None:
    write_sound(tmp_path / "in" / "20240501T041500Z.wav", 2.0)
    write_sound(tmp_path / "in" / "20240501T050000-0400.wav", 2.0)
    (folder,) = doctor(tmp_path / "in").folders
    assert (folder.first, folder.last) == ("2024-05-01 04:15", "2024-05-01 05:00")
    mixed = doctor(tmp_path / "in")
    assert any("mixed: -04:00 (1), UTC (1)" in warning for warning in mixed.clock_warnings)
    assert "mixed: -04:00" in make_page(mixed)
    named = doctor(tmp_path / "in", time_zone="America/New_York")
    assert named.folders[0].first == "2024-05-01 00:15"
    assert named.clock_warnings == ()
    assert "in America/New_York for recordings that say UTC" in make_page(named)
    write_findings(named, tmp_path / "f.csv")
    assert "2024-05-01T00:15:00-04:00" in (tmp_path / "f.csv").read_text()


def test_the_program_takes_a_time_zone_and_says_which_times_it_shows(
    tmp_path: Path, write_sound: WriteSound, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sound(tmp_path / "in" / "20240501T041500Z.wav", 2.0)
    assert main(["doctor", str(tmp_path / "in"), "-q"]) == 0
    said = capsys.readouterr()
    assert "2024-05-01 04:15" in said.out
    assert "Times are local, by each recorder's own clock." in said.out
    assert "warning: 1 recordings say UTC" in said.err
    assert main(["doctor", str(tmp_path / "in"), "-q", "--time-zone", "-04:00"]) == 0
    said = capsys.readouterr()
    assert "2024-05-01 00:15" in said.out
    assert "in -04:00 for recordings" in said.out
    assert "warning" not in said.err
    assert main(["doctor", str(tmp_path / "in"), "--time-zone", "Mars"]) == 2


@pytest.fixture
def odd_files(tmp_path: Path, write_sound: WriteSound) -> Path:
    """A good recording among files that are none."""
    folder = tmp_path / "odd"
    write_sound(folder / "good.wav", 2.0)
    write_sound(folder / "x.wav", 1.0).rename(folder / os.fsdecode(b"caf\xe9.wav"))
    os.mkfifo(folder / "pipe.wav")
    (folder / "loop.wav").symlink_to("loop.wav")
    (folder / "gone.wav").symlink_to("nowhere.wav")
    write_sound(folder / ("n" * 231 + ".wav"), 1.0)
    return folder


@pytest.mark.parametrize("how", [[], ["--deep"]])
def test_files_that_are_none_are_named_and_not_waited_for(
    odd_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: list[str]
) -> None:
    arguments = ["--csv", str(tmp_path / "d.csv"), "--html", str(tmp_path / "d.html")]
    assert main(["doctor", str(odd_files), *arguments, *how]) == 3
    report = doctor(odd_files, deep=bool(how))
    verdicts = {found.path: found.verdict for found in report.findings if found.verdict != "ok"}
    assert verdicts == {"pipe.wav": "not-a-file", "loop.wav": "denied", "gone.wav": "missing"}
    for text in (tmp_path / "d.csv").read_text(), capsys.readouterr().out:
        assert "pipe.wav" in text
    assert r"caf\xe9.wav" in (tmp_path / "d.csv").read_text()
    assert "loop.wav" in (tmp_path / "d.html").read_text()


def test_deep_names_sound_that_cannot_be_right(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal(32_000) / 10
    soundfile.write(tmp_path / "a.wav", np.stack([noise, -noise], 1), 16_000)
    soundfile.write(tmp_path / "b.wav", 9_000 * noise, 16_000, subtype="FLOAT")
    verdicts = [found.verdict for found in doctor(tmp_path, deep=True).findings]
    assert verdicts == ["opposite-channels", "beyond-full-scale"]


def test_an_error_that_nobody_foresaw_is_one_finding(
    tmp_path: Path, write_sound: WriteSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        write_sound(tmp_path / "in" / f"{name}.wav", 1.0)
    read_metadata = doctor_module.read_metadata

    def fault(path: Path) -> object:
        return {"a": 1, "c": 1}[path.stem] and read_metadata(path)

    monkeypatch.setattr(doctor_module, "read_metadata", fault)
    with log_errors_beside(tmp_path / "run"):
        report = doctor(tmp_path / "in")
    assert [found.verdict for found in report.findings] == ["ok", "internal", "ok"]
    assert "KeyError" in report.findings[1].message
    assert "Traceback" in (tmp_path / "run.faults.log").read_text()


def test_a_folder_that_cannot_be_read_is_said(
    tmp_path: Path, write_sound: WriteSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sound(tmp_path / "in" / "a.wav", 1.0)
    (tmp_path / "in" / "locked").mkdir()
    scandir = os.scandir

    def locked(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    report = doctor(tmp_path / "in")
    assert report.verdicts == {"ok": 1}
    (text,) = report.unread
    assert text.endswith("locked: folder cannot be read: Permission denied")
    assert not report.is_well
    assert text in make_page(report)


def test_a_folder_has_one_row_with_its_remarks_below(disk: Path) -> None:
    (disk / "south <&>" / "ünnamed").touch()
    page = make_page(doctor(disk))
    table = page[page.index("<table class=folders>") :].partition("</table>")[0]
    rows = table.split("<tr")[2:]
    assert sum("<td>north" in row for row in rows) == 1
    assert sum("class=remark" in row for row in rows) == 2
    assert all(f"<td colspan={8}>" in row for row in rows if "class=remark" in row)


def test_two_recorders_of_one_folder_are_judged_apart(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    for serial in ("A", "B"):
        for minute in (0, 10, 20, 30):
            path = write_sound(tmp_path / "in" / f"{serial}_20240501_04{minute:02}00.wav", 1.0)
            note = f"GUANO|Version: 1.0\nMake: W\nModel: M\nSerial: {serial}\n".encode()
            note += b" " * (len(note) % 2)
            content = path.read_bytes()[8:] + b"guan" + struct.pack("<I", len(note)) + note
            path.write_bytes(b"RIFF" + struct.pack("<I", len(content)) + content)
    (folder,) = doctor(tmp_path / "in").folders
    assert folder.recorder == "W M A, W M B"
    assert folder.oddities == ()
