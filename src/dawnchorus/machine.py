"""Cores and memory that this process may use, as containers and schedulers limit them.

Python and psutil report the whole machine; in a container that is many times too much. Sources: the
Linux kernel's documentation of control groups, versions 1 and 2; sbatch(1) of SLURM.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CGROUP: Final = Path("/sys/fs/cgroup")  # where the kernel shows all control groups
OWN_GROUP: Final = Path("/proc/self/cgroup")  # which of them this process is in
# environment variables by which a scheduler or user limits the cores
CORE_LIMITS: Final = ("SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS")


def n_cores(environment: Mapping[str, str] = os.environ, cgroup: Path = CGROUP) -> int:
    """Cores that this process may use: affinity, container quota, SLURM and OMP_NUM_THREADS."""
    affinity = getattr(os, "sched_getaffinity", None)
    limits = [len(affinity(0)) if affinity else os.cpu_count() or 1]
    quota = _quota(cgroup)
    if quota:
        limits.append(quota)
    limits += [int(environment[key]) for key in CORE_LIMITS if environment.get(key, "").isdecimal()]
    return max(1, min(limits))


def n_readers(
    wanted: int | None = None,
    environment: Mapping[str, str] = os.environ,
    cgroup: Path = CGROUP,
) -> int:
    """Threads that read recordings beside an encoder: one a core, or as many as are wanted.

    They may be as many as there are cores although the encoder takes all of these too: what they
    may have read ahead is limited, so they wait as soon as the encoder has enough to do.
    """
    return max(1, wanted or n_cores(environment, cgroup))


def cores_per_process(
    n_processes: int, environment: Mapping[str, str] = os.environ, cgroup: Path = CGROUP
) -> int:
    """Cores for each of the processes of a run on this machine, for threads that are not OpenMP's.

    torchrun sets OMP_NUM_THREADS to 1 for torch's own threads; that does not limit decoding.
    """
    environment = {key: value for key, value in environment.items() if key != "OMP_NUM_THREADS"}
    cores = n_cores(environment, cgroup)
    tasks = environment.get("SLURM_NTASKS_PER_NODE", "")
    if tasks.isdecimal() and int(tasks) >= n_processes:
        return cores  # each process is a task of SLURM, and n_cores counts the cores of one task
    return max(1, cores // n_processes)


def _quota(cgroup: Path) -> int | None:
    """Whole cores of a container's quota, None without one; version 2, then version 1."""
    try:
        allowed, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            allowed = (cgroup / "cpu/cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text(encoding="ascii").strip()
        except OSError:
            return None
    if not (allowed.isdecimal() and period.isdecimal() and int(period)):
        return None  # "max" or -1: no quota
    return max(1, int(allowed) // int(period))


def free_memory(cgroup: Path = CGROUP, own_group: Path = OWN_GROUP) -> int:
    """Bytes that this process may still take: the machine's, or what its control group leaves.

    psutil knows the machine only; a container or a job of SLURM is ended by its group's limit.
    """
    free = [int(psutil.virtual_memory().available)]
    for limit, used in _memory_groups(cgroup, own_group):
        try:
            allowed, used_now = (path.read_text(encoding="ascii").strip() for path in (limit, used))
        except OSError:
            continue
        if allowed.isdecimal() and used_now.isdecimal():  # else "max": no limit
            free.append(max(0, int(allowed) - int(used_now)))
    return min(free)


def _memory_groups(cgroup: Path, own_group: Path) -> Iterator[tuple[Path, Path]]:
    """Files of the limit and the use of every group that holds this process, both versions."""
    try:
        lines = own_group.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []  # not Linux
    own = {kinds: path.strip("/") for _, kinds, path in (line.split(":", 2) for line in lines)}
    version_2 = cgroup / own.get("", "")
    for folder in (version_2, *version_2.parents):
        if folder.is_relative_to(cgroup):
            yield folder / "memory.max", folder / "memory.current"
    version_1 = cgroup / "memory"
    for folder in (version_1 / own.get("memory", ""), version_1):
        yield folder / "memory.limit_in_bytes", folder / "memory.usage_in_bytes"
