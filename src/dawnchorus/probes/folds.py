"""Folds for cross-validation: groups stay whole, and each class is spread over the folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    """The fold of each item.

    Groups are dealt out one at a time, those of the rarest class first, each to the fold that has
    fewest items of its rarest class, then fewest items.

    Args:
        truth: ``(items, classes)`` of 0 and 1.
        groups: ``(items,)``, None: every item is its own.
        n_folds: at most; with fewer groups there are as many folds as groups.
        seed: of the order of groups that are alike.

    Returns:
        ``(items,)``, from 0.

    Raises:
        TaskError: All items are of one group, so none can be held out.
    """
    hot = np.asarray(truth) > 0
    group = number_groups(groups, len(hot))
    n_groups = int(group.max()) + 1 if len(group) else 0
    n_folds = min(n_folds, n_groups)
    if n_folds < 2:
        raise TaskError(
            f"cross-validation: {len(hot)} items of {n_groups} group; need 2 groups or more, so "
            "that some can be held out"
        )
    of_class = np.zeros((n_groups, hot.shape[1]), np.int64)
    np.add.at(of_class, group, hot)
    of_group = np.bincount(group, minlength=n_groups)
    rarity = of_class.sum(axis=0)
    rarest = _rarest(of_class, rarity)
    order = np.random.default_rng(seed).permutation(n_groups)
    # the rarest class first, and of one class its largest groups first
    size = of_class[order, rarest[order]]
    order = order[np.lexsort((-size, rarest[order], rarity[rarest[order]]))]
    fold = np.zeros(n_groups, np.int64)
    held, items = np.zeros((n_folds, hot.shape[1])), np.zeros(n_folds)
    for number in order:
        load = held[:, rarest[number]] if of_class[number].any() else items
        fold[number] = np.lexsort((items, load))[0]
        held[fold[number]] += of_class[number]
        items[fold[number]] += of_group[number]
    return fold[group]


def _rarest(of_class: Integers, rarity: Integers) -> Integers:
    """The rarest class of each group; the first one for a group without any."""
    held = np.where(of_class > 0, rarity, rarity.max(initial=0) + 1)
    first: Integers = held.argmin(axis=1)
    return first
