"""Do an encoder's vectors fall apart into the classes by themselves? k-means with the true k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dawnchorus.errors import DependencyError, TaskError
from dawnchorus.metrics.checks import class_of_each, finite, same_length
from dawnchorus.metrics.classes import normalised_mutual_information

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Clustering:
    """Scores of one k-means a seed, in the order of the seeds.

    Attributes:
        nmi: ``(seeds,)`` normalised mutual information; rises with k even by chance.
        ami: ``(seeds,)`` the same corrected for chance: about 0 for a random partition.
        ari: ``(seeds,)`` adjusted Rand index, pairs of items put together or apart alike.
    """

    nmi: Floats
    ami: Floats
    ari: Floats


def clustering(
    vectors: NDArray[np.floating[Any]],
    classes: NDArray[Any],
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    unit_length: bool = False,
    n_init: int = 1,
) -> Clustering:
    """Cluster vectors into as many clusters as there are classes, and compare.

    The published table has ``seeds=(42,), n_init=10`` on vectors as they are, and reports NMI.

    Args:
        vectors: ``(items, dim)``.
        classes: ``(items,)`` names or numbers. An item of several labels has no place here: leave
            it out first.
        seeds: one run each.
        unit_length: divide each vector by its length first, so that only directions count.
        n_init: starts a run, of which the tightest is kept.

    Raises:
        TaskError: Fewer than two classes, a class number below 0, fewer distinct vectors than
            classes, a vector that is not finite, or a zero vector that has no direction.
        DependencyError: scikit-learn is not installed.
    """
    try:
        from sklearn import metrics as sklearn  # noqa: PLC0415  an extra
        from sklearn.cluster import KMeans  # noqa: PLC0415  an extra
    except ImportError as error:
        raise DependencyError("scikit-learn", "probe", "clustering") from error
    truth = class_of_each(classes, "classes")
    points = _points(vectors, truth, unit_length=unit_length)
    k = len(np.unique(truth))
    runs = [
        KMeans(k, n_init=n_init, max_iter=300, random_state=seed).fit_predict(points)
        for seed in seeds
    ]
    return Clustering(
        nmi=np.array([normalised_mutual_information(truth, run) for run in runs]),
        ami=np.array([sklearn.adjusted_mutual_info_score(truth, run) for run in runs]),
        ari=np.array([sklearn.adjusted_rand_score(truth, run) for run in runs]),
    )


def _points(
    vectors: NDArray[np.floating[Any]], truth: NDArray[Any], *, unit_length: bool
) -> NDArray[np.floating[Any]]:
    points = np.asarray(vectors)
    same_length(points, truth)
    finite(points, "vectors")
    if truth.dtype.kind == "i" and truth.min() < 0:
        raise TaskError("clustering: class numbers below 0; leave unlabelled items out first")
    if unit_length:
        length = np.linalg.norm(points, axis=1, keepdims=True)
        if not (length > 0).all():
            raise TaskError(f"clustering: {int((length == 0).sum())} vectors are zero")
        points = points / length
    n_classes, n_distinct = len(np.unique(truth)), len(np.unique(points, axis=0))
    if n_classes < 2:
        raise TaskError(f"clustering: needs 2 classes, found {n_classes}")
    if n_distinct < n_classes:
        raise TaskError(f"clustering: {n_distinct} distinct vectors for {n_classes} clusters")
    return points
