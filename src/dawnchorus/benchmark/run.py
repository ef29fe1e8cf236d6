"""Run a plan: features, probes and distances of every model on every task, as rows of results.

An assignment is one model on one task. Runs on one folder share them by locks, which the operating
system drops when their holder dies; within an assignment each cell is kept as soon as it is done.
"""

from __future__ import annotations

import json
import math
import platform
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnchorus.benchmark.cell_key import cell_key
from dawnchorus.benchmark.competitors import open_competitor
from dawnchorus.benchmark.prepare import data_folder, load_items
from dawnchorus.benchmark.results import Results
from dawnchorus.benchmark.scoring import score_cell
from dawnchorus.benchmark.task_data import TaskData
from dawnchorus.benchmark.task_run import TaskRun, cache_folder
from dawnchorus.benchmark.tasks.registry import find_tasks
from dawnchorus.embedding.cache import hash_of_value
from dawnchorus.errors import RunInterruptedError, TaskError, UsageError
from dawnchorus.interrupt import stop_on_signals
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.publication import VERSION
from dawnchorus.store.locks import StoreLocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from threading import Event

    import pyarrow as pa

    from dawnchorus.benchmark.competitors import Competitor
    from dawnchorus.configs.benchmark import BenchmarkConfig
    from dawnchorus.progress import Progress

LOCK: Final = ".lock"
WAIT_S: Final = 1.0  # until it looks again whether another run has finished


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCount:
    """One line of a dry run: a model on a task."""

    model: str
    task: str
    n_cells: int
    n_done: int
    n_clips: int
    n_to_encode: int
    readouts: tuple[str, ...]
    shard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSummary:
    """What a run of a plan did.

    Attributes:
        n_cells: of this run's share of the plan.
        n_done: computed by this run.
        n_kept: finished before it.
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


@dataclass(frozen=True, slots=True)
class Assignment:
    """One model on one task, before the model is opened."""

    model: str
    data: TaskData

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.model} on {self.data.task.id}"


def benchmark(config: BenchmarkConfig, *, progress: Progress = NO_PROGRESS) -> BenchmarkSummary:
    """Run a plan, or resume it where it was stopped.

    Args:
        config: the plan.
        progress: gets a stage for each split that is encoded and each model and task scored.

    Returns:
        What was done; the scores are in ``config.output``.

    Raises:
        UsageError: The plan names what is not there.
        TaskError: Data are missing or damaged.
        RunInterruptedError: Ctrl-C or SIGTERM; what was finished is kept.
    """
    started = time.monotonic()
    assignments = _own_share(config, _assignments(config))
    output = Path(config.output)
    # both before the locks: a folder that cannot be made is an error before any work
    for folder in (output, cache_folder(config)):
        folder.mkdir(parents=True, exist_ok=True)
    results = Results(output)
    locks = StoreLocks(output / LOCK)
    counts: Counter[str] = Counter()
    with stop_on_signals() as stop:  # until the end, so that the results are published whole
        try:
            locks.open_to_others()
            plan_run = _PlanRun(config, locks, results, progress, stop)
            for assignment, done in plan_run.work(assignments):
                counts.update(done)
                progress.message(
                    f"{assignment.name}: {done['done']} cells computed, {done['kept']} kept"
                )
        finally:  # also of a run that was stopped: what was finished is worth reading
            locks.close()
            table = results.publish()
    return BenchmarkSummary(
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


def dry_run(config: BenchmarkConfig) -> list[RunCount]:
    """What a plan comes to, with what of it is done; encodes nothing and leaves no file behind.

    Errors as for `benchmark`.
    """
    finished = Results(Path(config.output)).finished()
    models = _OpenModel(config.device)
    return [
        _count(TaskRun.open(config, models.open(a.model), a.data), finished, shard)
        for shard, assignments in _shares(config, _assignments(config)).items()
        if config.shard is None or shard == config.shard[0]
        for a in assignments
    ]


def _count(run: TaskRun, finished: set[str], shard: int) -> RunCount:
    kinds = (f"{cell.features.readout} {cell.features.pooling}" for cell in run.cells)
    return RunCount(
        model=run.competitor.name,
        task=run.data.task.id,
        n_cells=len(run.cells),
        n_done=sum(cell_key(run, cell) in finished for cell in run.cells),
        n_clips=run.n_items(),
        n_to_encode=run.n_to_encode(),
        readouts=tuple(dict.fromkeys(kinds)),
        shard=shard,
    )


class _OpenModel:
    """The model that is open; it is dropped before another is opened, so that one is in memory."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._open: tuple[str, Competitor] | None = None
        self._spec_of: dict[str, str] = {}

    def open(self, spec: str) -> Competitor:
        if self._open is None or self._open[0] != spec:
            self._open = None  # two large models may not fit into memory
            competitor = open_competitor(spec, self._device)
            self._check_name(spec, competitor.name)
            self._open = (spec, competitor)
        return self._open[1]

    def _check_name(self, spec: str, name: str) -> None:
        other = self._spec_of.setdefault(name, spec)
        if other != spec:
            raise UsageError(
                f"{other} and {spec} are both called {name!r}; give one another name: "
                f"-m NAME={spec}"
            )


def _assignments(config: BenchmarkConfig) -> list[Assignment]:
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
            items = load_items(task, root, config.protocol)
            tasks.append(TaskData(task, items, data_folder(task, root)))
        except TaskError as error:
            missing.append(str(error))
    if missing:
        raise TaskError("\n".join(missing))
    return [Assignment(model, data) for model in config.models for data in tasks]


def _own_share(config: BenchmarkConfig, assignments: Sequence[Assignment]) -> list[Assignment]:
    if config.shard is None:
        return list(assignments)
    return _shares(config, assignments)[config.shard[0]]


def _shares(
    config: BenchmarkConfig, assignments: Sequence[Assignment]
) -> dict[int, list[Assignment]]:
    """Those of each shard: the largest first, each to the shard with the fewest items so far."""
    n_shards = config.shard[1] if config.shard else 1
    n_items = dict.fromkeys(range(n_shards), 0)
    shard_of: dict[int, int] = {}
    sizes = [len(a.data.items.items) for a in assignments]
    # every process of a job array computes the same shares, since nothing here is drawn
    for index in sorted(range(len(assignments)), key=lambda i: (-sizes[i], i)):
        shard = min(n_items, key=lambda s: (n_items[s], s))
        n_items[shard] += sizes[index]
        shard_of[index] = shard
    # in the plan's order again, so that models are opened once
    return {s: [a for i, a in enumerate(assignments) if shard_of[i] == s] for s in range(n_shards)}


@dataclass(frozen=True, slots=True)
class _PlanRun:
    """What the assignments of a run share."""

    config: BenchmarkConfig
    locks: StoreLocks
    results: Results
    progress: Progress
    stop: Event

    def work(self, assignments: Sequence[Assignment]) -> Iterator[tuple[Assignment, Counter[str]]]:
        """Do what no other run is working on; come back to the rest until it is finished."""
        waiting = list(assignments)
        models = _OpenModel(self.config.device)
        for spec in dict.fromkeys(a.model for a in assignments):
            models.open(spec)  # so that a wrong one is not found after hours of work
        while waiting:
            busy = []
            for assignment in waiting:
                self.check_stop()
                claim = self._claim(assignment)
                if not self.locks.claim(claim):
                    busy.append(assignment)
                    continue
                try:
                    competitor = models.open(assignment.model)
                    run = TaskRun.open(self.config, competitor, assignment.data)
                    yield assignment, self._do(run)
                finally:
                    self.locks.release(claim)
            if len(busy) == len(waiting):  # other runs are working on all that is left
                self.stop.wait(WAIT_S)
            waiting = busy

    def check_stop(self) -> None:
        """Raise if the user wants an end."""
        if self.stop.is_set():
            raise RunInterruptedError("interrupted; the same command resumes from here")

    def _claim(self, assignment: Assignment) -> str:
        task = assignment.data.task.id
        # not the readouts and probes: two plans on one folder would encode the same clips twice
        claim = [assignment.model, task, self.config.protocol, self.config.split]
        return hash_of_value(claim)[:16]

    def _do(self, run: TaskRun) -> Counter[str]:
        finished = self.results.finished()
        todo = [cell for cell in run.cells if cell_key(run, cell) not in finished]
        counts = Counter(kept=len(run.cells) - len(todo))
        if not todo:
            return counts
        for split, specs in run.specs_by_split(todo).items():
            run.features.encode(split, specs, stop=self.stop, progress=self.progress)
        advance = self.progress.start(f"{run.name}, scoring", len(todo), "cells")
        for cell in todo:
            self.check_stop()
            before = time.monotonic()
            rows = score_cell(run, cell)
            seconds, now = time.monotonic() - before, datetime.now(UTC)
            self.results.append(
                [replace(r, seconds=seconds, finished_at=now, versions=versions()) for r in rows]
            )
            counts["done"] += 1
            advance(1)
        return counts


@cache
def versions() -> str:
    """Versions of what computes, as JSON."""
    found = {"dawnchorus": VERSION, "python": platform.python_version()}
    for package in ("torch", "numpy", "scikit-learn", "soundfile"):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return json.dumps(found)
