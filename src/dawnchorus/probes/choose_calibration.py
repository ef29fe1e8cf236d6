"""Which calibration to use: the least flexible that is as good as the best on clips held out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import numpy as np

from dawnchorus.errors import TaskError
from dawnchorus.probes.calibrate import MIN_ISOTONIC, MIN_PLATT, check, fit_calibration
from dawnchorus.probes.calibration import METHODS, Calibration, Method
from dawnchorus.probes.folds import grouped_folds, number_groups

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

MIN_ITEMS: Final = 20  # with fewer, not even one parameter can be distinguished from chance
MIN_GROUPS: Final = 5
FOLDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationChoice:
    """A calibration and what it does to items that it was not fitted on.

    Attributes:
        calibration: fitted on all items.
        before: ``(items, classes)`` probabilities without calibration.
        after: the same, each item's by the method fitted on the other folds.
        losses: mean negative log-likelihood of each method tried, on items held out.
    """

    calibration: Calibration
    before: Floats
    after: Floats
    losses: Mapping[str, float]


def choose_calibration(
    logits: NDArray[np.floating[Any]],
    truth: NDArray[np.generic],
    groups: NDArray[np.generic] | None = None,
    *,
    multi_label: bool,
    method: Method | Literal["auto"] = "auto",
    seed: int = 0,
) -> CalibrationChoice:
    """Calibrate logits of items that the probe was not trained on.

    ``auto`` tries each method for which there is enough data on folds of whole groups, and takes
    the least flexible whose log-likelihood is within one standard error of the best (the rule of
    Breiman et al., Classification and regression trees, 1984). With too little data the calibration
    is ``none``, and says why. ``after`` is measured on items held out in either case.

    Args:
        logits: ``(items, classes)``.
        truth: ``(items, classes)`` of 0 and 1.
        groups: ``(items,)``, such as recordings; None: every item is its own.
        multi_label: see `Calibration`.
        method: one of them, or ``auto``.
        seed: of the folds.

    Raises:
        TaskError: A named method has too little data, or the arrays do not fit.
    """
    scores, hot = check(logits, truth, multi_label=multi_label)
    group = number_groups(groups, len(hot))
    uncalibrated = fit_calibration(scores, hot, method="none", multi_label=multi_label)
    before = uncalibrated.probabilities(scores)
    too_few = _too_few(hot, group)
    if too_few and method in {"auto", "none"}:
        return CalibrationChoice(
            calibration=replace(uncalibrated, reason=too_few),
            before=before,
            after=before,
            losses={"none": float(log_losses(before, hot, multi_label=multi_label).mean())},
        )
    if too_few:
        raise TaskError(f"calibration {method!r}: {too_few}; use 'none', or add clips")
    folds = grouped_folds(hot, group, n_folds=FOLDS, seed=seed)
    tried = METHODS if method == "auto" else (method,)
    held_out = {
        name: probabilities
        for name in tried
        if (probabilities := _held_out(scores, hot, folds, name, multi_label)) is not None
    }
    if not held_out:
        raise TaskError(
            f"calibration {method!r}: needs classes with {MIN_PLATT} (platt) or {MIN_ISOTONIC} "
            "(isotonic) positives outside each fold, and higher logits that are more often right"
        )
    losses = {
        name: log_losses(probabilities, hot, multi_label=multi_label)
        for name, probabilities in held_out.items()
    }
    chosen, reason = _least_flexible(losses, group) if method == "auto" else (method, "requested")
    return CalibrationChoice(
        calibration=fit_calibration(
            scores, hot, method=chosen, multi_label=multi_label, reason=reason
        ),
        before=before,
        after=held_out[chosen],
        losses={name: float(loss.mean()) for name, loss in losses.items()},
    )


def log_losses(probabilities: Floats, truth: Flags, *, multi_label: bool) -> Floats:
    """Negative log-likelihood of each item ``(items,)``, in nats; the mean over classes."""
    # one float step off 0 and 1: a certain error costs much, but not without end
    right = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    if not multi_label:
        return cast("Floats", -np.where(truth, right, 0.0).sum(axis=1))
    wrong = np.log(np.maximum(1 - probabilities, np.finfo(np.float64).eps / 2))
    return cast("Floats", -np.where(truth, right, wrong).mean(axis=1))


def _too_few(hot: Flags, group: NDArray[np.int64]) -> str:
    """Why nothing can be calibrated, empty if something can."""
    n_groups = len(np.unique(group))
    if len(hot) < MIN_ITEMS or n_groups < MIN_GROUPS:
        return (
            f"{len(hot)} held-out items of {n_groups} groups; calibration needs {MIN_ITEMS} of "
            f"{MIN_GROUPS}"
        )
    n_positive = int(hot.sum())
    if min(n_positive, hot.size - n_positive) < MIN_PLATT:
        return f"{n_positive} of {hot.size} labels hold; calibration needs {MIN_PLATT} of each kind"
    return ""


def _held_out(
    scores: Floats,
    hot: Flags,
    folds: NDArray[np.int64],
    method: Method,
    multi_label: bool,  # noqa: FBT001
) -> Floats | None:
    """Each item's probabilities by a calibration of the other folds; None with too little data."""
    probabilities = np.empty_like(scores)
    for fold in np.unique(folds):
        inside = folds == fold
        try:
            fitted = fit_calibration(
                scores[~inside], hot[~inside], method=method, multi_label=multi_label
            )
        except TaskError:
            return None  # too few positives outside this fold, or no rising line
        probabilities[inside] = fitted.probabilities(scores[inside])
    return probabilities


def _least_flexible(
    losses: Mapping[Method, Floats], group: NDArray[np.int64]
) -> tuple[Method, str]:
    """The first method whose loss is within one standard error of the best one's, and why."""
    # losses come in the order of METHODS, the least flexible first
    best = min(losses, key=lambda name: float(losses[name].mean()))
    name = next(
        name
        for name, loss in losses.items()
        if (loss - losses[best]).mean() <= _standard_error(loss - losses[best], group)
    )
    if name == best:
        return best, f"lowest log loss on clips held out ({losses[best].mean():.4f})"
    return name, (
        f"log loss on clips held out {losses[name].mean():.4f}, within one standard error of "
        f"{best} ({losses[best].mean():.4f}), which is more flexible"
    )


def _standard_error(values: Floats, group: NDArray[np.int64]) -> float:
    """Of the mean of values that are alike within groups: groups are drawn, not items."""
    deviations = np.bincount(group, weights=values - values.mean())  # (groups,)
    n_groups = len(np.unique(group))
    variance = n_groups / (n_groups - 1) * np.sum(deviations**2) / len(values) ** 2
    return float(np.sqrt(variance))
