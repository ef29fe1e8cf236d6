"""One model on one task: what is compared, on what, and which splits that needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dawnchorus.benchmark.features import EncodedFeatures, TableFeatures
from dawnchorus.benchmark.leaks import read_known
from dawnchorus.benchmark.plan import cells_of
from dawnchorus.benchmark.vector_table import VectorTable
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.benchmark.competitors import Competitor
    from dawnchorus.benchmark.plan import Cell, FeatureSpec
    from dawnchorus.benchmark.task_data import TaskData
    from dawnchorus.benchmark.tasks.base import Measures
    from dawnchorus.configs.benchmark import BenchmarkConfig

FEATURES = "features"


def cache_folder(config: BenchmarkConfig) -> Path:
    """Where a plan's features are kept."""
    return Path(config.cache) if config.cache else Path(config.output) / FEATURES


@dataclass(frozen=True)
class TaskRun:
    """A competitor on a task, under a plan; what is computed of it is in `scoring`.

    Attributes:
        features: of the task's items; made when `encode` is called.
    """

    config: BenchmarkConfig
    competitor: Competitor
    data: TaskData
    features: EncodedFeatures | TableFeatures

    @classmethod
    def open(cls, config: BenchmarkConfig, competitor: Competitor, data: TaskData) -> TaskRun:
        """Join them.

        Raises:
            TaskError: The scored split has no items, or a table lacks the vectors of some.
        """
        data.check_scored(config.split)
        source = competitor.source
        if not isinstance(source, VectorTable):
            encoded = EncodedFeatures.of(competitor, data, config, cache_folder(config))
            return cls(config, competitor, data, encoded)
        run = cls(config, competitor, data, TableFeatures(source, data))
        # say now which vectors are missing, not after hours of other work
        splits = {split for cell in run.cells for split in run.splits(cell)}
        source.check(data.task.id, [i.id for s in sorted(splits) for i in data.of_split(s)])
        return run

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.competitor.name} on {self.data.task.id}"

    @cached_property
    def measures(self) -> Measures:
        """What the task asks for under the plan's protocol."""
        return self.data.task.measures_under(self.config.protocol)

    @cached_property
    def cells(self) -> list[Cell]:
        """What there is to compute, in order."""
        return cells_of(self.config, self.competitor, self.data.task)

    def splits(self, cell: Cell) -> list[str]:
        """Splits whose features a cell needs; ``test`` is never touched to score ``val``."""
        scored = self.config.split
        if cell.probe:
            # val chooses hyper-parameters for test; to score val they are chosen inside train
            wanted = ["train", "val", scored] if scored == "test" else ["train", scored]
        else:
            wanted = [scored]
            if self.measures.retrieval == "cross" or "standardised" in self.config.used_scalings:
                wanted.insert(0, "train")
        return [split for split in wanted if split in self.data.by_split]

    def specs_by_split(self, cells: Sequence[Cell]) -> dict[str, list[FeatureSpec]]:
        """Which features some cells need of which split."""
        wanted: dict[str, dict[FeatureSpec, None]] = {}
        for cell in cells:
            for split in self.splits(cell):
                wanted.setdefault(split, {})[cell.features] = None
        return {split: list(specs) for split, specs in wanted.items()}

    def n_items(self) -> int:
        """Items of all splits that are needed."""
        return sum(len(self.data.of_split(s)) for s in self.specs_by_split(self.cells))

    def n_to_encode(self) -> int:
        """Items that the encoder still has to be run on."""
        wanted = self.specs_by_split(self.cells).items()
        return sum(self.features.n_missing(split, specs) for split, specs in wanted)

    @cached_property
    def known_ids(self) -> frozenset[str] | None:
        """Items that an audit found in training; None without an audit of this task.

        Raises:
            UsageError: The folder of audits is not there.
        """
        if self.config.leaks is None:
            return None
        folder = Path(self.config.leaks)
        if not folder.is_dir():
            raise UsageError(
                f"leaks: {folder}: no such folder; dawnchorus benchmark leaks makes it"
            )
        audit = folder / self.data.task.id
        return read_known(audit) if audit.is_dir() else None
