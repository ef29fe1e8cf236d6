"""One model on one task: which cells there are, their features, and their scores as rows."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.benchmark.clips import Rules
from dawnchorus.benchmark.distances import Space, distance_values
from dawnchorus.benchmark.external import Table
from dawnchorus.benchmark.features import FeatureCache, Work
from dawnchorus.benchmark.fits import fit_config, fitted_logits
from dawnchorus.benchmark.hashes import hash_of_value
from dawnchorus.benchmark.items_file import write_items
from dawnchorus.benchmark.leaks import read_known
from dawnchorus.benchmark.plan import DISTANCES, Group, Reading, groups_of
from dawnchorus.benchmark.predictions import write_predictions
from dawnchorus.benchmark.results import Row
from dawnchorus.benchmark.score import (
    LEVEL,
    Labelled,
    Value,
    probe_measures,
    probe_values,
    undefined,
)
from dawnchorus.errors import TaskError, TrainingError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event

    from numpy.typing import NDArray

    from dawnchorus.benchmark.encoders import Entrant
    from dawnchorus.benchmark.tasks.base import Item, Task, TaskItems
    from dawnchorus.configs.benchmark import BenchmarkConfig

SCORES_VERSION: Final = 2  # another number where the same options would give other scores
FEATURES = "features"
WITHOUT: Final = "without"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One model on one task, before the model is opened."""

    model: str
    task: Task
    items: TaskItems
    folder: Path

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.model} on {self.task.id}"


def open_sheet(config: BenchmarkConfig, entrant: Entrant, job: Job) -> Sheet:
    """A job with its model, ready to be worked on."""
    return Sheet(config, entrant, job, FeatureCache(cache_folder(config)))


def cache_folder(config: BenchmarkConfig) -> Path:
    """Where a plan's features lie."""
    return Path(config.cache) if config.cache else Path(config.output) / FEATURES


class Sheet:
    """A job that is being worked on."""

    def __init__(
        self, config: BenchmarkConfig, entrant: Entrant, job: Job, cache: FeatureCache
    ) -> None:
        """Sort the items by split."""
        self.config = config
        self.entrant = entrant
        self.job = job
        self._cache = cache
        self.asked = job.task.measures_under(config.protocol)
        self._items: dict[str, list[Item]] = {
            split: [item for item in job.items.items if item.split == split]
            for split in ("train", "val", "test")
        }
        if not self._items[config.split]:
            raise TaskError(
                f"{job.task.id}: no items in {config.split}, so nothing to score; splits: "
                f"{ {name: len(items) for name, items in self._items.items()} }"
            )
        if isinstance(entrant.source, Table):  # say now what is missing
            wanted = {split for group in self.groups for split in self.splits(group)}
            ids = [item.id for split in sorted(wanted) for item in self._items[split]]
            entrant.source.take(job.task.id, ids)

    @property
    def splits_there(self) -> list[str]:
        """Splits that hold items."""
        return [split for split, items in self._items.items() if items]

    @cached_property
    def groups(self) -> list[Group]:
        """What there is to compute, in order."""
        return groups_of(self.config, self.entrant, self.job.task)

    def splits(self, group: Group) -> list[str]:
        """Splits whose features a group needs; ``test`` is never touched to score ``val``."""
        scored = self.config.split
        if group.probe:
            wanted = ["train", "val", scored] if scored == "test" else ["train", scored]
        else:
            wanted = [scored]
            if self.asked.retrieval == "cross" or "standardised" in self._scalings:
                wanted.insert(0, "train")
        return [split for split in wanted if self._items[split]]

    @property
    def _scalings(self) -> Sequence[str]:
        return self.config.scalings if self.config.protocol == "strict" else ("plain",)

    @property
    def n_items(self) -> int:
        """Items of all splits that are needed."""
        splits = {split for group in self.groups for split in self.splits(group)}
        return sum(len(self._items[split]) for split in splits)

    def n_to_encode(self) -> int:
        """Items that the encoder is still to be run on."""
        if isinstance(self.entrant.source, Table):
            return 0
        return sum(
            len(self._items[split])
            for split, readings in self._wanted(self.groups).items()
            if self._cache.missing(self.entrant, self._work(split), readings)
        )

    def _wanted(self, groups: Sequence[Group]) -> dict[str, list[Reading]]:
        wanted: dict[str, dict[Reading, None]] = {}
        for group in groups:
            for split in self.splits(group):
                wanted.setdefault(split, {})[group.reading] = None
        return {split: list(readings) for split, readings in wanted.items()}

    def _work(self, split: str) -> Work:
        source: Any = self.entrant.source
        return Work(
            task=self.job.task.id,
            split=split,
            folder=self.job.folder,
            items=self._items[split],
            rules=Rules(self.config.protocol, source.window_s, self.job.task.crop_s),
            batch_s=self.config.batch_s,
        )

    def encode(
        self,
        groups: Sequence[Group],
        *,
        began: Callable[[str, int], Callable[[int], None]],
        stop: Event | None = None,
    ) -> None:
        """Make the features that some groups need, one pass for each split."""
        if isinstance(self.entrant.source, Table):
            return
        for split, readings in self._wanted(groups).items():
            work = self._work(split)
            if self._cache.missing(self.entrant, work, readings):
                advance = began(split, len(work.items))
                self._cache.fill(self.entrant, work, readings, stop=stop, progress=advance)

    def features(self, reading: Reading, split: str) -> NDArray[np.floating[Any]]:
        """Features of a split, in the order of its items."""
        source = self.entrant.source
        if isinstance(source, Table):
            return source.take(self.job.task.id, [item.id for item in self._items[split]])
        return self._cache.load(self.features_sha256(reading, split))

    def features_sha256(self, reading: Reading, split: str) -> str:
        """Which features they are; the name of their folder in the cache."""
        if isinstance(self.entrant.source, Table):
            ids = [item.id for item in self._items[split]]
            return hash_of_value([self.entrant.weights_sha256, self.job.task.id, split, ids])
        return self._cache.key(self.entrant, self._work(split), reading)

    def labelled(self, split: str) -> Labelled:
        """Labels, groups and ids of a split."""
        items = self._items[split]
        column = {name: k for k, name in enumerate(self.job.items.classes)}
        y = np.zeros((len(items), len(column)), np.int8)
        for row, item in enumerate(items):
            y[row, [column[label] for label in item.labels]] = 1
        groups, ids = [item.group for item in items], [item.id for item in items]
        return Labelled(y, np.array(groups), np.array(ids))

    @cached_property
    def data_sha256(self) -> str:
        """Of the items: ids, spans, labels, groups, splits and classes, not their sound."""
        rows = [
            (i.id, i.path, i.start_s, i.stop_s, i.labels, i.split, i.group)
            for i in self.job.items.items
        ]
        return hash_of_value([self.job.items.classes, self.job.items.multi_label, rows])

    @cached_property
    def known(self) -> frozenset[str] | None:
        """Ids that an audit found in training; None without an audit of this task."""
        if self.config.leaks is None:
            return None
        if not Path(self.config.leaks).is_dir():
            raise UsageError(
                f"leaks: {self.config.leaks}: no such folder; dawnchorus benchmark leaks makes it"
            )
        folder = Path(self.config.leaks) / self.job.task.id
        if not folder.is_dir():
            return None
        return read_known(folder)

    def cell(self, group: Group) -> str:
        """Hash of everything that decides a group's scores."""
        config = self.config
        splits = {split: self.features_sha256(group.reading, split) for split in self.splits(group)}
        decides: dict[str, Any] = {
            "version": SCORES_VERSION,
            "task": [self.job.task.id, self.job.task.version],
            "protocol": config.protocol,
            "split": config.split,
            "model": [self.entrant.name, self.entrant.weights_sha256],
            "reading": [group.reading.readout, group.reading.pooling],
            "probe": [group.probe, group.n_labels],
            "seeds": config.n_seeds,
            "bootstrap": [config.n_bootstrap, LEVEL],
            "data": self.data_sha256,
            "features": splits,
            "leaks": None if self.known is None else sorted(self.known),
        }
        if group.probe:
            fit = fit_config(group, config, self.asked, model=self.entrant.name, seed=0)
            decides["fit"] = fit.model_dump(mode="json")
        else:
            decides["distances"] = [list(self._scalings), config.same_group]
        return hash_of_value(decides)[:32]

    def rows(self, group: Group) -> list[Row]:
        """Compute a group."""
        values = self._distances(group) if group.probe == DISTANCES else self._probe(group)
        scored = self.config.split
        output, classes = Path(self.config.output), self.job.items.classes
        write_items(output, self.data_sha256, scored, self.labelled(scored), classes)
        common = {
            "task": self.job.task.id,
            "task_version": self.job.task.version,
            "protocol": self.config.protocol,
            "quirks": ",".join(self.job.items.quirks),
            "split": scored,
            "model": self.entrant.name,
            "weights_sha256": self.entrant.weights_sha256,
            "readout": group.reading.readout,
            "pooling": group.reading.pooling,
            "probe": group.probe,
            "n_labels": group.n_labels,
            "data_sha256": self.data_sha256,
            "features_sha256": self.features_sha256(group.reading, scored),
            "cell": self.cell(group),
            "versions": "",
            "seconds": 0.0,
            "finished_at": datetime.now(UTC),
        }
        return [_row(common, value) for value in values]

    def _distances(self, group: Group) -> list[Value]:
        splits = self.splits(group)
        space = Space(
            vectors={split: self.features(group.reading, split) for split in splits},
            items={split: self.labelled(split) for split in splits},
            asked=self.asked,
            config=self.config,
        )
        values = distance_values(space)
        clean = self._clean()
        if clean is not None:
            scored = self.config.split
            vectors = dict(space.vectors) | {scored: space.vectors[scored][clean]}
            items = dict(space.items) | {scored: space.items[scored].take(clean)}
            without = distance_values(replace(space, vectors=vectors, items=items))
            values += [replace(value, leaks=WITHOUT) for value in without]
        return values

    def _clean(self) -> NDArray[np.intp] | None:
        if self.known is None:
            return None
        ids = self.labelled(self.config.split).ids
        return np.flatnonzero(~np.isin(ids, list(self.known)))

    def _probe(self, group: Group) -> list[Value]:
        scored = self.config.split
        items = self.labelled(scored)
        multi_label = self.job.items.multi_label
        measures = probe_measures(self.asked, items.y, multi_label=multi_label)
        try:
            logits, notes = fitted_logits(self, group)
        except (TaskError, TrainingError) as error:
            return [undefined(name, str(error), items) for name in measures]
        values = probe_values(logits, items, measures, self.config)
        if group.n_labels is None:
            classes = self.job.items.classes
            output = Path(self.config.output)
            write_predictions(output, self.cell(group), items, classes, logits)
        clean = self._clean()
        if clean is not None:
            kept = {seed: one[clean] for seed, one in logits.items()}
            without = probe_values(kept, items.take(clean), measures, self.config)
            values += [replace(value, leaks=WITHOUT) for value in without]
        return [_noted(value, notes) for value in values]


def _noted(value: Value, notes: dict[int, dict[str, Any]]) -> Value:
    own = notes if value.seed is None else {value.seed: notes[value.seed]}
    return replace(value, notes={str(seed): note for seed, note in own.items()})


def _row(common: dict[str, Any], value: Value) -> Row:
    seeds = "" if value.seed is None else str(value.seed)
    if value.seed is None and value.notes:
        seeds = ",".join(value.notes)
    return Row(
        measure=value.measure,
        value=value.value,
        low=value.low,
        high=value.high,
        reason=value.reason,
        n_items=value.n_items,
        n_groups=value.n_groups,
        n_skipped=value.n_skipped,
        seed=value.seed,
        seeds=seeds,
        leaks=value.leaks,
        notes=json.dumps(dict(value.notes), default=str) if value.notes else "",
        **common,
    )
