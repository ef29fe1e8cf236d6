"""Do an encoder's vectors fall apart into the classes by themselves? k-means with the true k."""

from __future__ import annotations

from collections.abc import Callable, Sequence  # noqa: TC003  a table of functions needs it
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.errors import DependencyError, TaskError, UsageError
from dawnchorus.metrics.checks import class_of_each, finite, same_length
from dawnchorus.metrics.classes import (
    contingency,
    entropy,
    mutual_information_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TINY: Final = 1e-12  # nats; under it a difference of entropies is rounding


@dataclass(frozen=True, slots=True, eq=False)
class Clustering:
    """Scores of one k-means a seed, in the order of the seeds.

    Attributes:
        nmi: ``(seeds,)`` normalised mutual information; rises with k even by chance.
        ami: ``(seeds,)`` the same corrected for chance: about 0 for a random partition.
        ari: ``(seeds,)`` adjusted Rand index, pairs of items put together or apart alike.
        classes: ``(items,)`` number of each item's class.
        clusters: ``(seeds, items)`` number of its cluster.
    """

    nmi: Floats
    ami: Floats
    ari: Floats
    classes: NDArray[np.intp]
    clusters: NDArray[np.intp]

    def statistic(self, measure: str) -> Callable[[NDArray[np.intp]], float]:
        """A measure, as the mean over seeds, of the items that are looked at, for `jackknife`.

        The clusters stay as they were found.

        Returns:
            From indices of items to the score; it raises `TaskError` where they are of one class.

        Raises:
            UsageError: There is no such measure.
        """
        if measure not in _OF_TABLE:
            raise UsageError(f"clustering has no measure {measure!r}")
        n_clusters = int(self.clusters.max()) + 1
        n_classes = int(self.classes.max()) + 1
        codes = self.classes * n_clusters + self.clusters

        def of(items: NDArray[np.intp]) -> float:
            if len(np.unique(self.classes[items])) < 2:
                raise TaskError("clustering: needs 2 classes, these items are of one")
            tables = (np.bincount(c[items], minlength=n_classes * n_clusters) for c in codes)
            scores = [_OF_TABLE[measure](t.reshape(n_classes, n_clusters)) for t in tables]
            return float(np.mean(scores))

        return of


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
    _, numbers = np.unique(truth, return_inverse=True)
    tables = [contingency(truth, run) for run in runs]
    return Clustering(
        **{name: np.array([of(table) for table in tables]) for name, of in _OF_TABLE.items()},
        classes=numbers.astype(np.intp),
        clusters=np.array(runs, np.intp),
    )


def _ami(table: NDArray[Any]) -> float:
    """Mutual information of a contingency table of counts, adjusted for chance; 1 for equal ones.

    Chance is that of all partitions into parts of these sizes. Source: Vinh et al. 2010. (Only the
    expectation is scikit-learn's: its whole score looks at the items again, which is four times
    slower, and an interval asks for hundreds.)
    """
    from sklearn.metrics.cluster import expected_mutual_information  # noqa: PLC0415  an extra

    table = table[table.any(axis=1)][:, table.any(axis=0)]
    expected = float(expected_mutual_information(table, int(table.sum())))
    shares = table / table.sum()
    rows, columns = entropy(shares.sum(axis=1)), entropy(shares.sum(axis=0))
    found, highest = rows + columns - entropy(shares), (rows + columns) / 2
    # equal partitions; or both are one cluster, or every item alone: nothing to adjust for
    return 1.0 if highest - expected < TINY else (found - expected) / (highest - expected)


def _ari(table: NDArray[Any]) -> float:
    """Adjusted Rand index of a contingency table of counts; 1 for equal partitions."""
    counts = table.astype(np.float64)
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    together = np.sum(counts * (counts - 1))
    of_rows, of_columns = np.sum(rows * (rows - 1)), np.sum(columns * (columns - 1))
    n = counts.sum()
    expected = of_rows * of_columns / max(n * (n - 1), 1)
    highest = (of_rows + of_columns) / 2
    # both partitions are one cluster, or every item alone: nothing to adjust for
    return 1.0 if highest == expected else float((together - expected) / (highest - expected))


_OF_TABLE: Final[dict[str, Callable[[NDArray[Any]], float]]] = {
    "nmi": mutual_information_of,
    "ami": _ami,
    "ari": _ari,
}


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
