"""Tables of scores: models by tasks, ours beside the published ones, and means over tasks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.benchmark.published import PUBLISHED_AS, published_models, published_value
from dawnchorus.benchmark.report.cells import (
    UNDEFINED,
    Cell,
    Line,
    LineKind,
    Notes,
    Table,
    number_cell,
    score_cell,
)
from dawnchorus.benchmark.report.measures import measure_of
from dawnchorus.benchmark.report.section import group_title, short_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.benchmark.report.scores import Score
    from dawnchorus.benchmark.report.section import Section


def score_tables(section: Section) -> list[Table]:
    """A table for each group of tasks and measure, the published figures in those of the paper."""
    tables = []
    for group, tasks in section.groups.items():
        for measure in section.common(tasks):
            there = section.with_measure(tasks, measure)
            tables.append(_score_table(section, group, there, measure))
    return tables


def summary_table(section: Section) -> Table | None:
    """Means over the tasks of each group, as the published aggregate; None where nothing is one."""
    columns = [
        (group, measure, section.with_measure(tasks, measure))
        for group, tasks in section.groups.items()
        for measure in section.common(tasks)
    ]
    columns = [column for column in columns if len(column[2]) > 1]
    if not columns:
        return None
    lines: list[tuple[str, list[float], LineKind]] = []
    for model in section.models:
        means = [section.mean(model, tasks, measure) for _, measure, tasks in columns]
        lines.append((section.labels[model], means, "own"))
    if section.protocol == "paper":
        for model in published_models():
            means = [_published_mean(model, tasks, measure) for _, measure, tasks in columns]
            if not all(map(math.isnan, means)):
                lines.append((model, means, "published"))
    headings = [
        f"{group_title(group)}: {measure_of(measure).title} ({len(tasks)} tasks)"
        for group, measure, tasks in columns
    ]
    made = [Line(name, _mean_cells(means), kind) for name, means, kind in lines]
    note = "Means over the tasks that this report has; empty where one of them has no value."
    return Table("Means", ("model", *headings), tuple(made), (note,))


def _score_table(section: Section, group: str, tasks: Sequence[str], measure: str) -> Table:
    notes = Notes()
    many = len(tasks) > 1
    best = {task: _best(section, task, measure) for task in tasks}
    lines = []
    for model in section.ranked(tasks, measure):
        scores = [section.main.get((model, task, measure)) for task in tasks]
        cells = [
            _shown(section, score, notes, best=score is not None and score.value == best[task])
            for task, score in zip(tasks, scores, strict=True)
        ]
        mean = [number_cell(section.mean(model, tasks, measure))] if many else []
        lines.append(Line(section.labels[model], (*cells, *mean)))
        if section.protocol == "paper":
            lines += _beside(section, model, tasks, measure, notes=notes)
    if section.protocol == "paper":
        lines += _published_lines(tasks, measure, notes)
    headings = ("model", *map(short_task, tasks), *(["mean"] if many else []))
    title = f"{group_title(group)}: {measure_of(measure).title}"
    return Table(title, headings, tuple(lines), notes.lines)


def _shown(section: Section, score: Score | None, notes: Notes, *, best: bool) -> Cell:
    """A cell, marked where the model is read otherwise than elsewhere."""
    cell = score_cell(score, notes, best=best)
    if score is None or not score.defined or section.is_chosen(score):
        return cell
    why = f"read otherwise than the model's other tasks: {score.setting}"
    return replace(cell, mark=notes.mark(why))


def _beside(
    section: Section, model: str, tasks: Sequence[str], measure: str, *, notes: Notes
) -> list[Line]:
    """The published figures of one of our models, and how far ours are from them."""
    name = PUBLISHED_AS.get(model)
    line = None if name is None else _published_line(name, tasks, measure, notes)
    if name is None or line is None:
        return []
    ours = [section.main.get((model, task, measure)) for task in tasks]
    theirs = [published_value(name, task, measure) for task in tasks]
    gaps = [
        a.value - b.value if a is not None and b is not None and b.value is not None else math.nan
        for a, b in zip(ours, theirs, strict=True)
    ]
    gaps += [float(np.mean(gaps))] if len(tasks) > 1 else []
    cells = tuple(Cell("" if gap != gap else f"{gap:+.3f}") for gap in gaps)
    return [
        Line(f"published: {name}", line.cells, "published"),
        Line("ours less published", cells, "difference"),
    ]


def _published_lines(tasks: Sequence[str], measure: str, notes: Notes) -> list[Line]:
    lines = [_published_line(model, tasks, measure, notes) for model in published_models()]
    there = [line for line in lines if line is not None]

    def key(line: Line) -> float:
        text = line.cells[-1].text  # the mean, or the only task
        return math.inf if text in {"", UNDEFINED} else -float(text)

    return sorted(there, key=key)


def _published_line(model: str, tasks: Sequence[str], measure: str, notes: Notes) -> Line | None:
    """A model's published figures of these tasks; None where it has none."""
    figures = [published_value(model, task, measure) for task in tasks]
    if all(figure is None for figure in figures):
        return None
    cells = []
    for figure in figures:
        if figure is None:
            cells.append(Cell())
        elif figure.value is None:
            cells.append(Cell(UNDEFINED, mark=notes.mark(figure.note)))
        else:
            mark = notes.mark(figure.note) if figure.note else ""
            cells.append(Cell(f"{figure.value:.3f}", mark=mark))
    mean = [number_cell(_published_mean(model, tasks, measure))] if len(tasks) > 1 else []
    return Line(model, (*cells, *mean), "published")


def _published_mean(model: str, tasks: Sequence[str], measure: str) -> float:
    figures = [published_value(model, task, measure) for task in tasks]
    values = [math.nan if f is None or f.value is None else f.value for f in figures]
    return float(np.mean(values))


def _mean_cells(means: Sequence[float]) -> tuple[Cell, ...]:
    return tuple(map(number_cell, means))


def _best(section: Section, task: str, measure: str) -> float | None:
    """The largest value of a column, where there is more than one to choose from."""
    values = [
        score.value
        for (_, name, what), score in section.main.items()
        if name == task and what == measure and score.defined
    ]
    return max(values) if len(values) > 1 else None
