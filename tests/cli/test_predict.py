"""The real program `dawnchorus predict`."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dawnchorus.cli.app import main

PROGRAM = [sys.executable, "-c", "from dawnchorus.cli.app import main; raise SystemExit(main())"]
WriteSound = Callable[..., Path]

pytestmark = pytest.mark.cli


def test_predict_prints_csv_or_writes_the_file_that_its_name_says(
    tmp_path: Path,
    tiny_folder: Path,
    write_sound: WriteSound,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sound = write_sound(tmp_path / "näch te.wav", 2.5, 48_000)
    common = ["predict", str(sound), "-m", str(tiny_folder), "--device", "cpu", "--top-k", "1"]
    printed = subprocess.run(
        [*PROGRAM, *common], capture_output=True, encoding="utf-8", timeout=120, check=True
    ).stdout
    assert len(list(csv.DictReader(io.StringIO(printed)))) == 3
    assert main([*common, "-o", str(tmp_path / "x.csv"), "-q"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text(encoding="utf-8") == printed
    raven = tmp_path / "x.selections.txt"
    assert main([*common, "-o", str(raven), "--threshold", "1"]) == 0
    assert "the highest probability was" in capsys.readouterr().err
    assert raven.read_text().startswith("Selection\tView\t")


def test_a_list_of_labels_that_fits_nothing_is_wrong_usage(
    tmp_path: Path,
    tiny_folder: Path,
    write_sound: WriteSound,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sound = write_sound(tmp_path / "a.wav", 1.0)
    species = tmp_path / "species.txt"
    species.write_text("Raphus cucullatus\n")
    assert main(["predict", str(sound), "-m", str(tiny_folder), "--species", str(species)]) == 2
    said = capsys.readouterr().err
    assert "Raphus cucullatus" in said
    assert "blackbird" in said


def test_when_and_where_come_from_the_list_and_the_options(
    tmp_path: Path,
    tiny_folder: Path,
    write_sound: WriteSound,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_sound(tmp_path / "r" / "North" / "20240501T041500Z.wav", 1.0)
    (tmp_path / "list.csv").write_text("path,observer\nr/North,Ann\n")
    common = ["predict", "-m", str(tiny_folder), "--device", "cpu", "--threshold", "0"]
    common += ["--recordings", str(tmp_path / "list.csv"), "--time-zone", "America/New_York"]
    common += ["--site-from", "parent"]
    assert main([*common, "-o", str(tmp_path / "x.csv")]) == 0
    said = capsys.readouterr().err
    assert f"paths are relative to {tmp_path}" in said
    assert "warning" not in said
    with (tmp_path / "x.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    wanted = {
        "path": "r/North/20240501T041500Z.wav",
        "local_time": "2024-05-01T00:15:00.000-04:00",
        "observer": "Ann",
        "site": "North",
    }
    assert wanted.items() <= row.items()
    whole = ["--absolute-paths", "-o", str(tmp_path / "y.csv")]
    assert main([*common, *whole]) == 0
    assert "relative" not in capsys.readouterr().err
    assert f"{tmp_path.as_posix()}/r/North" in (tmp_path / "y.csv").read_text()
    assert main([*common, "-o", str(tmp_path / "z.csv"), "--time-zone", "nowhere"]) == 2
    assert "Europe/Berlin" in capsys.readouterr().err


def test_a_run_ends_with_a_table_of_what_was_found(
    tmp_path: Path,
    tiny_folder: Path,
    write_sound: WriteSound,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sound = write_sound(tmp_path / "a.wav", 2.0)
    command = ["predict", str(sound), "-m", str(tiny_folder), "-o", str(tmp_path / "x.csv")]
    assert main([*command, "--top-k", "1"]) == 0
    said = capsys.readouterr().err.splitlines()
    (at,) = [number for number, line in enumerate(said) if line.startswith("label ")]
    assert said[at].split() == ["label", "level", "detections", "recordings", "highest"]
    assert sum(int(line.split()[-3]) for line in said[at + 1 :]) == 2
    assert main([*command, "--top-k", "1", "--json", "--overwrite"]) == 0
    found = json.loads(capsys.readouterr().out)["found"]
    assert sum(label["n_detections"] for label in found) == 2
    assert main([*command, "--top-k", "1", "-q", "--overwrite"]) == 0
    assert capsys.readouterr().err == ""


def test_the_bundled_model_is_called_a_demonstration(
    tmp_path: Path, write_sound: WriteSound, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = write_sound(tmp_path / "a.wav", 1.0)
    assert main(["predict", str(sound), "--top-k", "1", "-o", str(tmp_path / "x.csv")]) == 0
    assert "dawnchorus_eat_tiny is a demonstration" in capsys.readouterr().err
