"""Several processes train on the same batches as one, and come to the same losses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import toy_training
from dawnchorus.training import devices
from dawnchorus.training.run import RunFolder
from toy_training import N_STEPS, SCENARIOS, Toy, run_in, steps_of

SUM_ORDER = 1e-5  # relative; float32 sums in another order


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every scenario, trained by two processes on CPUs that talk through gloo."""
    folder = tmp_path_factory.mktemp("together")
    train_together(folder, *SCENARIOS)
    return folder


def train_together(folder: Path, *scenarios: str) -> None:
    command = [sys.executable, toy_training.__file__, str(folder), *scenarios]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    subprocess.run(command, env=env, check=True, timeout=300)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, RunFolder]:
    """The same by one process, without and with stages."""
    folder = tmp_path_factory.mktemp("alone")
    return {s: run_in(folder / str(s), Toy(stages=s))[0] for s in (False, True)}


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "ddp_broken"])
def test_two_processes_have_the_losses_of_one_step_by_step(
    together: Path, alone: dict[bool, RunFolder], name: str
) -> None:
    run, reference = RunFolder(together / name), alone[name.endswith("stages")]
    names = ("loss", "bias", "grad_norm", "lr")
    ours, theirs = steps_of(run, *names), steps_of(reference, *names)
    assert len(ours) == N_STEPS
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=SUM_ORDER, abs=1e-6)
    for file in ("model.safetensors", "optimizer.safetensors"):
        step = f"checkpoints/step-{N_STEPS:07d}/{file}"
        mine, its = load_file(run.path / step), load_file(reference.path / step)
        assert mine.keys() == its.keys()
        for key, value in its.items():
            assert torch.allclose(mine[key], value, rtol=1e-4, atol=1e-6), key


def test_a_loss_that_is_broken_in_one_process_is_skipped_in_all_and_named(together: Path) -> None:
    message = json.loads((together / "ddp_broken" / "error.json").read_text())
    assert "not finite in 6 steps in a row" in message
    assert "clip-8-7" in message
    assert "clip-8-0" not in message


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_thread_of_the_group_outlives_the_run(tmp_path: Path) -> None:
    train_together(tmp_path, "ddp", "ddp_broken")  # torch's caches hold the group of fsdp
    for rank in range(2):
        names = json.loads((tmp_path / f"threads-{rank}.json").read_text())
        assert names
        assert not [name for name in names if "gloo" in name], rank


@pytest.mark.parametrize("name", ["fsdp_stages", "ddp_stages"])
def test_one_process_goes_on_where_two_stopped(
    together: Path, alone: dict[bool, RunFolder], tmp_path: Path, name: str
) -> None:
    here = tmp_path / name
    shutil.copytree(together / name, here)
    shutil.rmtree(here / "checkpoints" / f"step-{N_STEPS:07d}")
    changes: dict[str, Any] = {**SCENARIOS[name], "devices": 1, "strategy": "auto"}
    run, _ = run_in(here, Toy(stages=True), **changes)
    for one, other in zip(steps_of(run, "loss"), steps_of(alone[True], "loss"), strict=True):
        assert one == pytest.approx(other, rel=SUM_ORDER)


def test_a_process_ends_with_the_one_that_started_it() -> None:
    first = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    waits_for_ever = """
import threading
from dawnchorus.training import devices
devices._end_with_parent()
print("waiting", flush=True)
threading.Event().wait()
"""
    env = {**os.environ, "LOCAL_RANK": "1", devices.PARENT: str(first.pid)}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    other = subprocess.Popen(
        [sys.executable, "-c", waits_for_ever], env=env, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    with other.stdout as said:
        assert said.readline() == "waiting\n"
        assert other.poll() is None
        first.kill()  # not waited for yet: a zombie has ended too
        assert other.wait(timeout=30) == 1
    first.communicate()
