"""How far scores can be believed: reliability bins, expected calibration error, Brier score.

scikit-learn's calibration_curve cuts its quantiles between equal scores and gives no counts, which
the intervals need; and it is an extra. The tests compare the error with a plain loop.

Source: Guo et al., On calibration of modern neural networks, ICML 2017 (error over bins of equal
width); Nixon et al., Measuring calibration in deep learning, 2019 (bins of equal mass).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

Binning = Literal["mass", "width"]
MOST_BINS: Final = 10
FEWEST_BINS: Final = 3
BIN_SCORES: Final = 15  # a bin of fewer scores says nothing: its interval is half the axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """Scores in bins, those without a score left out; all arrays are ``(bins,)``.

    Attributes:
        n: how many scores.
        score: their mean.
        share: of them that are right.
        low, high: 95% interval of ``share`` (Wilson), as if all scores were independent.
    """

    n: NDArray[np.int64]
    score: Floats
    share: Floats
    low: Floats
    high: Floats


def reliability_bins(
    scores: Floats, hits: Flags, *, n_bins: int | None = None, bins: Binning = "mass"
) -> Bins:
    """Sort scores into bins.

    Args:
        scores: ``(n,)``, 0 to 1.
        hits: ``(n,)``, which of them were right.
        n_bins: at most; None: 10, fewer where a bin would have under 15 scores, but 3.
        bins: ``mass``: equally many scores in each; equal scores stay together. ``width``: equally
            wide from 0 to 1.

    Raises:
        TaskError: There is no score, or one is not a probability.
    """
    if len(scores) != len(hits) or not len(scores):
        raise TaskError(f"reliability: {len(scores)} scores and {len(hits)} answers; need some")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise TaskError("reliability: scores must be probabilities, 0 to 1")
    n_bins = n_bins or max(FEWEST_BINS, min(MOST_BINS, len(scores) // BIN_SCORES))
    number = _by_width(scores, n_bins) if bins == "width" else _by_mass(scores, n_bins)
    n = np.bincount(number)
    filled = n > 0
    n = n[filled]
    score = np.bincount(number, weights=scores)[filled] / n
    share = np.bincount(number, weights=hits)[filled] / n
    low, high = wilson(share, n.astype(np.float64))
    return Bins(n=n, score=score, share=share, low=low, high=high)


def _by_width(scores: Floats, n_bins: int) -> NDArray[np.int64]:
    return np.minimum((scores * n_bins).astype(np.int64), n_bins - 1)


def _by_mass(scores: Floats, n_bins: int) -> NDArray[np.int64]:
    # An item's bin follows from the middle of the ranks of all that have its score, so that equal
    # scores share a bin and the order of the items does not matter.
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2)[inverse]
    return np.minimum((middle / len(scores) * n_bins).astype(np.int64), n_bins - 1)


def expected_calibration_error(
    scores: Floats, hits: Flags, *, n_bins: int | None = None, bins: Binning = "mass"
) -> float:
    """Mean distance between a score and how often such scores are right, over bins by their size.

    Few scores give an error above 0 even for perfect ones; compare only equal numbers of scores.

    Raises:
        TaskError: There is no score, or one is not a probability.
    """
    b = reliability_bins(scores, hits, n_bins=n_bins, bins=bins)
    return float(np.sum(b.n * np.abs(b.score - b.share)) / b.n.sum())


def brier(scores: Floats, hits: Flags) -> float:
    """Mean squared distance between scores ``(n,)`` and answers."""
    return float(np.mean((scores - hits) ** 2))


def first_guess(probabilities: Floats, truth: Flags) -> tuple[Floats, Flags]:
    """The highest score of each item ``(items,)``, and whether that label holds."""
    top = probabilities.argmax(axis=1)
    rows = np.arange(len(top))
    return probabilities[rows, top], truth[rows, top]


def figures(probabilities: Floats, truth: Flags) -> dict[str, float]:
    """Calibration errors and Brier score, of all scores and of each item's first guess.

    Args:
        probabilities: ``(items, classes)``.
        truth: the same shape.
    """
    values = {}
    for name, (scores, hits) in views(probabilities, truth).items():
        for kind in get_args(Binning):
            values[f"ece_{kind}_{name}"] = expected_calibration_error(scores, hits, bins=kind)
        values[f"brier_{name}"] = brier(scores, hits)
    return values


def views(probabilities: Floats, truth: Flags) -> dict[str, tuple[Floats, Flags]]:
    """Scores and which of them are right: of each item's first guess, and of all labels."""
    return {
        "first_guess": first_guess(probabilities, truth),
        "all_scores": (probabilities.ravel(), truth.ravel()),
    }


def wilson(share: Floats, n: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
    """Interval of a share of ``n`` independent trials; ``n`` need not be whole.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # at the ends rounding would leave the share itself a hair outside
    return np.clip(np.minimum(middle - half, share), 0, 1), np.clip(
        np.maximum(middle + half, share), 0, 1
    )
