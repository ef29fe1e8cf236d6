"""Retrieval: do the items nearest to an item share its label?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dawnchorus.errors import TaskError, UsageError
from dawnchorus.metrics.checks import finite, flags, same_length

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dawnchorus.metrics import ranks

    Vectors = NDArray[np.floating[Any]]
    Labels = NDArray[Any]
    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Retrieval:
    """Scores of every query; nan for a query without both a relevant and an irrelevant item.

    Attributes:
        roc_auc_of: ``(queries,)`` chance that a relevant item is nearer than an irrelevant one.
        precision_at_1_of: ``(queries,)`` whether the nearest item is relevant; where several are
            equally near, the share of them that is.
        labels: ``(queries, classes)``.
    """

    roc_auc_of: Floats
    precision_at_1_of: Floats
    labels: NDArray[np.bool_]

    @property
    def n_queries(self) -> int:
        """Queries that have a score."""
        return len(self.roc_auc_of) - self.n_skipped

    @property
    def n_skipped(self) -> int:
        """Queries that have none."""
        return int(np.isnan(self.roc_auc_of).sum())

    @property
    def roc_auc(self) -> float:
        """Mean over queries, so that frequent classes weigh most.

        Raises:
            TaskError: No query has a score.
        """
        return self.statistic("roc_auc")(np.arange(len(self.roc_auc_of)))

    @property
    def class_balanced_roc_auc(self) -> float:
        """Mean over classes of the mean over the queries that have the class.

        Raises:
            TaskError: No query has a score.
        """
        return self.statistic("class_balanced_roc_auc")(np.arange(len(self.roc_auc_of)))

    @property
    def precision_at_1(self) -> float:
        """Mean over queries.

        Raises:
            TaskError: No query has a score.
        """
        return self.statistic("precision_at_1")(np.arange(len(self.roc_auc_of)))

    def statistic(self, measure: str) -> Callable[[NDArray[np.intp]], float]:
        """A measure as a function of the queries that are looked at, for `bootstrap`.

        The gallery stays as it is: the interval is over queries.
        """
        if measure == "class_balanced_roc_auc":
            return lambda items: _balanced(self.roc_auc_of[items], self.labels[items])
        values = {"roc_auc": self.roc_auc_of, "precision_at_1": self.precision_at_1_of}
        if measure not in values:
            raise UsageError(f"retrieval has no measure {measure!r}")
        return lambda items: _mean(values[measure][items])


def retrieval(
    vectors: Vectors,
    labels: Labels,
    *,
    gallery: Vectors | None = None,
    gallery_labels: Labels | None = None,
    groups: NDArray[Any] | None = None,
    gallery_groups: NDArray[Any] | None = None,
    device: str = "cpu",
) -> Retrieval:
    """Rank a gallery by cosine for every item, and ask where the items of its labels are.

    Relevant is what shares at least one label. An item without labels is no query and relevant to
    none, but stays in the gallery. Cosines are computed in the vectors' precision (float32, else
    float64); those within 2e-9 of each other are ties, which count half, and so are those of equal
    vectors.

    Args:
        vectors: ``(queries, dim)``.
        labels: ``(queries, classes)`` of 0 and 1.
        gallery: ``(items, dim)``; None: the queries themselves, each without itself.
        gallery_labels: ``(items, classes)``.
        groups: ``(queries,)``, such as the recording. Items of a query's own group are taken out of
            its gallery, relevant or not: windows that overlap would find each other.
        gallery_groups: ``(items,)``, with ``gallery``.
        device: where to compute, such as ``cuda``.

    Raises:
        TaskError: A vector is zero or not finite, or shapes do not fit.
        UsageError: A part of the gallery is missing.
        DeviceError: There is no such device.
    """
    from dawnchorus.metrics import ranks  # noqa: PLC0415  brings torch, slow to import

    _check_pairs(gallery, gallery_labels, groups, gallery_groups)
    hot = _labels(labels, vectors, "labels")
    if gallery is None or gallery_labels is None:
        gallery, theirs = vectors, hot
        groups = np.arange(len(hot)) if groups is None else np.asarray(groups)
        gallery_groups = groups  # by itself at least, so that no query finds itself
    else:
        theirs = _labels(gallery_labels, gallery, "gallery_labels")
    _check_fit(vectors, gallery, hot, theirs)
    counts = ranks.counts(
        ranks.Side(_unit(vectors, "vectors"), hot, _groups(groups, vectors)),
        ranks.Side(_unit(gallery, "gallery"), theirs, _groups(gallery_groups, gallery)),
        device,
    )
    return Retrieval(*_scores(counts), hot)


def retrieval_roc_auc(vectors: Vectors, labels: Labels) -> float:
    """`retrieval` among the items themselves: ROC AUC, averaged over queries.

    Raises:
        TaskError: No query can be scored, or a vector is zero.
    """
    return retrieval(vectors, labels).roc_auc


def _scores(counts: ranks.Counts) -> tuple[Floats, Floats]:
    """ROC AUC and precision at 1 of each query, nan where it has one kind of item only."""
    n_pairs = counts.n_relevant * counts.n_irrelevant
    held = n_pairs > 0
    auc, first = np.full(len(held), np.nan), np.full(len(held), np.nan)
    auc[held] = counts.doubled_wins[held] / (2 * n_pairs[held])
    first[held] = counts.n_nearest_relevant[held] / counts.n_nearest[held]
    return auc, first


def _mean(values: Floats) -> float:
    held = values[~np.isnan(values)]
    if not len(held):
        raise TaskError("retrieval: no item has both a relevant and an irrelevant other item")
    return float(np.mean(held))


def _balanced(values: Floats, labels: NDArray[np.bool_]) -> float:
    held = ~np.isnan(values)
    _mean(values)
    n_of = labels[held].sum(axis=0)
    total = values[held] @ labels[held]
    return float(np.mean(total[n_of > 0] / n_of[n_of > 0]))


def _check_pairs(
    gallery: Vectors | None,
    gallery_labels: Labels | None,
    groups: NDArray[Any] | None,
    gallery_groups: NDArray[Any] | None,
) -> None:
    if (gallery is None) != (gallery_labels is None):
        raise UsageError("retrieval: gallery and gallery_labels go together")
    wanted = gallery is not None and groups is not None
    if wanted != (gallery_groups is not None):
        raise UsageError("retrieval: gallery_groups go with a gallery and groups")


def _check_fit(vectors: Vectors, gallery: Vectors, mine: Labels, theirs: Labels) -> None:
    if vectors.shape[1:] != gallery.shape[1:] or mine.shape[1] != theirs.shape[1]:
        raise TaskError(
            f"retrieval: vectors {vectors.shape} with labels {mine.shape} do not fit a gallery "
            f"{gallery.shape} with labels {theirs.shape}"
        )


def _labels(labels: Labels, vectors: Vectors, what: str) -> NDArray[np.bool_]:
    same_length(vectors, labels)
    hot = flags(labels, what)
    if hot.ndim != 2:
        raise TaskError(f"{what}: need a matrix of items by classes, found {hot.shape}")
    return hot


def _groups(groups: NDArray[Any] | None, vectors: Vectors) -> NDArray[Any] | None:
    if groups is None:
        return None
    array = np.asarray(groups)
    if array.shape != (len(vectors),):
        raise TaskError(f"retrieval: groups {array.shape} for {len(vectors)} items")
    return array


def _unit(vectors: Vectors, what: str) -> Vectors:
    """Vectors of length 1, float32 or float64."""
    array = np.asarray(vectors)
    if array.ndim != 2:
        raise TaskError(f"retrieval: {what} need two axes, found {array.shape}")
    finite(array, f"retrieval: {what}")
    length = np.sqrt(np.einsum("ij,ij->i", array, array, dtype=np.float64))
    if not (length > 0).all():
        raise TaskError(
            f"retrieval: {int((length == 0).sum())} vectors are zero and have no direction"
        )
    precision = np.result_type(array, np.float32)
    unit: Vectors = (array / length[:, None]).astype(precision)
    return unit
