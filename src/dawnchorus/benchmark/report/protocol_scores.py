"""The scores of one protocol, and which readout and probe speak for each model.

A plan scores a model in many ways. A table has room for one, and taking the best on test would be
choosing on test: so it is the best on validation, where there are scores of validation.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.benchmark.figures import AGGREGATES, NO_FIGURES, Figures, figures_for
from dawnchorus.benchmark.report.measures import MEASURES, main_measure, measure_of, order_of
from dawnchorus.benchmark.report.reported_scores import ALL_ITEMS, in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dawnchorus.benchmark.figures import Figure
    from dawnchorus.benchmark.report.measures import Kind
    from dawnchorus.benchmark.report.reported_scores import ReportedScore, Setting

KINDS: Final = ("probe", "retrieval", "clustering")
GROUP_TITLES: Final = {
    "mean/beans_classification": "BEANS classification",
    "mean/beans_detection": "BEANS detection",
    "mean/birdset": "BirdSet",
    "mean/individual": "Individuals",
    "mean/repertoire": "Vocal repertoire",
    "local": "Local tasks",
    "beans": "BEANS, other tasks",
    "birdset": "BirdSet, other sets",
    "repertoire": "Vocal repertoire, other sets",
}
_GROUP_OF: Final = {task: group for group, tasks in AGGREGATES.items() for task in tasks}
_KNOWN: Final = tuple(_GROUP_OF)


@dataclass(frozen=True, slots=True)
class Choice:
    """The setting that speaks for a model, of how many, and how it was chosen."""

    setting: Setting
    n_settings: int
    how: str


@dataclass(frozen=True)
class ProtocolScores:
    """One protocol's scores.

    Attributes:
        scores: all of this protocol, of every split, setting and number of labels.
        labels: what each model of the whole report is called in it.
        figures: what others report for the same tasks under this protocol.
    """

    protocol: str
    scores: tuple[ReportedScore, ...]
    labels: Mapping[str, str]
    figures: Figures = NO_FIGURES

    @cached_property
    def split(self) -> str:
        """The split whose scores are shown: test, or val where nothing was scored on test."""
        return "test" if any(score.split == "test" for score in self.scores) else "val"

    @cached_property
    def choices(self) -> dict[tuple[str, Kind], Choice]:
        """Model and kind of measure to the setting that is shown."""
        parts: dict[tuple[str, Kind], list[ReportedScore]] = defaultdict(list)
        for score in self.scores:
            if score.n_labels is None and score.leaks == ALL_ITEMS:
                parts[score.model, measure_of(score.measure).kind].append(score)
        return {key: choose(part, self.protocol) for key, part in parts.items()}

    @cached_property
    def settings(self) -> dict[tuple[str, str, Kind], Setting]:
        """Model, task and kind to the setting that is shown.

        That of the model, or one chosen for the task alone where that was not scored on it.
        """
        parts: dict[tuple[str, str, Kind], list[ReportedScore]] = defaultdict(list)
        for score in self.scores:
            if score.n_labels is None and score.leaks == ALL_ITEMS:
                parts[score.model, score.task, measure_of(score.measure).kind].append(score)
        found = {}
        for (model, task, kind), part in parts.items():
            chosen = self.choices[model, kind].setting
            there = {score.setting for score in part if score.split == self.split}
            own = [score for score in part if score.setting in there]
            if own:
                shown = chosen if chosen in there else choose(own, self.protocol).setting
                found[model, task, kind] = shown
        return found

    @cached_property
    def main(self) -> dict[tuple[str, str, str], ReportedScore]:
        """Model, task and measure to the score that is shown, over all items and labels."""
        return {
            (score.model, score.task, score.measure): score
            for score in self.tested()
            if score.n_labels is None and score.leaks == ALL_ITEMS and self.is_shown(score)
        }

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Tasks that are averaged together, in the order of the published tables."""
        tasks = in_order([task for _, task, _ in self.main], _KNOWN)
        found: dict[str, list[str]] = defaultdict(list)
        for task in tasks:
            found[_GROUP_OF.get(task, task.partition("/")[0])].append(task)
        return {group: tuple(tasks) for group, tasks in found.items()}

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Every model with a main score, by name."""
        return tuple(self.by_name({model for model, _, _ in self.main}))

    def is_shown(self, score: ReportedScore) -> bool:
        """Whether a score is of the setting that its model is shown by on its task."""
        key = (score.model, score.task, measure_of(score.measure).kind)
        return self.settings.get(key) == score.setting

    def is_chosen(self, score: ReportedScore) -> bool:
        """Whether a score is of the setting that speaks for its model."""
        choice = self.choices.get((score.model, measure_of(score.measure).kind))
        return choice is not None and choice.setting == score.setting

    def tested(self) -> Iterable[ReportedScore]:
        """Scores of the split that is shown."""
        return (score for score in self.scores if score.split == self.split)

    def measures(self, tasks: Sequence[str]) -> tuple[str, ...]:
        """Measures that any of these tasks has, in the order of a report, rarer ones last."""
        found = {measure for _, task, measure in self.main if task in tasks}
        return tuple(sorted(found, key=order_of))

    def common(self, tasks: Sequence[str]) -> tuple[str, ...]:
        """Those of them that have a table of their own."""
        return tuple(name for name in self.measures(tasks) if name in MEASURES)

    def pictured(self, tasks: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Measures that some of these tasks ask for, and which: one a task and kind."""
        found: dict[str, list[str]] = defaultdict(list)
        for task in tasks:
            for kind in KINDS:
                name = self.asked(task, kind)
                if name is not None:
                    found[name].append(task)
        return {name: tuple(found[name]) for name in sorted(found, key=order_of)}

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Every task with a main score, group after group."""
        return tuple(task for tasks in self.groups.values() for task in tasks)

    def asked(self, task: str, kind: Kind) -> str | None:
        """The measure that a task asks for, of a kind."""
        return main_measure(task, self.protocol, kind, self.measures([task]))

    def main_of(self, task: str, kind: Kind) -> dict[str, ReportedScore]:
        """Model to its score by the measure that a task asks for, best first."""
        measure = self.asked(task, kind)
        if measure is None:
            return {}
        return {m: self.main[m, task, measure] for m in self.ranked([task], measure)}

    def by_name(self, models: Iterable[str]) -> list[str]:
        """Models in the order in which panels show them, the same for every task."""
        return sorted(models, key=self.labels.__getitem__)

    def with_measure(self, tasks: Sequence[str], measure: str) -> tuple[str, ...]:
        """Those of the tasks that have a measure."""
        have = {task for _, task, name in self.main if name == measure}
        return tuple(task for task in tasks if task in have)

    def mean(self, model: str, tasks: Sequence[str], measure: str) -> float:
        """Mean of a model over tasks; NaN where one of them has no value."""
        scores = [self.main.get((model, task, measure)) for task in tasks]
        values = [np.nan if score is None else score.value for score in scores]
        return float(np.mean(values)) if values else float("nan")

    def ranked(self, tasks: Sequence[str], measure: str) -> tuple[str, ...]:
        """Models with a score of these tasks: by their mean, then by how many tasks, then name."""

        def key(model: str) -> tuple[float, int, str]:
            mean = self.mean(model, tasks, measure)
            n_scored = sum((model, task, measure) in self.main for task in tasks)
            return (-mean if mean == mean else 1e9, -n_scored, self.labels[model])

        there = {model for model, task, name in self.main if name == measure and task in tasks}
        return tuple(sorted(there, key=key))


def choose(scores: Sequence[ReportedScore], protocol: str) -> Choice:
    """Choose a setting of one model and kind of measure, never by its test scores."""
    settings = tuple(dict.fromkeys(score.setting for score in scores))
    if len(settings) == 1:
        return Choice(settings[0], 1, "the only one")
    valued = [score for score in scores if score.split == "val" and score.defined]
    values = _main_values(valued, protocol)
    if values:
        widest = max(len(tasks) for tasks in values.values())
        full = {setting: tasks for setting, tasks in values.items() if len(tasks) == widest}
        best = max(full, key=lambda setting: float(np.mean(list(full[setting].values()))))
        return Choice(best, len(settings), f"best on validation of {_n(widest, 'task')}")
    tested = _main_values([score for score in scores if score.split == "test"], protocol)
    best = max(
        tested or {setting: {} for setting in settings}, key=lambda s: len(tested.get(s, {}))
    )
    return Choice(best, len(settings), "first of those with most tasks: no validation scores")


def _main_values(scores: Sequence[ReportedScore], protocol: str) -> dict[Setting, dict[str, float]]:
    """Setting to task to its value of the measure that the task asks for."""
    values: dict[Setting, dict[str, float]] = defaultdict(dict)
    names: dict[str, set[str]] = defaultdict(set)
    for score in scores:
        names[score.task].add(score.measure)
    for score in scores:
        kind = measure_of(score.measure).kind
        if score.measure == main_measure(score.task, protocol, kind, names[score.task]):
            values[score.setting][score.task] = score.value
    return values


def group_title(group: str) -> str:
    """A group of tasks in words."""
    return GROUP_TITLES.get(group, group)


def short_task(task: str) -> str:
    """A task without its family."""
    return task.partition("/")[2] or task


def short_models(models: Iterable[str], most: int = 34) -> dict[str, str]:
    """What to call each model: shortened where it is long, a path at its beginning; none alike."""
    found: dict[str, str] = {}
    for model in sorted(set(models)):
        label = model
        if len(model) > most:
            head = 0 if "/" in model else most // 2
            label = f"{model[:head]}…{model[head + 1 - most :]}"
        taken, number = set(found.values()), 2
        while label in taken:
            label = f"{label.rpartition(' #')[0] or label} #{number}"
            number += 1
        found[model] = label
    return found


def by_protocol(
    scores: Sequence[ReportedScore], figures: Sequence[Figure] = ()
) -> tuple[ProtocolScores, ...]:
    """The scores of each protocol, ``paper`` first; those of two are never put together."""
    labels = short_models(score.model for score in scores)
    names = sorted({score.protocol for score in scores}, key=lambda name: (name != "paper", name))
    parts = (
        ProtocolScores(
            name,
            tuple(score for score in scores if score.protocol == name),
            labels,
            figures_for(name, figures),
        )
        for name in names
    )
    return tuple(part for part in parts if part.main)


def _n(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
