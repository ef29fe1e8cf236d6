"""Does search find what is alike? Precision at 10 and mean average precision on the local tasks.

    python benchmarks/search_quality.py --data CORPUS --folder CACHE

Each item of validation is a query, the items of training are the store. `search` is what the
command does: the store's mean is removed, then cosines. Beside it the same with the mean kept, and
whitened (mean removed, every principal direction of variance 1, tiny ones damped). Chance: the
share of the store that has a label of the query. Vectors are kept in CACHE, by encoder.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dawnchorus import load_model
from dawnchorus.audio.decode.read import read_audio
from dawnchorus.benchmark.log_mel import LogMel
from dawnchorus.benchmark.tasks.local import TASKS
from dawnchorus.embedding.encode import embed_clip
from dawnchorus.metrics.ranking import average_precisions
from dawnchorus.models.encoder import readout_for
from dawnchorus.search.archive import Archive
from dawnchorus.search.neighbours import best_windows, query_directions
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.schema import RecordingRow, recording_id
from dawnchorus.store.write import StoreWriter
from search import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dawnchorus.benchmark.tasks.base import Item

    Floats = NDArray[np.floating[Any]]
    Flags = NDArray[np.bool_]

TOP = 10
ENCODERS: dict[str, Callable[[], Any]] = {
    "dawnchorus_eat_tiny": lambda: load_model("dawnchorus_eat_tiny", device="cpu"),
    "log-mel": LogMel,
}


def vectors_of(name: str, items: list[Item], data: Path, folder: Path) -> dict[str, Floats]:
    """The vector of each item, from the cache where it is there."""
    path = folder / f"{name}.npz"
    known: dict[str, Floats] = {}
    if path.exists():
        with np.load(path) as file:
            known = dict(zip(file["id"].tolist(), file["vector"], strict=True))
    missing = [item for item in items if item.id not in known]
    if missing:
        encoder = ENCODERS[name]()
        readout = readout_for(encoder)
        for item in missing:
            samples = read_audio(data / item.path, start_s=item.start_s, stop_s=item.stop_s)
            known[item.id] = embed_clip(encoder, samples.astype(np.float32), readout)
        np.savez(path, id=np.array(list(known)), vector=np.stack(list(known.values())))
    return known


def make_store(path: Path, vectors: Floats) -> None:
    """A store of a window an item; its name says which item."""
    shutil.rmtree(path, ignore_errors=True)
    header = HEADER.model_copy(update={"dim": vectors.shape[1], "dtype": "float32"})
    with StoreWriter(path, header) as writer:
        for number, vector in enumerate(vectors):
            name = f"{number:06d}.wav"
            one = np.zeros(1, np.int64)
            rows = WindowRows(
                window=one, start_sample=one, valid_samples=one + header.window_samples,
                flags=one, vectors=vector[None], scores=None,
            )  # fmt: skip
            own = recording_id(name)
            writer.add(RecordingRow(recording_id=own, path=name, status="partial"), rows)
            writer.finish(RecordingRow(recording_id=own, path=name, status="done", n_windows=1))


def searched(queries: Floats, gallery: Floats, folder: Path) -> tuple[Floats, float]:
    """Scores ``(queries, gallery)`` by `best_windows`, and how far percentiles are from ranks."""
    make_store(folder / "quality.store", gallery)
    archive = Archive(folder / "quality.store")
    found = best_windows(archive, query_directions(queries, archive.mean()), len(gallery))
    scores = np.full((len(queries), len(gallery)), np.nan)
    np.put_along_axis(scores, found.rows, found.scores, axis=1)
    # a window drawn at random has a percentile that is uniform: that of its rank
    ranks = 100 * (1 - (np.arange(len(gallery)) + 0.5) / len(gallery))
    return scores, float(np.abs(found.percentiles - ranks).max())


def cosine(queries: Floats, gallery: Floats) -> Floats:
    """Cosines ``(queries, gallery)``."""
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (queries, gallery))
    return np.asarray(a @ b.T)


def whitened(queries: Floats, gallery: Floats) -> Floats:
    """Cosines after mean and covariance of the gallery are removed."""
    centred = gallery - gallery.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    sizes = np.sqrt(sizes**2 + 0.01 * (sizes**2).mean())
    turned = [(v - gallery.mean(axis=0)) @ directions.T / sizes for v in (queries, gallery)]
    return cosine(*turned)


def figures(scores: Floats, relevant: Flags) -> tuple[float, float]:
    """Precision at 10 and mean average precision over the queries."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
    precision = np.take_along_axis(relevant, best, axis=1).mean()
    return float(precision), float(np.nanmean(average_precisions(relevant.T, scores.T)))


def relevance(queries: list[Item], gallery: list[Item]) -> Flags:
    """Which items of the gallery share a label with each query."""
    return np.array([[bool({*a.labels} & {*b.labels}) for b in gallery] for a in queries])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the local corpus")
    parser.add_argument("--folder", type=Path, required=True, help="of vectors, which are kept")
    parser.add_argument("--tasks", nargs="+", default=[task.id for task in TASKS])
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print("| task | queries | store | chance | encoder | search | mean kept | whitened | off |")
    print("|---|---|---|---|---|---|---|---|---|")
    for task in (task for task in TASKS if task.id in options.tasks):
        items = build_items(task, options.data)
        gallery = [item for item in items if item.split == "train"]
        relevant = relevance(items, gallery)
        # what nobody can find is no question
        asked = [at for at, item in enumerate(items) if item.split == "val" and relevant[at].any()]
        relevant = relevant[asked]
        draws = np.random.default_rng(0)
        chance = np.mean(
            [figures(draws.random(relevant.shape), relevant) for _ in range(5)], axis=0
        )
        for name in ENCODERS:
            known = vectors_of(name, items, options.data, options.folder)
            queries = np.stack([known[items[at].id] for at in asked]).astype(np.float32)
            stored = np.stack([known[item.id] for item in gallery]).astype(np.float32)
            scores, off = searched(queries, stored, options.folder)
            ways = (scores, cosine(queries, stored), whitened(queries, stored))
            cells = [" ".join(f"{v:.3f}" for v in figures(way, relevant)) for way in ways]
            row = [task.id, len(asked), len(gallery), " ".join(f"{v:.3f}" for v in chance), name]
            print("|", " | ".join(map(str, [*row, *cells, f"{off:.2f}"])), "|", flush=True)


def build_items(task: Any, data: Path) -> list[Item]:
    """Items of training and validation; those of the test are not looked at."""
    made = task.build(data, "strict")
    return [item for item in made.items if item.split in ("train", "val")]


if __name__ == "__main__":
    main()
