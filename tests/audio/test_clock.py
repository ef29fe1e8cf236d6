"""When a recording began, as its recorder or its name says, and never as a guess."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.audio.clock import StartTime
from dawnchorus.audio.metadata import RecorderMetadata, read_metadata


def chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def wav(path: Path, *chunks: bytes, before: bool = False) -> Path:
    soundfile.write(path, np.zeros(800), 16_000, subtype="PCM_16")
    whole = path.read_bytes()
    extra = b"".join(chunks)
    content = whole[12:36] + extra + whole[36:] if before else whole[12:] + extra
    path.write_bytes(b"RIFF" + struct.pack("<I", len(content) + 4) + b"WAVE" + content)
    return path


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("20240501_043000", "2024-05-01T04:30:00"),
        ("SITE-A_20240501_043000", "2024-05-01T04:30:00"),
        ("SM4_0+1_20240501_043000_000", "2024-05-01T04:30:00"),
        ("S4A01_20240501$043000", "2024-05-01T04:30:00"),
        ("20240501T043000+1000_REC", "2024-05-01T04:30:00+10:00"),
        ("20240501T043000Z", "2024-05-01T04:30:00+00:00"),
        ("2024-05-01 04-30-00", "2024-05-01T04:30:00"),
        ("20240501043000", "2024-05-01T04:30:00"),
        ("1234567890123456_2024-05-01 04.30.00", "2024-05-01T04:30:00"),
        ("671379494.210612043000", "2021-06-12T04:30:00"),
        ("5678.230415120000_1", "2023-04-15T12:00:00"),
        (
            "S20210205T035946676+1000_E20210205T040446501+1000_-08.0000+000.0000",
            "2021-02-05T03:59:46.676000+10:00",
        ),
        ("20200426T020000Z_REC [-27.3866 152.8761]", "2020-04-26T02:00:00+00:00"),
        ("20191125T000000+1000_REC", "2019-11-25T00:00:00+10:00"),
        ("5A985C3A", "2018-03-01T20:02:02+00:00"),
    ],
)
def test_a_name_gives_its_time_as_it_was_written(tmp_path: Path, name: str, time: str) -> None:
    assert read_metadata(wav(tmp_path / f"{name}.wav")).start == StartTime(time, "file name")


@pytest.mark.parametrize(
    "name",
    [
        "xc132865",
        "20241301_043000",
        "20240501_253000",
        "120240501_0430001",
        "12345678",
        "00000010",
        "CAFEBABE",  # in 2077
        "BEEF1234",
        "1CEB00DA",  # in 1985: no AudioMoth yet
        "20240501T043000+3100",
        "20240501T043000-1300",
        "671379494.211312043000",
    ],
)
def test_a_name_without_a_time_gives_none(tmp_path: Path, name: str) -> None:
    assert read_metadata(wav(tmp_path / f"{name}.wav")).start is None


@pytest.mark.parametrize(
    ("zone", "offset"),
    [("UTC", "+00:00"), ("UTC+2", "+02:00"), ("UTC-5", "-05:00"), ("UTC+5:30", "+05:30")],
)
def test_audiomoths_comment_is_read_with_its_zone(tmp_path: Path, zone: str, offset: str) -> None:
    text = f"Recorded at 04:30:00 01/05/2024 ({zone}) by AudioMoth 243B1F055B1A8AD4 at gain 2"
    info = chunk(b"LIST", b"INFO" + chunk(b"ICMT", text.encode() + b"\0"))
    path = wav(tmp_path / "20990101_000000.wav", info, before=True)
    assert read_metadata(path).start == StartTime(f"2024-05-01T04:30:00{offset}", "audiomoth")


@pytest.mark.parametrize("zone", ["UTC+31", "UTC-13", "UTC+99:99", "UTC+14:30", "UTC+1234"])
def test_a_comment_with_an_impossible_zone_gives_no_time(tmp_path: Path, zone: str) -> None:
    text = f"Recorded at 04:30:00 01/05/2024 ({zone}) by AudioMoth 243B1F055B1A8AD4"
    info = chunk(b"LIST", b"INFO" + chunk(b"ICMT", text.encode()))
    assert read_metadata(wav(tmp_path / "a.wav", info)).start is None
    named = read_metadata(wav(tmp_path / "20240501_043000.wav", info)).start
    assert named == StartTime("2024-05-01T04:30:00", "file name")


def test_a_comment_with_milliseconds_keeps_them(tmp_path: Path) -> None:
    text = b"Recorded at 04:30:00.125 01/05/2024 (UTC+2) by AudioMoth 243B1F055B1A8AD4"
    info = chunk(b"LIST", b"INFO" + chunk(b"ICMT", text))
    began = read_metadata(wav(tmp_path / "a.wav", info)).start
    assert began == StartTime("2024-05-01T04:30:00.125000+02:00", "audiomoth")


def test_no_recording_began_after_tomorrow(tmp_path: Path) -> None:
    now = datetime(2024, 5, 1, tzinfo=UTC)
    paths = [wav(tmp_path / name) for name in ("20240501_233000.wav", "20240502_003000.wav")]
    assert [read_metadata(path, now).start is None for path in paths] == [False, True]
    guano = chunk(b"guan", b"Timestamp: 2024-05-01T23:30:00-12:00")
    assert read_metadata(wav(tmp_path / "a.wav", guano), now).start is None
    assert read_metadata(wav(tmp_path / "a.wav", guano), now + timedelta(days=1)).start is not None


def test_position_and_temperature_are_read_as_the_recorder_wrote_them(tmp_path: Path) -> None:
    guano = b"GUANO|Version:1.0\nLoc Position:-27.3866 152.8761\nTemperature Ext: -3.5\nNote: x"
    text = (
        b"Recorded at 04:30:00 01/05/2024 (UTC) while battery was 4.1V and temperature was 21.2C."
    )
    info = chunk(b"LIST", b"INFO" + chunk(b"ICMT", text))
    path = wav(tmp_path / "a.wav", chunk(b"guan", guano), info)
    assert read_metadata(path) == RecorderMetadata(
        start=StartTime("2024-05-01T04:30:00+00:00", "audiomoth"),
        latitude=-27.3866,
        longitude=152.8761,
        temperature_int_c=21.2,
        temperature_ext_c=-3.5,
    )
    for wrong in (b"0.0 0.0", b"95 10", b"N 47", b"47.1"):  # no fix, no place, no numbers
        path = wav(tmp_path / "b.wav", chunk(b"guan", b"Loc Position: " + wrong))
        assert read_metadata(path) == RecorderMetadata()
    assert read_metadata(wav(tmp_path / "c.wav")) == RecorderMetadata()


@pytest.mark.parametrize("before", [True, False])
def test_guano_comes_first(tmp_path: Path, *, before: bool) -> None:
    guano = b"GUANO|Version: 1.0\nMake: X\nTimestamp: 2024-05-01T04:30:00.5+02:00\nNote: a\n"
    comment = b"Recorded at 19:17:30 01/03/2018 (UTC) by AudioMoth 1"
    info = chunk(b"LIST", b"INFO" + chunk(b"ICMT", comment))
    path = wav(tmp_path / "a.wav", info, chunk(b"guan", guano), before=before)
    assert read_metadata(path).start == StartTime("2024-05-01T04:30:00.500000+02:00", "guano")


def test_a_clock_that_was_never_set_is_no_time(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", chunk(b"guan", b"Timestamp: 1970-01-01T00:00:12\n"))
    assert read_metadata(path).start is None
    assert read_metadata(wav(tmp_path / "19700101_000012.wav")).start is None


def test_a_file_that_breaks_off_or_is_gone_gives_what_its_name_says(tmp_path: Path) -> None:
    path = tmp_path / "20240501_043000.wav"
    assert read_metadata(path).start == StartTime("2024-05-01T04:30:00", "file name")
    path.write_bytes(wav(tmp_path / "b.wav", chunk(b"guan", b"x" * 40)).read_bytes()[:-30])
    assert read_metadata(path).start == StartTime("2024-05-01T04:30:00", "file name")
