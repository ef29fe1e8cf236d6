"""Scores of each task as bars with intervals, figures of others as diamonds beside ours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.benchmark.figures import PUBLISHED_AS
from dawnchorus.benchmark.report.measures import measure_of
from dawnchorus.benchmark.report.protocol_scores import group_title, short_task
from dawnchorus.benchmark.report.style import (
    GREY,
    SMALL,
    Picture,
    as_png,
    file_name,
    legend_below,
    panels,
    tidy,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dawnchorus.benchmark.report.protocol_scores import ProtocolScores
    from dawnchorus.benchmark.report.reported_scores import ReportedScore
    from dawnchorus.benchmark.report.style import ModelStyle

FEW_MODELS: Final = 3  # so many stand beside each other in one panel; more have a panel for a task
BAR_IN: Final = 0.21
NUMBER_AT, RIGHT = 1.04, 1.2  # on the axis: where the values stand, and its end


def bar_pictures(section: ProtocolScores, styles: Mapping[str, ModelStyle]) -> list[Picture]:
    """A picture for each group of tasks and measure."""
    return [
        _picture(section, styles, group, measure, tasks)
        for group, of in section.groups.items()
        for measure, tasks in section.pictured(of).items()
    ]


def _picture(
    section: ProtocolScores,
    styles: Mapping[str, ModelStyle],
    group: str,
    measure: str,
    tasks: Sequence[str],
) -> Picture:
    models = section.ranked(tasks, measure)
    draw = _one_panel if len(models) <= FEW_MODELS else _panel_for_a_task
    figure = draw(section, styles, tasks, models, measure=measure)
    named = measure_of(measure)
    said = ["Bars: the test score; lines: 95 % interval."]
    if named.chance:
        said.append(f"Dotted line: what guessing scores, {named.chance:g}.")
    if _has_published(section, tasks, models, measure):
        said.append("Diamonds: what others report for the same model.")
    said.append("Models by their mean over the tasks, or by name where a task is missing.")
    return Picture(
        file_name(section.protocol, group.removeprefix("mean/"), measure),
        f"{group_title(group)}: {named.title}",
        " ".join(said),
        as_png(figure),
    )


def _one_panel(
    section: ProtocolScores,
    styles: Mapping[str, ModelStyle],
    tasks: Sequence[str],
    models: Sequence[str],
    *,
    measure: str,
) -> Any:
    """Tasks below each other, the models of each side by side."""
    height = BAR_IN * len(tasks) * (len(models) + 0.6) + 1.2
    names = [section.labels[model] for model in models]
    figure, (axes,) = panels(1, most_columns=1, size_in=(8.0, height), legend=names)
    handles = []
    for place, model in enumerate(models):
        at = np.arange(len(tasks)) + (place - (len(models) - 1) / 2) * 0.8 / len(models)
        scores = [section.main.get((model, task, measure)) for task in tasks]
        handles.append(_bars(axes, at, scores, styles[model].colour, 0.8 / len(models)))
        _diamonds(axes, section, at, [(model, task) for task in tasks], measure=measure)
    axes.set_yticks(range(len(tasks)), tasks)
    _finish(axes, measure, len(tasks))
    legend_below(figure, handles, names)
    return figure


def _panel_for_a_task(
    section: ProtocolScores,
    styles: Mapping[str, ModelStyle],
    tasks: Sequence[str],
    models: Sequence[str],
    *,
    measure: str,
) -> Any:
    size_in = (3.4, BAR_IN * len(models) + 0.9)
    figure, grid = panels(len(tasks), most_columns=4, size_in=size_in)
    colours = [styles[model].colour for model in models]
    for axes, task in zip(grid, tasks, strict=True):
        scores = [section.main.get((model, task, measure)) for model in models]
        at = np.arange(len(models), dtype=np.float64)
        _bars(axes, at, scores, colours, 0.75)
        _diamonds(axes, section, at, [(model, task) for model in models], measure=measure)
        first = axes.get_subplotspec().is_first_col()
        axes.set_yticks(at, [section.labels[model] for model in models] if first else [])
        axes.set_title(short_task(task), fontsize=SMALL + 2)
        _finish(axes, measure, len(models))
    return figure


def _bars(
    axes: Any,
    at: Any,
    scores: Sequence[ReportedScore | None],
    colour: str | Sequence[str],
    width: float,
) -> Any:
    values = np.array([s.value if s is not None else np.nan for s in scores])
    bars = axes.barh(at, np.nan_to_num(values), width, color=colour, zorder=2)
    for y, score in zip(at, scores, strict=True):
        if score is None:
            continue
        if not score.defined:
            axes.text(0.01, y, "undefined", va="center", fontsize=SMALL - 1, color=GREY)
            continue
        if score.has_interval:
            ends = [score.low, score.high]
            axes.plot(ends, [y, y], color="white", linewidth=2.6, zorder=3)  # seen on dark bars
            axes.plot(ends, [y, y], color="black", linewidth=1.1, zorder=3)
        axes.text(NUMBER_AT, y, f"{score.value:.2f}", va="center", fontsize=SMALL - 1)
    return bars


def _diamonds(
    axes: Any, section: ProtocolScores, at: Any, cells: Sequence[tuple[str, str]], *, measure: str
) -> None:
    for y, (model, task) in zip(at, cells, strict=True):
        value = _published(section, model, task, measure)
        if value is not None:
            axes.plot(
                value, y, "D", markersize=5, markerfacecolor="white", markeredgecolor="black",
                zorder=5,
            )  # fmt: skip


def _published(section: ProtocolScores, model: str, task: str, measure: str) -> float | None:
    value = section.figures.value(PUBLISHED_AS.get(model, model), task, measure)
    return None if math.isnan(value) else value


def _has_published(
    section: ProtocolScores, tasks: Sequence[str], models: Sequence[str], measure: str
) -> bool:
    cells = ((model, task) for model in models for task in tasks)
    return any(_published(section, *cell, measure) is not None for cell in cells)


def _finish(axes: Any, measure: str, n_lines: int) -> None:
    chance = measure_of(measure).chance
    if chance:
        axes.axvline(chance, color="black", linestyle=":", linewidth=1, zorder=4)
    axes.set_ylim(n_lines - 0.4, -0.6)
    axes.set_xlim(min(0.0, *axes.dataLim.intervalx), RIGHT)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.xaxis.grid(visible=True, color="#dddddd", zorder=0)
    tidy(axes)
