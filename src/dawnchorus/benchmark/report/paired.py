"""Models compared item by item with one of them, so that what is hard for all does not blur it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.benchmark.report.measures import measure_of
from dawnchorus.benchmark.report.style import (
    SMALL,
    Picture,
    as_png,
    file_name,
    legend_below,
    panels,
    tidy,
)
from dawnchorus.benchmark.report.table_cells import ReportTable, TableCell, TableRow
from dawnchorus.benchmark.scores import ranked
from dawnchorus.errors import UsageError
from dawnchorus.metrics import MEASURES, Comparison, paired_bootstrap, retrieval, statistic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from dawnchorus.benchmark.report.protocol_scores import ProtocolScores
    from dawnchorus.benchmark.report.reported_scores import ReportedScore
    from dawnchorus.benchmark.report.run_folder import RunFolder
    from dawnchorus.benchmark.report.style import ModelStyle
    from dawnchorus.benchmark.tasks.base import Protocol

    Pairs = dict[tuple[str, str], dict[str, Comparison]]  # task and measure, then model

MOST_QUERIES: Final = 20_000
RETRIEVAL: Final = "retrieval_roc_auc"
N_DRAWS: Final = 1000
DIGITS: Final = 9  # of a difference that is drawn: what lies below is rounding
NARROWEST: Final = 0.02  # of the axis: small differences are drawn small
LINE_IN, MARK_IN = 0.22, 0.14  # height of a line, and of a model in it
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
class PairedDifferences:
    """Every model against a reference.

    Attributes:
        pairs: task and measure to model to how much it scores above the reference.
        left_out: comparisons that could not be made, and why.
    """

    reference: str
    pairs: Pairs
    left_out: tuple[str, ...]


def compare_models(
    section: ProtocolScores,
    run_folder: RunFolder,
    reference: str | None = None,
) -> PairedDifferences | None:
    """Compare every model with a reference on each task; None where nothing can be compared.

    Args:
        section: one protocol's scores.
        run_folder: predictions, items and vectors.
        reference: a model; None: the one that can be compared on most tasks, of those the best.

    Raises:
        UsageError: The reference is none of the models.
    """
    if reference is not None and reference not in section.labels:
        raise UsageError(f"no model {reference!r} in the results; models: {sorted(section.labels)}")
    scores = _comparable(section, run_folder)
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
            comparison = _compare(models[model], models[base], run_folder)
            if isinstance(comparison, str):
                left_out.append(f"{task}, {section.labels[model]}: {comparison}")
            else:
                pairs.setdefault((task, measure), {})[model] = comparison
    return PairedDifferences(base, pairs, tuple(left_out)) if pairs else None


def paired_table(section: ProtocolScores, compared: PairedDifferences) -> ReportTable:
    """The differences with their intervals."""
    rows = []
    for (task, measure), models in compared.pairs.items():
        for model, pair in sorted(models.items(), key=lambda item: -item[1].difference):
            interval = f"{pair.low:+.3f} to {pair.high:+.3f}" if pair.low == pair.low else ""
            share = "" if pair.reason else f"{pair.share_first_better:.2f}"
            cells = (
                TableCell(measure_of(measure).title),
                TableCell(section.labels[model]),
                TableCell(f"{pair.difference:+.3f}", interval),
                TableCell(share),
                TableCell(f"{pair.n_groups:,}", pair.reason),
            )
            rows.append(TableRow(task, cells))
    base = section.labels[compared.reference]
    headings = (
        "task", "measure", "model", f"above {base}", "share of draws above", "groups drawn",
    )  # fmt: skip
    title = f"Each model less {base}, item by item"
    return ReportTable(title, headings, tuple(rows), compared.left_out)


def forest_picture(
    section: ProtocolScores, compared: PairedDifferences, styles: Mapping[str, ModelStyle]
) -> Picture:
    """Every difference on one axis: a line a task, measure after measure, a mark a model."""
    blocks: dict[str, list[str]] = {}
    for task, measure in compared.pairs:
        blocks.setdefault(_block_of(measure), []).append(task)
    models = sorted({model for models in compared.pairs.values() for model in models})
    names = [section.labels[model] for model in models]
    n_lines = sum(len(tasks) + 1.5 for tasks in blocks.values())
    height = max(LINE_IN, MARK_IN * len(models)) * n_lines + 0.9
    figure, (axes,) = panels(1, most_columns=1, size_in=(7.6, height), legend=names)
    labels, handles, y = {}, {}, 0.0
    for block, tasks in blocks.items():
        axes.text(0.0, y, block, transform=axes.get_yaxis_transform(), fontweight="bold",
                  fontsize=SMALL + 1, va="center")  # fmt: skip
        for task in tasks:
            y += 1
            labels[y] = task
            pair = next(p for (t, m), p in compared.pairs.items()
                        if t == task and _block_of(m) == block)  # fmt: skip
            for place, model in enumerate(models):
                if model in pair:
                    at = y + (place - (len(models) - 1) / 2) * 0.7 / len(models)
                    handles[model] = _mark(axes, at, pair[model], styles[model])
        y += 1.5
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(list(labels), list(labels.values()), fontsize=SMALL)
    axes.set_ylim(y - 0.6, -0.7)
    base = section.labels[compared.reference]
    axes.set_xlabel(f"difference to {base}: right of 0 is better than it", fontsize=SMALL)
    widen(axes, NARROWEST)
    axes.xaxis.grid(visible=True, color="#dddddd")
    tidy(axes)
    legend_below(figure, [handles[model] for model in models], names)
    caption = (
        f"How much higher a model scores than {base} on the same items, with the 95 % interval of "
        "the difference, drawn over groups of items. A line that does not touch 0 is a difference "
        "that more items of this kind would hardly undo. Without a line: too few groups."
    )
    name = file_name(section.protocol, "paired")
    return Picture(name, f"Differences to {base}", caption, as_png(figure))


def _block_of(measure: str) -> str:
    """Heading of a block of lines."""
    if measure == RETRIEVAL:
        return "Retrieval: ROC AUC"
    return "Probe: each task's own measure"


def _mark(axes: Any, y: float, difference: Comparison, style: ModelStyle) -> Any:
    if not difference.reason:
        ends = np.round([difference.low, difference.high], DIGITS)
        axes.plot(ends, [y, y], color=style.colour, linewidth=1.8)
    value = round(difference.difference, DIGITS)
    (handle,) = axes.plot(value, y, style.mark, color=style.colour, markersize=5.5)
    return handle


def _comparable(
    section: ProtocolScores, run_folder: RunFolder
) -> dict[tuple[str, str], dict[str, ReportedScore]]:
    """Task and measure to the scores that what lies beside the results can be compared for."""
    comparable: dict[tuple[str, str], dict[str, ReportedScore]] = {}
    for task in section.tasks:
        measure = section.asked(task, "probe")
        if measure in MEASURES:
            scores = section.main_of(task, "probe")
            comparable[task, measure] = {
                m: s for m, s in scores.items() if run_folder.has_predictions(s)
            }
        if section.asked(task, "retrieval") == RETRIEVAL:
            scores = section.main_of(task, "retrieval")
            comparable[task, RETRIEVAL] = {
                m: s for m, s in scores.items() if run_folder.has_vectors(s)
            }
    return {key: models for key, models in comparable.items() if models}


def _compare(
    first: ReportedScore, second: ReportedScore, run_folder: RunFolder
) -> Comparison | str:
    """The comparison, or why there is none."""
    make = _retrieved if first.measure == RETRIEVAL else _predicted
    one, two = make(first, run_folder), make(second, run_folder)
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


def _predicted(score: ReportedScore, run_folder: RunFolder) -> _Side:
    """A probe's measure, the mean over its seeds."""
    read = run_folder.predictions(score)
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


def _retrieved(score: ReportedScore, run_folder: RunFolder) -> _Side | str:
    """Retrieval of each query among the scored items; refused where it is not what was scored."""
    read = run_folder.vectors(score)
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


def widen(axes: Axes, width: float) -> None:
    """Fix the horizontal axis at what it shows, or at so much with that in the middle."""
    low, high = axes.get_xlim()
    more = max(width - (high - low), 0.0) / 2
    axes.set_xlim(low - more, high + more)  # left to itself it may shrink anew when it is drawn
