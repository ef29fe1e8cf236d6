"""Tables of scores: models by tasks, ours beside the published ones, and means over tasks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.benchmark.figures import PUBLISHED_AS
from dawnchorus.benchmark.report.measures import measure_of
from dawnchorus.benchmark.report.protocol_scores import group_title, short_task
from dawnchorus.benchmark.report.table_cells import (
    UNDEFINED,
    Notes,
    ReportTable,
    RowKind,
    TableCell,
    TableRow,
    number_cell,
    score_cell,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.benchmark.report.protocol_scores import ProtocolScores
    from dawnchorus.benchmark.report.reported_scores import ReportedScore


def score_tables(section: ProtocolScores) -> list[ReportTable]:
    """A table for each group of tasks and measure, the published figures in those of the paper."""
    tables = []
    for group, tasks in section.groups.items():
        for measure in section.common(tasks):
            there = section.with_measure(tasks, measure)
            tables.append(_score_table(section, group, there, measure))
    return tables


def summary_table(section: ProtocolScores) -> ReportTable | None:
    """Means over the tasks of each group, as the published aggregate; None where nothing is one."""
    columns = [
        (group, measure, section.with_measure(tasks, measure))
        for group, tasks in section.groups.items()
        for measure in section.common(tasks)
    ]
    columns = [column for column in columns if len(column[2]) > 1]
    if not columns:
        return None
    rows: list[tuple[str, list[float], RowKind]] = []
    for model in section.models:
        means = [section.mean(model, tasks, measure) for _, measure, tasks in columns]
        rows.append((section.labels[model], means, "own"))
    for model in section.figures.models:
        means = [_published_mean(section, model, tasks, measure) for _, measure, tasks in columns]
        if not all(map(math.isnan, means)):
            rows.append((model, means, "published"))
    headings = [
        f"{group_title(group)}: {measure_of(measure).title} ({len(tasks)} tasks)"
        for group, measure, tasks in columns
    ]
    made = [TableRow(name, _mean_cells(means), kind) for name, means, kind in rows]
    note = "Means over the tasks that this report has; empty where one of them has no value."
    return ReportTable("Means", ("model", *headings), tuple(made), (note,))


def _score_table(
    section: ProtocolScores, group: str, tasks: Sequence[str], measure: str
) -> ReportTable:
    notes = Notes()
    many = len(tasks) > 1
    best = {task: _best(section, task, measure) for task in tasks}
    rows = []
    for model in section.ranked(tasks, measure):
        scores = [section.main.get((model, task, measure)) for task in tasks]
        cells = [
            _shown(section, score, notes, best=score is not None and score.value == best[task])
            for task, score in zip(tasks, scores, strict=True)
        ]
        mean = [number_cell(section.mean(model, tasks, measure))] if many else []
        rows.append(TableRow(section.labels[model], (*cells, *mean)))
        rows += _reported_beside(section, model, tasks, measure, notes=notes)
    rows += _published_rows(section, tasks, measure, notes)
    headings = ("model", *map(short_task, tasks), *(["mean"] if many else []))
    title = f"{group_title(group)}: {measure_of(measure).title}"
    return ReportTable(title, headings, tuple(rows), notes.rows)


def _shown(
    section: ProtocolScores, score: ReportedScore | None, notes: Notes, *, best: bool
) -> TableCell:
    """A cell, marked where the model is read otherwise than elsewhere."""
    cell = score_cell(score, notes, best=best)
    if score is None or not score.defined or section.is_chosen(score):
        return cell
    why = f"read otherwise than the model's other tasks: {score.setting}"
    return replace(cell, mark=notes.mark(why))


def _reported_beside(
    section: ProtocolScores, model: str, tasks: Sequence[str], measure: str, *, notes: Notes
) -> list[TableRow]:
    """What others report for one of our models, and how far ours is from it."""
    name = PUBLISHED_AS.get(model, model)
    theirs = _published_row(section, name, tasks, measure, notes)
    if theirs is None:
        return []
    ours = [section.main.get((model, task, measure)) for task in tasks]
    gaps = [
        math.nan if score is None else score.value - section.figures.value(name, task, measure)
        for score, task in zip(ours, tasks, strict=True)
    ]
    gaps += [float(np.mean(gaps))] if len(tasks) > 1 else []
    cells = tuple(TableCell("" if gap != gap else f"{gap:+.3f}") for gap in gaps)
    return [
        TableRow(f"published: {name}", theirs.cells, "published"),
        TableRow("ours less published", cells, "difference"),
    ]


def _published_rows(
    section: ProtocolScores, tasks: Sequence[str], measure: str, notes: Notes
) -> list[TableRow]:
    rows = [_published_row(section, name, tasks, measure, notes) for name in section.figures.models]

    def key(row: TableRow) -> float:
        text = row.cells[-1].text  # the mean, or the only task
        return math.inf if text in {"", UNDEFINED} else -float(text)

    return sorted((row for row in rows if row is not None), key=key)


def _published_row(
    section: ProtocolScores, model: str, tasks: Sequence[str], measure: str, notes: Notes
) -> TableRow | None:
    """What others report for a model on these tasks; None where they report nothing."""
    figures = [section.figures.of(model, task, measure) for task in tasks]
    if all(figure is None for figure in figures):
        return None
    cells = []
    for figure in figures:
        if figure is None:
            cells.append(TableCell())
            continue
        mark = notes.mark(figure.note) if figure.note else ""
        text = UNDEFINED if figure.value is None else f"{figure.value:.3f}"
        cells.append(TableCell(text, mark=mark))
    if len(tasks) > 1:
        cells.append(number_cell(_published_mean(section, model, tasks, measure)))
    return TableRow(model, tuple(cells), "published")


def _published_mean(
    section: ProtocolScores, model: str, tasks: Sequence[str], measure: str
) -> float:
    return float(np.mean([section.figures.value(model, task, measure) for task in tasks]))


def _mean_cells(means: Sequence[float]) -> tuple[TableCell, ...]:
    return tuple(map(number_cell, means))


def _best(section: ProtocolScores, task: str, measure: str) -> float | None:
    """The largest value of a column, where there is more than one to choose from."""
    values = [
        score.value
        for (_, name, what), score in section.main.items()
        if name == task and what == measure and score.defined
    ]
    return max(values) if len(values) > 1 else None
