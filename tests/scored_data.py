"""Random truths and scores with what breaks metrics: ties, missing and single-item classes."""

from __future__ import annotations

import numpy as np


def single(seed: int, n: int = 40, k: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Matrices of a single-label task: class 5 has one item, class 6 has none."""
    rng = np.random.default_rng(seed)
    own = rng.integers(0, k - 2, n)
    own[:k] = [0, 1, 2, 3, 4, 5, 0]
    return np.eye(k, dtype=int)[rng.permutation(own)], rng.integers(0, 12, (n, k)) / 4


def multi(seed: int, n: int = 40, k: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Matrices of a multi-label task: class 0 has one item, class 1 has none, rows may be empty."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, k)) < 0.3).astype(int)
    truth[:, :2] = 0
    truth[rng.integers(n), 0] = 1
    truth[0, 2:], truth[1, 2:] = 1, 0
    return truth, rng.integers(0, 12, (n, k)) / 16


def clouds(seed: int, n: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Vectors, some of them equal, with labels of which some rows have none."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (n, 3)).astype(float)
    vectors[:, 0] += 0.5  # never zero
    labels = (rng.random((n, 4)) < 0.25).astype(int)
    labels[:2] = [1, 0, 0, 0], [0, 0, 0, 0]
    return vectors, labels
