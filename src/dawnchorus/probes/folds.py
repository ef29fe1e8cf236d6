"""Numbers of groups and of folds, for whatever is fitted on some items and judged on others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.errors import TaskError
from dawnchorus.probes.choose import folds

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
    """The fold of each item ``(items,)`` as a number from 0; see `dawnchorus.probes.choose.folds`.

    Raises:
        TaskError: All items are of one group, so none can be held out.
    """
    group = number_groups(groups, len(truth))
    n_groups = len(np.unique(group))
    if n_groups < 2:
        raise TaskError(
            f"cross-validation: {len(truth)} items of {n_groups} group; need 2 groups or more, so "
            "that some can be held out"
        )
    fold_of = np.zeros(len(truth), np.int64)
    for number, items in enumerate(folds(truth, group, n_folds, seed)):
        fold_of[items] = number
    return fold_of
