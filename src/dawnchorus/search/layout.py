"""Where landmarks lie on a map of two dimensions, and every other window between them.

From the first two principal components, neighbours are pulled together and random pairs pushed
apart, as UMAP does (McInnes et al. 2018, arXiv 1802.03426), with two differences. The force is
that of a = b = 1, which needs sums, products and quotients alone, and all points move at once, not
one after the other in as many threads as there are. IEEE 754 fixes the result of these, so that
the same windows give the same map on every machine; UMAP does not promise that even for one seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dawnchorus.search.clusters import Graph

    Whole = NDArray[np.int8]
    Rows = NDArray[np.int64]
    Points = NDArray[np.float64]

N_ROUNDS: Final = 300
PUSHES: Final = 5  # random pairs for each pair of neighbours, as in UMAP
START_SPREAD: Final = 10.0
LARGEST_STEP: Final = 4.0
GRID: Final = 1 / 1024  # of the start: libraries of linear algebra agree on it, not on all digits


def layout(
    landmarks: Whole, graph: Graph, seed: int, done: Callable[[int], object] = lambda _: None
) -> Points:
    """Positions of landmarks, ``(n, 2)``, around the origin.

    Args:
        landmarks: ``(n, dim)``.
        graph: their neighbours.
        seed: of the pairs that are pushed apart.
        done: called with 1 after each of `N_ROUNDS` rounds.
    """
    # (2, n): long rows, which numpy works through several times as fast as pairs
    points = np.ascontiguousarray(principal_components(landmarks).T)
    # a neighbour on both sides pulls whole, another by half: hubs would draw in everything
    strength = np.where(graph.mutual, 1.0, 0.5)
    draws = np.random.default_rng(seed)
    for at in range(N_ROUNDS):
        rate = 1 - at / N_ROUNDS
        step = _pull(points, graph.rows, strength) + _push(points, graph.rows.shape[1], draws)
        points = points + rate * np.clip(step, -LARGEST_STEP, LARGEST_STEP)
        done(1)
    middle: Points = np.rint(points.mean(axis=1) / GRID) * GRID
    return np.ascontiguousarray(points.T) - middle


def principal_components(vectors: Whole) -> Points:
    """The first two, scaled to a spread of `START_SPREAD` and rounded to `GRID`."""
    numbers = vectors.astype(np.float64)
    numbers /= np.maximum(np.linalg.norm(numbers, axis=1, keepdims=True), 1)
    numbers -= numbers.mean(axis=0)
    _, axes = np.linalg.eigh(numbers.T @ numbers)
    first = axes[:, ::-1][:, :2]  # eigh sorts them rising
    # a component has no sign of its own: its largest weight is made positive
    first = first * np.sign(first[np.abs(first).argmax(axis=0), np.arange(first.shape[1])])
    points = numbers @ first
    if points.shape[1] < 2:  # vectors of one dimension
        points = np.pad(points, ((0, 0), (0, 1)))
    spread = np.maximum(points.std(), 1e-12)
    rounded: Points = np.rint(points * (START_SPREAD / spread) / GRID) * GRID
    return rounded


def _pull(points: Points, neighbours: Rows, strength: NDArray[np.float64]) -> Points:
    """Both ends of each pair towards each other: the gradient of log(1 / (1 + d^2))."""
    n, k = neighbours.shape
    total, back = np.zeros_like(points), np.zeros_like(points)
    # column by column: 20,000 pairs stay in the cache, 300,000 do not
    for column in range(k):
        other = neighbours[:, column]
        apart = points.take(other, axis=1) - points
        pulled = apart * (strength[:, column] / (1 + _squared(apart)))
        total += pulled
        for axis in range(2):
            # bincount adds in the order of the pairs, on every machine
            back[axis] += np.bincount(other, pulled[axis], n)
    return total - back


def _push(points: Points, n_pairs: int, draws: np.random.Generator) -> Points:
    """Each point away from `PUSHES` points drawn at random for each of its ``n_pairs``."""
    total = np.zeros_like(points)
    for other in draws.integers(0, points.shape[1], (PUSHES * n_pairs, points.shape[1])):
        apart = points - points.take(other, axis=1)
        squared = _squared(apart)
        # 0.001 as in UMAP: twins do not fly off
        total += apart / ((0.001 + squared) * (1 + squared))
    return total


def _squared(apart: Points) -> NDArray[np.float64]:
    """Squared lengths, ``(n,)``: a sum of two, which has one order."""
    squared: NDArray[np.float64] = apart[0] * apart[0] + apart[1] * apart[1]
    return squared


def between(anchors: Rows, near: NDArray[np.float64], points: Points) -> Points:
    """Positions of other windows, ``(n, 2)``: means of their nearest landmarks', near ones most.

    Args:
        anchors: ``(n, a)`` rows of landmarks, nearest first.
        near: ``(n, a)`` their cosines.
        points: ``(landmarks, 2)``; they never move, whatever is added later.
    """
    # by distance beyond the nearest, so that a window lies with its nearest ones, and a twin of a
    # landmark upon it
    weight = 1 / np.maximum(1 - near, 1e-6) ** 2
    weight = weight / weight.sum(axis=1, keepdims=True)
    mean: Points = np.einsum("na,nad->nd", weight, points[anchors])
    return mean
