"""Logits to probabilities that can be believed: of the scores around 0.8 four in five are right.

A `Calibration` is numbers, plain enough for JSON; `calibrate` fits one, `choose_calibration` says
which method the data can carry. Methods, from the least to the most flexible:

========================  =====================================================================
``none``                  the sigmoid, or the softmax where a clip has one label
``temperature``           all logits are divided by one number
``platt_shared``          a slope and an offset for the log-odds, the same for all classes
``platt``                 a slope and an offset for each class that has enough positives
``isotonic``              a rising map of the log-odds for each class that has many positives
========================  =====================================================================

``platt`` and ``isotonic`` treat their other classes as ``platt_shared`` does. Applying one needs
numpy alone.

Source: Platt, Probabilistic outputs for support vector machines, 1999; Zadrozny and Elkan, KDD 2002
(isotonic, one class against the rest, then normalised); Guo et al., On calibration of modern neural
networks, ICML 2017 (temperature).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast, get_args

import numpy as np

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

AnyFloat = TypeVar("AnyFloat", bound="np.floating[Any]")

Method = Literal["none", "temperature", "platt_shared", "platt", "isotonic"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)  # least flexible first

# Logit of a class that no training item had. Its probability is 0 (the sigmoid of -1e4 underflows),
# and it ranks last; a finite number, so that sums and JSON stay defined.
NEVER: Final = -1e4


@dataclass(frozen=True, slots=True, kw_only=True)
class IsotonicMap:
    """Probability at rising log-odds: straight lines in between, constant beyond the ends."""

    log_odds: tuple[float, ...]
    probability: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A fitted calibration.

    Attributes:
        method: see above.
        multi_label: classes are independent; otherwise a clip has one label, and its probabilities
            sum to 1.
        n_classes: how many logits an item has.
        reason: why this method was chosen, in words.
        temperature: for ``temperature``.
        slope, offset: ``(classes,)`` for ``platt_shared``, ``platt`` and ``isotonic``.
        isotonic: ``(classes,)`` for ``isotonic``; None where a class has too few positives.
    """

    method: Method
    multi_label: bool
    n_classes: int
    reason: str = ""
    temperature: float = 1.0
    slope: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    isotonic: tuple[IsotonicMap | None, ...] = ()

    def probabilities(self, logits: NDArray[np.floating[Any]]) -> Floats:
        """Calibrated probabilities ``(items, classes)`` of logits of that shape.

        Raises:
            UsageError: The logits have another number of classes.
        """
        scores = np.asarray(logits, np.float64)
        if scores.ndim != 2 or scores.shape[1] != self.n_classes:
            raise UsageError(
                f"calibration: logits of shape {scores.shape}, need (items, {self.n_classes})"
            )
        if not self.slope:
            return plain_probabilities(scores / self.temperature, multi_label=self.multi_label)
        odds = log_odds(scores, multi_label=self.multi_label)
        p = sigmoid(np.asarray(self.slope) * odds + np.asarray(self.offset))
        for column, curve in enumerate(self.isotonic):
            if curve is not None:
                p[:, column] = np.interp(odds[:, column], curve.log_odds, curve.probability)
        # each class was calibrated against the rest, so a row does not sum to 1 by itself
        return p if self.multi_label else p / p.sum(axis=1, keepdims=True)

    def to_json(self) -> dict[str, Any]:
        """As plain values for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibration:
        """Read what `to_json` wrote.

        Raises:
            UsageError: A key is missing or unknown, or the numbers cannot be a calibration.
        """
        try:
            curves = values.get("isotonic", ())
            calibration = cls(
                **{
                    **values,
                    "slope": tuple(values.get("slope", ())),
                    "offset": tuple(values.get("offset", ())),
                    "isotonic": tuple(None if c is None else _isotonic_map(c) for c in curves),
                }
            )
        except (TypeError, AttributeError) as error:
            raise UsageError(f"calibration: not as this version writes it: {error}") from error
        n_slopes = len(calibration.slope)
        lengths = {n_slopes, len(calibration.offset), len(calibration.isotonic) or n_slopes}
        if calibration.method not in METHODS or lengths not in ({0}, {calibration.n_classes}):
            raise UsageError(
                f"calibration {calibration.method!r} of {calibration.n_classes} classes contains "
                f"values for {sorted(lengths)}; the file is damaged or of another version"
            )
        _check_numbers(calibration)
        return calibration


def _isotonic_map(values: Mapping[str, Any]) -> IsotonicMap:
    return IsotonicMap(**{name: tuple(value) for name, value in values.items()})


def _check_numbers(calibration: Calibration) -> None:
    """Refuse what no fit gives: it would pass for probabilities, and name what was not heard."""
    numbers = (calibration.temperature, *calibration.slope, *calibration.offset)
    if not all(map(_is_number, numbers)) or calibration.temperature <= 0:
        raise UsageError("calibration: need finite numbers, and a temperature above 0")
    if any(slope < 0 for slope in calibration.slope):
        raise UsageError("calibration: a slope is below 0, so that higher scores would mean less")
    for curve in filter(None, calibration.isotonic):
        x, y = curve.log_odds, curve.probability
        if not len(x) == len(y) > 0 or not all(map(_is_number, (*x, *y))):
            raise UsageError("calibration: an isotonic map needs as many log-odds as probabilities")
        if not all(a <= b for a, b in pairwise(x)) or min(y) < 0 or max(y) > 1:
            raise UsageError("calibration: an isotonic map rises, from 0 at least to 1 at most")


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and isfinite(value)


def plain_probabilities(logits: Floats, *, multi_label: bool) -> Floats:
    """The sigmoid of each logit, or the softmax of each row where a clip has one label."""
    if multi_label:
        return sigmoid(logits)
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))  # the highest is 1: no overflow
    return cast("Floats", exps / exps.sum(axis=1, keepdims=True))


def log_odds(logits: Floats, *, multi_label: bool) -> Floats:
    """Log-odds of `plain_probabilities`, finite at both ends.

    That is the logit itself, or with one label a clip ``log(p / (1 - p))`` of the softmax.
    """
    if multi_label:
        return logits
    rows, top = np.arange(len(logits)), logits.argmax(axis=1)
    highest = logits[rows, top][:, None]
    exps = np.exp(logits - highest)
    other_exps = np.maximum(exps.sum(axis=1, keepdims=True) - exps, 0.0)
    # For the highest logit itself that difference cancels: where p is near 1, nothing of the sum
    # would be left. Its competitors are summed on a scale of their own instead.
    others = logits.copy()
    others[rows, top] = -np.inf
    second = others.max(axis=1)
    other_exps[rows, top] = 1.0
    odds = logits - highest - np.log(other_exps)
    log_sum_others = np.log(np.exp(others - second[:, None]).sum(axis=1)) + second
    odds[rows, top] = highest[:, 0] - log_sum_others
    return cast("Floats", odds)


def sigmoid(values: NDArray[AnyFloat]) -> NDArray[AnyFloat]:
    """Logistic function without overflow, of any shape and in the precision of its argument."""
    ends = np.exp(-np.abs(values))  # at most 1, whatever the sign
    return np.asarray(np.where(values >= 0, 1.0, ends) / (1.0 + ends), values.dtype)


def logit(probabilities: Floats, *, lowest: float = 1e-7) -> Floats:
    """Inverse of `sigmoid`; probabilities nearer to 0 or 1 than ``lowest`` are moved to there."""
    inside = np.clip(probabilities, lowest, 1 - lowest)
    return np.log(inside) - np.log1p(-inside)
