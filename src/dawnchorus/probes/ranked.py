"""One class's scores from the highest down, and which of them becomes the threshold.

The plain threshold is what does best on the items at hand. Of many scores the best looks better
than it is, so on other recordings it misses its target about as often as not.

The threshold that holds with confidence is found by fixed-sequence testing: each score is tested in
turn, from the highest down, by the exact lower bound of the share of its detections that are right,
and the first that fails ends the walk (Maurer, Hothorn and Lehmacher 1995; for risks of a chosen
threshold: Angelopoulos et al., Learn then test, arXiv 2110.01052). Since no test is made after a
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

MIN_FOUND: Final = 3  # positives above a plain threshold: one lucky clip is not a precision of 1
ROUNDING: Final = 1e-12  # a share of 9 / 10 has to reach 0.9, which no float is exactly


@dataclass(frozen=True, slots=True)
class Goal:
    """What a threshold is for.

    Attributes:
        target: share of detections that are right, or of positives that are found.
        by_precision: which of the two.
        confidence: with which it has to hold on other recordings; 0: the plain threshold.
        seed: of folds.
    """

    target: float
    by_precision: bool
    confidence: float
    seed: int


@dataclass(frozen=True, slots=True)
class RankedItems:
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
        """Each score moved halfway to the next lower one.

        It selects the same items, and leaves the widest margin for scores of new recordings.
        """
        return np.append((self.score[:-1] + self.score[1:]) / 2, self.score[-1:])


def rank_items(
    scores: Floats, hits: Flags, group: Rows, goal: Goal, counts: Floats | None = None
) -> RankedItems:
    """Rank the items of a class.

    Args:
        scores: ``(items,)``.
        hits: ``(items,)``, which are of the class.
        group: ``(items,)``.
        goal: whether precision or recall is looked at.
        counts: ``(draws, items)`` how often each item was drawn, whole groups at once; None: once.
    """
    order = np.argsort(-scores, kind="stable")  # highest first
    # items of one score cannot be separated by a threshold: a step ends with the last of them
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    inside = np.ones((1, len(scores))) if counts is None else counts[:, order]
    hot, owner = hits[order].astype(np.float64), group[order]

    def summed(gain: Floats) -> Floats:
        sums: Floats = np.cumsum(inside * gain, axis=1)[:, ends]
        return sums

    # Running sums of h^2, h * m and m^2 over groups: an item that comes to a group with h hits and
    # m items raises h^2 by 2h + 1, m^2 by 2m + 1, and h * m by h, or by h + m + 1 if it is a hit.
    hits_before = _before(hot, owner)
    squares = summed(hot * (2 * hits_before + 1))
    if goal.by_precision:
        items_before = _before(np.ones(len(hot)), owner)
        sums = GroupSums(
            n_groups=summed((items_before == 0).astype(np.float64)),
            right=summed(hot),
            items=summed(np.ones(len(hot))),
            right_right=squares,
            right_items=summed(hits_before + hot * (items_before + 1)),
            items_items=summed(2 * items_before + 1),
        )
    else:
        # of recall the items are all positives, whatever the threshold: m does not run along
        positives = np.bincount(owner, weights=hot)[owner]
        right = summed(hot)
        whole = np.ones_like(right)
        sums = GroupSums(
            n_groups=summed(hot * (hits_before == 0))[:, -1:] * whole,
            right=right,
            items=right[:, -1:] * whole,
            right_right=squares,
            right_items=summed(hot * positives),
            items_items=summed(hot * positives)[:, -1:] * whole,
        )
    return RankedItems(score=scores[order[ends]], sums=sums)


def _before(values: Floats, group: Rows) -> Floats:
    """Sum of the values of earlier items of the same group, for each item."""
    # sorted by group, a group's own sums are the running ones less those at its first item
    order = np.argsort(group, kind="stable")
    sums = np.cumsum(values[order]) - values[order]
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    sums -= np.repeat(sums[first], np.diff([*first, len(order)]))
    back = np.empty_like(sums)
    back[order] = sums
    return back


def chosen_steps(items: RankedItems, goal: Goal) -> Rows:
    """Which step each draw takes ``(draws,)``, -1 where none reaches the target."""
    reached = _shown(items, goal) if goal.confidence else _reached(items, goal)
    if goal.by_precision:
        # a lower threshold that finds no more only lets wrong ones in
        good = reached & (np.diff(items.sums.right, axis=1, prepend=0.0) > 0)
        last = good.shape[1] - 1 - good[:, ::-1].argmax(axis=1)
        return np.where(good.any(axis=1), last, -1)
    good = reached & (items.sums.items > 0)
    return np.where(good.any(axis=1), good.argmax(axis=1), -1)


def _reached(items: RankedItems, goal: Goal) -> Flags:
    enough = items.sums.right >= (MIN_FOUND if goal.by_precision else 0)
    return enough & (items.share >= goal.target - ROUNDING)


def _shown(items: RankedItems, goal: Goal) -> Flags:
    """Which steps the walk passes before the first that it fails."""
    if goal.target >= 1:
        return np.zeros_like(items.share, bool)  # no number of items shows that all are right
    least = least_shares(items.sums.n_effective(), goal.target, goal.confidence)
    passed = items.share >= least - ROUNDING
    if not goal.by_precision:
        from_below = ~np.logical_or.accumulate(~passed[:, ::-1], axis=1)
        return from_below[:, ::-1]
    # too few items to show the target at all come first: the walk begins after them
    begun = np.logical_or.accumulate(np.isfinite(least), axis=1)
    failed = np.logical_or.accumulate(begun & ~passed, axis=1)
    return begun & ~failed
