"""What a threshold would find and miss: precision and recall, from the draws of a density.

Of the judged windows alone, neither can be counted: high scores were judged more often than low
ones. The draws weigh each bin with its windows. Inside a bin, calls are taken to be spread evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.errors import UsageError
from dawnchorus.labelling.density import LEVEL
from dawnchorus.labelling.strata import bins_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.labelling.density import CallDraws

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What becomes of windows whose score reaches a threshold.

    Attributes:
        threshold: of the score.
        n_above: windows that reach it.
        precision: share of these with the call; nan where no window reaches it.
        precision_low, precision_high: its interval.
        recall: share of the windows with the call that reach it; nan where no call was judged.
        recall_low, recall_high: its interval.
    """

    threshold: float
    n_above: int
    precision: float
    precision_low: float
    precision_high: float
    recall: float
    recall_low: float
    recall_high: float


def operating_points(
    draws: CallDraws,
    scores: NDArray[np.floating],
    edges: Floats,
    thresholds: Sequence[float],
    *,
    level: float = LEVEL,
) -> list[OperatingPoint]:
    """Precision and recall at thresholds.

    Args:
        draws: of the density.
        scores: ``(windows,)`` of all windows.
        edges: of the bins that the draws are of.
        thresholds: any scores.
        level: of the intervals.

    Raises:
        UsageError: The draws are not of these windows.
    """
    bins = bins_of(scores, edges)
    n_bins = len(edges) + 1
    if np.bincount(bins, minlength=n_bins).tolist() != draws.sizes.tolist():
        raise UsageError("thresholds: the draws are of other windows than these scores")
    raw = draws.sizes * draws.judged.n_present / np.maximum(draws.judged.n_judged, 1)
    if ((draws.judged.n_judged == 0) & (draws.sizes > 0)).any():
        raw = np.full(n_bins, np.nan)  # of a bin that nobody judged nothing can be counted
    points = []
    for threshold in thresholds:
        above = np.bincount(bins[np.asarray(scores) >= threshold], minlength=n_bins)
        share = above / np.maximum(draws.sizes, 1)
        points.append(_point(float(threshold), above, share, (raw, draws.calls), level))
    return points


def _point(
    threshold: float,
    above: NDArray[np.int64],
    share: Floats,
    calls: tuple[Floats, NDArray[np.int64]],
    level: float,
) -> OperatingPoint:
    n_above = int(above.sum())
    raw, drawn = calls
    found, total = drawn @ share, drawn.sum(axis=1)
    precision = _with_ends(float(raw @ share), n_above, found, np.full(len(found), n_above), level)
    recall = _with_ends(float(raw @ share), float(raw.sum()), found, total, level)
    return OperatingPoint(threshold, n_above, *precision, *recall)


def _with_ends(
    part: float, whole: float, parts: Floats, wholes: NDArray[np.int64], level: float
) -> tuple[float, float, float]:
    """A share and its interval; nan where there is nothing to be a share of."""
    value = part / whole if whole > 0 else float("nan")
    defined = wholes > 0
    # draws without any call have no recall; where those are many, what is left is a choice
    if defined.mean() < level:
        return value, float("nan"), float("nan")
    tail = (1 - level) / 2
    low, high = np.quantile(parts[defined] / wholes[defined], [tail, 1 - tail])
    if np.isnan(value):
        return value, float(low), float(high)
    return value, min(float(low), value), max(float(high), value)
