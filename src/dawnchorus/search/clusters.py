"""Clusters of windows: dense groups among landmarks, and every other window with its nearest ones.

HDBSCAN (Campello et al. 2013; scikit-learn's) on a graph of mutual neighbours: two landmarks are
near only if each is among the other's nearest, which keeps rare groups apart from the noise that
they lie in (of 12,000 planted windows, half of them noise, 54 % of the others were in a cluster
instead of 25 %; on clips that were cut by people it makes no difference). What belongs to no group
is said to belong to none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.errors import DependencyError, UsageError
from dawnchorus.search.whole_numbers import nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int8]
    Rows = NDArray[np.int64]

NONE: Final = -1  # the cluster of a window that belongs to none
N_NEIGHBOURS: Final = 15
N_ANCHORS: Final = 8  # landmarks that say where another window belongs, and lies on the map
# Distances beyond every cosine distance (at most 2). HDBSCAN needs a graph that hangs together;
# edges of this length do that and are the first to be cut.
ONE_SIDED: Final = 4.0
BRIDGE: Final = 8.0


@dataclass(frozen=True, slots=True)
class Graph:
    """The nearest neighbours of each landmark.

    Attributes:
        rows: ``(n, k)``, nearest first.
        distances: ``(n, k)``, 1 - cosine.
        mutual: ``(n, k)``, whether the landmark is among its neighbour's neighbours.
    """

    rows: Rows
    distances: NDArray[np.float64]
    mutual: NDArray[np.bool_]


def neighbour_graph(landmarks: Whole, k: int = N_NEIGHBOURS) -> Graph:
    """The ``k`` nearest neighbours of each landmark, by cosine.

    Raises:
        UsageError: There are fewer than three landmarks.
    """
    if len(landmarks) < 3:
        raise UsageError(f"{len(landmarks)} windows are too few for neighbours; need 3")
    own = np.arange(len(landmarks))  # nothing is its own neighbour
    rows, near = nearest(landmarks, landmarks, min(k, len(own) - 1), groups=(own, own))
    sources = np.repeat(np.arange(len(rows)), rows.shape[1])
    forward = sources * len(rows) + rows.ravel()
    backward = rows.ravel() * len(rows) + sources
    mutual = np.isin(backward, forward).reshape(rows.shape)
    return Graph(rows, np.maximum(1 - near, 0), mutual)


def dense_groups(graph: Graph, least: int, *, coarse: bool = False) -> Rows:
    """The cluster of each landmark, ``(n,)``, numbered from the largest on; `NONE` for none.

    Args:
        graph: of the landmarks.
        least: landmarks in the smallest cluster, at least 2.
        coarse: take the groups that last longest as the distance falls (HDBSCAN's own default),
            often a whole recorder or site; else the finest, often one kind of sound.

    Raises:
        DependencyError: scikit-learn is not installed.
        UsageError: ``least`` is under 2.
    """
    if least < 2:
        raise UsageError(f"smallest cluster: need at least 2, got {least}")
    if len(graph.rows) < least:
        return np.full(len(graph.rows), NONE)
    try:
        from sklearn.cluster import HDBSCAN  # noqa: PLC0415  an extra, slow to import
    except ImportError as error:
        raise DependencyError("scikit-learn", "search", "cluster") from error
    model = HDBSCAN(
        min_cluster_size=least,
        min_samples=min(5, graph.rows.shape[1]),
        metric="precomputed",
        cluster_selection_method="eom" if coarse else "leaf",
        copy=True,
    )
    found = np.asarray(model.fit_predict(_connected(graph)), np.int64)
    return by_size(_held_together(graph, found, least))


def _held_together(graph: Graph, clusters: Rows, least: int) -> Rows:
    """Without pieces that mutual neighbours do not hold together.

    To HDBSCAN all that is left over when the dense groups are gone is a cluster as well.
    """
    from scipy import sparse  # noqa: PLC0415  comes with scikit-learn
    from scipy.sparse import csgraph  # noqa: PLC0415

    n, k = graph.rows.shape
    inside = graph.mutual & (clusters[graph.rows] == clusters[:, None])
    sources, columns = np.repeat(np.arange(n), k)[inside.ravel()], graph.rows[inside]
    edges = sparse.csr_matrix((np.ones(len(columns)), (sources, columns)), shape=(n, n))
    piece = csgraph.connected_components(edges, directed=False)[1]
    return np.where(np.bincount(piece)[piece] >= least, clusters, NONE)


def _connected(graph: Graph) -> Any:
    """Distances as a sparse matrix, symmetric, that hangs together."""
    from scipy import sparse  # noqa: PLC0415  comes with scikit-learn
    from scipy.sparse import csgraph  # noqa: PLC0415

    n, k = graph.rows.shape
    lengths = np.where(graph.mutual, graph.distances, ONE_SIDED + graph.distances)
    # an edge of length 0 would be no edge in a sparse matrix: twins are a rounding apart
    edges = (np.maximum(lengths, 1e-9).ravel(), (np.repeat(np.arange(n), k), graph.rows.ravel()))
    one_way = sparse.csr_matrix(edges, shape=(n, n))
    both = one_way.maximum(one_way.T)
    n_parts, part = csgraph.connected_components(both, directed=False)
    first = np.unique(part, return_index=True)[1]
    if n_parts > 1:
        chain = (np.full(n_parts - 1, BRIDGE), (first[:-1], first[1:]))
        bridges = sparse.csr_matrix(chain, shape=(n, n))
        both = both.maximum(bridges).maximum(bridges.T)
    return both


def by_size(clusters: Rows) -> Rows:
    """The same clusters, numbered from the largest on; of equal ones the first to occur."""
    names, first, counts = np.unique(
        clusters[clusters != NONE], return_index=True, return_counts=True
    )
    order = np.lexsort((first, -counts))
    number = dict(zip(names[order].tolist(), range(len(names)), strict=True))
    return np.array([number.get(one, NONE) for one in clusters.tolist()], np.int64)


def assign(
    anchors: Rows, near: NDArray[np.float64], clusters: Rows, reach: NDArray[np.float64]
) -> Rows:
    """The cluster of windows by their nearest landmarks.

    A window belongs to the cluster that most of its nearest landmarks weigh for, by cosine, and
    to none where that is none, or where it is farther from the nearest of them than the members
    of that cluster are from each other.

    Args:
        anchors: ``(n, a)`` rows of landmarks, nearest first.
        near: ``(n, a)`` their cosines.
        clusters: ``(landmarks,)`` of `dense_groups`.
        reach: ``(clusters,)`` of `reaches`.
    """
    n_clusters = len(reach)
    own = clusters[anchors]
    weight = np.maximum(near, 0)
    votes = np.zeros((len(anchors), n_clusters + 1))  # the last column is none
    for column in range(anchors.shape[1]):
        votes[np.arange(len(anchors)), own[:, column]] += weight[:, column]
    best = votes.argmax(axis=1)
    best[best == n_clusters] = NONE
    nearest_own = np.where(own == best[:, None], 1 - near, np.inf).min(axis=1, initial=np.inf)
    outside = nearest_own > np.append(reach, np.inf)[best]
    return np.where((best != NONE) & ~outside, best, NONE)


def reaches(graph: Graph, clusters: Rows) -> NDArray[np.float64]:
    """How far apart neighbours in each cluster lie: the 95th percentile of their distances.

    A cluster whose members have no neighbour in it reaches nowhere.
    """
    n_clusters = int(clusters.max(initial=NONE)) + 1
    own = (clusters[graph.rows] == clusters[:, None]) & (clusters != NONE)[:, None]
    inside = [graph.distances[(clusters == one)[:, None] & own] for one in range(n_clusters)]
    # inverted_cdf is one of the distances, not a mean of two: no rounding
    return np.array(
        [np.quantile(one, 0.95, method="inverted_cdf") if len(one) else 0.0 for one in inside]
    )
