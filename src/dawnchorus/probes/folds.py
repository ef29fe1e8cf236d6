"""Groups and folds, for whatever is fitted on some items and judged on others.

scikit-learn's StratifiedGroupKFold does the same for one label an item. Ours balances items of
several labels too, and needs no extra.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]


def number_groups(groups: NDArray[np.generic] | None, n_items: int) -> Integers:
    """Each item's group as a number from 0; without groups every item is its own.

    Raises:
        TaskError: There are not as many groups as items.
    """
    if groups is None:
        return np.arange(n_items, dtype=np.int64)
    if len(groups) != n_items:
        raise TaskError(f"{len(groups)} groups for {n_items} items; need one for each")
    _, numbers = np.unique(np.asarray(groups), return_inverse=True)
    return numbers.astype(np.int64)


def grouped_folds(
    truth: NDArray[np.generic],
    groups: NDArray[np.generic] | None = None,
    *,
    n_folds: int = 5,
    seed: int = 0,
) -> Integers:
    """The fold of each item ``(items,)``; a group is in one fold, classes are spread evenly.

    Groups are dealt out from the one with the rarest class on, each to the fold that has the least
    of its classes; equal ones in an order drawn from the seed.

    Args:
        truth: ``(items, classes)`` of 0 and 1.
        groups: ``(items,)``; None: every item alone.
        n_folds: fewer are made where there are fewer groups.
        seed: of the order.

    Returns:
        Numbers from 0 without a gap.

    Raises:
        TaskError: All items are of one group, so none can be held out.
    """
    group = number_groups(groups, len(truth))
    n_groups = int(group.max(initial=-1)) + 1
    if n_groups < 2:
        raise TaskError(
            f"cross-validation: {len(truth)} items of {n_groups} group; need 2 groups or more, so "
            "that some can be held out"
        )
    return _dealt(np.asarray(truth, np.float64), group, min(n_folds, n_groups), seed)[group]


def _dealt(truth: NDArray[np.float64], group: Integers, n_folds: int, seed: int) -> Integers:
    """The fold of each group ``(groups,)``."""
    counts = _group_counts(truth, group)  # (groups, classes)
    sizes = np.bincount(group)
    rarity = 1.0 / np.maximum((counts > 0).sum(axis=0), 1)  # (classes,), 1: in one group alone
    rarest = np.where(counts > 0, rarity, 0.0).max(axis=1, initial=0.0)
    shuffled = np.random.default_rng(seed).permutation(len(counts))
    in_fold, filled = np.zeros((n_folds, truth.shape[1])), np.zeros(n_folds)
    fold_of = np.zeros(len(counts), np.int64)
    for number in shuffled[np.argsort(-rarest[shuffled], kind="stable")]:
        crowded = (in_fold * rarity) @ (counts[number] > 0)
        # rounded, so that sums in another order do not decide between equal folds
        fold = min(range(n_folds), key=lambda k: (round(float(crowded[k]), 9), filled[k], k))
        fold_of[number] = fold
        in_fold[fold] += counts[number]
        filled[fold] += sizes[number]
    return np.unique(fold_of, return_inverse=True)[1]


def _group_counts(truth: NDArray[np.float64], group: Integers) -> NDArray[np.float64]:
    """How many items of each class a group has ``(groups, classes)``."""
    counts = np.zeros((int(group.max(initial=-1)) + 1, truth.shape[1]))
    np.add.at(counts, group, truth)
    return counts


def split_lone_groups(
    truth: NDArray[np.generic], groups: NDArray[Any]
) -> tuple[Integers, tuple[str, ...]]:
    """Make every item of a group a group of its own where some class is in no other group.

    Held out whole, such a group would take its class out of the training items, and every setting
    would score alike. Split, its class can be scored, though the score flatters.

    Args:
        truth: ``(items, classes)`` of 0 and 1.
        groups: ``(items,)``.

    Returns:
        A number for the group of each item, and the names of the groups that were split.
    """
    names, owner = np.unique(groups, return_inverse=True)
    counts = _group_counts(np.asarray(truth, np.float64), owner)
    in_one_group = (counts > 0).sum(axis=0) == 1  # (classes,)
    is_lone = counts[:, in_one_group].max(axis=1, initial=0) > 0
    alone = len(names) + np.arange(len(owner))
    return np.where(is_lone[owner], alone, owner), tuple(str(name) for name in names[is_lone])
