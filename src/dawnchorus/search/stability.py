"""Which clusters another half of the recordings would show as well.

A cluster that is there only for the very recordings at hand is no type of call. Half of the
recordings are drawn and clustered alone; a cluster is as stable as the cluster there that is most
like it: windows in both by windows in either (Hennig 2007, Cluster-wise assessment of cluster
stability). Recordings, not windows, because windows of one recording resemble each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.errors import UsageError
from dawnchorus.search.clusters import NONE, dense_groups, neighbour_graph

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dawnchorus.configs.search import ClusterConfig

    Whole = NDArray[np.int8]
    Rows = NDArray[np.int64]
    Floats = NDArray[np.float64]


def cluster_stability(
    vectors: Whole,
    recordings: Rows,
    clusters: Rows,
    config: ClusterConfig,
    done: Callable[[int], object] = lambda _: None,
) -> Floats:
    """The stability of each cluster, 0 to 1, over ``config.stability`` halves of the recordings.

    Above 0.75 a cluster is one that most halves show; what is at 0.5 or below dissolves.

    Args:
        vectors: ``(n, dim)`` of landmarks.
        recordings: ``(n,)`` the recording of each, as a number.
        clusters: ``(n,)`` that were found in all, -1 for none.
        config: how they were found. In a half the smallest cluster is half as large.
        done: called with 1 after each draw.

    Returns:
        ``(clusters,)``. A half without any window of a cluster does not show it: 0. So a cluster
        of one recording has 0.5 at most, on average.

    Raises:
        UsageError: There are fewer than four recordings.
    """
    names = np.unique(recordings)
    if len(names) < 4:
        raise UsageError(f"stability: needs 4 recordings to draw half of, these are {len(names)}")
    draws = np.random.default_rng(config.seed)
    scores = np.zeros((config.stability, int(clusters.max(initial=NONE)) + 1))
    for draw in range(config.stability):
        half = np.isin(recordings, draws.choice(names, len(names) // 2, replace=False))
        scores[draw] = _likeness(
            clusters[half], _clusters_of(vectors[half], config), scores.shape[1]
        )
        done(1)
    return np.asarray(scores.mean(axis=0), np.float64)


def _clusters_of(vectors: Whole, config: ClusterConfig) -> Rows:
    if len(vectors) < 3:
        return np.full(len(vectors), NONE)
    graph = neighbour_graph(vectors, config.neighbours)
    return dense_groups(graph, max(2, -(-config.least // 2)), coarse=config.coarse)


def _likeness(wanted: Rows, found: Rows, n_wanted: int) -> Floats:
    """Windows in both by windows in either, of each cluster and the one most like it."""
    n_found = int(found.max(initial=NONE)) + 1
    both = np.zeros((n_wanted + 1, n_found + 1))  # the last row and column are none
    np.add.at(both, (wanted, found), 1)
    sizes = both[:-1].sum(axis=1, keepdims=True)
    either = sizes + both[:, :-1].sum(axis=0) - both[:-1, :-1]
    best = (both[:-1, :-1] / np.maximum(either, 1)).max(axis=1, initial=0.0)
    return np.asarray(best, np.float64)
