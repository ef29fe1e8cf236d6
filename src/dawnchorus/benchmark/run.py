"""Run a plan: features, probes and distances of every model on every task, as rows of results.

A job is one model on one task. Jobs are shared among runs on one folder by locks that the operating
system drops when their holder dies; within a job each group of scores is kept when it is done.
"""

from __future__ import annotations

import json
import math
import platform
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from dawnchorus import __version__
from dawnchorus.benchmark.encoders import Entrant, open_entrant
from dawnchorus.benchmark.hashes import hash_of_value
from dawnchorus.benchmark.job import Job, Sheet, cache_folder, open_sheet
from dawnchorus.benchmark.prepare import data_folder, load_items
from dawnchorus.benchmark.results import Results
from dawnchorus.benchmark.tasks.registry import find_tasks
from dawnchorus.errors import RunInterruptedError, TaskError, UsageError
from dawnchorus.interrupt import stop_on_signals
from dawnchorus.store.locks import StoreLocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from threading import Event

    import pyarrow as pa

    from dawnchorus.configs.benchmark import BenchmarkConfig

LOCK: Final = ".lock"
WAIT_S: Final = 1.0  # before a look whether another run has finished its job


class Watcher(Protocol):
    """Who is told how far a run is."""

    def began(self, job: str, what: str, total: int, unit: str) -> Callable[[int], None]:
        """A stretch of work begins; gives what to call with each advance."""

    def said(self, text: str) -> None:
        """Something worth a line."""


class Silence:
    """Nobody is told."""

    def began(self, job: str, what: str, total: int, unit: str) -> Callable[[int], None]:
        """Nothing."""
        del job, what, total, unit
        return lambda _n: None

    def said(self, text: str) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCount:
    """One line of a dry run."""

    model: str
    task: str
    n_cells: int
    n_done: int
    n_clips: int
    n_to_encode: int
    readings: tuple[str, ...]
    shard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What a run did.

    Attributes:
        n_cells: of this run's share of the plan.
        n_done: computed now.
        n_kept: there before.
        n_rows: in the folder.
        undefined: reason to how many scores in the folder are nan for it.
    """

    output: str
    n_cells: int = 0
    n_done: int = 0
    n_kept: int = 0
    n_rows: int = 0
    seconds: float = 0.0
    undefined: dict[str, int] = field(default_factory=dict)


def benchmark(config: BenchmarkConfig, *, watcher: Watcher | None = None) -> RunReport:
    """Run a plan, or go on with it where it was stopped.

    Returns:
        What was done; the scores lie in ``config.output``.

    Raises:
        UsageError: The plan names what is not there.
        TaskError: Data are missing or damaged.
        RunInterruptedError: Ctrl-C or SIGTERM; what was finished is kept.
    """
    watcher = watcher or Silence()
    started = time.monotonic()
    jobs = _own_share(config, _jobs(config))
    output = Path(config.output)
    for folder in (output, cache_folder(config)):
        folder.mkdir(parents=True, exist_ok=True)
    results = Results(output)
    locks = StoreLocks(output / LOCK)
    counts: Counter[str] = Counter()
    try:
        locks.open_to_others()
        with stop_on_signals() as stop:
            for job, done in _Run(config, locks, results, watcher, stop).work(jobs):
                counts.update(done)
                watcher.said(f"{job.name}: {done['done']} cells computed, {done['kept']} kept")
    finally:
        locks.close()
        table = results.publish()
    return RunReport(
        output=str(output),
        n_cells=counts["done"] + counts["kept"],
        n_done=counts["done"],
        n_kept=counts["kept"],
        n_rows=len(table),
        seconds=time.monotonic() - started,
        undefined=_undefined(table),
    )


def _undefined(table: pa.Table) -> dict[str, int]:
    values, reasons = table["value"].to_pylist(), table["reason"].to_pylist()
    return dict(Counter(r for v, r in zip(values, reasons, strict=True) if math.isnan(v)))


def dry_run(config: BenchmarkConfig) -> list[JobCount]:
    """What a plan comes to, with what of it is done; encodes nothing, leaves nothing.

    Errors as for `benchmark`.
    """
    finished = Results(Path(config.output)).finished()
    shares = _shares(config, _jobs(config))
    counts = []
    with _Models(config.device) as models:
        for share, jobs in shares.items():
            if config.shard and share != config.shard[0]:
                continue
            for job in jobs:
                sheet = open_sheet(config, models.open(job.model), job)
                groups = sheet.groups
                n_items = sheet.n_items
                counts.append(
                    JobCount(
                        model=sheet.entrant.name,
                        task=job.task.id,
                        n_cells=len(groups),
                        n_done=sum(sheet.cell(group) in finished for group in groups),
                        n_clips=n_items,
                        n_to_encode=sheet.n_to_encode(),
                        readings=tuple(
                            dict.fromkeys(
                                f"{g.reading.readout} {g.reading.pooling}" for g in groups
                            )
                        ),
                        shard=share,
                    )
                )
    return counts


class _Models:
    """The model that is open; the one before it is let go."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._open: tuple[str, Entrant] | None = None
        self._spec_of: dict[str, str] = {}

    def check(self, specs: Iterable[str]) -> None:
        """Open every model once, so that a wrong one is not found after hours of work."""
        for spec in dict.fromkeys(specs):
            self.open(spec)

    def __enter__(self) -> _Models:
        return self

    def __exit__(self, *_: object) -> None:
        self._open = None

    def open(self, spec: str) -> Entrant:
        if self._open is None or self._open[0] != spec:
            self._open = None
            entrant = open_entrant(spec, self._device)
            self._check_name(spec, entrant)
            self._open = (spec, entrant)
        return self._open[1]

    def _check_name(self, spec: str, entrant: Entrant) -> None:
        other = self._spec_of.setdefault(entrant.name, spec)
        if other != spec:
            raise UsageError(
                f"{other} and {spec} are both called {entrant.name!r}; give one another name: "
                f"-m NAME={spec}"
            )


def _jobs(config: BenchmarkConfig) -> list[Job]:
    """Every model on every task, models first, with the items that each task has.

    Raises:
        UsageError: No such task, or a model twice.
        TaskError: A task's data are missing.
    """
    twice = [name for name, n in Counter(config.models).items() if n > 1]
    if twice:
        raise UsageError(f"model {twice[0]!r} is there twice")
    root = Path(config.data)
    tasks, missing = [], []
    for task in find_tasks(config.tasks):
        try:
            tasks.append((task, load_items(task, root, config.protocol)))
        except TaskError as error:
            missing.append(str(error))
    if missing:
        raise TaskError("\n".join(missing))
    return [
        Job(model=model, task=task, items=items, folder=data_folder(task, root))
        for model in config.models
        for task, items in tasks
    ]


def _own_share(config: BenchmarkConfig, jobs: Sequence[Job]) -> list[Job]:
    if config.shard is None:
        return list(jobs)
    return _shares(config, jobs)[config.shard[0]]


def _shares(config: BenchmarkConfig, jobs: Sequence[Job]) -> dict[int, list[Job]]:
    """Jobs of each shard: the largest first, each to the shard that has least; in plan order."""
    n_shards = config.shard[1] if config.shard else 1
    load = dict.fromkeys(range(n_shards), 0)
    of_job: dict[int, int] = {}
    for index in sorted(range(len(jobs)), key=lambda i: (-len(jobs[i].items.items), i)):
        shard = min(load, key=lambda s: (load[s], s))
        load[shard] += len(jobs[index].items.items)
        of_job[index] = shard
    return {s: [job for i, job in enumerate(jobs) if of_job[i] == s] for s in range(n_shards)}


@dataclass(frozen=True, slots=True)
class _Run:
    """What the jobs of a run share."""

    config: BenchmarkConfig
    locks: StoreLocks
    results: Results
    watcher: Watcher
    stop: Event

    def work(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Counter[str]]]:
        """Do each job that no other run is at; come back to those until they are finished."""
        waiting = list(jobs)
        with _Models(self.config.device) as models:
            models.check(job.model for job in jobs)
            while waiting:
                busy = []
                for job in waiting:
                    self.check_stop()
                    claim = self._claim(job)
                    if not self.locks.claim(claim):
                        busy.append(job)
                        continue
                    try:
                        yield job, self._do(open_sheet(self.config, models.open(job.model), job))
                    finally:
                        self.locks.release(claim)
                if len(busy) == len(waiting):
                    self.stop.wait(WAIT_S)
                waiting = busy

    def check_stop(self) -> None:
        """Raise if the user wants an end."""
        if self.stop.is_set():
            raise RunInterruptedError("interrupted; the same command goes on from here")

    def _claim(self, job: Job) -> str:
        about = [job.model, job.task.id, self.config.protocol, self.config.split]
        return hash_of_value(about)[:16]

    def _do(self, sheet: Sheet) -> Counter[str]:
        finished = self.results.finished()
        todo = [group for group in sheet.groups if sheet.cell(group) not in finished]
        counts = Counter(kept=len(sheet.groups) - len(todo))
        if not todo:
            return counts
        name = f"{sheet.entrant.name} on {sheet.job.task.id}"
        sheet.encode(
            todo,
            stop=self.stop,
            began=lambda split, n: self.watcher.began(name, f"encoding {split}", n, "clips"),
        )
        advance = self.watcher.began(name, "scoring", len(todo), "cells")
        for group in todo:
            self.check_stop()
            before = time.monotonic()
            rows = sheet.rows(group)
            seconds, now = time.monotonic() - before, datetime.now(UTC)
            self.results.append(
                [
                    replace(row, seconds=seconds, finished_at=now, versions=versions())
                    for row in rows
                ]
            )
            counts["done"] += 1
            advance(1)
        return counts


@cache
def versions() -> str:
    """Versions of what computes, as JSON."""
    found = {"dawnchorus": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy", "scikit-learn", "soundfile"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return json.dumps(found)
