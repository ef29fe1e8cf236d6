"""How many types or individuals `cluster` finds in clips that people cut, against their labels.

    python benchmarks/repertoire.py --data CORPUS --folder CACHE

For each local task of a repertoire or of individuals, its clips of training, then of validation,
are clustered as `cluster --coarse --min-size 10 --stability 20` does. NMI and AMI are over the
clips in a cluster; `share` says how many those are. A cluster counts as stable from 0.75 on. The
last column is k-means that is told the true number.

With ``--seeds 5``, how much a seed decides instead: as many maps as are asked for, each with half
of the clips as landmarks, which the seed chooses, and the others placed among them, as `cluster`
does above 20,000 windows. AMI of every two maps over all clips, none counting as a cluster.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from search_quality import build_items, vectors_of
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

from dawnchorus.benchmark.tasks.local import TASKS
from dawnchorus.configs.search import ClusterConfig
from dawnchorus.errors import UsageError
from dawnchorus.metrics.clusters import clustering
from dawnchorus.search.clusters import (
    N_ANCHORS,
    NONE,
    assign,
    dense_groups,
    neighbour_graph,
    reaches,
)
from dawnchorus.search.landmarks import choose_landmarks
from dawnchorus.search.stability import cluster_stability
from dawnchorus.search.whole_numbers import as_whole_numbers, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from search_quality import Item

MODEL = "dawnchorus_eat_tiny"
KINDS = ("repertoire", "individual")


def clips(data: Path, folder: Path) -> Iterator[tuple[str, list[Item], NDArray[np.float32]]]:
    """The name of each task and split, its clips and their vectors."""
    for task in (task for task in TASKS if task.kind in KINDS):
        everything = build_items(task, data)
        known = vectors_of(MODEL, everything, data, folder)
        for split in ("train", "val"):
            items = [item for item in everything if item.split == split]
            given = np.stack([known[item.id] for item in items]).astype(np.float32)
            yield f"{task.id}, {split}", items, given


def from_half(vectors: NDArray[np.int8], config: ClusterConfig, seed: int) -> NDArray[np.int64]:
    """The clusters of all clips with half of them as landmarks, drawn with a seed."""
    rows = choose_landmarks(vectors, len(vectors) // 2, seed)
    graph = neighbour_graph(vectors[rows], config.neighbours)
    # half as many landmarks are in a cluster, as in `cluster_stability`
    groups = dense_groups(graph, max(2, config.least // 2), coarse=config.coarse)
    anchors, near = nearest(vectors, vectors[rows], N_ANCHORS)
    clusters = assign(anchors, near, groups, reaches(graph, groups))
    clusters[rows] = groups
    return clusters


def print_seeds(options: argparse.Namespace, config: ClusterConfig) -> None:
    """A table of how like each other maps of different seeds are."""
    print(
        "| task, split | clips | found | AMI of two seeds, lowest | to all clips | to the labels |"
    )
    print("|---|---|---|---|---|---|")
    for name, items, given in clips(options.data, options.folder):
        vectors = as_whole_numbers(given, given.mean(axis=0))
        maps = [from_half(vectors, config, seed) for seed in range(options.seeds)]
        whole = dense_groups(
            neighbour_graph(vectors, config.neighbours), config.least, coarse=config.coarse
        )
        truth = np.array([item.labels[0] for item in items])
        pairs = [adjusted_mutual_info_score(*two) for two in itertools.combinations(maps, 2)]
        to_whole = [adjusted_mutual_info_score(whole, one) for one in maps]
        inside = [one != NONE for one in maps]
        to_truth = [
            adjusted_mutual_info_score(truth[held], one[held])
            for one, held in zip(maps, inside, strict=True)
        ]
        found = sorted(int(one.max()) + 1 for one in maps)
        print(
            f"| {name} | {len(items)} | {found[0]} to {found[-1]} "
            f"| {np.mean(pairs):.2f}, {min(pairs):.2f} | {np.mean(to_whole):.2f} "
            f"| {np.mean(to_truth):.2f} |",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the local corpus")
    parser.add_argument("--folder", type=Path, required=True, help="of vectors, which are kept")
    parser.add_argument("--min-size", type=int, default=10)
    parser.add_argument("--fine", action="store_true", help="without --coarse")
    parser.add_argument("--seeds", type=int, default=0, help="compare so many seeds instead")
    options = parser.parse_args()
    config = ClusterConfig(coarse=not options.fine, least=options.min_size, stability=20)
    if options.seeds:
        print_seeds(options, config)
        return
    print("| task, split | clips | true | found | stable | share | NMI | AMI | k-means AMI |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, items, given in clips(options.data, options.folder):
        truth = np.array([item.labels[0] for item in items])
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
            name, len(items), len(np.unique(truth)), clusters.max() + 1,
            stable, f"{inside.mean():.2f}",
            f"{normalized_mutual_info_score(truth[inside], clusters[inside]):.3f}",
            f"{adjusted_mutual_info_score(truth[inside], clusters[inside]):.3f}",
            f"{known_number:.3f}",
        ]  # fmt: skip
        print("|", " | ".join(map(str, row)), "|", flush=True)


if __name__ == "__main__":
    main()
