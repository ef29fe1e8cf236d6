"""Logits to probabilities that can be believed: of the scores around 0.8 four in five are right.

A calibration is fitted on logits of items that the probe was not trained on: a validation set, or
each fold by a probe of the others. Methods, from the stiffest to the freest:

========================  =====================================================================
``none``                  the sigmoid, or the softmax where a clip has one label
``temperature``           all logits are divided by one number
``platt_shared``          a slope and an offset for the log-odds, the same for all classes
``platt``                 a slope and an offset for each class that has enough positives
``isotonic``              a rising staircase for each class that has many positives
========================  =====================================================================

``platt`` and ``isotonic`` treat their other classes as ``platt_shared`` does. Nothing here but
applying a saved calibration is needed to use one, and that is numpy alone.

Source: Platt, Probabilistic outputs for support vector machines, 1999 (with his smoothed targets);
Zadrozny and Elkan, KDD 2002 (isotonic, one class against the rest, then normalised); Guo et al.,
On calibration of modern neural networks, ICML 2017 (temperature).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast, get_args

import numpy as np

from dawnchorus.errors import TaskError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

AnyFloat = TypeVar("AnyFloat", bound="np.floating[Any]")

Method = Literal["none", "temperature", "platt_shared", "platt", "isotonic"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)

MIN_PLATT: Final = 10  # positives and negatives of a class that is to have its own line
MIN_ISOTONIC: Final = 50  # the same for a staircase; with fewer its steps are noise
SEARCH_STEPS: Final = 80  # of a golden section; each keeps 0.618 of the range
LOG_RANGE: Final = (-5.0, 5.0)  # of the logarithm of 1 / temperature
NEWTON_STEPS: Final = 100
GOLDEN: Final = (5**0.5 - 1) / 2
NEVER: Final = -1e4  # logit of a class that train could not teach: probability 0, and ranked last


@dataclass(frozen=True, slots=True, kw_only=True)
class Staircase:
    """Probability at rising log-odds, straight in between, level beyond the ends."""

    log_odds: tuple[float, ...]
    probability: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A fitted calibration, plain enough to be stored as JSON.

    Attributes:
        method: see above.
        multi_label: classes are independent; else one label a clip, and probabilities sum to 1.
        n_classes: how many logits an item has.
        reason: why this method was taken.
        temperature: for ``temperature``.
        slope, offset: ``(classes,)`` for ``platt_shared``, ``platt`` and ``isotonic``.
        staircases: for ``isotonic``; None where a class has too few positives.
    """

    method: Method
    multi_label: bool
    n_classes: int
    reason: str = ""
    temperature: float = 1.0
    slope: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    staircases: tuple[Staircase | None, ...] = ()

    def probabilities(self, logits: NDArray[np.floating[Any]]) -> Floats:
        """Calibrated probabilities ``(items, classes)`` of logits of that shape.

        Raises:
            UsageError: They are of another number of classes.
        """
        scores = np.asarray(logits, np.float64)
        if scores.ndim != 2 or scores.shape[1] != self.n_classes:
            raise UsageError(
                f"calibration: logits of shape {scores.shape}, need (items, {self.n_classes})"
            )
        if not self.slope:
            return plain_probabilities(scores / self.temperature, multi_label=self.multi_label)
        odds = log_odds(scores, multi_label=self.multi_label)
        found = sigmoid(np.asarray(self.slope) * odds + np.asarray(self.offset))
        for column, staircase in enumerate(self.staircases):
            if staircase is not None:
                found[:, column] = np.interp(
                    odds[:, column], staircase.log_odds, staircase.probability
                )
        return found if self.multi_label else found / found.sum(axis=1, keepdims=True)

    def to_json(self) -> dict[str, Any]:
        """As plain values for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibration:
        """Read what `to_json` gave.

        Raises:
            UsageError: A key is missing or unknown, or the numbers are not of its classes.
        """
        try:
            stairs = values.get("staircases", ())
            made = cls(
                **{
                    **values,
                    "slope": tuple(values.get("slope", ())),
                    "offset": tuple(values.get("offset", ())),
                    "staircases": tuple(None if s is None else _staircase(s) for s in stairs),
                }
            )
        except (TypeError, AttributeError) as error:
            raise UsageError(f"calibration: not as this version writes it: {error}") from error
        lengths = {len(made.slope), len(made.offset), len(made.staircases) or len(made.slope)}
        if made.method not in METHODS or lengths not in ({0}, {made.n_classes}):
            raise UsageError(
                f"calibration {made.method!r} of {made.n_classes} classes holds values for "
                f"{sorted(lengths)}; the file is damaged or of another version"
            )
        return made


def _staircase(values: Mapping[str, Any]) -> Staircase:
    return Staircase(**{name: tuple(value) for name, value in values.items()})


def fit_calibration(
    logits: Floats, truth: Flags, *, method: Method, multi_label: bool, reason: str = ""
) -> Calibration:
    """Fit one method on logits of items that the probe was not trained on.

    Logits of `NEVER` teach nothing: no probe had been taught that class.

    Args:
        logits: ``(items, classes)``.
        truth: ``(items, classes)``, which labels hold.
        method: see above; `choose_calibration` finds the best one.
        multi_label: see `Calibration`.
        reason: kept.

    Raises:
        TaskError: There are too few positives for the method, or higher logits are not more often
            right, so that no rising calibration exists.
    """
    scores, hot = check(logits, truth, multi_label=multi_label)
    made = Calibration(
        method=method, multi_label=multi_label, n_classes=scores.shape[1], reason=reason
    )
    values: dict[str, Any] = {}
    if method == "temperature":
        values["temperature"] = _temperature(scores, hot, multi_label=multi_label)
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
            values["staircases"] = _staircases(odds, hot, scored)
        values["slope"] = tuple(line[0] for line in lines)
        values["offset"] = tuple(line[1] for line in lines)
    return Calibration(**{name: getattr(made, name) for name in made.__slots__} | values)


def plain_probabilities(logits: Floats, *, multi_label: bool) -> Floats:
    """The sigmoid of each logit, or the softmax of each row where a clip has one label."""
    if multi_label:
        return sigmoid(logits)
    risen = np.exp(logits - logits.max(axis=1, keepdims=True))
    return cast("Floats", risen / risen.sum(axis=1, keepdims=True))


def log_odds(logits: Floats, *, multi_label: bool) -> Floats:
    """What the sigmoid makes `plain_probabilities` of, finite at both ends.

    That is the logit itself, or with one label a clip ``log(p / (1 - p))`` of the softmax.
    """
    if multi_label:
        return logits
    rows, top = np.arange(len(logits)), logits.argmax(axis=1)
    highest = logits[rows, top][:, None]
    risen = np.exp(logits - highest)
    rest = np.maximum(risen.sum(axis=1, keepdims=True) - risen, 0.0)
    # for the highest itself that difference cancels: its others are summed on their own scale
    others = logits.copy()
    others[rows, top] = -np.inf
    second = others.max(axis=1)
    rest[rows, top] = 1.0
    found = logits - highest - np.log(rest)
    beside = np.log(np.exp(others - second[:, None]).sum(axis=1)) + second
    found[rows, top] = highest[:, 0] - beside
    return cast("Floats", found)


def sigmoid(values: NDArray[AnyFloat]) -> NDArray[AnyFloat]:
    """Logistic function without overflow, of any shape and in the precision of its argument."""
    ends = np.exp(-np.abs(values))  # at most 1, whatever the sign
    return np.asarray(np.where(values >= 0, 1.0, ends) / (1.0 + ends), values.dtype)


def logit(probabilities: Floats, *, lowest: float = 1e-7) -> Floats:
    """What the sigmoid makes them of; they are taken as at least ``lowest`` off 0 and 1."""
    inside = np.clip(probabilities, lowest, 1 - lowest)
    return np.log(inside) - np.log1p(-inside)


def item_losses(probabilities: Floats, truth: Flags, *, multi_label: bool) -> Floats:
    """Negative log-likelihood of each item ``(items,)``, in nats; the mean over classes of both."""
    tiny = np.finfo(np.float64).tiny
    right = np.log(np.maximum(probabilities, tiny))
    if not multi_label:
        return cast("Floats", -np.where(truth, right, 0.0).sum(axis=1))
    wrong = np.log(np.maximum(1 - probabilities, np.finfo(np.float64).eps / 2))
    return cast("Floats", -np.where(truth, right, wrong).mean(axis=1))


def check(
    logits: NDArray[np.floating[Any]], truth: NDArray[np.generic], *, multi_label: bool
) -> tuple[Floats, Flags]:
    """Both in their own types.

    Raises:
        TaskError: They are not of one shape, not finite, or not one label an item where there
            should be.
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

    Of Platt's targets: where every label is right, the plain ones would make every score 0 or 1.
    """
    target = smoothed(hot, multi_label=multi_label)
    scored = scores > NEVER  # a class that nothing taught would cost without end

    def loss(log_factor: float) -> float:
        moved = scores * np.exp(log_factor)
        if multi_label:
            return float((np.logaddexp(0.0, moved) - target * moved)[scored].mean())
        top = moved.max(axis=1, keepdims=True)
        total = top + np.log(np.exp(moved - top).sum(axis=1, keepdims=True))
        return float((target * np.where(scored, total - moved, 0.0)).sum(axis=1).mean())

    low, high = LOG_RANGE
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    for _ in range(SEARCH_STEPS):
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
    """Platt's targets: what Laplace's rule makes of so many that hold and so many that do not.

    With one label an item, what the label lacks is shared among the others.
    """
    if not multi_label:
        n, n_others = len(hot), hot.shape[1] - 1
        return np.where(hot, (n + 1) / (n + 2), 1 / (n + 2) / n_others)
    n_positive = int(hot.sum())
    n_negative = hot.size - n_positive
    return np.where(hot, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))


def _lines(
    odds: Floats, hot: Flags, scored: Flags, shared: tuple[float, float]
) -> list[tuple[float, float]]:
    """A line for each class that has enough of both kinds, the shared one for the others."""
    enough = _has(hot, scored, MIN_PLATT)
    if not enough.any():
        raise TaskError(f"calibration 'platt': no class has {MIN_PLATT} positives and negatives")
    own = [
        _line(odds[rows, k], hot[rows, k]) if enough[k] else None for k, rows in enumerate(scored.T)
    ]
    return [shared if line is None else line for line in own]


def _has(hot: Flags, scored: Flags, n: int) -> Flags:
    """Which classes have so many positives and so many negatives that were scored."""
    n_positive = (hot & scored).sum(axis=0)
    return cast("Flags", (n_positive >= n) & (scored.sum(axis=0) - n_positive >= n))


def _line(odds: Floats, hot: Flags) -> tuple[float, float] | None:
    """Slope and offset by maximum likelihood with Platt's targets; None if it does not rise."""
    target = smoothed(hot, multi_label=True)
    scale = max(float(odds.std()), 1e-12)  # Newton's steps are safe only in comparable units
    columns = np.stack([odds / scale, np.ones_like(odds)], axis=1)
    weights = np.array([scale, 0.0])

    def loss(w: Floats) -> float:
        z = columns @ w
        return float((np.logaddexp(0.0, z) - target * z).sum())

    now = loss(weights)
    for _ in range(NEWTON_STEPS):
        p = sigmoid(columns @ weights)
        gradient = columns.T @ (p - target)
        curvature = (columns * (p * (1 - p))[:, None]).T @ columns + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (after := loss(weights - size * step)) > now and size > 1e-6:
            size /= 2
        gained, now = now - after, min(now, after)
        weights = weights - size * step if gained > 0 else weights
        if gained < 1e-10 * max(1.0, abs(now)):
            break
    slope = float(weights[0]) / scale
    return (slope, float(weights[1])) if slope > 0 else None


def _staircases(odds: Floats, hot: Flags, scored: Flags) -> tuple[Staircase | None, ...]:
    enough = _has(hot, scored, MIN_ISOTONIC)
    if not enough.any():
        raise TaskError(
            f"calibration 'isotonic': no class has {MIN_ISOTONIC} positives and negatives"
        )
    return tuple(
        staircase_of(odds[rows, k], hot[rows, k]) if enough[k] else None
        for k, rows in enumerate(scored.T)
    )


def staircase_of(odds: Floats, hot: Flags) -> Staircase:
    """The rising step function with least squared error, by pooling adjacent violators.

    Its ends are drawn in by what Laplace's rule gives for as many items: no score is 0 or 1.
    """
    place, inverse, count = np.unique(odds, return_inverse=True, return_counts=True)
    mean = np.bincount(inverse, weights=hot) / count
    blocks: list[list[float]] = []  # mean, items, first, last
    for at, (value, n) in enumerate(zip(mean.tolist(), count.tolist(), strict=True)):
        blocks.append([value, n, at, at])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            value_b, n_b, _, last = blocks.pop()
            value_a, n_a, first, _ = blocks.pop()
            joined = (value_a * n_a + value_b * n_b) / (n_a + n_b)
            blocks.append([joined, n_a + n_b, first, last])
    lowest = 1 / (len(odds) + 2)
    points = [
        (float(place[int(end)]), min(max(value, lowest), 1 - lowest))
        for value, _, first, last in blocks
        for end in dict.fromkeys((first, last))
    ]
    return Staircase(log_odds=tuple(x for x, _ in points), probability=tuple(y for _, y in points))
