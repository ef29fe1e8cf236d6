"""Cores and memory are counted as the system grants them."""

from __future__ import annotations

from pathlib import Path

import psutil

from dawnchorus.machine import cores_per_process, free_memory, n_cores, n_readers


def test_a_containers_quota_and_a_schedulers_share_are_kept(tmp_path: Path) -> None:
    free = n_cores({}, tmp_path)
    assert free >= 1
    assert n_cores({"SLURM_CPUS_PER_TASK": "1"}, tmp_path) == 1
    assert n_cores({"OMP_NUM_THREADS": "4096"}, tmp_path) == free
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert n_cores({}, tmp_path) == free
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert n_cores({}, tmp_path) == 1
    (tmp_path / "cpu.max").write_text("20000 100000\n")
    assert n_cores({}, tmp_path) == 1


def test_as_many_threads_read_as_cores_were_granted(tmp_path: Path) -> None:
    assert n_readers(None, {}, tmp_path) == n_cores({}, tmp_path)
    assert n_readers(None, {"SLURM_CPUS_PER_TASK": "1"}, tmp_path) == 1
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert n_readers(None, {}, tmp_path) == 1
    assert n_readers(5, {}, tmp_path) == 5


def test_the_older_form_of_a_quota_is_read(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert n_cores({}, tmp_path) == 1


def test_memory_is_what_the_groups_of_this_process_leave(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/jobs/7\n")
    free = free_memory(tmp_path, own)
    assert 0 < free <= psutil.virtual_memory().total
    job = tmp_path / "jobs/7"
    job.mkdir(parents=True)
    (job / "memory.max").write_text("5000\n")
    (job / "memory.current").write_text("3000\n")
    assert free_memory(tmp_path, own) == 2000
    (tmp_path / "jobs/memory.max").write_text("4000\n")  # the group above has less left
    (tmp_path / "jobs/memory.current").write_text("3900\n")
    assert free_memory(tmp_path, own) == 100
    (job / "memory.current").write_text("9000\n")
    assert free_memory(tmp_path, own) == 0


def test_the_older_form_of_a_memory_limit_is_read(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("9:name=systemd:/\n4:memory:/jobs/7\n0::/\n")
    job = tmp_path / "memory/jobs/7"
    job.mkdir(parents=True)
    (job / "memory.limit_in_bytes").write_text("9000\n")
    (job / "memory.usage_in_bytes").write_text("1500\n")
    assert free_memory(tmp_path, own) == 7500


def test_processes_of_one_run_share_the_cores_out(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert cores_per_process(4, {}, tmp_path) == 1  # never none
    (tmp_path / "cpu.max").write_text("max 100000\n")
    all_cores = cores_per_process(1, {}, tmp_path)
    assert cores_per_process(all_cores, {}, tmp_path) == 1
    assert cores_per_process(1, {"OMP_NUM_THREADS": "1"}, tmp_path) == all_cores
    slurm = {"SLURM_CPUS_PER_TASK": "2", "SLURM_NTASKS_PER_NODE": "2"}
    assert cores_per_process(2, slurm, tmp_path) == min(2, all_cores)  # two per task
