"""The real program, killed at many moments, and two of it at once on one store."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.cli.app import main
from dawnchorus.store.read import Store

WriteSound = Callable[..., Path]
# Commits after every batch; counts what it asks of the disk, says so, and kills itself at a chosen
# count. The windows are encoded slowly enough for two runs to meet.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
kill_at, slow_s = int(sys.argv.pop(1)), float(sys.argv.pop(1))
n_calls = 0
def counted(original):
    def call(*arguments, **options):
        global n_calls
        n_calls += 1
        print(n_calls, flush=True)
        if n_calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)
    return call
from dawnchorus.cli.app import main
from dawnchorus.engine.encoding.batches import BatchEncoder
from dawnchorus.store import files, write
write.StoreWriter.__init__.__kwdefaults__["part_seconds"] = 0.0
os.fsync, Path.replace = counted(os.fsync), counted(Path.replace)
files.sync_folder = counted(files.sync_folder)
vectors = BatchEncoder.vectors
def slowly(*arguments):
    time.sleep(slow_s)
    return vectors(*arguments)
BatchEncoder.vectors = slowly
raise SystemExit(main())
"""
NEVER = 10**9

pytestmark = pytest.mark.long


def arguments(folder: Path, model: Path, store: Path) -> list[str]:
    paths = ["embed", str(folder), "-m", str(model), "-o", str(store)]
    return [*paths, "--batch-size", "2", "--device", "cpu", "--json"]


def start(kill_at: int, slow_s: float, command: list[str]) -> subprocess.Popen[str]:
    whole = [sys.executable, "-c", PROGRAM, str(kill_at), str(slow_s), *command]
    return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def assert_equal(store: Path, whole: Path) -> None:
    (vectors, table), (wanted, wanted_table) = Store(store).read(), Store(whole).read()
    assert table.to_pydict() == wanted_table.to_pydict()
    np.testing.assert_allclose(vectors, wanted, atol=2e-3)  # float16, other batches
    assert Store(store).check().damages == ()
    rows = Store(store).recordings().drop(["started", "ended", "parts", "revision"])
    wanted_rows = Store(whole).recordings().drop(["started", "ended", "parts", "revision"])
    assert rows.to_pylist() == wanted_rows.to_pylist()


def finish(command: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    capsys.readouterr()
    assert main(command) == 3
    report: dict[str, int] = json.loads(capsys.readouterr().out)
    assert report["n_found"] == 4
    assert report["n_found"] == report["n_done"] + report["n_skipped"] + report["n_failed"]
    return report


def test_killed_at_any_moment_the_same_command_makes_the_same_store(
    mixed: Path, tmp_path: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "whole.store"
    whole_command = arguments(mixed, tiny_folder, whole)
    process = start(NEVER, 0.01, whole_command)
    talk, _ = process.communicate()
    assert process.returncode == 3
    numbers = [int(line) for line in talk.splitlines() if line.isdecimal()]
    chosen = range(1, max(numbers) + 1, max(1, max(numbers) // 14))
    waits = random.Random(6)  # noqa: S311  moments, not secrets
    moments = [(n, None) for n in chosen] + [(NEVER, waits.uniform(0, 0.3)) for _ in range(8)]
    assert len(moments) >= 20
    n_begun = []
    for number, (kill_at, wait_s) in enumerate(moments):
        store = tmp_path / f"{number}.store"
        command = arguments(mixed, tiny_folder, store)
        process = start(kill_at, 0.01, command)
        if wait_s is not None:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(wait_s)  # a moment that nothing in the program marks
            process.kill()
        process.communicate()
        assert process.returncode == -9
        n_begun.append(len(list((store / "recordings").glob("part-*"))))
        finish(command, capsys)
        assert_equal(store, whole)
    assert len(set(n_begun)) > 3  # the kills did come at different moments


def test_a_run_that_is_killed_again_and_again_comes_to_an_end(
    mixed: Path, tmp_path: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, store = tmp_path / "whole.store", tmp_path / "a.store"
    finish(arguments(mixed, tiny_folder, whole), capsys)
    command = arguments(mixed, tiny_folder, store)
    for kill_at in (5, 9, 14, 20, 9):
        process = start(kill_at, 0.0, command)
        process.communicate()
    finish(command, capsys)
    assert_equal(store, whole)


def test_two_runs_on_one_store_both_finish_and_no_recording_is_done_twice(
    tmp_path: Path, tiny_folder: Path, write_sound: WriteSound
) -> None:
    folder = tmp_path / "recordings"
    for index in range(40):
        write_sound(folder / f"{index}.wav", 4.0, seed=index)
    store = tmp_path / "a.store"
    command = arguments(folder, tiny_folder, store)
    both = [start(NEVER, 0.1, command) for _ in range(2)]
    reports = []
    for process in both:
        talk, _ = process.communicate()
        assert process.returncode == 0
        reports.append(json.loads(talk[talk.index("{") :]))
    assert [report["n_found"] for report in reports] == [40, 40]
    assert sum(report["n_done"] for report in reports) == 40
    assert min(report["n_done"] for report in reports) > 0  # they did work side by side
    assert len(Store(store).read()[1]) == 160
    assert Store(store).check().damages == ()
