"""How many types or individuals `cluster` finds in clips that people cut, against their labels.

    python benchmarks/repertoire.py --data CORPUS --folder CACHE

For each local task of a repertoire or of individuals, its clips of training, then of validation,
are clustered as `cluster --coarse --min-size 10 --stability 20` does. NMI and AMI are over the
clips in a cluster; `share` says how many those are. A cluster counts as stable from 0.75 on. The
last column is k-means that is told the true number.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from search_quality import build_items, vectors_of
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

from dawnchorus.benchmark.tasks.local import TASKS
from dawnchorus.configs.search import ClusterConfig
from dawnchorus.errors import UsageError
from dawnchorus.metrics.clusters import clustering
from dawnchorus.search.clusters import NONE, dense_groups, neighbour_graph
from dawnchorus.search.stability import cluster_stability
from dawnchorus.search.whole_numbers import as_whole_numbers

MODEL = "dawnchorus_eat_tiny"
KINDS = ("repertoire", "individual")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the local corpus")
    parser.add_argument("--folder", type=Path, required=True, help="of vectors, which are kept")
    parser.add_argument("--min-size", type=int, default=10)
    parser.add_argument("--fine", action="store_true", help="without --coarse")
    options = parser.parse_args()
    config = ClusterConfig(coarse=not options.fine, least=options.min_size, stability=20)
    print("| task, split | clips | true | found | stable | share | NMI | AMI | k-means AMI |")
    print("|---|---|---|---|---|---|---|---|---|")
    for task in (task for task in TASKS if task.kind in KINDS):
        everything = build_items(task, options.data)
        known = vectors_of(MODEL, everything, options.data, options.folder)
        for split in ("train", "val"):
            items = [item for item in everything if item.split == split]
            truth = np.array([item.labels[0] for item in items])
            given = np.stack([known[item.id] for item in items]).astype(np.float32)
            vectors = as_whole_numbers(given, given.mean(axis=0))
            graph = neighbour_graph(vectors, config.neighbours)
            clusters = dense_groups(graph, config.least, coarse=config.coarse)
            recordings = np.unique([item.path for item in items], return_inverse=True)[1]
            try:
                stable = (cluster_stability(vectors, recordings, clusters, config) >= 0.75).sum()
            except UsageError:
                stable = "-"  # too few recordings
            known_number = clustering(given, truth, unit_length=True).ami.mean()
            inside = clusters != NONE
            row = [
                f"{task.id}, {split}", len(items), len(np.unique(truth)), clusters.max() + 1,
                stable, f"{inside.mean():.2f}",
                f"{normalized_mutual_info_score(truth[inside], clusters[inside]):.3f}",
                f"{adjusted_mutual_info_score(truth[inside], clusters[inside]):.3f}",
                f"{known_number:.3f}",
            ]  # fmt: skip
            print("|", " | ".join(map(str, row)), "|", flush=True)


if __name__ == "__main__":
    main()
