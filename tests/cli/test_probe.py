"""The real program `dawnchorus probe`, with the model that ships, from clips to detections."""

from __future__ import annotations

import csv
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.cli.app import main
from dawnchorus.cli.predict import command
from dawnchorus.cli.probe import subcommands

PROGRAM = [sys.executable, "-c", "from dawnchorus.cli.app import main; raise SystemExit(main())"]
RATE = 16_000
TONES = {"owl": 700.0, "wren": 5000.0}

pytestmark = pytest.mark.cli


def call(label: str, seed: int) -> np.ndarray:
    """Half a second of a wavering tone in noise."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(RATE // 2) / RATE
    wave = np.sin(2 * np.pi * TONES[label] * (1 + 0.05 * rng.normal()) * time_s)
    return 0.3 * wave * np.hanning(len(wave)) + 0.02 * rng.normal(size=len(wave))


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for label in TONES:
        (tmp_path / "calls" / label).mkdir(parents=True)
        for k in range(12):
            soundfile.write(
                tmp_path / "calls" / label / f"{k}.wav", call(label, 50 * len(label) + k), RATE
            )
    return tmp_path / "calls"


def test_clips_in_folders_become_a_probe_that_finds_them_in_a_recording(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, cache = tmp_path / "calls.probe", str(tmp_path / "cache")
    line = [*PROGRAM, "probe", "fit", str(clips), "-o", str(place), "--cache", cache]
    line += ["--device", "cpu", "--target-precision", "0.8"]  # which twelve clips can show
    done = subprocess.run(line, capture_output=True, encoding="utf-8", timeout=300, check=True)
    assert done.stdout.splitlines()[0].startswith("class")
    assert done.stdout.splitlines()[-1] == str(place)
    assert "24 clips (0 embedded before) of 24 recordings" in done.stderr
    assert "add clips with none of them" in done.stderr
    assert {path.name for path in place.iterdir()} == {
        "probe.json", "probe.safetensors", "report.md", "reliability.png",
    }  # fmt: skip

    heard = ["owl", "wren", "wren", "owl"]
    sound = np.concatenate([call(label, 900 + k) for k, label in enumerate(heard)])
    soundfile.write(tmp_path / "dawn.wav", sound, RATE)
    found = tmp_path / "found.csv"
    args = ["probe", "predict", str(place), str(tmp_path / "dawn.wav"), "--device", "cpu"]
    assert main([*args, "-o", str(found), "-q"]) == 0
    assert capsys.readouterr().out.strip() == str(found)
    with found.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["start_s"], row["label"]) for row in rows] == [
        (f"{k / 2:.6f}", label) for k, label in enumerate(heard)
    ]
    assert main(["predict", "--probe", str(place), *args[3:], "-o", str(found), "--overwrite"]) == 0
    with found.open() as file:
        assert list(csv.DictReader(file)) == rows
    capsys.readouterr()

    assert main(["probe", "evaluate", str(place), str(clips), "--cache", cache]) == 2
    assert "fitted on" in capsys.readouterr().err
    common = ["--seen", "--json", "--cache", cache, "-q"]
    assert main(["probe", "evaluate", str(place), str(clips), *common]) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["accuracy"]["value"] == 1.0

    page = tmp_path / "evaluation"
    args = ["--seen", "--cache", cache, "-o", str(page)]
    assert main(["probe", "evaluate", str(place), str(clips), *args]) == 0
    assert "24 clips of 24 recordings" in capsys.readouterr().err
    assert (page / "reliability.png").stat().st_size > 10_000
    text = (page / "evaluation.md").read_text(encoding="utf-8")
    assert text.startswith("# calls.probe on other clips")
    assert "accuracy: 1.00 [0.86, 1.00]" in text
    assert [line.split(" | ")[0] for line in text.splitlines() if " 12 | " in line] == [
        "| owl", "| wren",
    ]  # fmt: skip


def test_every_option_of_predict_is_one_of_probe_predict() -> None:
    ours = inspect.signature(subcommands[-1]).parameters
    theirs = inspect.signature(command).parameters
    assert list(ours) == ["probe", *(name for name in theirs if name != "probe")]


def test_nonsense_is_wrong_usage(clips: Path, tmp_path: Path) -> None:
    base = ["probe", "fit", str(clips), "-o", str(tmp_path / "x"), "--no-cache"]
    for wrong in (
        ["--few-shot", "some"],
        ["--probe-type", "attention"],
        ["--target-precision", "0.9", "--target-recall", "0.9"],
        ["--input-format", "excel"],
        ["--calibration", "magic"],
        ["--confidence", "1"],
        ["--background", "owls"],  # no clip has it
        ["--nothing", "owls"],  # the same option
    ):
        assert main([*base, *wrong]) == 2
