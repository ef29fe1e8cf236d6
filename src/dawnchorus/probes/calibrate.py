"""Fit one calibration method on logits of items that the probe was not trained on.

Those are a validation set, or each fold by a probe of the other folds. The optimisers are small
and need numpy alone, because a probe has to be calibrated where scikit-learn, an extra, is not
installed. The tests compare the isotonic maps with scikit-learn's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from dawnchorus.errors import TaskError
from dawnchorus.probes.calibration import NEVER, Calibration, IsotonicMap, log_odds, sigmoid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.probes.calibration import Method

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Line = tuple[float, float]  # slope and offset

MIN_PLATT: Final = 10  # positives and negatives of a class that is to have its own line
MIN_ISOTONIC: Final = 50  # the same for an isotonic map; with fewer its steps are noise
SEARCH_STEPS: Final = 80  # of a golden section; each keeps 0.618 of the range: 2e-16 of it is left
LOG_RANGE: Final = (-5.0, 5.0)  # of the logarithm of 1 / temperature: factors of 0.007 to 148
NEWTON_STEPS: Final = 100  # it takes about ten; the limit only guards against a cycle
GOLDEN: Final = (5**0.5 - 1) / 2


def fit_calibration(
    logits: Floats, truth: Flags, *, method: Method, multi_label: bool, reason: str = ""
) -> Calibration:
    """Fit one method.

    Logits of `NEVER` are left out: no probe was trained on that class.

    Args:
        logits: ``(items, classes)``.
        truth: ``(items, classes)``, which labels hold.
        method: see `dawnchorus.probes.calibration`; `choose_calibration` finds the best one.
        multi_label: see `Calibration`.
        reason: kept in the calibration.

    Raises:
        TaskError: There are too few positives for the method, or higher logits are not more often
            right, so that no rising calibration exists.
    """
    scores, hot = check(logits, truth, multi_label=multi_label)
    parameters: dict[str, Any] = {}
    if method == "temperature":
        parameters["temperature"] = _temperature(scores, hot, multi_label=multi_label)
    elif method != "none":
        odds = log_odds(scores, multi_label=multi_label)
        scored = scores > NEVER
        shared = _line(odds[scored], hot[scored])
        if shared is None:
            raise TaskError("calibration: higher logits are not more often right")
        lines = [shared] * scores.shape[1]
        if method == "platt":
            lines = _lines(odds, hot, scored, shared)
        elif method == "isotonic":
            parameters["isotonic"] = _isotonic_maps(odds, hot, scored)
        parameters["slope"], parameters["offset"] = zip(*lines, strict=True)
    return Calibration(
        method=method,
        multi_label=multi_label,
        n_classes=scores.shape[1],
        reason=reason,
        **parameters,
    )


def check(
    logits: NDArray[np.floating[Any]], truth: NDArray[np.generic], *, multi_label: bool
) -> tuple[Floats, Flags]:
    """Logits as float64, truth as bool.

    Raises:
        TaskError: They have different shapes, are not finite, or an item does not have one label
            where it should.
    """
    scores, hot = np.asarray(logits, np.float64), np.asarray(truth) > 0
    if scores.shape != hot.shape or scores.ndim != 2 or not scores.size:
        raise TaskError(f"calibration: logits {scores.shape}, labels {hot.shape}; need one shape")
    if not np.isfinite(scores).all():
        raise TaskError("calibration: some logits are not finite")
    if not multi_label and (scores.shape[1] < 2 or (hot.sum(axis=1) != 1).any()):
        raise TaskError(
            "calibration: with one label a clip there must be 2 classes or more, and every item "
            "must have one label"
        )
    return scores, hot


def _temperature(scores: Floats, hot: Flags, *, multi_label: bool) -> float:
    """Golden section: the likelihood has one peak over the factor 1 / temperature.

    With smoothed targets: where every label is right, the plain ones would make every score 0 or 1.
    """
    target = smoothed(hot, multi_label=multi_label)
    scored = scores > NEVER  # a class without training items would cost without end

    def loss(log_factor: float) -> float:
        scaled = scores * np.exp(log_factor)
        if multi_label:
            return float((np.logaddexp(0.0, scaled) - target * scaled)[scored].mean())
        top = scaled.max(axis=1, keepdims=True)
        log_sum = top + np.log(np.exp(scaled - top).sum(axis=1, keepdims=True))
        return float((target * np.where(scored, log_sum - scaled, 0.0)).sum(axis=1).mean())

    low, high = LOG_RANGE
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    for _ in range(SEARCH_STEPS):
        # the inner point that stays is an inner point of the new range too: one loss a step
        if loss_left <= loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - GOLDEN * (high - low)
            loss_left = loss(left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + GOLDEN * (high - low)
            loss_right = loss(right)
    return float(np.exp(-(low + high) / 2))


def smoothed(hot: Flags, *, multi_label: bool) -> Floats:
    """Platt's targets: Laplace's rule of succession instead of 0 and 1.

    Of ``n`` positives a positive counts as ``(n + 1) / (n + 2)``, of ``m`` negatives a negative as
    ``1 / (m + 2)``. With one label an item, what the label lacks is shared among the others.

    Source: Platt 1999, section 2.2.
    """
    if not multi_label:
        n, n_others = len(hot), hot.shape[1] - 1
        return np.where(hot, (n + 1) / (n + 2), 1 / (n + 2) / n_others)
    n_positive = int(hot.sum())
    n_negative = hot.size - n_positive
    return np.where(hot, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))


def _lines(odds: Floats, hot: Flags, scored: Flags, shared: Line) -> list[Line]:
    """A line for each class that has enough of both kinds, the shared one for the others."""
    enough = _has(hot, scored, MIN_PLATT)
    if not enough.any():
        raise TaskError(f"calibration 'platt': no class has {MIN_PLATT} positives and negatives")
    fitted = [
        _line(odds[rows, k], hot[rows, k]) if enough[k] else None for k, rows in enumerate(scored.T)
    ]
    return [shared if line is None else line for line in fitted]


def _has(hot: Flags, scored: Flags, n: int) -> Flags:
    """Which classes have ``n`` positives and ``n`` negatives that were scored."""
    n_positive = (hot & scored).sum(axis=0)
    return cast("Flags", (n_positive >= n) & (scored.sum(axis=0) - n_positive >= n))


def _line(odds: Floats, hot: Flags) -> Line | None:
    """Slope and offset by maximum likelihood with Platt's targets; None if it does not rise."""
    target = smoothed(hot, multi_label=True)
    scale = max(float(odds.std()), 1e-12)  # Newton's steps are safe only in comparable units
    columns = np.stack([odds / scale, np.ones_like(odds)], axis=1)  # (items, 2)
    weights = np.array([scale, 0.0])  # a slope of 1: the sigmoid as it is

    def loss(w: Floats) -> float:
        z = columns @ w
        return float((np.logaddexp(0.0, z) - target * z).sum())

    before = loss(weights)
    for _ in range(NEWTON_STEPS):
        p = sigmoid(columns @ weights)
        gradient = columns.T @ (p - target)
        # where all p are 0 or 1 the curvature vanishes; the ridge keeps the system solvable
        curvature = (columns * (p * (1 - p))[:, None]).T @ columns + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (after := loss(weights - size * step)) > before and size > 1e-6:
            size /= 2  # a full step can overshoot where the loss is flat
        gained, before = before - after, min(before, after)
        weights = weights - size * step if gained > 0 else weights
        if gained < 1e-10 * max(1.0, abs(before)):
            break
    slope = float(weights[0]) / scale
    return (slope, float(weights[1])) if slope > 0 else None


def _isotonic_maps(odds: Floats, hot: Flags, scored: Flags) -> tuple[IsotonicMap | None, ...]:
    enough = _has(hot, scored, MIN_ISOTONIC)
    if not enough.any():
        raise TaskError(
            f"calibration 'isotonic': no class has {MIN_ISOTONIC} positives and negatives"
        )
    return tuple(
        isotonic_map(odds[rows, k], hot[rows, k]) if enough[k] else None
        for k, rows in enumerate(scored.T)
    )


def isotonic_map(odds: Floats, hot: Flags) -> IsotonicMap:
    """The rising step function with least squared error, by pooling adjacent violators.

    Its ends are drawn in by Laplace's rule for as many items: no score is 0 or 1.
    """
    points, inverse, count = np.unique(odds, return_inverse=True, return_counts=True)
    mean = np.bincount(inverse, weights=hot) / count
    blocks: list[list[float]] = []  # mean, items, first point, last point
    for at, (value, n) in enumerate(zip(mean.tolist(), count.tolist(), strict=True)):
        blocks.append([value, n, at, at])
        # a block that does not lie above the one before it violates the order: they become one
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            value_b, n_b, _, last = blocks.pop()
            value_a, n_a, first, _ = blocks.pop()
            joined = (value_a * n_a + value_b * n_b) / (n_a + n_b)
            blocks.append([joined, n_a + n_b, first, last])
    lowest = 1 / (len(odds) + 2)
    # a block of one point is one corner of the map, a longer one has a corner at each end
    corners = [
        (float(points[int(end)]), min(max(value, lowest), 1 - lowest))
        for value, _, first, last in blocks
        for end in dict.fromkeys((first, last))
    ]
    return IsotonicMap(
        log_odds=tuple(x for x, _ in corners), probability=tuple(y for _, y in corners)
    )
