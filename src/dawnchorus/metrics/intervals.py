"""How sure is a score? The bootstrap over groups, for one model and for two side by side.

Whole groups are drawn (recordings, individuals, days), since clips of one recording say nearly the
same thing: drawing clips would make intervals far too narrow. A draw holds some items twice, which
lifts average precision by itself (an item is found beside its own copy); so the percentiles of the
draws are moved until the mean of the draws is the value, and tell of the spread alone.

Draws of a few groups spread less than the groups do. So percentiles further out are taken, as far
as Student's t asks for (the expanded percentile interval: Hesterberg, What teachers should know
about the bootstrap, The American Statistician 69, 2015); under five groups there is no interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.errors import TaskError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Statistic = Callable[[NDArray[np.intp]], float]

MOST_LEFT_OUT: Final = 40  # sets of groups that a jackknife leaves out in turn
LEAST_GROUPS: Final = 5  # with fewer, an interval of 95% holds the truth far less often
LEAST_DEFINED: Final = 0.95  # of the draws; with fewer, what is left is a choice of easy ones


@dataclass(frozen=True, slots=True)
class Interval:
    """A score with a bootstrap interval.

    Attributes:
        value: the statistic of all items.
        low: nan where there is no interval.
        high: nan where there is no interval.
        n_groups: distinct groups that were drawn from.
        n_undefined: draws for which the statistic is undefined; they are left out.
        reason: why there is no interval; empty where there is one.
    """

    value: float
    low: float
    high: float
    n_groups: int
    n_undefined: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much higher the first of two models scores.

    Attributes:
        difference: first minus second, on all items.
        low: nan where there is no interval.
        high: nan where there is no interval.
        share_first_better: share of the draws where the first scores higher (not equal); nan where
            there is no interval.
        n_groups: distinct groups that were drawn from.
        n_undefined: draws for which a statistic is undefined; they are left out.
        reason: why there is no interval; empty where there is one.
    """

    difference: float
    low: float
    high: float
    share_first_better: float
    n_groups: int
    n_undefined: int = 0
    reason: str = ""


def bootstrap(
    statistic: Statistic,
    groups: NDArray[Any],
    *,
    n: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Score all items, and draws of as many whole groups with replacement.

    Args:
        statistic: from indices of items, which may repeat, to a score.
        groups: ``(items,)`` what each item belongs to.
        n: draws.
        level: share of the draws between ``low`` and ``high``.
        seed: of the draws.

    Raises:
        TaskError: The statistic of all items is undefined, or there are no items.
    """
    members = _members(groups)
    value = statistic(_everything(members))
    drawn = _drawn(lambda items: (statistic(items),), members, n=n, level=level, seed=seed)
    low, high, reason = _around(value, drawn[:, 0], len(members), level)
    return Interval(value, low, high, len(members), _n_undefined(drawn), reason)


def jackknife(
    statistic: Statistic, groups: NDArray[Any], *, level: float = 0.95, seed: int = 0
) -> Interval:
    """Score all items, and all but one group after the other; the interval is Student's.

    For scores of partitions: a bootstrap draws items twice, and what lies in one cluster with its
    own copy looks well clustered. Of more than 40 groups, 40 sets of groups are left out in turn.
    Source: Efron & Stein 1981, the delete-one jackknife.

    Arguments and errors as for `bootstrap`.
    """
    members = _members(groups)
    everything = _everything(members)
    value = statistic(everything)
    if len(members) < LEAST_GROUPS:
        return Interval(value, np.nan, np.nan, len(members), 0, _too_few(len(members)))
    order = np.random.default_rng(seed).permutation(len(members))
    sets = np.array_split(order, min(len(members), MOST_LEFT_OUT))
    left = [np.concatenate([members[group] for group in one]) for one in sets]
    values = [_score(lambda i: (statistic(i),), np.setdiff1d(everything, one))[0] for one in left]
    defined = np.array([one for one in values if not np.isnan(one)])
    n_undefined = len(values) - len(defined)
    if n_undefined:
        reason = f"the score is undefined without {n_undefined} of {len(values)} sets of groups"
        return Interval(value, np.nan, np.nan, len(members), n_undefined, reason)
    spread = np.sqrt((len(defined) - 1) / len(defined) * np.sum((defined - defined.mean()) ** 2))
    reach = float(student_t((1 + level) / 2, len(defined) - 1) * spread)
    return Interval(value, value - reach, value + reach, len(members))


def paired_bootstrap(
    first: Statistic,
    second: Statistic,
    groups: NDArray[Any],
    *,
    n: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two models on the same draws, so that what is hard for both cancels.

    Arguments as for `bootstrap`, of two statistics of the same items.

    Raises:
        TaskError: A statistic of all items is undefined, or there are no items.
    """
    members = _members(groups)
    everything = _everything(members)
    difference = first(everything) - second(everything)
    drawn = _drawn(
        lambda items: (first(items), second(items)), members, n=n, level=level, seed=seed
    )
    gaps = drawn[:, 0] - drawn[:, 1]
    low, high, reason = _around(difference, gaps, len(members), level)
    share = float("nan") if reason else float(np.mean(gaps[~np.isnan(gaps)] > 0))
    return Comparison(difference, low, high, share, len(members), _n_undefined(drawn), reason)


def _members(groups: NDArray[Any]) -> list[NDArray[np.intp]]:
    """Items of each group, groups in the order of their names."""
    groups = np.asarray(groups)
    if groups.ndim != 1 or not len(groups):
        raise TaskError(f"bootstrap: need the group of each item, found an array {groups.shape}")
    _, code, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return np.split(np.argsort(code, kind="stable"), np.cumsum(counts)[:-1])


def _everything(members: list[NDArray[np.intp]]) -> NDArray[np.intp]:
    return np.sort(np.concatenate(members))


def _drawn(
    statistics: Callable[[NDArray[np.intp]], tuple[float, ...]],
    members: list[NDArray[np.intp]],
    *,
    n: int,
    level: float,
    seed: int,
) -> Floats:
    """``(draws, statistics)``, nan where a draw has no score; no draws from too few groups."""
    if n < 1 or not 0 < level < 1:
        raise UsageError(f"bootstrap: need n >= 1 and 0 < level < 1, got {n} and {level}")
    if len(members) < LEAST_GROUPS:
        return np.full((0, 2), np.nan)
    return np.array([_score(statistics, items) for items in _draws(members, n, seed)])


def _draws(members: list[NDArray[np.intp]], n: int, seed: int) -> Iterator[NDArray[np.intp]]:
    generator = np.random.default_rng(seed)
    for _ in range(n):
        picked = generator.integers(0, len(members), len(members))
        yield np.concatenate([members[group] for group in picked])


def _score(
    statistics: Callable[[NDArray[np.intp]], tuple[float, ...]], items: NDArray[np.intp]
) -> tuple[float, float]:
    try:
        values = statistics(items)
    except TaskError:
        return float("nan"), float("nan")
    return values[0], values[-1]


def _around(value: float, values: Floats, n_groups: int, level: float) -> tuple[float, float, str]:
    if n_groups < LEAST_GROUPS:
        return float("nan"), float("nan"), _too_few(n_groups)
    defined = values[~np.isnan(values)]
    if len(defined) < LEAST_DEFINED * len(values):
        said = f"the score is undefined in {len(values) - len(defined)} of {len(values)} draws"
        return float("nan"), float("nan"), f"{said} of {n_groups} groups"
    reach = student_t((1 + level) / 2, n_groups - 1) * np.sqrt(n_groups / (n_groups - 1))
    ends = [NormalDist().cdf(-reach), NormalDist().cdf(reach)]
    low, high = np.quantile(defined - defined.mean(), ends) + value
    return float(low), float(high), ""


def _too_few(n_groups: int) -> str:
    if n_groups == 1:
        return "all items are of one group: nothing to draw from"
    return f"{n_groups} groups; an interval needs {LEAST_GROUPS}"


def student_t(p: float, freedom: int) -> float:
    """Quantile of Student's t, within 0.5% from 4 degrees of freedom on at the usual levels.

    Source: the expansion of Cornish and Fisher, Abramowitz and Stegun 26.7.5.
    """
    z = NormalDist().inv_cdf(p)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return float(sum(term / freedom**k for k, term in enumerate(terms)))


def _n_undefined(drawn: Floats) -> int:
    return int(np.isnan(drawn).any(axis=1).sum())
