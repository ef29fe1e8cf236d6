"""Rows of results: one score each, appended and never changed; Parquet, with a CSV beside it.

``OUTPUT/rows/part-*.parquet`` are what runs append, each there whole or not at all.
``OUTPUT/results.parquet`` and ``results.csv`` are all of them together, written again after a run;
``docs/how-to/comparing_encoders.md`` says what each column means.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.benchmark.tasks.registry import find_tasks
from dawnchorus.errors import TaskError
from dawnchorus.store.files import write_whole
from dawnchorus.store.parts import part_names, read_part, write_part
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.configs.benchmark import BenchmarkConfig

ROWS, TABLE, CSV = "rows", "results.parquet", "results.csv"
BESIDE: Final = ("predictions", "items")  # folders of files that are named by what is in them
SCHEMA: Final = pa.schema(
    [
        ("task", pa.string()),
        ("task_version", pa.string()),
        ("protocol", pa.string()),
        ("quirks", pa.string()),
        ("split", pa.string()),
        ("model", pa.string()),
        ("weights_sha256", pa.string()),
        ("readout", pa.string()),
        ("pooling", pa.string()),
        ("probe", pa.string()),
        ("measure", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("reason", pa.string()),
        ("n_items", pa.int64()),
        ("n_groups", pa.int64()),
        ("n_skipped", pa.int64()),
        ("n_labels", pa.int64()),
        ("seed", pa.int64()),
        ("seeds", pa.string()),
        ("leaks", pa.string()),
        ("data_sha256", pa.string()),
        ("features_sha256", pa.string()),
        ("cell", pa.string()),
        ("notes", pa.string()),
        ("versions", pa.string()),
        ("seconds", pa.float64()),
        ("finished_at", pa.timestamp("us", tz="UTC")),
    ]
)
IDENTITY: Final = ("cell", "measure", "seed", "leaks")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One score; the columns of ``docs/how-to/comparing_encoders.md``.

    Attributes:
        cell: hash of everything that decides the value; what has been finished is known by it.
        quirks: switches of the task's protocol that were on, with commas.
        notes: JSON, such as the hyper-parameters chosen.
    """

    task: str
    task_version: str
    protocol: str
    quirks: str
    split: str
    model: str
    weights_sha256: str
    readout: str
    pooling: str
    probe: str
    measure: str
    value: float
    low: float
    high: float
    reason: str
    n_items: int
    n_groups: int
    n_skipped: int
    n_labels: int | None
    seed: int | None
    seeds: str
    leaks: str
    data_sha256: str
    features_sha256: str
    cell: str
    notes: str
    versions: str
    seconds: float
    finished_at: Any  # datetime, which pyarrow takes as it is


class Results:
    """A folder of rows."""

    def __init__(self, folder: Path) -> None:
        """Take a folder; it is made when rows come."""
        self.folder = folder

    def append(self, rows: Sequence[ResultRow]) -> None:
        """Keep rows; they are on the disk when this returns."""
        if rows:
            folder = self.folder / ROWS
            folder.mkdir(parents=True, exist_ok=True)
            write_part(folder, _table(rows))

    def read(self) -> pa.Table:
        """Every row once; of two that were computed at the same time by two runs, the later one.

        Raises:
            StoreError: A part is damaged.
        """
        folder = self.folder / ROWS
        parts = [read_part(folder / name) for name in sorted(part_names(folder))]
        return _once(pa.concat_tables([SCHEMA.empty_table(), *parts]))

    def finished(self) -> set[str]:
        """Cells that need not be computed again."""
        return set(self.read()["cell"].to_pylist())

    def publish(self) -> pa.Table:
        """Write all rows as one Parquet and one CSV file, and return them."""
        table = self.read()
        self.folder.mkdir(parents=True, exist_ok=True)
        sink = io.BytesIO()
        pq.write_table(table, sink)
        write_whole(self.folder / TABLE, sink.getvalue())
        rows = (row.values() for row in table.to_pylist())
        write_whole(self.folder / CSV, csv_text(table.column_names, rows).encode())
        return table


def merge(sources: Sequence[Path], target: Path) -> pa.Table:
    """Bring several folders together in one; the sources stay as they are.

    Rows, and what a report draws from: predictions and items.

    Raises:
        TaskError: A source holds no rows.
    """
    tables = []
    for source in sources:
        table = Results(source).read()
        if not len(table):
            raise TaskError(f"{source}: no results here; need folders that a benchmark wrote")
        tables.append(table)
    results = Results(target)
    there = {tuple(row[name] for name in IDENTITY) for row in results.read().to_pylist()}
    new = [
        row
        for row in _once(pa.concat_tables(tables)).to_pylist()
        if tuple(row[name] for name in IDENTITY) not in there
    ]
    for source in sources:
        for part in sorted(p for name in BESIDE for p in (source / name).glob("*.parquet")):
            copy = target / part.relative_to(source)
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                write_whole(copy, part.read_bytes())
    # appended, as a run does: a merge that is killed leaves whole parts
    results.append([ResultRow(**row) for row in new])
    return results.publish()


def _table(rows: Sequence[ResultRow]) -> pa.Table:
    return pa.Table.from_pylist([asdict(row) for row in rows], schema=SCHEMA)


def _once(table: pa.Table) -> pa.Table:
    """The latest of equal rows, in the order of the plan's columns."""
    names = ["task", "protocol", "split", "model", "readout", "pooling", "probe", "measure"]
    order = [*names, "n_labels", "seed", "leaks", "cell", "finished_at"]
    table = table.sort_by([(name, "ascending") for name in order])
    columns = [table[name].to_pylist() for name in IDENTITY]
    last = {identity: index for index, identity in enumerate(zip(*columns, strict=True))}
    return table.take(pa.array(sorted(last.values()), pa.int64()))


def main_scores(config: BenchmarkConfig) -> list[dict[str, Any]]:
    """What a reader asks first: each task's own measure, retrieval and clustering, over all seeds.

    Only rows of the plan's tasks, protocol and split, with all items and all labels.
    """
    tasks = {task.id: task.measures_under(config.protocol) for task in find_tasks(config.tasks)}
    rows = Results(Path(config.output)).read().to_pylist()
    return [
        row
        for row in rows
        if row["task"] in tasks
        and (row["protocol"], row["split"]) == (config.protocol, config.split)
        and row["measure"] in {tasks[row["task"]].probe, "retrieval_roc_auc", "nmi"}
        and row["leaks"] == "with"
        and row["seed"] is None
        and row["n_labels"] is None
    ]
