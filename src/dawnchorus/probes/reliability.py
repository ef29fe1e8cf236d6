"""How far scores can be believed: reliability bins, expected calibration error, Brier score."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from dawnchorus.errors import DependencyError, TaskError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

Binning = Literal["mass", "width"]
MOST_BINS, FEWEST_BINS, BIN_SCORES = 10, 3, 15  # a bin of fewer scores says nothing
BEFORE, AFTER = "#b5443c", "#3b6ea5"


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
        TaskError: There is no score, or one is no probability.
    """
    if len(scores) != len(hits) or not len(scores):
        raise TaskError(f"reliability: {len(scores)} scores and {len(hits)} answers; need some")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise TaskError("reliability: scores must be probabilities, 0 to 1")
    n_bins = n_bins or max(FEWEST_BINS, min(MOST_BINS, len(scores) // BIN_SCORES))
    number = _by_width(scores, n_bins) if bins == "width" else _by_mass(scores, n_bins)
    n = np.bincount(number)
    held = n > 0
    n = n[held]
    score = np.bincount(number, weights=scores)[held] / n
    share = np.bincount(number, weights=hits)[held] / n
    low, high = wilson(share, n.astype(np.float64))
    return Bins(n=n, score=score, share=share, low=low, high=high)


def _by_width(scores: Floats, n_bins: int) -> NDArray[np.int64]:
    return np.minimum((scores * n_bins).astype(np.int64), n_bins - 1)


def _by_mass(scores: Floats, n_bins: int) -> NDArray[np.int64]:
    # an item's bin goes by the middle of the ranks of all that have its score
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2)[inverse]
    return np.minimum((middle / len(scores) * n_bins).astype(np.int64), n_bins - 1)


def expected_calibration_error(
    scores: Floats, hits: Flags, *, n_bins: int | None = None, bins: Binning = "mass"
) -> float:
    """Mean distance between a score and how often such scores are right, over bins by their size.

    Few scores give an error above 0 even for perfect ones; compare only equal numbers of scores.

    Raises:
        TaskError: There is no score, or one is no probability.
    """
    found = reliability_bins(scores, hits, n_bins=n_bins, bins=bins)
    return float(np.sum(found.n * np.abs(found.score - found.share)) / found.n.sum())


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
    found = {}
    for name, (scores, hits) in _views(probabilities, truth).items():
        for kind in get_args(Binning):
            error = expected_calibration_error(scores, hits, bins=kind)
            found[f"ece_{kind}_{name}"] = error
        found[f"brier_{name}"] = brier(scores, hits)
    return found


def _views(probabilities: Floats, truth: Flags) -> dict[str, tuple[Floats, Flags]]:
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


def plot_reliability(path: Path, before: Floats | None, after: Floats, truth: Flags) -> None:
    """Draw how often scores are right, before and after calibration; the suffix says the format.

    Args:
        path: the picture.
        before: ``(items, classes)`` probabilities without calibration; None, or equal to
            ``after``: not drawn.
        after: the same with it.
        truth: the same shape, which labels hold.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  an extra
    except ImportError as error:
        raise DependencyError("matplotlib", "plot", "drawing reliability") from error
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, height_ratios=[3, 1])
    titles = {"first_guess": "first guess of each clip", "all_scores": "all scores of all labels"}
    sides = {"scores": (_views(after, truth), AFTER)}
    if before is not None and not np.array_equal(before, after):
        sides = {
            "before calibration": (_views(before, truth), BEFORE),
            "after calibration": (_views(after, truth), AFTER),
        }
    for column, (view, title) in enumerate(titles.items()):
        top, bottom = axes[0, column], axes[1, column]
        top.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle="--")
        for side, (views, colour) in sides.items():
            _draw(top, bottom, views[view], side, colour)
        top.set(ylim=(-0.02, 1.02), xlim=(-0.02, 1.02))
        top.set_title(title, pad=18 * len(sides) + 4)  # points, for the legend below it
        bottom.set(xlabel="score", yscale="symlog")
        bottom.set_ylim(0, 2 * max(bottom.dataLim.y1, 1))
        top.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    axes[0, 0].set_ylabel("share that is right")
    axes[1, 0].set_ylabel("how many")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.beside")
    figure.savefig(unfinished, format=path.suffix[1:], dpi=110)
    unfinished.replace(path)


def _draw(top: Any, bottom: Any, view: tuple[Floats, Flags], side: str, colour: str) -> None:
    scores, hits = view
    bins = reliability_bins(scores, hits)
    error = expected_calibration_error(scores, hits)
    top.errorbar(
        bins.score,
        bins.share,
        yerr=np.stack([bins.share - bins.low, bins.high - bins.share]),
        color=colour,
        marker="o",
        markersize=4,
        capsize=2,
        linewidth=1.2,
        label=f"{side}: error {error:.3f}",
    )
    edges = np.linspace(0, 1, 21)
    bottom.stairs(np.histogram(scores, edges)[0], edges, color=colour)


def as_text(before: Mapping[str, float], after: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """Rows of a table: what is measured, before, after."""
    words = {
        "ece_mass": "expected calibration error, bins of equal mass",
        "ece_width": "expected calibration error, bins of equal width",
        "brier": "Brier score",
    }
    views = {"first_guess": "first guess", "all_scores": "all scores"}
    return [
        (
            f"{text}, {views[view]}",
            f"{before[f'{measure}_{view}']:.3f}",
            f"{after[f'{measure}_{view}']:.3f}",
        )
        for view in views
        for measure, text in words.items()
    ]
