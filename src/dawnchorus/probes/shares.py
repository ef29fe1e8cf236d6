"""Shares of items that lie in groups, such as windows in recordings, and their exact bounds.

Clips of one recording say nearly the same thing. So a share of ``n`` items is bounded as a share of
fewer, independent ones: the effective number, ``n`` over the design effect, which the spread
between the groups gives (Korn and Graubard, Survey Methodology 24, 1998). The bounds are those of
Clopper and Pearson (Biometrika 26, 1934), which hold for any number of items.

Where nearly all items are right, hardly any spread is seen, and a hundred windows of ten
recordings would pass for a hundred independent ones. So for the lower bound one more group of mean
size is counted in which all are wrong, for the upper bound one in which all are right. Without any
error that makes the effective number the number of groups.

scipy has the incomplete beta function that the bounds need; it comes with scikit-learn, an extra,
and probes are fitted without it. The tests compare with scipy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

HALVINGS: Final = 32  # of an interval of width 1: to 2e-10
CLOSE: Final = 1e-13  # relative change of the continued fraction at which it has converged
TINY: Final = 1e-300  # in the place of a 0 that would be divided by, as in Lentz's method
MOST_STEPS: Final = 100_000  # of the continued fraction; it needs about sqrt(items)
WHOLE, FAR = 200, 80  # points of a curve: every number of items so far, then in even ratios
MOST_EFFECTIVE: Final = 1e5  # items; more need the share that so many would need


@dataclass(frozen=True, slots=True)
class GroupSums:
    """Sums over groups of right items ``h`` and items ``m`` of each; arrays of one shape.

    Attributes:
        n_groups: groups with an item.
        right, items: sums of ``h`` and of ``m``.
        right_right, right_items, items_items: sums of ``h * h``, ``h * m`` and ``m * m``.
    """

    n_groups: Floats
    right: Floats
    items: Floats
    right_right: Floats
    right_items: Floats
    items_items: Floats

    def n_effective(self) -> Floats:
        """Effective number of items for a lower bound; at least 1, 0 without items."""
        # Variance of a ratio estimator h / m over groups, with the added group that is all wrong.
        # sum((h - share * m)^2) is expanded, so that running sums suffice for every threshold.
        with np.errstate(invalid="ignore", divide="ignore"):
            size = self.items / self.n_groups  # of the group that is added, all wrong
            items = self.items + size
            share = self.right / items
            squares = (
                self.right_right
                - 2 * share * self.right_items
                + share**2 * (self.items_items + size**2)
            )
            spread = (self.n_groups + 1) / self.n_groups * squares / items**2
            n_effective = share * (1 - share) / spread  # binomial variance over the clustered one
        n_effective = np.where(self.right > 0, n_effective, self.n_groups)
        return np.where(self.items > 0, np.clip(n_effective, 1.0, np.maximum(self.items, 1.0)), 0.0)


def group_sums(hits: Flags, group: NDArray[np.int64]) -> GroupSums:
    """Sums of items ``(n,)`` in groups ``(n,)``; each is an array of shape ``(1,)``."""
    _, number = np.unique(group, return_inverse=True)
    h = np.bincount(number, weights=hits)
    m = np.bincount(number).astype(np.float64)
    sums = (float(len(m)), h.sum(), m.sum(), (h * h).sum(), (h * m).sum(), (m * m).sum())
    return GroupSums(*(np.array([value]) for value in sums))


def clustered_share(
    hits: Flags, group: NDArray[np.int64], level: float = 0.95
) -> tuple[float, float, float]:
    """A share of items that lie in groups, and its interval.

    Args:
        hits: ``(n,)``, at least one.
        group: ``(n,)``.
        level: of the interval.
    """
    share = float(np.mean(hits))
    beyond = (1 - level) / 2
    right = float(group_sums(hits, group).n_effective()[0])
    wrong = float(group_sums(~np.asarray(hits, bool), group).n_effective()[0])
    low = lower_bound(share, right, 1 - beyond)
    high = 1 - lower_bound(1 - share, wrong, 1 - beyond)
    return share, low, high


def lower_bound(share: float, n_effective: float, confidence: float) -> float:
    """Clopper and Pearson's bound, above which the true share lies with so much confidence.

    Args:
        share: of the items that are right.
        n_effective: how many independent items they count as; need not be whole.
        confidence: of this one side, over 0.
    """
    right = share * n_effective
    if right <= 0:
        return 0.0
    low, high = 0.0, share
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if chance_of_at_least(right, n_effective, middle) > 1 - confidence:
            high = middle
        else:
            low = middle
    return low


def chance_of_at_least(k: float, n: float, p: float) -> float:
    """Chance that ``k`` or more of ``n`` trials succeed; ``0 < k <= n``, neither need be whole.

    It is the regularised incomplete beta function at ``p`` of ``k`` and ``n - k + 1``.
    """
    if p <= 0 or p >= 1:
        return float(p >= 1)
    a, b = k, n - k + 1
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(scale + a * math.log(p) + b * math.log1p(-p))
    if p < (a + 1) / (a + b + 2):
        return front / a * _fraction(a, b, p)
    return 1 - front / b * _fraction(b, a, 1 - p)


def _fraction(a: float, b: float, p: float) -> float:
    """The continued fraction of the incomplete beta function, from its front on.

    Source: Abramowitz and Stegun 26.5.8; evaluated as Lentz does, Applied Optics 15, 1976.
    """
    value, lower, upper = 1.0, 1.0, math.inf
    for step in range(1, MOST_STEPS):
        half, odd = divmod(step, 2)
        if odd:
            part = -(a + half) * (a + b + half) * p / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            part = half * (b - half) * p / ((a + 2 * half - 1) * (a + 2 * half))
        lower = 1 / _away_from_0(1 + part * lower)
        upper = _away_from_0(1 + part / upper)
        value *= lower * upper
        if abs(lower * upper - 1) < CLOSE:
            break
    return value


def _away_from_0(value: float) -> float:
    return value if abs(value) > TINY else TINY


def least_items(target: float, confidence: float) -> float:
    """How many independent items, all of them right, show a share of ``target``; may be inf."""
    return math.log(1 - confidence) / math.log(target) if target < 1 else math.inf


def least_shares(n_effective: Floats, target: float, confidence: float) -> Floats:
    """The share that shows one of ``target`` with ``confidence``, inf where none does.

    Args:
        n_effective: effective numbers of items, any shape.
        target: under 1.
        confidence: over 0.
    """
    at, share = _least_share_curve(target, confidence)
    # Even if all are right there must be so many, exactly: the curve begins there, at a share of 1.
    enough = n_effective >= least_items(target, confidence) * (1 - 1e-12)
    return np.where(enough, np.interp(n_effective, at, share), np.inf)


@lru_cache(16)
def _least_share_curve(target: float, confidence: float) -> tuple[Floats, Floats]:
    """Numbers of items and the least share for each: at whole numbers as far as they matter."""
    first = least_items(target, confidence)
    whole = np.arange(math.ceil(first), math.ceil(first) + WHOLE, dtype=np.float64)
    far = np.geomspace(whole[-1] * 1.03, max(MOST_EFFECTIVE, 2 * whole[-1]), FAR)
    at = np.concatenate([[first], whole[whole > first], far])
    share = np.array([_least_share(n, target, confidence) for n in at[1:].tolist()])
    return at, np.concatenate([[1.0], share])


def _least_share(n: float, target: float, confidence: float) -> float:
    low, high = target, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if chance_of_at_least(middle * n, n, target) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high
