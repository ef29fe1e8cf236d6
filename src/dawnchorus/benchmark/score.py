"""Features and labels to scores with intervals: what each protocol asks, and how.

``paper`` follows the published code: retrieval as the plain mean over queries, k-means of ten
starts with seed 42 on the vectors as they are, mAP on sigmoids in float32 over all classes.
``strict`` ranks logits in float64, adds class-balanced retrieval, AMI and ARI over several seeds,
and vectors of unit length and standardised by train. Intervals draw whole groups.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus import metrics
from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from dawnchorus.benchmark.tasks.base import Measures, Protocol
    from dawnchorus.configs.benchmark import BenchmarkConfig

    Floats = NDArray[np.floating[Any]]
    Rows = NDArray[np.intp]
    Statistic = Callable[[Rows], float]

PAPER_SEED: Final = 42
TOP: Final = 5


@dataclass(frozen=True, slots=True)
class Labelled:
    """One split of a task: what is known of its items beside their features.

    Attributes:
        y: ``(items, classes)`` of 0 and 1.
        groups: ``(items,)``.
        ids: ``(items,)``.
    """

    y: NDArray[np.int8]
    groups: NDArray[np.str_]
    ids: NDArray[np.str_]

    def take(self, rows: Rows) -> Labelled:
        """Some of the items."""
        return Labelled(self.y[rows], self.groups[rows], self.ids[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A score before it becomes a row.

    Attributes:
        seed: None: over all seeds.
    """

    measure: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    reason: str = ""
    n_items: int = 0
    n_groups: int = 0
    n_skipped: int = 0
    seed: int | None = None
    leaks: str = "with"
    notes: Mapping[str, Any] = field(default_factory=dict)


def interval(
    measure: str,
    make: Callable[[], Statistic],
    items: Labelled,
    config: BenchmarkConfig,
    *,
    pivotal: bool = False,
    **more: Any,
) -> Value:
    """Score with a bootstrap over groups; nan with the reason where it is undefined.

    Args:
        measure: its name.
        make: gives the statistic of rows of the items.
        items: that are scored.
        config: how many draws, and which level.
        pivotal: mirror the percentiles at the value. Repeated items make clusters look purer, so
            that a draw's mutual information is on average above the value it is drawn around.
        more: further fields of the value.
    """
    counts = {"n_items": len(items.y), "n_groups": len(np.unique(items.groups))}
    try:
        found = metrics.bootstrap(
            make(), items.groups, n=config.n_bootstrap, level=config.level, seed=0
        )
    except TaskError as error:
        return Value(measure=measure, value=float("nan"), reason=str(error), **counts, **more)
    low, high = found.low, found.high
    if pivotal:
        low, high = 2 * found.value - high, 2 * found.value - low
    return Value(
        measure=measure, value=found.value, low=low, high=high, reason=found.reason,
        **counts, **more,
    )  # fmt: skip


def probe_measures(asked: Measures, n_classes: int, *, multi_label: bool) -> list[str]:
    """What is said of a probe, the task's own measure first."""
    names = ["beans_map", "cmap"] if multi_label else ["accuracy", "macro_recall"]
    if not multi_label and n_classes > TOP:
        names.append("top_5_accuracy")
    first = [asked.probe] if asked.probe else []
    return list(dict.fromkeys([*first, *names, "macro_roc_auc"]))


def probe_values(
    logits: Mapping[int, Floats],
    items: Labelled,
    measures: Sequence[str],
    config: BenchmarkConfig,
    leaks: str = "with",
) -> list[Value]:
    """Scores of one probe fitted with several seeds, and over all of them.

    The value over all seeds is the mean of their scores, and so is that of every draw.
    """
    values = []
    for measure in measures:
        by_seed = {
            seed: metrics.statistic(measure, items.y, _ranked(one, measure, config.protocol))
            for seed, one in logits.items()
        }
        common = {"leaks": leaks}
        if len(by_seed) > 1:
            values += [
                interval(measure, lambda one=one: one, items, config, seed=seed, **common)
                for seed, one in by_seed.items()
            ]
        values.append(interval(measure, lambda all_=by_seed: _mean(all_), items, config, **common))
    return values


def _mean(statistics: Mapping[int, Statistic]) -> Statistic:
    return lambda rows: float(np.mean([one(rows) for one in statistics.values()]))


def _ranked(logits: Floats, measure: str, protocol: Protocol) -> Floats:
    if protocol == "strict" or measure != "beans_map":
        return logits
    # saturated scores tie, as they do in the published figures
    small = logits.astype(np.float32)
    with np.errstate(over="ignore"):
        ones: Floats = np.float32(1) / (np.float32(1) + np.exp(-small))
    return ones


def distance_values(
    vectors: Mapping[str, Floats],
    items: Mapping[str, Labelled],
    asked: Measures,
    config: BenchmarkConfig,
    leaks: str = "with",
) -> list[Value]:
    """Retrieval and clustering of the split that is scored.

    Args:
        vectors: of each split that is needed; ``train`` where retrieval goes across sets, or where
            vectors are standardised.
        items: of the same splits.
        asked: which of both.
        config: the plan's options.
        leaks: what the rows say of it.
    """
    scalings = ("plain",) if config.protocol == "paper" else config.scalings
    values = []
    for scaling in scalings:
        end = "" if scaling == "plain" else f"_{scaling}"
        try:
            scaled = _scaled(vectors, scaling)
        except TaskError as error:
            scaled, why = {}, str(error)
        else:
            why = ""
        if asked.retrieval and scaling != "unit":  # cosine does not see lengths
            values += _retrieval_values(scaled, items, asked, config, end, why)
        if asked.clustering:
            values += _clustering_values(scaled, items, config, end, why)
    return [_with_leaks(value, leaks) for value in values]


def _with_leaks(value: Value, leaks: str) -> Value:
    return replace(value, leaks=leaks)


def _scaled(vectors: Mapping[str, Floats], scaling: str) -> dict[str, Floats]:
    plain = {split: np.asarray(x, np.float32) for split, x in vectors.items()}
    if scaling == "plain":
        return dict(plain)
    if scaling == "unit":
        return {split: _unit(x) for split, x in plain.items()}
    if "train" not in plain or not len(plain["train"]):
        raise TaskError("standardised: the task has no train items to take mean and deviation of")
    train = plain["train"].astype(np.float64)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    still = deviation <= 10 * np.finfo(np.float32).eps * np.abs(mean)
    return {
        split: ((x - mean) / np.where(still, 1.0, deviation)).astype(np.float32)
        for split, x in plain.items()
    }


def _unit(x: Floats) -> Floats:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    if not (length > 0).all():
        raise TaskError(f"unit: {int((length == 0).sum())} vectors are zero")
    unit: Floats = x / length
    return unit


def _retrieval_values(
    vectors: Mapping[str, Floats],
    items: Mapping[str, Labelled],
    asked: Measures,
    config: BenchmarkConfig,
    end: str,
    why: str,
) -> list[Value]:
    scored = config.split
    names = ["roc_auc", "precision_at_1"]
    if config.protocol == "strict":
        names.append("class_balanced_roc_auc")
    # the paper's code asks from train for test items; identification asks the other way round
    pairs = [(scored, scored, "")]
    if asked.retrieval == "cross":
        pairs = [("train", scored, "")]
        if config.protocol == "strict":
            pairs = [(scored, "train", ""), ("train", scored, "_from_train")]
    values = []
    for asks, answers, turned in pairs:
        queries = items[asks]
        try:
            if why:
                raise TaskError(why)
            found = _retrieve(vectors, items, (asks, answers), config)
        except TaskError as error:
            said = str(error)
            values += [_nan(f"retrieval_{name}{turned}{end}", said, queries) for name in names]
            continue
        for name in names:
            statistic = found.statistic(name)
            values.append(
                interval(
                    f"retrieval_{name}{turned}{end}", lambda one=statistic: one, queries, config,
                    n_skipped=found.n_skipped,
                )
            )  # fmt: skip
    return values


def _retrieve(
    vectors: Mapping[str, Floats],
    items: Mapping[str, Labelled],
    splits: tuple[str, str],
    config: BenchmarkConfig,
) -> metrics.Retrieval:
    asks, answers = splits
    leave_out = config.same_group == "leave_out"
    groups = items[asks].groups if leave_out else None
    device = config.device if config.device not in {"auto", "mps"} else "cpu"
    if asks == answers:
        return metrics.retrieval(vectors[asks], items[asks].y, groups=groups, device=device)
    return metrics.retrieval(
        vectors[asks], items[asks].y,
        gallery=vectors[answers], gallery_labels=items[answers].y,
        groups=groups, gallery_groups=items[answers].groups if leave_out else None,
        device=device,
    )  # fmt: skip


def _clustering_values(
    vectors: Mapping[str, Floats],
    items: Mapping[str, Labelled],
    config: BenchmarkConfig,
    end: str,
    why: str,
) -> list[Value]:
    paper = config.protocol == "paper"
    seeds = (PAPER_SEED,) if paper else tuple(range(config.n_seeds))
    names = ("nmi",) if paper else ("nmi", "ami", "ari")
    held = items[config.split]
    # an item of several labels, or none, is of no single class
    rows = np.flatnonzero(held.y.sum(axis=1) == 1)
    single = held.take(rows)
    more = {"n_skipped": len(held.y) - len(rows)}
    try:
        if why:
            raise TaskError(why)
        classes = single.y.argmax(axis=1)
        found = metrics.clustering(
            vectors[config.split][rows], classes, seeds=seeds, n_init=10 if paper else 1
        )
    except TaskError as error:
        return [_nan(f"{name}{end}", str(error), single, **more) for name in names]
    values = []
    for name in names:
        by_seed = getattr(found, name)
        if len(seeds) > 1:
            values += [
                Value(
                    measure=f"{name}{end}", value=float(one), seed=seed, n_items=len(rows),
                    n_groups=len(np.unique(single.groups)), **more,
                )
                for seed, one in zip(seeds, by_seed, strict=True)
            ]  # fmt: skip
        statistic = found.statistic(name)
        values.append(
            interval(
                f"{name}{end}", lambda one=statistic: one, single, config, pivotal=True, **more
            )
        )
    return values


def _nan(measure: str, why: str, items: Labelled, **more: Any) -> Value:
    groups = len(np.unique(items.groups))
    return Value(
        measure=measure, value=float("nan"), reason=why, n_items=len(items.y), n_groups=groups,
        **more,
    )  # fmt: skip
