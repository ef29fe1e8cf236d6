"""The real program: what it prints, how it exits, and what a kill leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.cli.app import main
from dawnchorus.store.read import Store

WriteSound = Callable[..., Path]
PROGRAM = [sys.executable, "-c", "from dawnchorus.cli.app import main; raise SystemExit(main())"]
# commits after every batch instead of every half minute, and says so
EAGER = """
import sys
from dawnchorus.cli.app import main
from dawnchorus.store import write
write.StoreWriter.__init__.__kwdefaults__["part_seconds"] = 0.0
write_part = write.write_part
def telling(*arguments):
    part = write_part(*arguments)
    print("part", flush=True)
    return part
write.write_part = telling
raise SystemExit(main())
"""

pytestmark = pytest.mark.cli


@pytest.fixture
def mixed(tmp_path: Path, write_sound: WriteSound) -> Path:
    """A long recording and three short ones, one of them bad."""
    folder = tmp_path / "recordings"
    write_sound(folder / "a.wav", 12.4, 44_100, seed=1)
    write_sound(folder / "b.flac", 2.0, 16_000, seed=2)
    write_sound(folder / "c.ogg", 1.7, 22_050, seed=3)
    (folder / "bad.wav").write_text("not sound")
    return folder


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


def arguments(folder: Path, model: Path, store: Path) -> list[str]:
    paths = ["embed", str(folder), "-m", str(model), "-o", str(store)]
    return [*paths, "--batch-size", "3", "--device", "cpu", "-q"]


def rows(store: Path) -> tuple[np.ndarray, dict[str, list[object]]]:
    vectors, table = Store(store).read()
    return vectors, table.to_pydict()


def test_killed_at_any_part_the_same_command_makes_the_same_store(
    mixed: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    assert main(arguments(mixed, tiny_folder, tmp_path / "whole.store")) == 3
    wanted_vectors, wanted = rows(tmp_path / "whole.store")
    left = []
    for n_parts in (1, 4, 9):
        store = tmp_path / f"{n_parts}.store"
        command = [sys.executable, "-c", EAGER, *arguments(mixed, tiny_folder, store)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(n_parts):
                assert process.stdout.readline() == "part\n"
            process.kill()
        assert process.returncode == -9
        left.append(len(Store(store).recordings()))
        assert main(arguments(mixed, tiny_folder, store)) == 3
        vectors, table = rows(store)
        assert table == wanted
        np.testing.assert_allclose(vectors, wanted_vectors, atol=2e-3)  # float16, other batches
        assert Store(store).check().damages == ()
    assert left[0] < left[-1]  # the kills did come at different moments
