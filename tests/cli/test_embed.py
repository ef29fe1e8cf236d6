"""The real program: what it prints, how it exits, and what a kill leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dawnchorus.cli.app import main

WriteSound = Callable[..., Path]
PROGRAM = [sys.executable, "-c", "from dawnchorus.cli.app import main; raise SystemExit(main())"]

pytestmark = pytest.mark.cli


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_embed_lists_what_failed_and_exits_with_3(
    mixed: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    store = tmp_path / "x.store"
    ended = run("embed", mixed, "-m", tiny_folder, "-o", store, "--device", "cpu")
    assert ended.returncode == 3
    assert ended.stdout.strip() == str(store)
    assert "4 recordings found = 3 done + 0 skipped (there already) + 1 failed" in ended.stderr
    assert "bad.wav" in ended.stderr
    assert "Traceback" not in ended.stderr
    (mixed / "bad.wav").unlink()
    ended = run("embed", mixed, "-m", tiny_folder, "-o", store, "--json", "--device", "cpu")
    assert ended.returncode == 0
    assert ended.stderr == ""
    report = json.loads(ended.stdout)
    assert (report["n_found"], report["n_skipped"]) == (3, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["empty"], "no recordings in"),
        (["misspelt"], "no such file or folder"),
        (["empty", "--channel", "left"], "--channel left"),
        (["empty", "--batch-size", "0"], "batch_size"),
    ],
)
def test_wrong_usage_exits_with_2_and_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    assert main(["embed", *options, "-o", "x.store"]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not Path("x.store").exists()


def test_help_has_an_example() -> None:
    ended = run("embed", "--help")
    assert ended.returncode == 0
    assert "dawnchorus embed recordings/ -o archive.store" in ended.stdout


def test_a_dry_run_says_what_it_would_take(
    mixed: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = mixed.parent / "s.store"
    common = [str(mixed), "-m", str(tiny_folder), "-o", str(store), "--dry-run"]
    assert main(["embed", *common]) == 3
    said = capsys.readouterr()
    assert "17 windows" in said.out
    assert "MB to write" in said.out
    assert "bad.wav" in said.err
    assert not store.exists()
    assert main(["predict", *common, "--format", "csv", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["n_windows"] == 17
    assert not store.exists()
