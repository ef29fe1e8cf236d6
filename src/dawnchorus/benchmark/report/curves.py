"""Scores along something: the layer that is read, or the number of labels a probe was given."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.benchmark.report.measures import measure_of
from dawnchorus.benchmark.report.protocol_scores import group_title, short_task
from dawnchorus.benchmark.report.reported_scores import ALL_ITEMS
from dawnchorus.benchmark.report.style import (
    SMALL,
    Picture,
    as_png,
    file_name,
    legend_below,
    panels,
    tidy,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dawnchorus.benchmark.report.protocol_scores import ProtocolScores
    from dawnchorus.benchmark.report.reported_scores import ReportedScore
    from dawnchorus.benchmark.report.style import ModelStyle

    Lines = dict[
        str, dict[str, list[tuple[float, ReportedScore]]]
    ]  # of a task, of a model, left to right

SOME_MODELS: Final = 6  # intervals of more would cover each other
_LAYER: Final = re.compile(r"\d+")
_LAYERS: Final = (
    "Layer 0 is the first block; pooling and probe are those of the table of readouts, where a "
    "model has them for its layers."
)
_NOTE: Final = "The vertical axes do not begin at 0 and differ between the panels."


def layer_pictures(section: ProtocolScores, styles: Mapping[str, ModelStyle]) -> list[Picture]:
    """Score by layer, for each group of tasks and the measures they ask for."""
    pictures = []
    for group, tasks, measure in _pictured(section):
        rows = _layers(section, tasks, measure)
        if not rows:
            continue
        title = f"{group_title(group)}: {measure_of(measure).title} by layer"
        last = max(x for models in rows.values() for line in models.values() for x, _ in line)
        caption = f"{_LAYERS} {_NOTE}"
        figure = _figure(section, styles, rows, (measure, "layer that is read"))
        for axes in figure.axes:
            step = 1 if last <= 8 else 2 if last <= 16 else 4
            axes.set_xticks(np.arange(0, last + 1, step))
        name = file_name(section.protocol, group.removeprefix("mean/"), measure, "layers")
        pictures.append(Picture(name, title, _with_bands(caption, rows), as_png(figure)))
    return pictures


def label_pictures(section: ProtocolScores, styles: Mapping[str, ModelStyle]) -> list[Picture]:
    """Score by number of labels, for each group of tasks and the measures they ask for."""
    pictures = []
    for group, tasks, measure in _pictured(section):
        rows = _labels(section, tasks, measure)
        if not rows:
            continue
        title = f"{group_title(group)}: {measure_of(measure).title} by number of labels"
        counts = sorted(
            {x for models in rows.values() for line in models.values() for x, _ in line}
        )
        caption = f"The horizontal axis is logarithmic; its right end is all of train. {_NOTE}"
        figure = _figure(section, styles, rows, (measure, "labelled clips a class"))
        names = [*(f"{count:g}" for count in counts[:-1]), "all"]
        if _has_all(rows) is False:
            names[-1] = f"{counts[-1]:g}"
        for axes in figure.axes:
            axes.set_xscale("log")
            axes.set_xticks(counts, names)
            axes.minorticks_off()
        name = file_name(section.protocol, group.removeprefix("mean/"), measure, "labels")
        pictures.append(Picture(name, title, _with_bands(caption, rows), as_png(figure)))
    return pictures


def _pictured(section: ProtocolScores) -> Iterable[tuple[str, tuple[str, ...], str]]:
    """Each group of tasks with the measures that they ask for."""
    for group, of in section.groups.items():
        for measure, tasks in section.pictured(of).items():
            yield group, tasks, measure


def _layers(section: ProtocolScores, tasks: Sequence[str], measure: str) -> Lines:
    """Scores of single layers, of the pooling and probe that has most of them."""
    found: dict[tuple[str, str], dict[tuple[str, str], dict[int, ReportedScore]]] = defaultdict(
        dict
    )
    for score in section.tested():
        wanted = score.task in tasks and score.measure == measure and score.leaks == ALL_ITEMS
        if wanted and score.n_labels is None and _LAYER.fullmatch(score.setting.readout):
            how = (score.setting.pooling, score.setting.probe)
            at = found[score.task, score.model].setdefault(how, {})
            at[int(score.setting.readout)] = score
    rows: Lines = defaultdict(dict)
    for (task, model), ways in found.items():
        choice = section.choices[model, measure_of(measure).kind].setting
        chosen = (choice.pooling, choice.probe)
        best = max(ways, key=lambda how: (len(ways[how]), how == chosen))
        points = [(float(layer), score) for layer, score in sorted(ways[best].items())]
        points = [(x, score) for x, score in points if score.defined]
        if len(points) > 1:
            rows[task][model] = points
    return {task: rows[task] for task in tasks if task in rows}


def _labels(section: ProtocolScores, tasks: Sequence[str], measure: str) -> Lines:
    """Scores by number of labels of the chosen setting; all labels stand last."""
    few = [
        score
        for score in section.tested()
        if score.task in tasks
        and score.measure == measure
        and score.n_labels is not None
        and score.leaks == ALL_ITEMS
        and score.defined
    ]
    most = 2 * max((score.n_labels or 0 for score in few), default=0)
    ways = Counter((score.model, score.setting) for score in few)
    rows: Lines = defaultdict(dict)
    for model in {score.model for score in few}:
        settings = [setting for name, setting in ways if name == model]
        chosen = section.choices.get((model, measure_of(measure).kind))
        use = max(
            settings,
            key=lambda s: (chosen is not None and s == chosen.setting, ways[model, s]),
        )
        for task in tasks:
            own = [s for s in few if (s.model, s.setting, s.task) == (model, use, task)]
            points = sorted(((float(s.n_labels or 0), s) for s in own), key=lambda point: point[0])
            points += [(float(most), s) for s in _whole(section, own)]
            if points:
                rows[task][model] = points
    return {task: rows[task] for task in tasks if task in rows}


def _whole(section: ProtocolScores, own: Sequence[ReportedScore]) -> list[ReportedScore]:
    """The score of the same setting with all labels."""
    if not own:
        return []
    key = (own[0].model, own[0].task, own[0].measure, own[0].setting)
    return [
        score
        for score in section.tested()
        if score.n_labels is None
        and score.leaks == ALL_ITEMS
        and score.defined
        and (score.model, score.task, score.measure, score.setting) == key
    ]


def _has_all(rows: Lines) -> bool:
    """Whether any line reaches all labels."""
    points = (point for models in rows.values() for line in models.values() for point in line)
    return any(score.n_labels is None for _, score in points)


def _figure(
    section: ProtocolScores, styles: Mapping[str, ModelStyle], rows: Lines, named: tuple[str, str]
) -> Any:
    """Panels of a measure, with what is below the axes."""
    measure, below = named
    there = {model for of in rows.values() for model in of}
    models = [model for model in section.ranked(tuple(rows), measure) if model in there]
    models += sorted(there - set(models))
    names = [section.labels[model] for model in models]
    figure, grid = panels(len(rows), most_columns=4, size_in=(3.3, 2.6), legend=names)
    handles: dict[str, Any] = {}
    for axes, (task, of) in zip(grid, rows.items(), strict=True):
        for model in models:
            if model in of:
                handles[model] = _line(
                    axes, styles[model], of[model], bands=len(models) <= SOME_MODELS
                )
        axes.set_title(short_task(task), fontsize=SMALL + 2)
        axes.set_xlabel(below, fontsize=SMALL)
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel(measure_of(measure).title, fontsize=SMALL)
        axes.yaxis.grid(visible=True, color="#dddddd")
        tidy(axes)
    legend_below(figure, [handles[model] for model in models], names)
    return figure


def _line(
    axes: Any, style: ModelStyle, points: Sequence[tuple[float, ReportedScore]], *, bands: bool
) -> Any:
    x = np.array([at for at, _ in points])
    (handle,) = axes.plot(
        x, [score.value for _, score in points], style.dash, color=style.colour, marker=style.mark,
        markersize=4, linewidth=1.3,
    )  # fmt: skip
    if bands and all(score.has_interval for _, score in points):
        low, high = ([getattr(score, end) for _, score in points] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=style.colour, alpha=0.13, linewidth=0)
    return handle


def _with_bands(caption: str, rows: Lines) -> str:
    models = {model for of in rows.values() for model in of}
    if len(models) <= SOME_MODELS:
        return f"{caption} Bands: 95 % interval."
    return f"{caption} Intervals are in the tables: so many would cover each other."
