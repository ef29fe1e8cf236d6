"""Models compared item by item with one of them, so that what is hard for all does not blur it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.benchmark.report.cells import Cell, Line, Table
from dawnchorus.benchmark.report.measures import measure_of
from dawnchorus.benchmark.report.style import (
    SMALL,
    Picture,
    as_png,
    file_name,
    panels,
    tidy,
)
from dawnchorus.benchmark.scores import ranked
from dawnchorus.errors import UsageError
from dawnchorus.metrics import MEASURES, Comparison, paired_bootstrap, retrieval, statistic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from dawnchorus.benchmark.report.inputs import Beside
    from dawnchorus.benchmark.report.scores import Score
    from dawnchorus.benchmark.report.section import Section
    from dawnchorus.benchmark.report.style import Look
    from dawnchorus.benchmark.tasks.base import Protocol

    Pairs = dict[tuple[str, str], dict[str, Comparison]]  # task and measure, then model

MOST_QUERIES: Final = 20_000
RETRIEVAL: Final = "retrieval_roc_auc"
N_DRAWS: Final = 1000
DIGITS: Final = 9  # of a difference that is drawn: what lies below is rounding
NARROWEST: Final = 0.02  # of an axis: small differences are drawn small
LARGE: Final = 2_000_000  # cells of truth; a tenth of the draws is enough time spent


@dataclass(frozen=True, slots=True)
class _Side:
    """One model on one task: a statistic of items, where they have a score (``kept``)."""

    ids: NDArray[Any]
    groups: NDArray[Any]
    kept: NDArray[np.bool_]
    statistic: Callable[[NDArray[np.intp]], float]
    n_cells: int


@dataclass(frozen=True, slots=True)
class Compared:
    """Every model against a reference.

    Attributes:
        pairs: task and measure to model to how much it scores above the reference.
        left_out: comparisons that could not be made, and why.
    """

    reference: str
    pairs: Pairs
    left_out: tuple[str, ...]


def compare_models(
    section: Section,
    beside: Beside,
    reference: str | None = None,
    *,
    progress: Callable[[int], None] = lambda _n: None,
) -> Compared | None:
    """Compare every model with a reference on each task; None where nothing can be compared.

    Args:
        section: one protocol's scores.
        beside: predictions, items and vectors.
        reference: a model; None: the one that can be compared on most tasks, of those the best.
        progress: called with 1 after each comparison.

    Raises:
        UsageError: The reference is none of the models.
    """
    if reference is not None and reference not in section.labels:
        raise UsageError(f"no model {reference!r} in the results; models: {sorted(section.labels)}")
    scores = _comparable(section, beside)
    places: dict[str, list[int]] = defaultdict(list)
    for models in scores.values():
        for place, model in enumerate(models):
            places[model].append(place)
    if len(places) < 2 or (reference is not None and reference not in places):
        return None
    base = reference or min(sorted(places), key=lambda m: (-len(places[m]), np.mean(places[m])))
    pairs: Pairs = {}
    left_out = []
    for (task, measure), models in scores.items():
        for model in models if base in models else ():
            if model == base:
                continue
            made = _compare(models[model], models[base], beside)
            progress(1)
            if isinstance(made, str):
                left_out.append(f"{task}, {section.labels[model]}: {made}")
            else:
                pairs.setdefault((task, measure), {})[model] = made
    return Compared(base, pairs, tuple(left_out)) if pairs else None


def paired_table(section: Section, compared: Compared) -> Table:
    """The differences with their intervals."""
    lines = []
    for (task, measure), models in compared.pairs.items():
        for model, made in sorted(models.items(), key=lambda pair: -pair[1].difference):
            interval = f"{made.low:+.3f} to {made.high:+.3f}" if made.low == made.low else ""
            share = "" if made.reason else f"{made.share_first_better:.2f}"
            cells = (
                Cell(measure_of(measure).title),
                Cell(section.labels[model]),
                Cell(f"{made.difference:+.3f}", interval),
                Cell(share),
                Cell(f"{made.n_groups:,}", made.reason),
            )
            lines.append(Line(task, cells))
    base = section.labels[compared.reference]
    headings = (
        "task", "measure", "model", f"above {base}", "share of draws above", "groups drawn",
    )  # fmt: skip
    title = f"Each model less {base}, item by item"
    return Table(title, headings, tuple(lines), compared.left_out)


def paired_pictures(
    section: Section, compared: Compared, looks: Mapping[str, Look]
) -> list[Picture]:
    """A picture for each measure: a panel a task, a line a model."""
    pictures = []
    for measure in dict.fromkeys(measure for _, measure in compared.pairs):
        tasks = [task for task, name in compared.pairs if name == measure]
        models = sorted({m for task in tasks for m in compared.pairs[task, measure]})
        figure = _figure(section, compared, looks, measure, (tasks, models))
        base = section.labels[compared.reference]
        caption = (
            f"How much higher a model scores than {base} on the same items, with the 95 % interval "
            "of the difference; a line that does not touch 0 is a difference that more items of "
            "this kind would hardly undo. The axes differ between the panels."
        )
        title = f"{measure_of(measure).title}: difference to {base}"
        name = file_name(section.protocol, measure, "paired")
        pictures.append(Picture(name, title, caption, as_png(figure)))
    return pictures


def _comparable(section: Section, beside: Beside) -> dict[tuple[str, str], dict[str, Score]]:
    """Task and measure to the scores that what lies beside the results can be compared for."""
    found: dict[tuple[str, str], dict[str, Score]] = {}
    for task in (task for tasks in section.groups.values() for task in tasks):
        measure = section.asked(task, "probe")
        if measure in MEASURES:
            scores = section.main_of(task, "probe")
            found[task, measure] = {m: s for m, s in scores.items() if beside.has_predictions(s)}
        if section.asked(task, "retrieval") == RETRIEVAL:
            scores = section.main_of(task, "retrieval")
            found[task, RETRIEVAL] = {m: s for m, s in scores.items() if beside.has_vectors(s)}
    return {key: models for key, models in found.items() if models}


def _compare(first: Score, second: Score, beside: Beside) -> Comparison | str:
    """The comparison, or why there is none."""
    make = _retrieved if first.measure == RETRIEVAL else _predicted
    one, two = make(first, beside), make(second, beside)
    if isinstance(one, str) or isinstance(two, str):
        return one if isinstance(one, str) else str(two)
    if one.ids.tolist() != two.ids.tolist() or one.groups.tolist() != two.groups.tolist():
        return "other items than the reference"
    kept = one.kept & two.kept
    if not kept.any():
        return "no item has a score of both"
    rows = np.flatnonzero(kept)
    return paired_bootstrap(
        lambda items: one.statistic(rows[items]),
        lambda items: two.statistic(rows[items]),
        one.groups[rows],
        n=N_DRAWS if one.n_cells <= LARGE else N_DRAWS // 10,
    )


def _predicted(score: Score, beside: Beside) -> _Side:
    """A probe's measure, the mean over its seeds."""
    read = beside.predictions(score)
    protocol: Protocol = "paper" if score.protocol == "paper" else "strict"
    seeds = [
        statistic(score.measure, read.items.y, ranked(one, score.measure, protocol, read.items.y))
        for one in read.logits
    ]
    return _Side(
        read.items.ids,
        read.items.groups,
        np.ones(len(read.items.ids), bool),
        lambda items: float(np.mean([one(items) for one in seeds])),
        read.logits.size,
    )


def _retrieved(score: Score, beside: Beside) -> _Side | str:
    """Retrieval of each query among the scored items; refused where it is not what was scored."""
    read = beside.vectors(score)
    if len(read.vectors) > MOST_QUERIES:
        return f"more than {MOST_QUERIES:,} items: their distances are not computed again"
    values = retrieval(np.asarray(read.vectors, np.float32), read.items.y).roc_auc_of
    kept = ~np.isnan(values)
    if not kept.any() or abs(float(values[kept].mean()) - score.value) > 1e-4:
        return "retrieval was not scored among the items of the split alone"
    return _Side(
        read.items.ids,
        read.items.groups,
        kept,
        lambda items: float(values[items].mean()),
        len(values),
    )


def _figure(
    section: Section,
    compared: Compared,
    looks: Mapping[str, Look],
    measure: str,
    shown: tuple[list[str], list[str]],
) -> Any:
    tasks, models = shown
    models = sorted(models, key=lambda m: _mean_gap(compared, tasks, measure, m), reverse=True)
    size_in = (3.9, 0.24 * len(models) + 1.2)
    figure, grid = panels(len(tasks), most_columns=3, size_in=size_in)
    for axes, task in zip(grid, tasks, strict=True):
        for y, model in enumerate(models):
            made = compared.pairs[task, measure].get(model)
            if made is None:
                continue
            drawn = looks[model]
            if not made.reason:
                ends = np.round([made.low, made.high], DIGITS)
                axes.plot(ends, [y, y], color=drawn.colour, linewidth=1.6)
            axes.plot(
                round(made.difference, DIGITS), y, drawn.mark, color=drawn.colour, markersize=6
            )
        axes.axvline(0, color="black", linewidth=1)
        first = axes.get_subplotspec().is_first_col()
        names = [section.labels[model] for model in models] if first else []
        axes.set_xlabel(f"difference of {measure_of(measure).title}", fontsize=SMALL)
        axes.set_yticks(range(len(models)), names)
        axes.set_ylim(len(models) - 0.4, -0.6)
        axes.set_title(task, fontsize=SMALL + 2)
        widen(axes, NARROWEST)
        axes.locator_params(axis="x", nbins=4)  # small differences have long numbers
        axes.xaxis.grid(visible=True, color="#dddddd")
        tidy(axes)
    return figure


def widen(axes: Axes, width: float) -> None:
    """Fix the horizontal axis at what it shows, or at so much with that in the middle."""
    low, high = axes.get_xlim()
    more = max(width - (high - low), 0.0) / 2
    axes.set_xlim(low - more, high + more)  # left to itself it may shrink anew when it is drawn


def _mean_gap(compared: Compared, tasks: list[str], measure: str, model: str) -> float:
    pairs = (compared.pairs[task, measure].get(model) for task in tasks)
    return float(np.mean([pair.difference for pair in pairs if pair is not None]))
