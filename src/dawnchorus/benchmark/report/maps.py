"""Maps of embeddings: the scored items of a task on a plane, coloured by class, a panel a model."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.benchmark.report.style import (
    GREY,
    SMALL,
    Picture,
    as_png,
    file_name,
    legend_below,
    model_style,
    panels,
)
from dawnchorus.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.benchmark.report.protocol_scores import ProtocolScores
    from dawnchorus.benchmark.report.reported_scores import ReportedScore
    from dawnchorus.benchmark.report.run_folder import ItemVectors, RunFolder

    Floats = NDArray[np.floating[Any]]

MOST_CLASSES: Final = 10  # in colour; more cannot be distinguished
MOST_POINTS: Final = 3000
MOST_MODELS: Final = 12
SEED: Final = 0
OTHERS: Final = "other classes"


def map_pictures(section: ProtocolScores, run_folder: RunFolder) -> list[Picture]:
    """A map of each task that vectors lie beside the results for."""
    pictures = []
    for task in section.tasks:
        scores = section.main_of(task, "retrieval") or section.main_of(task, "clustering")
        there = {model: score for model, score in scores.items() if run_folder.has_vectors(score)}
        if there:
            pictures.append(_picture(section, task, there, run_folder))
    return pictures


def _picture(
    section: ProtocolScores, task: str, scores: dict[str, ReportedScore], run_folder: RunFolder
) -> Picture:
    models = section.by_name(list(scores)[:MOST_MODELS])
    first = run_folder.vectors(scores[models[0]])
    shown = _most_frequent(first)
    legend = [*shown, OTHERS]
    figure, grid = panels(len(models), most_columns=4, size_in=(3.3, 3.3), legend=legend)
    handles: dict[str, Any] = {}
    for axes, model in zip(grid, models, strict=True):
        read = run_folder.vectors(scores[model])
        rows = _some(np.flatnonzero(read.items.y.sum(axis=1) == 1))
        names = [read.classes[k] for k in read.items.y[rows].argmax(axis=1)]
        handles |= _points(axes, project(read.vectors[rows]), names, shown)
        axes.set_title(section.labels[model], fontsize=SMALL + 2)
    order = [name for name in legend if name in handles]
    legend_below(figure, [handles[name] for name in order], order)
    caption = (
        f"{method()} of the items that have one label. Near points are alike to the model; "
        "how far apart distant groups lie says nothing."
    )
    if len(scores) > len(models):
        caption += f" The best {len(models)} of {len(scores)} models, by retrieval."
    name = file_name(section.protocol, task, "map")
    return Picture(name, f"{task}: map of the embeddings", caption, as_png(figure))


def _most_frequent(read: ItemVectors) -> list[str]:
    """Classes that are coloured, by name."""
    single = read.items.y[read.items.y.sum(axis=1) == 1]
    counts = single.sum(axis=0, dtype=np.int64)
    best = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    return sorted(read.classes[k] for k in best if counts[k])


def method() -> str:
    """How points are laid on the plane: UMAP where it is installed."""
    return "UMAP" if find_spec("umap") else "First two principal components"


def project(vectors: Floats) -> Floats:
    """``(items, 2)`` of ``(items, dim)``, by directions only, as retrieval sees them."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(length, 1e-12)
    if find_spec("umap") and len(unit) > MOST_CLASSES:
        return _umap(unit)
    centred = unit - unit.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((len(unit), 2))
    found = centred @ axes[:2].T
    plane[:, : found.shape[1]] = found
    return plane


def _umap(unit: Floats) -> Floats:
    with warnings.catch_warnings():
        # of what else could be installed, and that a seed means one thread
        warnings.simplefilter("ignore")
        try:
            import umap  # noqa: PLC0415  an extra, and slow to import
        except ImportError as error:
            raise DependencyError("umap-learn", "benchmark", "a UMAP") from error
        made = umap.UMAP(metric="cosine", random_state=SEED, n_neighbors=min(15, len(unit) - 1))
        plane: Floats = made.fit_transform(unit)
    return plane


def _some(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    if len(rows) <= MOST_POINTS:
        return rows
    return np.sort(np.random.default_rng(SEED).choice(rows, MOST_POINTS, replace=False))


def _points(
    axes: Any, points: Floats, names: Sequence[str], shown: Sequence[str]
) -> dict[str, Any]:
    """Draw the points, those of other classes first and grey; a handle for each class."""
    handles = {}
    own = np.array(names, object)
    size = 16 if len(names) < 400 else 7
    other = np.array([name not in shown for name in names], bool)
    if other.any():
        handles[OTHERS] = axes.scatter(*points[other].T, s=size / 2, color=GREY, alpha=0.5)
    for place, name in enumerate(shown):
        drawn = model_style(place)
        at = points[own == name]
        handles[name] = axes.scatter(
            *at.T, s=size, color=drawn.colour, marker=drawn.mark, alpha=0.8
        )
    axes.set_xticks([])
    axes.set_yticks([])
    return handles
