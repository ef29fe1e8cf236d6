"""Scores of vectors without any training: retrieval and clustering.

``paper`` follows the published code: the plain mean over queries, k-means of ten starts with seed
42 on the vectors as they are, NMI. ``strict`` adds class-balanced retrieval, AMI and ARI over
several seeds, and the same of vectors of unit length and of vectors standardised by train.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus import metrics
from dawnchorus.benchmark.scores import CellScore, interval, undefined
from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from dawnchorus.benchmark.task_data import LabelledItems
    from dawnchorus.benchmark.tasks.base import Measures
    from dawnchorus.configs.benchmark import BenchmarkConfig, Scaling

    Floats = NDArray[np.floating[Any]]
    Retrieved = tuple[str, LabelledItems, metrics.Retrieval | None, str]

PAPER_SEED: Final = 42
PAPER_STARTS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorSpace:
    """Vectors of the splits that are needed, and what is measured of them.

    Attributes:
        vectors: split to ``(items, dim)``; ``train`` where retrieval goes across sets or vectors
            are standardised.
        items: of the same splits.
    """

    vectors: Mapping[str, Floats]
    items: Mapping[str, LabelledItems]
    measures: Measures
    config: BenchmarkConfig

    def scaled(self, scaling: Scaling) -> VectorSpace:
        """The same with other vectors.

        Raises:
            TaskError: A vector is zero, or there is no train to standardise by.
        """
        plain = {split: np.asarray(x, np.float32) for split, x in self.vectors.items()}
        if scaling == "plain":
            return replace(self, vectors=plain)
        if scaling == "unit":
            return replace(self, vectors={split: _unit(x) for split, x in plain.items()})
        if not len(plain.get("train", ())):
            raise TaskError("standardised: the task has no train items to take the mean of")
        mean, std = _moments(plain["train"])
        return replace(
            self,
            vectors={s: ((x - mean) / std).astype(np.float32) for s, x in plain.items()},
        )

    def with_scored_rows(self, rows: NDArray[np.intp]) -> VectorSpace:
        """The same with only some of the scored items."""
        scored = self.config.split
        return replace(
            self,
            vectors={**self.vectors, scored: self.vectors[scored][rows]},
            items={**self.items, scored: self.items[scored].take(rows)},
        )

    def scored(self) -> LabelledItems:
        """Items of the split that is scored."""
        return self.items[self.config.split]


def distance_scores(space: VectorSpace) -> list[CellScore]:
    """Every retrieval and clustering score that a task asks for."""
    scores = []
    for scaling in space.config.used_scalings:
        end = "" if scaling == "plain" else f"_{scaling}"
        of_scaling: list[CellScore] = []
        if space.measures.retrieval and scaling != "unit":  # cosine does not see lengths
            of_scaling += _retrieval_scores(space, scaling)
        if space.measures.clustering:
            of_scaling += _clustering_scores(space, scaling)
        scores += [replace(score, measure=f"{score.measure}{end}") for score in of_scaling]
    return scores


def _retrieval_scores(space: VectorSpace, scaling: Scaling) -> list[CellScore]:
    names = ["roc_auc", "precision_at_1"]
    if space.config.protocol == "strict":
        names.append("class_balanced_roc_auc")
    values = []
    for turned, queries, found, why in _retrievals(space, scaling):
        for name in names:
            measure = f"retrieval_{name}{turned}"
            if found is None:
                values.append(undefined(measure, why, queries))
                continue
            statistic = found.statistic(name)
            score = interval(measure, statistic, queries, space.config)
            values.append(replace(score, n_skipped=found.n_skipped))
    return values


def _retrievals(space: VectorSpace, scaling: Scaling) -> Iterator[Retrieved]:
    """Which split asks which; why not, where it cannot."""
    scored: str = space.config.split
    # the paper's code has train ask for test items; identification asks the other way round
    pairs = [(scored, scored, "")]
    if space.measures.retrieval == "cross":
        pairs = [("train", scored, "")]
        if space.config.protocol == "strict":
            pairs = [(scored, "train", ""), ("train", scored, "_from_train")]
    for asks, answers, turned in pairs:
        queries = space.items.get(asks, space.scored())
        try:
            yield turned, queries, _retrieve(space.scaled(scaling), asks, answers), ""
        except TaskError as error:
            yield turned, queries, None, str(error)


def _retrieve(space: VectorSpace, asks: str, answers: str) -> metrics.Retrieval:
    if asks not in space.items or answers not in space.items:
        raise TaskError(f"retrieval from {asks} in {answers}: the task has no such items")
    leave_out = space.config.same_group == "leave_out"
    queries, gallery = space.items[asks], space.items[answers]
    more: dict[str, Any] = {"groups": queries.groups if leave_out else None}
    if asks != answers:
        more |= {"gallery": space.vectors[answers], "gallery_labels": gallery.y}
        more |= {"gallery_groups": gallery.groups if leave_out else None}
    # ranks are exact on both, so the device is no part of a cell's key
    device = "cuda" if space.config.device.startswith("cuda") else "cpu"
    return metrics.retrieval(space.vectors[asks], queries.y, device=device, **more)


def _clustering_scores(space: VectorSpace, scaling: Scaling) -> list[CellScore]:
    paper = space.config.protocol == "paper"
    seeds = (PAPER_SEED,) if paper else tuple(range(space.config.n_seeds))
    held = space.scored()
    # an item of several labels, or of none, belongs to no single class
    rows = np.flatnonzero(held.y.sum(axis=1) == 1)
    single, n_skipped = held.take(rows), len(held.y) - len(rows)
    names = ("nmi",) if paper else ("nmi", "ami", "ari")
    try:
        vectors = space.scaled(scaling).vectors[space.config.split][rows]
        found = metrics.clustering(
            vectors, single.y.argmax(axis=1), seeds=seeds, n_init=PAPER_STARTS if paper else 1
        )
    except TaskError as error:
        return [undefined(name, str(error), single) for name in names]
    values = []
    for name in names:
        if len(seeds) > 1:
            values += [
                replace(undefined(name, "", single), value=float(one), seed=seed)
                for seed, one in zip(seeds, getattr(found, name), strict=True)
            ]
        # by jackknife: items drawn twice look like pure clusters
        score = interval(name, found.statistic(name), single, space.config, of_partition=True)
        values.append(replace(score, notes={str(seed): {} for seed in seeds}))
    return [replace(value, n_skipped=n_skipped) for value in values]


def _moments(train: Floats) -> tuple[Floats, Floats]:
    """Mean and std of each channel; a channel that stands still is left as it is."""
    wide = train.astype(np.float64)
    mean, std = wide.mean(axis=0), wide.std(axis=0)
    still = std <= 10 * np.finfo(np.float32).eps * np.abs(mean)
    return mean, np.where(still, 1.0, std)


def _unit(x: Floats) -> Floats:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    if not (length > 0).all():
        raise TaskError(f"unit length: {int((length == 0).sum())} vectors are zero")
    unit: Floats = x / length
    return unit
