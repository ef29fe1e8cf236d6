"""Scores of one guess an item: how often it is right, and how like two partitions are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dawnchorus.errors import TaskError
from dawnchorus.metrics.checks import class_of_each, only_class, same_length, truth_and_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Classes = NDArray[Any]


def accuracy(truth: Classes, guess: Classes) -> float:
    """Share of items ``(n,)`` whose guessed class is the true one."""
    truth, guess = _two(truth, guess)
    return float(np.mean(truth == guess))


def macro_recall(truth: Classes, guess: Classes) -> float:
    """Mean over the classes present in ``truth`` of the share that is found (balanced accuracy)."""
    truth, guess = _two(truth, guess)
    _, code = np.unique(truth, return_inverse=True)
    found = np.bincount(code, weights=truth == guess)
    return float(np.mean(found / np.bincount(code)))


def top_k_accuracy(truth: NDArray[Any], scores: NDArray[Any], k: int) -> float:
    """Share of items whose class is among the ``k`` that score highest.

    Where the true class ties with others over the last places, it counts as its chance of a place.

    Args:
        truth: ``(items,)`` column of the true class, or ``(items, classes)`` with a single 1 each.
        scores: ``(items, classes)``.
        k: places, fewer than there are classes.

    Raises:
        TaskError: There are not more classes than places: any guess would be right.
    """
    scores = np.asarray(scores)
    own = only_class(truth) if np.ndim(truth) == 2 else class_of_each(truth, "truth")
    same_length(own, scores)
    n_classes = scores.shape[1]
    if not 0 < k < n_classes:
        raise TaskError(f"top-{k} accuracy: needs 1 to {n_classes - 1} places of {n_classes}")
    if own.dtype.kind not in "iu" or own.min() < 0 or own.max() >= n_classes:
        raise TaskError(f"truth: classes are column numbers from 0 to {n_classes - 1}")
    hot = own[:, None] == np.arange(n_classes)
    held, scores = truth_and_scores(hot, scores, 2)
    return float(np.mean(_chance_of_a_place(scores, scores[held][:, None], k)))


def t1_accuracy(truth: NDArray[Any], scores: NDArray[Any]) -> float:
    """Share of labelled windows whose top class is one of their labels; empty ones do not count.

    Classes that tie for the top share the hit. Source: BirdSet, T1-Acc.

    Args:
        truth: ``(items, classes)`` of 0 and 1.
        scores: ``(items, classes)``.

    Raises:
        TaskError: No window has a label.
    """
    held, scores = truth_and_scores(truth, scores, 2)
    labelled = held.any(axis=1)
    if not labelled.any():
        raise TaskError("T1 accuracy: no window has a label")
    top = scores[labelled] == scores[labelled].max(axis=1, keepdims=True)
    return float(np.mean((top & held[labelled]).sum(axis=1) / top.sum(axis=1)))


def normalised_mutual_information(truth: Classes, clusters: Classes) -> float:
    """Mutual information of two partitions over the mean of their entropies; 1 for equal ones.

    Not corrected for chance: with few items a class a random partition scores well above 0.
    """
    return mutual_information_of(contingency(*_two(truth, clusters)))


def mutual_information_of(table: NDArray[Any]) -> float:
    """`normalised_mutual_information` of a contingency table of counts."""
    table = table / table.sum()
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    mean_entropy = (entropy(rows) + entropy(columns)) / 2
    if mean_entropy == 0:
        return 1.0  # one class and one cluster: the same partition
    expected = np.outer(rows, columns)
    held = table > 0
    information = float(np.sum(table[held] * np.log(table[held] / expected[held])))
    return information / mean_entropy


def _chance_of_a_place(scores: NDArray[Any], own: NDArray[Any], k: int) -> NDArray[np.float64]:
    above, tied = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    chance: NDArray[np.float64] = np.clip((k - above) / tied, 0, 1)
    return chance


def contingency(a: Classes, b: Classes) -> NDArray[np.float64]:
    """How many items each class, in rows, has in each cluster, in columns."""
    _, rows = np.unique(a, return_inverse=True)
    _, columns = np.unique(b, return_inverse=True)
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(table, (rows, columns), 1)
    return table


def entropy(shares: NDArray[np.float64]) -> float:
    """In nats, of shares that add up to 1, in any shape."""
    held = shares[shares > 0]
    return float(-np.sum(held * np.log(held)))


def _two(truth: Classes, guess: Classes) -> tuple[Classes, Classes]:
    truth, guess = class_of_each(truth, "truth"), class_of_each(guess, "guess")
    same_length(truth, guess)
    return truth, guess
