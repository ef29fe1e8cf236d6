"""Scores of classification, retrieval and clustering, on plain arrays.

Every one is held against scikit-learn in the tests. What is undefined is an error, never a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Integers = NDArray[np.integer]
    Flags = NDArray[np.bool_]


def accuracy(truth: Integers, guess: Integers) -> float:
    """Share of items ``(n,)`` whose guessed class is the true one."""
    _same_length(truth, guess)
    return float(np.mean(truth == guess))


def macro_recall(truth: Integers, guess: Integers) -> float:
    """Mean over the classes present in ``truth`` of the share that is found (balanced accuracy)."""
    _same_length(truth, guess)
    return float(np.mean([np.mean(guess[truth == k] == k) for k in np.unique(truth)]))


def average_precision(truth: Flags, scores: Floats) -> float:
    """Area under the precision-recall steps; items of equal score count as one step.

    Args:
        truth: ``(n,)``, which items are positive.
        scores: ``(n,)``, higher is more positive.

    Raises:
        TaskError: There is no positive item, so precision has no meaning.
    """
    truth = _flags(truth, scores)
    if not truth.any():
        raise TaskError("average precision: no item is positive")
    hits, ranked = _steps(truth, scores)
    recall = hits / truth.sum()
    return float(np.sum(np.diff(recall, prepend=0.0) * hits / ranked))


def mean_average_precision(truth: NDArray[np.generic], scores: Floats) -> float:
    """Mean of `average_precision` over the classes that have a positive item (macro).

    Args:
        truth: ``(items, classes)`` of 0 and 1.
        scores: ``(items, classes)``.

    Raises:
        TaskError: No class has a positive item.
    """
    _same_length(truth, scores)
    positive = np.asarray(truth) > 0
    classes = np.flatnonzero(positive.any(axis=0))
    if not len(classes):
        raise TaskError("mean average precision: no class has a positive item")
    return float(np.mean([average_precision(positive[:, k], scores[:, k]) for k in classes]))


def roc_auc(truth: Flags, scores: Floats) -> float:
    """Probability that a positive item scores higher than a negative one; ties count half.

    Raises:
        TaskError: All items are positive, or none is.
    """
    truth = _flags(truth, scores)
    n_positive, n_negative = int(truth.sum()), int((~truth).sum())
    if not n_positive or not n_negative:
        raise TaskError(
            f"ROC AUC: {n_positive} positive and {n_negative} negative items; need both"
        )
    ranks = _ranks(scores)
    below = ranks[truth].sum() - n_positive * (n_positive + 1) / 2
    return float(below / (n_positive * n_negative))


def retrieval_roc_auc(vectors: Floats, labels: NDArray[np.generic]) -> float:
    """How well an item's cosine neighbours share its label.

    Each item is a query against all others; relevant are those that share a label. Queries without
    both a relevant and an irrelevant item are left out.

    Args:
        vectors: ``(items, dim)``.
        labels: ``(items, classes)`` of 0 and 1.

    Returns:
        ROC AUC, averaged over queries.

    Raises:
        TaskError: No query can be scored, or a vector is zero.
    """
    _same_length(vectors, labels)
    unit = np.asarray(vectors, np.float64)
    norm = np.linalg.norm(unit, axis=1, keepdims=True)
    if not (norm > 0).all():
        raise TaskError(
            f"retrieval: {int((norm == 0).sum())} vectors are zero and have no direction"
        )
    unit = unit / norm
    hot = np.asarray(labels, np.float64)
    near, relevant = unit @ unit.T, (hot @ hot.T) > 0
    others = ~np.eye(len(unit), dtype=bool)
    scores = []
    for query in range(len(unit)):
        wanted, found = relevant[query, others[query]], near[query, others[query]]
        if wanted.any() and not wanted.all():
            scores.append(roc_auc(wanted, found))
    if not scores:
        raise TaskError("retrieval: no item has both a relevant and an irrelevant other item")
    return float(np.mean(scores))


def normalised_mutual_information(truth: Integers, clusters: Integers) -> float:
    """Mutual information of two partitions over the mean of their entropies; 1 for equal ones.

    Not corrected for chance: with few items a class a random partition scores well above 0.
    """
    _same_length(truth, clusters)
    table = _contingency(truth, clusters) / len(truth)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    mean_entropy = (_entropy(rows) + _entropy(columns)) / 2
    if mean_entropy == 0:
        return 1.0  # one class and one cluster: the same partition
    expected = np.outer(rows, columns)
    held = table > 0
    information = float(np.sum(table[held] * np.log(table[held] / expected[held])))
    return information / mean_entropy


def _contingency(a: Integers, b: Integers) -> NDArray[np.float64]:
    _, rows = np.unique(a, return_inverse=True)
    _, columns = np.unique(b, return_inverse=True)
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(table, (rows, columns), 1)
    return table


def _entropy(shares: NDArray[np.float64]) -> float:
    held = shares[shares > 0]
    return float(-np.sum(held * np.log(held)))


def _steps(truth: Flags, scores: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positives found and items ranked at each distinct score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    hits = np.cumsum(truth[order])[last_of_tie]
    return hits.astype(np.float64), (last_of_tie + 1).astype(np.float64)


def _ranks(scores: Floats) -> NDArray[np.float64]:
    """Ranks from 1, ties sharing their mean."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return mean


def _flags(truth: NDArray[np.generic], scores: Floats) -> Flags:
    _same_length(truth, scores)
    if not np.isfinite(scores).all():
        raise TaskError("scores: some are not finite")
    return np.asarray(truth) > 0


def _same_length(a: NDArray[np.generic], b: NDArray[np.generic]) -> None:
    if len(a) != len(b) or not len(a):
        raise TaskError(
            f"scores need as many items on both sides and at least one: {len(a)}, {len(b)}"
        )
