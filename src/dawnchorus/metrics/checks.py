"""What every metric asks of its arrays before it counts anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]


def same_length(a: NDArray[Any], b: NDArray[Any]) -> None:
    """Refuse two sides of unequal length, and no items at all."""
    if len(a) != len(b) or not len(a):
        raise TaskError(
            f"scores need as many items on both sides and at least one: {len(a)}, {len(b)}"
        )


def finite(values: NDArray[Any], what: str) -> None:
    """Refuse nan and infinity, which would sort somewhere and pass for a score."""
    if np.issubdtype(values.dtype, np.inexact) and not np.isfinite(values).all():
        n_wrong = int((~np.isfinite(values)).sum())
        raise TaskError(f"{what}: {n_wrong} of {values.size} values are not finite")


def flags(truth: NDArray[Any], what: str = "truth") -> Flags:
    """Truth as booleans; anything but 0 and 1 is refused."""
    array = np.asarray(truth)
    if array.dtype == bool:
        return array
    if not np.isin(array, (0, 1)).all():
        raise TaskError(f"{what}: values other than 0 and 1; give one column a class, 0 or 1")
    return array.astype(bool)


def truth_and_scores(
    truth: NDArray[Any], scores: NDArray[Any], n_axes: int
) -> tuple[Flags, NDArray[Any]]:
    """Both sides of a ranking, of one shape, with so many axes."""
    truth, scores = np.asarray(truth), np.asarray(scores)
    if truth.shape != scores.shape or truth.ndim != n_axes:
        raise TaskError(
            f"truth {truth.shape} and scores {scores.shape} need one shape with {n_axes} axes"
        )
    same_length(truth, scores)
    finite(scores, "scores")
    return flags(truth), scores


def class_of_each(values: NDArray[Any], what: str) -> NDArray[Any]:
    """One class an item, as names or numbers."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise TaskError(f"{what}: one class an item is needed, found an array of {array.shape}")
    finite(array, what)
    return array


def only_class(truth: NDArray[Any]) -> NDArray[np.intp]:
    """Column of the one label that every item of a truth matrix has."""
    held = flags(truth)
    if held.ndim != 2 or not len(held):
        raise TaskError(f"truth: need a matrix of items by classes, found {held.shape}")
    n_labels = held.sum(axis=1)
    if (n_labels != 1).any():
        raise TaskError(
            f"truth: {int((n_labels != 1).sum())} items have not exactly one label; "
            "this score is for single-label tasks"
        )
    column: NDArray[np.intp] = held.argmax(axis=1)
    return column
