"""Tables about the results: the tasks, the readouts, leaks, and every setting that was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dawnchorus.benchmark.report.measures import measure_of
from dawnchorus.benchmark.report.protocol_scores import group_title
from dawnchorus.benchmark.report.reported_scores import ALL_ITEMS, CLEAN_ITEMS
from dawnchorus.benchmark.report.table_cells import (
    Notes,
    ReportTable,
    TableCell,
    TableRow,
    score_cell,
)

if TYPE_CHECKING:
    from dawnchorus.benchmark.report.protocol_scores import Choice, ProtocolScores
    from dawnchorus.benchmark.report.reported_scores import ReportedScore


def task_table(section: ProtocolScores) -> ReportTable:
    """What each task was scored on."""
    rows = []
    for group, tasks in section.groups.items():
        for task in tasks:
            scores = [score for (_, name, _), score in section.main.items() if name == task]
            texts = (
                group_title(group),
                _range({score.n_items for score in scores}),
                _range({score.n_groups for score in scores}),
                ", ".join(sorted({score.version for score in scores} - {""})),
                ", ".join(measure_of(name).title for name in section.pictured([task])),
            )
            rows.append(TableRow(task, tuple(map(TableCell, texts))))
    headings = ("task", "group", "items", "groups of items", "version", "measures")
    return ReportTable("Tasks", headings, tuple(rows))


def settings_table(section: ProtocolScores) -> ReportTable:
    """Which readout and probe speak for each model, and how they were chosen."""
    weights = {score.model: score.weights_sha256[:8] for score in section.scores}
    shared: dict[tuple[str, Choice], list[str]] = {}
    for (model, kind), choice in section.choices.items():
        shared.setdefault((model, choice), []).append(kind)
    rows = [
        TableRow(
            section.labels[model],
            (
                TableCell(", ".join(kinds)),
                TableCell(str(choice.setting)),
                TableCell(choice.how),
                TableCell(str(choice.n_settings)),
                TableCell(weights[model]),
            ),
        )
        for (model, choice), kinds in sorted(shared.items(), key=lambda pair: pair[0][0])
    ]
    headings = ("model", "for", "readout and probe", "chosen", "settings tried", "weights")
    return ReportTable("Readouts", headings, tuple(rows))


def leak_tables(section: ProtocolScores) -> list[ReportTable]:
    """Scores with and without the items that an audit found in training, task by task."""
    pairs: dict[tuple[str, str], dict[str, dict[str, ReportedScore]]] = {}
    for score in section.tested():
        if score.n_labels is None and section.is_shown(score):
            sides = pairs.setdefault((score.task, score.measure), {})
            sides.setdefault(score.model, {})[score.leaks] = score
    tables = []
    for (task, measure), models in pairs.items():
        both = {
            name: sides for name, sides in models.items() if {*sides} >= {ALL_ITEMS, CLEAN_ITEMS}
        }
        if both:
            tables.append(_leak_table(section, f"{task}: {measure_of(measure).title}", both))
    return tables


def detail_tables(section: ProtocolScores) -> list[ReportTable]:
    """Every setting of every model, task by task; the columns are the task's measures."""
    tables = []
    for task in section.tasks:
        by_setting: dict[tuple[str, str], dict[str, ReportedScore]] = {}
        for score in section.tested():
            if score.task == task and score.n_labels is None and score.leaks == ALL_ITEMS:
                key = (section.labels[score.model], str(score.setting))
                by_setting.setdefault(key, {})[score.measure] = score
        measures = section.measures([task])
        notes = Notes()
        rows = tuple(
            TableRow(name, (TableCell(how), *(score_cell(scores.get(m), notes) for m in measures)))
            for (name, how), scores in sorted(by_setting.items())
        )
        titles = (measure_of(measure).title for measure in measures)
        tables.append(ReportTable(task, ("model", "readout and probe", *titles), rows, notes.rows))
    return tables


def _leak_table(
    section: ProtocolScores, title: str, models: dict[str, dict[str, ReportedScore]]
) -> ReportTable:
    notes = Notes()
    rows = []
    for model in sorted(models, key=section.labels.__getitem__):
        both, clean = models[model][ALL_ITEMS], models[model][CLEAN_ITEMS]
        gap = clean.value - both.value
        counts = "" if None in (both.n_items, clean.n_items) else f"{both.n_items}, {clean.n_items}"
        cells = (
            score_cell(both, notes),
            score_cell(clean, notes),
            TableCell("" if gap != gap else f"{gap:+.3f}"),
            TableCell(counts),
        )
        rows.append(TableRow(section.labels[model], cells))
    headings = ("model", "all items", "without known items", "difference", "items")
    return ReportTable(title, headings, tuple(rows), notes.rows)


def _range(counts: set[int | None]) -> str:
    known = sorted(count for count in counts if count is not None)
    if not known:
        return ""
    return f"{known[0]:,}" if known[0] == known[-1] else f"{known[0]:,} to {known[-1]:,}"
