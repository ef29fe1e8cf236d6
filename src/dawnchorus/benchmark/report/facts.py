"""Tables about the results: the tasks, the read-outs, leaks, and every setting that was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dawnchorus.benchmark.report.cells import Cell, Line, Notes, Table, score_cell
from dawnchorus.benchmark.report.measures import measure_of
from dawnchorus.benchmark.report.scores import ALL_ITEMS, CLEAN_ITEMS
from dawnchorus.benchmark.report.section import group_title

if TYPE_CHECKING:
    from dawnchorus.benchmark.report.scores import Score
    from dawnchorus.benchmark.report.section import Choice, Section


def task_table(section: Section) -> Table:
    """What each task was scored on."""
    lines = []
    for group, tasks in section.groups.items():
        for task in tasks:
            rows = [score for (_, name, _), score in section.main.items() if name == task]
            texts = (
                group_title(group),
                _range({score.n_items for score in rows}),
                _range({score.n_groups for score in rows}),
                ", ".join(sorted({score.version for score in rows} - {""})),
                ", ".join(measure_of(name).title for name in section.pictured([task])),
            )
            lines.append(Line(task, tuple(map(Cell, texts))))
    headings = ("task", "group", "items", "groups of items", "version", "asked for")
    return Table("Tasks", headings, tuple(lines))


def settings_table(section: Section) -> Table:
    """Which read-out and probe speak for each model, and how they were chosen."""
    weights = {score.model: score.weights_sha256[:8] for score in section.scores}
    shared: dict[tuple[str, Choice], list[str]] = {}
    for (model, kind), choice in section.choices.items():
        shared.setdefault((model, choice), []).append(kind)
    lines = [
        Line(
            section.labels[model],
            (
                Cell(", ".join(kinds)),
                Cell(str(choice.setting)),
                Cell(choice.how),
                Cell(str(choice.n_settings)),
                Cell(weights[model]),
            ),
        )
        for (model, choice), kinds in sorted(shared.items(), key=lambda pair: pair[0][0])
    ]
    headings = ("model", "for", "read-out and probe", "chosen", "settings tried", "weights")
    return Table("Read-outs", headings, tuple(lines))


def leak_tables(section: Section) -> list[Table]:
    """Scores with and without the items that an audit found in training, task by task."""
    pairs: dict[tuple[str, str], dict[str, dict[str, Score]]] = {}
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


def detail_tables(section: Section) -> list[Table]:
    """Every setting of every model, task by task; the columns are the task's measures."""
    tables = []
    for task in (task for tasks in section.groups.values() for task in tasks):
        rows: dict[tuple[str, str], dict[str, Score]] = {}
        for score in section.tested():
            if score.task == task and score.n_labels is None and score.leaks == ALL_ITEMS:
                key = (section.labels[score.model], str(score.setting))
                rows.setdefault(key, {})[score.measure] = score
        measures = section.measures([task])
        notes = Notes()
        lines = tuple(
            Line(name, (Cell(how), *(score_cell(scores.get(m), notes) for m in measures)))
            for (name, how), scores in sorted(rows.items())
        )
        titles = (measure_of(measure).title for measure in measures)
        tables.append(Table(task, ("model", "read-out and probe", *titles), lines, notes.lines))
    return tables


def _leak_table(section: Section, title: str, models: dict[str, dict[str, Score]]) -> Table:
    notes = Notes()
    lines = []
    for model in sorted(models, key=section.labels.__getitem__):
        both, clean = models[model][ALL_ITEMS], models[model][CLEAN_ITEMS]
        gap = clean.value - both.value
        counts = "" if None in (both.n_items, clean.n_items) else f"{both.n_items}, {clean.n_items}"
        cells = (
            score_cell(both, notes),
            score_cell(clean, notes),
            Cell("" if gap != gap else f"{gap:+.3f}"),
            Cell(counts),
        )
        lines.append(Line(section.labels[model], cells))
    headings = ("model", "all items", "without known items", "difference", "items")
    return Table(title, headings, tuple(lines), notes.lines)


def _range(counts: set[int | None]) -> str:
    known = sorted(count for count in counts if count is not None)
    if not known:
        return ""
    return f"{known[0]:,}" if known[0] == known[-1] else f"{known[0]:,} to {known[-1]:,}"
