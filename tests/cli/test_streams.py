"""The program where standard output and error are closed, full, cut off or of few letters."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dawnchorus.cli import streams

WriteSound = Callable[..., Path]
FULL = Path("/dev/full")

pytestmark = [
    pytest.mark.cli,
    pytest.mark.skipif(os.name != "posix", reason="a shell closes and redirects the streams"),
]
buffered = pytest.mark.parametrize("unbuffered", ["", "1"])


def shell(rest: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """``dawnchorus ARGUMENTS`` with ``rest`` of a shell's line behind it."""
    line = f'"$0" -m dawnchorus "$@" {rest}'
    return subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", line, sys.executable, *map(str, arguments)],
        capture_output=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_run_without_a_stream_does_its_work(
    tmp_path: Path, tiny_folder: Path, write_sound: WriteSound, closed: str
) -> None:
    sound = write_sound(tmp_path / "a.wav", 1.0)
    output = tmp_path / "x.csv"
    done = shell(closed, "predict", sound, "-m", tiny_folder, "--top-k", 1, "-o", output)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    # a file that took the number of a closed stream would have our words in it
    header, *rows = output.read_text().splitlines()
    assert (header.startswith("path,window"), len(rows)) == (True, 1)


@buffered
@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
def test_a_full_disk_behind_standard_output_is_said(unbuffered: str) -> None:
    done = shell("> /dev/full", "models", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        "dawnchorus: standard output cannot be written: No space left on device"
    ]


@buffered
@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
def test_what_cannot_be_heard_ends_no_run(
    tmp_path: Path, tiny_folder: Path, write_sound: WriteSound, unbuffered: str
) -> None:
    sound = write_sound(tmp_path / "a.wav", 1.0)
    done = shell(
        "2> /dev/full", "predict", sound, "-m", tiny_folder, "--top-k", 1,
        PYTHONUNBUFFERED=unbuffered,
    )  # fmt: skip
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)


@buffered
def test_a_reader_that_has_seen_enough_is_no_failure(unbuffered: str) -> None:
    done = shell("| true", "models", PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (0, b"")


def test_what_is_no_terminal_gets_utf8_unless_chosen_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for chosen, written in (("", "\N{OWL}".encode()), ("cp1252", b"\\U0001f989")):
        held = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(held, encoding="cp1252"))
        monkeypatch.setenv("PYTHONIOENCODING", chosen)
        streams.prepare()
        sys.stdout.write("\N{OWL}")
        sys.stdout.flush()
        assert held.getvalue() == written


def test_letters_that_a_terminal_lacks_are_escaped(
    tmp_path: Path, tiny_folder: Path, write_sound: WriteSound
) -> None:
    sound = write_sound(tmp_path / "owl \N{OWL}.wav", 1.0)
    call = ("predict", sound, "-m", tiny_folder, "--top-k", 1, "-q")
    narrow = shell("", *call, PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    assert (narrow.returncode, b"owl \\U0001f989.wav" in narrow.stdout) == (0, True)
    refused = shell("", "predict", tmp_path / "\N{OWL}", PYTHONIOENCODING="ascii")
    assert (refused.returncode, b"no such file" in refused.stderr) == (2, True)


@pytest.mark.parametrize("number", ["inf", "-inf", "nan", "1e999"])
def test_what_is_no_number_is_refused_by_every_option_that_takes_one(number: str) -> None:
    for command, option in [
        ("embed x -o s", "--window"),
        ("predict x", "--hop"),
        ("predict x", "--gap"),
        ("predict x", "--threshold"),
        ("store export s -o x.csv", "--min-score"),
        ("data pack m.parquet -o s", "--shard-mb"),
    ]:
        done = shell("", *command.split(), option, number)
        said = done.stderr.decode()
        assert (done.returncode, "Traceback" in said, option in said) == (2, False, True), said
