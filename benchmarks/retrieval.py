"""Retrieval over all pairs: seconds, against a loop over queries with scikit-learn's ROC AUC.

    python benchmarks/retrieval.py --items 40000 --dim 768

Vectors are random with a little of their class in them. The loop sees a few queries only; its rate
is that of one process and one product of a query with the gallery.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from dawnchorus.metrics import retrieval

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_CLASSES, N_LABELS = 50, 130


def made(n_items: int, dim: int, *, n_labels: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Vectors and labels: one of 50 classes each, or up to three of many labels, some none."""
    rng = np.random.default_rng(0)
    hot = np.zeros((n_items, n_labels), bool)
    n_each = 1 if n_labels == N_CLASSES else rng.integers(0, 4, n_items)
    for place in range(3):
        picked = np.flatnonzero(np.broadcast_to(n_each, n_items) > place)
        hot[picked, rng.integers(0, n_labels, len(picked))] = True
    own = hot.astype(np.float32) @ rng.standard_normal((n_labels, dim), dtype=np.float32)
    return rng.standard_normal((n_items, dim), dtype=np.float32) + 0.3 * own, hot


def looped(
    vectors: NDArray[np.float32], hot: NDArray[np.bool_], queries: NDArray[np.intp]
) -> NDArray[np.float64]:
    """ROC AUC of some queries, one after the other."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = []
    for query in queries:
        others = np.arange(len(unit)) != query
        relevant = (hot[others] & hot[query]).any(axis=1)
        found.append(roc_auc_score(relevant, (unit @ unit[query])[others]))
    return np.array(found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=40_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--loop", type=int, default=20, help="queries that the loop sees")
    options = parser.parse_args()
    print(f"{options.items} items of {options.dim} dimensions, {torch.get_num_threads()} threads")
    print("labels  seconds  CPU seconds  queries/s  loop queries/s  ratio  largest difference")
    for n_labels in (N_CLASSES, N_LABELS):
        vectors, hot = made(options.items, options.dim, n_labels=n_labels)
        started, busy = time.perf_counter(), time.process_time()
        found = retrieval(vectors, hot, device=options.device)
        took, busy = time.perf_counter() - started, time.process_time() - busy
        queries = np.flatnonzero(~np.isnan(found.roc_auc_of))[: options.loop]
        started = time.perf_counter()
        wanted = looped(vectors, hot, queries)
        rate = len(queries) / (time.perf_counter() - started)
        ours = options.items / took
        gap = np.abs(wanted - found.roc_auc_of[queries]).max()
        print(
            f"{n_labels:6}  {took:7.1f}  {busy:11.1f}  {ours:9.0f}  {rate:14.1f}  "
            f"{ours / rate:5.0f}  {gap:.1e}"
        )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak_mb:.0f} MB, of which vectors {vectors.nbytes / 2**20:.0f} MB")


if __name__ == "__main__":
    main()
