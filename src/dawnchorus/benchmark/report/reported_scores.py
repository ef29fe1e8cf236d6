"""The rows of results as a report reads them: one score each, the latest of those made twice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_TEXTS: Final = (
    "task", "protocol", "split", "model", "readout", "pooling", "probe", "measure", "reason",
    "leaks",
)  # fmt: skip
_NUMBERS: Final = ("value", "low", "high")
_COUNTS: Final = ("n_items", "n_groups", "n_labels", "seed")
RESULTS_FILE: Final = "results.parquet"
ALL_ITEMS, CLEAN_ITEMS = "with", "without"


@dataclass(frozen=True, slots=True)
class Setting:
    """How a model was read and asked; ``probe`` is empty for retrieval and clustering."""

    readout: str
    pooling: str
    probe: str

    def __str__(self) -> str:
        """In words."""
        layer = f"layer {self.readout}" if self.readout.isdecimal() else self.readout
        return ", ".join(filter(None, (layer, self.pooling, self.probe))) or "as given"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedScore:
    """One row of results.

    Attributes:
        value: NaN where it is undefined, for the ``reason``.
        low, high: interval of 95 %; NaN where there is none.
        n_labels: labels a class that the probe was given; None: all.
        leaks: ``with`` all items, or ``without`` those that an audit found in training.
    """

    task: str
    protocol: str
    split: str
    model: str
    setting: Setting
    measure: str
    value: float
    low: float
    high: float
    reason: str
    n_items: int | None
    n_groups: int | None
    n_labels: int | None
    seed: int | None
    leaks: str
    version: str
    weights_sha256: str
    cell: str = ""
    data_sha256: str = ""
    features_sha256: str = ""

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)

    @property
    def has_interval(self) -> bool:
        """Whether both ends of an interval are known."""
        return not (math.isnan(self.low) or math.isnan(self.high))


def read_results(place: Path) -> pa.ReportTable:
    """Read rows of results.

    Args:
        place: a Parquet or CSV file, or a folder that holds ``results.parquet``.

    Raises:
        TaskError: It is not there, or cannot be read.
    """
    file = place / RESULTS_FILE if place.is_dir() else place
    try:
        if file.suffix.lower() == ".csv":
            columns = {name: pa.string() for name in _TEXTS}
            columns |= {name: pa.float64() for name in (*_NUMBERS, *_COUNTS)}
            convert = pa_csv.ConvertOptions(column_types=columns, strings_can_be_null=False)
            return pa_csv.read_csv(file, convert_options=convert)
        return pq.read_table(file)
    except FileNotFoundError as error:
        raise TaskError(f"{file}: no results there; run `dawnchorus benchmark` first") from error
    except (OSError, pa.ArrowException) as error:
        raise TaskError(f"{file}: not results that can be read: {error}") from error


def scores_of(table: pa.ReportTable, where: Mapping[str, str] | None = None) -> list[ReportedScore]:
    """Make scores of rows; those of a single seed are left out, and the latest of equal ones stays.

    Args:
        table: the columns of a benchmark's results.
        where: text columns and the value wanted. A probe asks nothing of rows that have none.

    Raises:
        TaskError: A column is missing, or no row is left.
    """
    missing = [name for name in (*_TEXTS, *_NUMBERS, *_COUNTS) if name not in table.column_names]
    if missing:
        raise TaskError(f"results: columns {missing} are missing; found {table.column_names}")
    for name, value in (where or {}).items():
        if name not in _TEXTS:
            raise TaskError(f"results: cannot choose by {name!r}; columns: {', '.join(_TEXTS)}")
        keep = pc.equal(table[name], value)
        table = table.filter(pc.or_(keep, pc.equal(table[name], "")) if name == "probe" else keep)
    if "finished_at" in table.column_names:
        table = table.sort_by("finished_at")
    latest: dict[tuple[Any, ...], ReportedScore] = {}
    for row in table.to_pylist():
        score = _score(row)
        if score.seed is None:
            latest[_identity(score)] = score
    if not latest:
        raise TaskError(f"results: none of {table.num_rows} rows is a score over all seeds")
    return list(latest.values())


def _identity(score: ReportedScore) -> tuple[Any, ...]:
    return (
        score.task, score.protocol, score.split, score.model, score.setting, score.measure,
        score.n_labels, score.leaks,
    )  # fmt: skip


def _score(row: Mapping[str, Any]) -> ReportedScore:
    def text(name: str) -> str:
        return str(row.get(name) or "")

    def number(name: str) -> float:
        return math.nan if row[name] is None else float(row[name])

    def count(name: str) -> int | None:
        return None if row[name] is None else int(row[name])

    return ReportedScore(
        task=text("task"),
        protocol=text("protocol"),
        split=text("split"),
        model=text("model"),
        setting=Setting(text("readout"), text("pooling"), text("probe")),
        measure=text("measure"),
        value=number("value"),
        low=number("low"),
        high=number("high"),
        reason=text("reason"),
        n_items=count("n_items"),
        n_groups=count("n_groups"),
        n_labels=count("n_labels"),
        seed=count("seed"),
        leaks=text("leaks") or ALL_ITEMS,
        version=text("task_version"),
        weights_sha256=text("weights_sha256"),
        cell=text("cell"),
        data_sha256=text("data_sha256"),
        features_sha256=text("features_sha256"),
    )


def in_order(tasks: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Tasks as a published table has them, then the others by name."""
    rank = {task: place for place, task in enumerate(known)}
    return tuple(sorted(set(tasks), key=lambda task: (rank.get(task, len(rank)), task)))
