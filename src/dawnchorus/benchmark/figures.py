"""Scores that others report for the same tasks, to stand beside ours: published, or from a file.

``published.csv`` holds the aggregate table and the four tables of single tasks of "What Matters for
Bioacoustic Encoding" (arXiv 2508.11845): 20 models, values as printed, under the protocol
``paper``. A figure that was not published has no value, and a doubtful one has a note; the means
over tasks are named ``mean/...``. `read_figures` reads tables of users in the same form.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.configs import ScheduleConfig
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

# Each mean of the aggregate table, and the tasks that it is taken over.
AGGREGATES: Final = {
    "mean/beans_classification": (
        "beans/watkins", "beans/cbi", "beans/humbugdb", "beans/bats", "beans/dogs", "beans/esc50",
    ),
    "mean/beans_detection": (
        "beans/enabirds", "beans/rfcx", "beans/hiceas", "beans/hainan_gibbons", "beans/dcase",
    ),
    "mean/birdset": (
        "birdset/POW", "birdset/PER", "birdset/NES", "birdset/NBP", "birdset/HSN", "birdset/SNE",
        "birdset/UHH",
    ),
    "mean/individual": (
        "individual/chiffchaff", "individual/little_owl", "individual/tree_pipit",
        "individual/macaques",
    ),
    "mean/repertoire": (
        "repertoire/zebra_finch", "repertoire/giant_otters", "repertoire/bengalese_finch",
        "repertoire/killer_whale",
    ),
}  # fmt: skip
# Models that anyone can load here, and what the published tables call them.
PUBLISHED_AS: Final = {
    "esp_aves2_sl_eat_all_ssl_all": "sl-EAT-all",
    "esp_aves2_sl_eat_bio_ssl_all": "sl-EAT-bio",
    "esp_aves2_eat_all": "EAT-all",
    "esp_aves2_eat_bio": "EAT-bio",
    "eat_base_epoch30_pretrain": "EAT-base (pretrained)",
    "eat_base_epoch30_finetune_as2m": "EAT-base (SFT)",
}

# How their linear probes were trained where it is not `ScheduleConfig.paper`.
PROBED_WITH: Final[dict[str, dict[str, Any]]] = {
    "EAT-all": {"batch_size": 64},
    "EAT-bio": {"batch_size": 64},
    "EAT-base (pretrained)": {"batch_size": 64},
    "EAT-base (SFT)": {"n_epochs": 300, "learning_rates": (3e-4,)},
}
# A corpus may come with a wide table: a row for each encoder and task, a column a measure.
WIDE: Final = {"accuracy_plain": "accuracy", "retrieval_auc": "retrieval_roc_auc", "nmi": "nmi"}
PROBE_METRICS: Final = {"accuracy (macro)": "macro_recall", "mAP (macro)": "cmap"}


def paper_schedule(model: str) -> ScheduleConfig:
    """The schedule that the published code trained a model's linear probe by.

    Args:
        model: as it is called here; one that the table lacks gets the usual schedule.
    """
    changes = PROBED_WITH.get(PUBLISHED_AS.get(model, ""), {})
    return ScheduleConfig.paper().model_copy(update=changes)


@dataclass(frozen=True, slots=True)
class Figure:
    """One reported number.

    Attributes:
        value: as printed; None where the cell says that there is none.
        note: why there is none, what is doubtful, or how it was measured.
    """

    model: str
    task: str
    measure: str
    value: float | None
    note: str = ""
    protocol: str = "paper"

    @property
    def doubtful(self) -> bool:
        """Whether the printed value is likely wrong."""
        return self.note.startswith("doubtful")


@dataclass(frozen=True)
class Figures:
    """Reported numbers of one protocol, by cell."""

    figures: tuple[Figure, ...] = ()

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Every model, in the order of the tables."""
        return tuple(dict.fromkeys(figure.model for figure in self.figures))

    @cached_property
    def _by_cell(self) -> dict[tuple[str, str, str], Figure]:
        return {(cell.model, cell.task, cell.measure): cell for cell in self.figures}

    def of(self, model: str, task: str, measure: str) -> Figure | None:
        """The figure of a cell; None where the tables have no such cell."""
        return self._by_cell.get((model, task, measure))

    def value(self, model: str, task: str, measure: str) -> float:
        """The number of a cell, NaN where there is none."""
        figure = self.of(model, task, measure)
        return math.nan if figure is None or figure.value is None else figure.value


NO_FIGURES: Final = Figures()


@cache
def published_figures() -> Figures:
    """Every figure of the paper, in the order of its tables."""
    text = files("dawnchorus.benchmark").joinpath("published.csv").read_text(encoding="utf-8")
    return Figures(tuple(_figures(csv.DictReader(text.splitlines()))))


def figures_for(protocol: str, more: Iterable[Figure] = ()) -> Figures:
    """What stands beside our scores of a protocol: the paper's under ``paper``, and a user's."""
    # never under strict: another protocol is another question
    known = published_figures().figures if protocol == "paper" else ()
    return Figures((*known, *(figure for figure in more if figure.protocol == protocol)))


def read_figures(path: Path) -> tuple[Figure, ...]:
    """Read what others report.

    Args:
        path: CSV with ``model``, ``task``, ``measure`` and ``value``, optionally ``note`` and
            ``protocol`` (``strict`` where it does not say); or with ``encoder``, ``task`` and a
            column for each of ``probe`` (``probe_metric`` names its measure), ``accuracy_plain``,
            ``retrieval_auc`` and ``nmi``.

    Raises:
        UsageError: It cannot be read, is neither, or says two things of one cell.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns, rows = set(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: cannot be read as CSV: {error}") from error
    try:
        if {"model", "task", "measure", "value"} <= columns:
            return _one_a_cell(path, _figures({"protocol": "strict", **row} for row in rows))
        if {"encoder", "task"} <= columns and columns & {"probe", *WIDE}:
            return _one_a_cell(path, (figure for row in rows for figure in _of_wide_row(row)))
    except ValueError as error:
        raise UsageError(f"{path}: a value is not a number: {error}") from error
    raise UsageError(
        f"{path}: need columns model, task, measure and value, found {', '.join(sorted(columns))}"
    )


def _figures(rows: Iterable[Mapping[str, str]]) -> Iterator[Figure]:
    for row in rows:
        value = float(row["value"]) if row["value"] else None
        note, protocol = row.get("note") or "", row.get("protocol") or "strict"
        yield Figure(row["model"], row["task"], row["measure"], value, note, protocol)


def _one_a_cell(path: Path, figures: Iterable[Figure]) -> tuple[Figure, ...]:
    """Each cell once; a wide table may say the same in several rows."""
    found: dict[tuple[str, str, str, str], Figure] = {}
    for one in figures:
        where = f"{path}: {one.model}, {one.task}, {one.measure}"
        if one.protocol not in {"paper", "strict"}:
            raise UsageError(f"{where}: protocol {one.protocol!r}; need paper or strict")
        if one.value is not None and not math.isfinite(one.value):
            raise UsageError(
                f"{where}: {one.value} is no score; leave it empty and say why in note"
            )
        other = found.setdefault((one.protocol, one.model, one.task, one.measure), one)
        if other.value != one.value:
            raise UsageError(f"{where}: both {other.value} and {one.value}; keep one of them")
    return tuple(found.values())


def _of_wide_row(row: Mapping[str, str]) -> Iterator[Figure]:
    measures = {measure: row.get(column) for column, measure in WIDE.items()}
    if row.get("probe_metric") in PROBE_METRICS:
        measures[PROBE_METRICS[row["probe_metric"]]] = row.get("probe")
    for measure, text in measures.items():
        if text:
            yield Figure(row["encoder"], row["task"], measure, float(text), "", "strict")
