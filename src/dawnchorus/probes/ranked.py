"""One class's scores from the highest down, and which of them is the threshold that is wanted.

The plain threshold is what does best on the items at hand. Of many scores the best looks better
than it is, so what it does elsewhere is as often less than was wanted as more.

The threshold that holds with confidence is found by fixed-sequence testing: each score is tested in
turn, from the highest down, by the exact lower bound of the share of its detections that are right,
and the first that fails ends the walk (Maurer, Hothorn and Lehmacher 1995; for risks of a chosen
threshold: Angelopoulos et al., Learn then test, arXiv 2110.01052). Since no test is made behind a
failed one, each may use up the whole chance of error, and the selection costs nothing more: of all
fits, no more than that chance give a threshold that misses the target. The walk begins where so
many independent items are reached that they could show the target at all. For a recall it begins at
the lowest score, which finds everything, and goes up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.probes.shares import GroupSums, least_shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Rows = NDArray[np.int64]

MIN_FOUND: Final = 3  # positives that a plain threshold finds: one lucky clip is no precision of 1
ROUNDING: Final = 1e-12  # shares such as 9 / 10 must reach 0.9


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a threshold is for.

    Attributes:
        target: share of detections that are right, or of positives that are found.
        by_precision: which of the two.
        confidence: with which it is to hold elsewhere; 0: the plain threshold.
        seed: of folds.
    """

    target: float
    by_precision: bool
    confidence: float
    seed: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """A class's items by falling score; a step is all items of one score.

    Attributes:
        score: ``(steps,)``.
        sums: of the items from each step up, by groups, arrays ``(draws, steps)``: of precision
            over all of them, of recall over the positives.
    """

    score: Floats
    sums: GroupSums

    @property
    def share(self) -> Floats:
        """Precision or recall of each step, 0 where a draw has no item."""
        with np.errstate(invalid="ignore"):
            return np.nan_to_num(self.sums.right / self.sums.items)

    @property
    def between(self) -> Floats:
        """Each score halfway to the next lower one: it finds the same, with most to spare."""
        return np.append((self.score[:-1] + self.score[1:]) / 2, self.score[-1:])


def ranked(
    scores: Floats, hits: Flags, group: Rows, wanted: Wanted, counts: Floats | None = None
) -> Ranked:
    """Rank the items of a class.

    Args:
        scores: ``(items,)``.
        hits: ``(items,)``, which are of the class.
        group: ``(items,)``.
        wanted: whether precision or recall is looked at.
        counts: ``(draws, items)`` how often each item was drawn, whole groups at once; None: once.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    inside = np.ones((1, len(scores))) if counts is None else counts[:, order]
    hot, owner = hits[order].astype(np.float64), group[order]

    def summed(gain: Floats) -> Floats:
        sums: Floats = np.cumsum(inside * gain, axis=1)[:, ends]
        return sums

    found = _before(hot, owner)
    squares = summed(hot * (2 * found + 1))
    if wanted.by_precision:
        above = _before(np.ones(len(hot)), owner)
        sums = GroupSums(
            n_groups=summed((above == 0).astype(np.float64)),
            right=summed(hot),
            items=summed(np.ones(len(hot))),
            right_right=squares,
            right_items=summed(found + hot * (above + 1)),
            items_items=summed(2 * above + 1),
        )
    else:
        positives = np.bincount(owner, weights=hot)[owner]
        right = summed(hot)
        whole = np.ones_like(right)
        sums = GroupSums(
            n_groups=summed(hot * (found == 0))[:, -1:] * whole,
            right=right,
            items=right[:, -1:] * whole,
            right_right=squares,
            right_items=summed(hot * positives),
            items_items=summed(hot * positives)[:, -1:] * whole,
        )
    return Ranked(score=scores[order[ends]], sums=sums)


def _before(values: Floats, group: Rows) -> Floats:
    """Sum of the values of earlier items of the same group, for each item."""
    order = np.argsort(group, kind="stable")
    sums = np.cumsum(values[order]) - values[order]
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    sums -= np.repeat(sums[first], np.diff([*first, len(order)]))
    back = np.empty_like(sums)
    back[order] = sums
    return back


def step_of(items: Ranked, wanted: Wanted) -> Rows:
    """Which step each draw takes ``(draws,)``, -1 where none reaches the target."""
    reached = _shown(items, wanted) if wanted.confidence else _reached(items, wanted)
    if wanted.by_precision:
        # a lower threshold that finds no more only lets wrong ones in
        good = reached & (np.diff(items.sums.right, axis=1, prepend=0.0) > 0)
        last = good.shape[1] - 1 - good[:, ::-1].argmax(axis=1)
        return np.where(good.any(axis=1), last, -1)
    good = reached & (items.sums.items > 0)
    return np.where(good.any(axis=1), good.argmax(axis=1), -1)


def _reached(items: Ranked, wanted: Wanted) -> Flags:
    enough = items.sums.right >= (MIN_FOUND if wanted.by_precision else 0)
    return enough & (items.share >= wanted.target - ROUNDING)


def _shown(items: Ranked, wanted: Wanted) -> Flags:
    """Which steps the walk passes before the first that it fails."""
    if wanted.target >= 1:
        return np.zeros_like(items.share, bool)  # no number of items shows that all are right
    least = least_shares(items.sums.worth(), wanted.target, wanted.confidence)
    passed = items.share >= least - ROUNDING
    if not wanted.by_precision:
        from_below = ~np.logical_or.accumulate(~passed[:, ::-1], axis=1)
        return from_below[:, ::-1]
    begun = np.logical_or.accumulate(np.isfinite(least), axis=1)
    failed = np.logical_or.accumulate(begun & ~passed, axis=1)
    return begun & ~failed
