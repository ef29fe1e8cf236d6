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
    points = principal_components(landmarks)
    n, k = graph.rows.shape
    left, right = np.repeat(np.arange(n), k), graph.rows.ravel()
    # a neighbour on both sides pulls whole, another by half: hubs would draw in everything
    strength = np.where(graph.mutual, 1.0, 0.5).ravel()
    draws = np.random.default_rng(seed)
    for at in range(N_ROUNDS):
        rate = 1 - at / N_ROUNDS
        step = _pull(points, left, right, strength) + _push(points, left, draws)
        points = points + rate * np.clip(step, -LARGEST_STEP, LARGEST_STEP)
        done(1)
    middle: Points = np.rint(points.mean(axis=0) / GRID) * GRID
    return points - middle


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


def _pull(points: Points, left: Rows, right: Rows, strength: NDArray[np.float64]) -> Points:
    """Both ends of each pair towards each other: the gradient of log(1 / (1 + d^2))."""
    apart = points[right] - points[left]
    force = strength / (1 + (apart * apart).sum(axis=1))
    pulled = force[:, None] * apart
    return _summed(left, pulled, len(points)) - _summed(right, pulled, len(points))


def _push(points: Points, left: Rows, draws: np.random.Generator) -> Points:
    """One end of each pair away from `PUSHES` points drawn at random."""
    total = np.zeros_like(points)
    for _ in range(PUSHES):
        other = draws.integers(0, len(points), len(left))
        apart = points[left] - points[other]
        squared = (apart * apart).sum(axis=1)
        force = 1 / ((0.001 + squared) * (1 + squared))  # 0.001 as in UMAP: twins do not fly off
        total += _summed(left, force[:, None] * apart, len(points))
    return total


def _summed(rows: Rows, values: Points, n: int) -> Points:
    """Sums of values by row; bincount adds in the order of the pairs, on every machine."""
    return np.stack([np.bincount(rows, column, n) for column in values.T], axis=1)


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
