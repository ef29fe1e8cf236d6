"""A probe's logits and labels to scores with intervals, which draw whole groups.

``paper`` takes BEANS' mAP of sigmoids in float32, as the published code does; ``strict`` ranks
logits in float64.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus import metrics
from dawnchorus.errors import TaskError
from dawnchorus.probes.calibration import log_odds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from dawnchorus.benchmark.task_data import LabelledItems
    from dawnchorus.benchmark.tasks.base import Measures, Protocol
    from dawnchorus.configs.benchmark import BenchmarkConfig

    Floats = NDArray[np.floating[Any]]
    Rows = NDArray[np.intp]
    Statistic = Callable[[Rows], float]

LEVEL: Final = 0.95  # of every interval; captions say so
TOP: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CellScore:
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
    statistic: Statistic,
    items: LabelledItems,
    config: BenchmarkConfig,
    *,
    of_partition: bool = False,
) -> CellScore:
    """Score with an interval over groups; nan with the reason where it is undefined.

    Args:
        measure: its name.
        statistic: from rows of the items to the score.
        items: that are scored.
        config: how many draws.
        of_partition: by jackknife, not by bootstrap, which flatters partitions.
    """
    try:
        if of_partition:
            estimate = metrics.jackknife(statistic, items.groups, level=LEVEL)
        else:
            estimate = metrics.bootstrap(statistic, items.groups, n=config.n_bootstrap, level=LEVEL)
    except TaskError as error:
        return undefined(measure, str(error), items)
    score = undefined(measure, estimate.reason, items)
    # all of these measures end at 1, a normal interval does not
    return replace(score, value=estimate.value, low=estimate.low, high=min(estimate.high, 1.0))


def undefined(measure: str, why: str, items: LabelledItems) -> CellScore:
    """A score without a value."""
    return CellScore(
        measure=measure,
        value=float("nan"),
        reason=why,
        n_items=len(items.y),
        n_groups=len(np.unique(items.groups)),
    )


def probe_measures(measures: Measures, y: NDArray[np.int8], *, multi_label: bool) -> list[str]:
    """Measures of a probe, the task's own first.

    Args:
        measures: that the task asks for.
        y: of the scored items, ``(items, classes)``.
        multi_label: an item may have several classes, or none.
    """
    names = ["beans_map", "cmap"] if multi_label else ["accuracy", "macro_recall"]
    if not multi_label and y.shape[1] > TOP:
        names.append("top_5_accuracy")
    names.append("macro_roc_auc")
    if not y.any(axis=1).all():
        names.append("call_roc_auc")  # beside the classes, not as a class of silence
    first = [measures.probe] if measures.probe else []
    return list(dict.fromkeys([*first, *names]))


def probe_scores(
    logits: Mapping[int, Floats],
    items: LabelledItems,
    measures: Sequence[str],
    config: BenchmarkConfig,
) -> list[CellScore]:
    """Scores of one probe fitted with several seeds, and over all of them.

    The value over all seeds is the mean of their scores, and so is that of every draw.
    """
    scores = []
    for measure in measures:
        by_seed = {}
        try:
            for seed, of_seed in logits.items():
                by = ranked(of_seed, measure, config.protocol, items.y)
                by_seed[seed] = metrics.statistic(measure, items.y, by)
        except TaskError as error:
            scores.append(undefined(measure, str(error), items))
            continue
        if len(by_seed) > 1:
            scores += [
                replace(interval(measure, of_seed, items, config), seed=seed)
                for seed, of_seed in by_seed.items()
            ]
        scores.append(interval(measure, _mean(by_seed), items, config))
    return scores


def _mean(statistics: Mapping[int, Statistic]) -> Statistic:
    return lambda rows: float(np.mean([of_seed(rows) for of_seed in statistics.values()]))


def ranked(logits: Floats, measure: str, protocol: Protocol, y: NDArray[np.int8]) -> Floats:
    """What a measure ranks items by.

    With one label an item, logits of different items cannot be compared (the softmax is blind to
    what is added to all of them), so a class is ranked by its log-odds.
    """
    if measure == "macro_roc_auc" and logits.shape[1] > 1 and (y.sum(axis=1) == 1).all():
        return log_odds(logits.astype(np.float64), multi_label=False)
    if protocol == "strict" or measure != "beans_map":
        return logits
    # saturated scores tie, as they do in the published figures
    with np.errstate(over="ignore"):
        likely: Floats = np.float32(1) / (np.float32(1) + np.exp(-logits.astype(np.float32)))
    return likely
