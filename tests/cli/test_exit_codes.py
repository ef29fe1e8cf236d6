"""The exit codes that scripts rely on, of the real program: 0, 1, 2, 3 and 130."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dawnchorus.store.read import Store

WriteSound = Callable[..., Path]
PROGRAM = [sys.executable, "-m", "dawnchorus"]

pytestmark = pytest.mark.cli


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=False)


@pytest.fixture
def good(tmp_path: Path, write_sound: WriteSound) -> Path:
    return write_sound(tmp_path / "good" / "a.wav", 2.0).parent


def command_for(name: str, folder: Path, model: Path) -> list[object]:
    """A run of a command on a folder; its output lies beside the folder."""
    out = folder.parent / "out"
    return {
        "embed": ["embed", folder, "-m", model, "-o", out, "--device", "cpu"],
        "predict": ["predict", folder, "-m", model, "-o", f"{out}.csv", "--top-k", "1"],
        "doctor": ["doctor", folder, "--csv", f"{out}.csv"],
    }[name]


COMMANDS = pytest.mark.parametrize("name", ["embed", "predict", "doctor"])


@COMMANDS
def test_all_well_is_0_and_a_bad_recording_3_with_its_name(
    name: str, good: Path, mixed: Path, tiny_folder: Path
) -> None:
    well = run(*command_for(name, good, tiny_folder))
    assert (well.returncode, "Traceback" in well.stderr) == (0, False)
    some_bad = run(*command_for(name, mixed, tiny_folder), *([] if name == "doctor" else ["-q"]))
    if name == "predict":  # the output of the run before is there
        some_bad = run(*command_for(name, mixed, tiny_folder), "--overwrite")
    assert some_bad.returncode == 3
    assert "bad.wav" in some_bad.stdout + some_bad.stderr
    assert "Traceback" not in some_bad.stderr


@COMMANDS
def test_wrong_usage_is_2_and_one_line(name: str, tmp_path: Path, tiny_folder: Path) -> None:
    ended = run(*command_for(name, tmp_path / "misspelt", tiny_folder))
    assert ended.returncode == 2
    assert "misspelt: no such file or folder" in ended.stderr
    assert ended.stderr.count("\n") == 1
    unknown = run(name, "--no-such-flag")
    assert unknown.returncode == 2


@pytest.mark.parametrize("name", ["embed", "predict"])
def test_weights_that_do_not_work_are_1_and_one_line(
    name: str, good: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in tiny_folder.iterdir():
        content = file.read_bytes()
        (broken / file.name).write_bytes(
            content[:-1000] if file.suffix == ".safetensors" else content
        )
    ended = run(*command_for(name, good, broken))
    assert ended.returncode == 1
    assert ended.stderr.startswith("dawnchorus: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="signals of a terminal")
def test_an_interrupted_embed_is_130_and_continues(
    good: Path, tiny_folder: Path, write_sound: WriteSound
) -> None:
    write_sound(good / "long.wav", 600.0)
    command = [*command_for("embed", good, tiny_folder), "--batch-size", "1", "--workers", "1"]
    process = subprocess.Popen(
        [*PROGRAM, *map(str, command)], stderr=subprocess.PIPE, encoding="utf-8"
    )
    store = good.parent / "out"
    waiting_until = time.monotonic() + 60
    while not (store / "store.json").exists() and time.monotonic() < waiting_until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command continues from there" in said
    assert "Traceback" not in said
    assert run(*command).returncode == 0
    assert set(Store(store).recordings()["status"].to_pylist()) == {"done"}
