"""The opening of a report: one picture and one small table of means over the tasks.

A mean is taken over the tasks that every model of the report has, of the measure that each task
asks for; so no model gains by being scored on easier ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.benchmark.report.protocol_scores import KINDS
from dawnchorus.benchmark.report.style import (
    DRAWN,
    GREY,
    SMALL,
    Picture,
    as_png,
    file_name,
    tidy,
)
from dawnchorus.benchmark.report.table_cells import ReportTable, TableCell, TableRow
from dawnchorus.figures import new_figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dawnchorus.benchmark.report.measures import Kind
    from dawnchorus.benchmark.report.protocol_scores import ProtocolScores
    from dawnchorus.benchmark.report.reported_scores import ReportedScore
    from dawnchorus.benchmark.report.style import ModelStyle

TITLES: Final[dict[Kind, str]] = {
    "probe": "Probe",
    "retrieval": "Retrieval",
    "clustering": "Clustering",
}
Z_95: Final = 1.96  # half the width of a 95 % interval, in standard errors
MOST_OTHERS: Final = 12  # models of others in the picture; the tables have all


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over tasks; ``low`` and ``high`` are NaN where no task has an interval."""

    value: float
    low: float = math.nan
    high: float = math.nan


def mean_of(scores: Sequence[ReportedScore]) -> Mean:
    """Mean of scores of several tasks, with an interval.

    Tasks are independent, so the variances of their scores add up; a variance is taken from the
    width of the interval. A task without one (too few groups) counts as exact.
    """
    value = float(np.mean([score.value for score in scores]))
    errors = [(s.high - s.low) / (2 * Z_95) for s in scores if s.has_interval]
    if not errors:
        return Mean(value)
    half = Z_95 * float(np.sqrt(np.sum(np.square(errors)))) / len(scores)
    return Mean(
        value, value - half, min(value + half, 1.0)
    )  # every one of these measures ends at 1


@dataclass(frozen=True)
class Summary:
    """Means of every model over the tasks that all have, by kind of measure."""

    section: ProtocolScores

    @cached_property
    def tasks(self) -> dict[Kind, tuple[str, ...]]:
        """Tasks of each kind that every model with a score of the kind has."""
        tasks: dict[Kind, tuple[str, ...]] = {}
        for kind in KINDS:
            by_task = {task: self._scored(task, kind) for task in self.section.tasks}
            everyone = set().union(*by_task.values())
            common = tuple(task for task, models in by_task.items() if models == everyone)
            if everyone and common:
                tasks[kind] = common
        return tasks

    def _scored(self, task: str, kind: Kind) -> set[str]:
        scores = self.section.main_of(task, kind)
        return {model for model, score in scores.items() if score.defined}

    @cached_property
    def means(self) -> dict[str, dict[Kind, Mean]]:
        """Model to its means, the best probe (or whatever comes first) first."""
        means: dict[str, dict[Kind, Mean]] = {model: {} for model in self.section.models}
        for kind, tasks in self.tasks.items():
            scores = {task: self.section.main_of(task, kind) for task in tasks}
            for model in scores[tasks[0]]:
                means[model][kind] = mean_of([scores[task][model] for task in tasks])
        order = sorted(means, key=lambda m: [-means[m].get(k, Mean(-1)).value for k in self.tasks])
        return {model: means[model] for model in order}

    @cached_property
    def others(self) -> dict[str, dict[Kind, Mean]]:
        """The same of models that others report on all of these tasks."""
        found: dict[str, dict[Kind, Mean]] = {}
        for model in self.section.figures.models:
            for kind, tasks in self.tasks.items():
                measures = [self.section.asked(task, kind) or "" for task in tasks]
                values = [
                    self.section.figures.value(model, task, measure)
                    for task, measure in zip(tasks, measures, strict=True)
                ]
                if not any(map(math.isnan, values)):
                    found.setdefault(model, {})[kind] = Mean(float(np.mean(values)))
        first = next(iter(self.tasks), None)
        return dict(
            sorted(found.items(), key=lambda p: -p[1].get(first, Mean(-1)).value)  # type: ignore[arg-type]
        )

    def exact(self) -> list[str]:
        """Tasks that have no interval for some model."""
        return [
            task
            for task in dict.fromkeys(t for tasks in self.tasks.values() for t in tasks)
            if any(
                not score.has_interval
                for kind in self.tasks
                for score in self.section.main_of(task, kind).values()
            )
        ]


def opening_table(section: ProtocolScores) -> ReportTable:
    """A line a model, a column each for probe, retrieval and clustering."""
    summary = Summary(section)
    best = {
        kind: max(means[kind].value for means in summary.means.values() if kind in means)
        for kind in summary.tasks
    }
    rows = [
        TableRow(section.labels[model], _cells(summary, means, best))
        for model, means in summary.means.items()
    ]
    rows += [TableRow(m, _cells(summary, of, {}), "published") for m, of in summary.others.items()]
    headings = [_heading(section, kind, tasks) for kind, tasks in summary.tasks.items()]
    notes = ["Means over the tasks that every model has, with their 95 % intervals."]
    if summary.others:
        notes.append("In italics: what others report for the same tasks, without intervals.")
    exact = summary.exact()
    if exact:
        notes.append(
            f"{len(exact)} tasks have too few groups for an interval and count as exact, so the "
            f"intervals are somewhat too narrow: {', '.join(exact)}."
        )
    return ReportTable("Means over the tasks", ("model", *headings), tuple(rows), tuple(notes))


def opening_picture(section: ProtocolScores, styles: Mapping[str, ModelStyle]) -> Picture:
    """Every model's means as points with intervals, on one scale."""
    summary = Summary(section)
    others = dict(list(summary.others.items())[:MOST_OTHERS])
    names = [section.labels[model] for model in summary.means] + list(others)
    height = 0.27 * len(names) + 1.3
    width = 3.0 + 2.6 * len(summary.tasks)
    figure = new_figure(width, height, extra="benchmark", what=DRAWN)
    grid = figure.subplots(1, len(summary.tasks), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (kind, tasks) in zip(grid, summary.tasks.items(), strict=True):
        for y, (model, means) in enumerate(summary.means.items()):
            _point(axes, y, means.get(kind), styles[model].colour, styles[model].mark)
        for y, means in enumerate(others.values(), len(summary.means)):
            _point(axes, y, means.get(kind), GREY, "D")
        axes.set_title(_heading(section, kind, tasks), fontsize=SMALL + 1)
        axes.set_yticks(range(len(names)), names, fontsize=SMALL + 1)
        for label in axes.get_yticklabels()[len(summary.means) :]:
            label.set(color=GREY, style="italic")
        if others:
            axes.axhline(len(summary.means) - 0.5, color="#cccccc", linewidth=1)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.xaxis.grid(visible=True, color="#dddddd")
        tidy(axes)
    grid[0].margins(x=0.16)  # room for the numbers beside the points
    caption = "Points: mean over the tasks that every model has; lines: 95 % interval."
    if others:
        caption += " Grey diamonds: what others report for the same tasks."
    name = file_name(section.protocol, "summary")
    return Picture(name, "Probe, retrieval and clustering", caption, as_png(figure))


def _point(axes: Any, y: int, mean: Mean | None, colour: str, mark: str) -> None:
    if mean is None:
        return
    if not math.isnan(mean.low):
        axes.plot([mean.low, mean.high], [y, y], color=colour, linewidth=2.2, alpha=0.6)
    axes.plot(mean.value, y, mark, color=colour, markersize=6)
    end = mean.value if math.isnan(mean.high) else mean.high
    axes.annotate(
        f"{mean.value:.3f}", (end, y), (5, 0), textcoords="offset points", va="center",
        fontsize=SMALL, color="#333333",
    )  # fmt: skip


def _heading(section: ProtocolScores, kind: Kind, tasks: Sequence[str]) -> str:
    names = dict.fromkeys(section.asked(task, kind) for task in tasks)
    of = {"retrieval_roc_auc": "ROC AUC", "nmi": "NMI"}.get(str(next(iter(names))), "")
    what = of if len(names) == 1 and of else "each task's own measure"
    return f"{TITLES[kind]}: {what} ({len(tasks)} tasks)"


def _cells(
    summary: Summary, means: Mapping[Kind, Mean], best: Mapping[Kind, float]
) -> tuple[TableCell, ...]:
    cells = []
    for kind in summary.tasks:
        mean = means.get(kind)
        if mean is None:
            cells.append(TableCell())
            continue
        detail = "" if math.isnan(mean.low) else f"{mean.low:.3f} to {mean.high:.3f}"
        cells.append(TableCell(f"{mean.value:.3f}", detail, best=mean.value == best.get(kind)))
    return tuple(cells)
