"""How good are an encoder's embeddings on a folder of local tasks?

    python benchmarks/local_tasks.py --data CORPUS --model dawnchorus_eat_tiny --split test

CORPUS holds ``manifest.parquet`` (clips with task ids and fixed splits), the audio, and optionally
``encoders.csv`` with other encoders' figures. Prints linear probe, retrieval ROC AUC and clustering
NMI per task for the model, for the same network with random weights, and for the log-mel's mean and
deviation, with the other encoders beside them. Protocol: dimensions standardised on train; logistic
regression, C from a fixed grid; cosine retrieval and k-means on the plain vectors. ``--split test``
chooses C on val; ``--split val`` chooses it by 3-fold cross-validation inside train, so that
choices between models can be made without a look at test.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from dawnchorus import load_model, metrics
from dawnchorus.audio.decode.read import read_audio
from dawnchorus.audio.frontend import FRAME_SAMPLES, log_mel
from dawnchorus.embedding.pieces import cut_clip, pooled
from dawnchorus.models.eat import EAT
from dawnchorus.models.encoder import readout_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

RATE = 16_000
LONGEST_S = 10.0  # clips up to here are encoded whole
BATCH_SAMPLES = 16 * 5 * RATE
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
OTHERS = ("log-mel", "MFCC", "YAMNet", "mn04_as", "BYOL-A 512", "BirdNET")
Vectors = dict[str, "NDArray[np.float32]"]
Embedder = "Callable[[torch.Tensor, torch.Tensor], NDArray[np.float32]]"


@dataclass(frozen=True)
class Item:
    """A clip of some tasks."""

    id: str
    path: str
    start_s: float
    stop_s: float
    labels: tuple[str, ...]
    split: str
    tasks: tuple[str, ...]


def main() -> None:
    """Embed, score, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", action="append", default=[], help="may be given several times")
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--readout", help="such as 8,-1:std (default: the model's own)")
    parser.add_argument("--no-baselines", action="store_true", help="only the models themselves")
    parser.add_argument("--out", type=Path, help="folder for embeddings (npz) and results (json)")
    options = parser.parse_args()
    items = read_items(options.data)
    encoders = make_encoders(options)
    results = {}
    for name, embed in encoders.items():
        vectors = embed_items(items, options.data, embed)
        results[name] = score(items, vectors, options.split)
        if options.out:
            save(options.out, name, vectors, results[name])
    report(results, options)


def read_items(data: Path) -> list[Item]:
    """Every clip that belongs to a task."""
    rows = pq.read_table(data / "manifest.parquet").to_pylist()
    names = ("id", "path", "start_s", "stop_s", "split")
    return [
        Item(**{n: row[n] for n in names}, labels=tuple(row["labels"]), tasks=tuple(row["tasks"]))
        for row in rows
        if row["tasks"]
    ]


def make_encoders(options: argparse.Namespace) -> dict[str, Any]:
    """The models asked for, and the two baselines that any of them has to beat."""
    encoders: dict[str, Any] = {}
    for name in options.model:
        if Path(name).name in encoders:
            raise SystemExit(f"two models are called {Path(name).name}: rename a folder")
        model = load_model(name, device="cpu")
        encoders[Path(name).name] = of_model(model, options.readout)
        if not options.no_baselines and isinstance(model, EAT):
            torch.manual_seed(0)
            fresh = EAT(model.config, name="random").eval()
            encoders[f"random {Path(name).name}"] = of_model(fresh, options.readout)
    if not options.no_baselines:
        encoders["log-mel mean+dev"] = spectrum
    return encoders


def of_model(model: Any, wanted: str | None) -> Any:
    """A function from waveforms and lengths to pooled vectors."""
    readout = readout_for(model, wanted)

    def embed(waveforms: torch.Tensor, lengths: torch.Tensor) -> NDArray[np.float32]:
        with torch.inference_mode():
            return readout.pool(model.encode(waveforms, lengths, readout.layers)).numpy()

    return embed


def spectrum(waveforms: torch.Tensor, lengths: torch.Tensor) -> NDArray[np.float32]:
    """Mean and deviation of each band over the frames that hold sound, 256 dimensions."""
    energies = log_mel(waveforms, lengths)
    frames = 1 + (lengths - FRAME_SAMPLES) // 160
    rows = [e[:n] for e, n in zip(energies, frames.tolist(), strict=True)]
    return torch.stack([torch.cat([r.mean(0), r.std(0, unbiased=False)]) for r in rows]).numpy()


def embed_items(items: Sequence[Item], data: Path, embed: Any) -> Vectors:
    """One vector an item, by length of its pieces; clips of like length share a batch."""
    pieces: list[tuple[str, NDArray[np.float32]]] = []
    by_path = defaultdict(list)
    for item in items:
        by_path[item.path].append(item)
    for path, of_file in by_path.items():
        sound = read_audio(data / path, sample_rate=RATE)
        for item in of_file:
            clip = sound[round(item.start_s * RATE) : round(item.stop_s * RATE)]
            pieces += [(item.id, piece) for piece in cut_clip(clip, round(LONGEST_S * RATE))]
    pieces.sort(key=lambda piece: len(piece[1]))
    found, n_samples = defaultdict(list), defaultdict(list)
    for batch in batches(pieces):
        lengths = torch.tensor([max(len(clip), FRAME_SAMPLES) for _, clip in batch])
        waveforms = torch.zeros(len(batch), int(lengths.max()))
        for row, (_, clip) in zip(waveforms, batch, strict=True):
            row[: len(clip)] = torch.from_numpy(clip)
        for (name, clip), vector in zip(batch, embed(waveforms, lengths), strict=True):
            found[name].append(vector)
            n_samples[name].append(len(clip))
    return {name: pooled(vectors, n_samples[name]) for name, vectors in found.items()}


def batches(
    pieces: Sequence[tuple[str, NDArray[np.float32]]],
) -> Iterator[Sequence[tuple[str, NDArray[np.float32]]]]:
    """Runs of pieces, sorted by length, of a bounded number of samples."""
    start = 0
    while start < len(pieces):
        stop = start + 1
        while stop < len(pieces) and (stop - start + 1) * len(pieces[stop][1]) <= BATCH_SAMPLES:
            stop += 1
        yield pieces[start:stop]
        start = stop


def score(items: Sequence[Item], vectors: Vectors, target: str) -> dict[str, dict[str, float]]:
    """Every measure of every task on one split."""
    results = {}
    for task in sorted({task for item in items for task in item.tasks}):
        held = [item for item in items if task in item.tasks]
        x = np.stack([vectors[item.id] for item in held]).astype(np.float32)
        names = sorted({label for item in held for label in item.labels})
        y = np.array([[name in item.labels for name in names] for item in held], dtype=int)
        split = np.array([item.split for item in held])
        multi = "detection" in task or bool((y.sum(axis=1) != 1).any())
        there = split == target
        results[task] = {
            "probe": probe(x, y, split, target, multi=multi),
            "retrieval": metrics.retrieval_roc_auc(x[there], y[there]),
        }
        if not multi:
            nmi = metrics.clustering(x[there], y[there].argmax(1)).nmi
            results[task]["nmi"] = float(nmi.mean())
    return results


def probe(
    x: NDArray[np.float32], y: NDArray[np.int64], split: NDArray[Any], target: str, *, multi: bool
) -> float:
    """Linear probe fitted on train, with the smallest C among the best."""
    train, val, there = split == "train", split == "val", split == target
    z = StandardScaler().fit(x[train]).transform(x)

    def rate(strength: float) -> float:
        if target == "test":
            return quality(y[val], fit(z[train], y[train], strength, multi)(z[val]), multi)
        folds = KFold(3, shuffle=True, random_state=0).split(z[train])
        return float(
            np.mean(
                [
                    quality(
                        y[train][b],
                        fit(z[train][a], y[train][a], strength, multi)(z[train][b]),
                        multi,
                    )
                    for a, b in folds
                ]
            )
        )

    best = max(STRENGTHS, key=lambda c: (round(rate(c), 9), -c))
    return quality(y[there], fit(z[train], y[train], best, multi)(z[there]), multi)


def fit(x: NDArray[Any], y: NDArray[Any], strength: float, multi: bool) -> Any:  # noqa: FBT001
    """A function from features to class ids, or to one score a class."""

    def one(target: NDArray[Any]) -> Any:
        return LogisticRegression(C=strength, max_iter=400, tol=1e-3).fit(x, target)

    if not multi:
        return one(y.argmax(1)).predict
    models = [one(y[:, k]) if 0 < y[:, k].mean() < 1 else None for k in range(y.shape[1])]
    return lambda z: np.stack(
        [np.zeros(len(z)) if m is None else m.decision_function(z) for m in models], axis=1
    )


def quality(y: NDArray[Any], out: NDArray[Any], multi: bool) -> float:  # noqa: FBT001
    """Macro mAP for detection tasks, mean recall over classes otherwise."""
    if multi:
        return metrics.mean_average_precision(y, out)
    return metrics.macro_recall(y.argmax(1), out)


def save(folder: Path, name: str, vectors: Vectors, scores: dict[str, dict[str, float]]) -> None:
    """Embeddings for a second opinion, and the scores."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = name.replace(" ", "_")
    np.savez(folder / f"{stem}.npz", id=list(vectors), vector=np.stack(list(vectors.values())))
    (folder / f"{stem}.json").write_text(json.dumps(scores, indent=1))


def report(results: dict[str, dict[str, dict[str, float]]], options: argparse.Namespace) -> None:
    """Print one table a measure, other encoders' figures beside ours."""
    known = read_others(options.data / "encoders.csv") if options.split == "test" else {}
    for measure, column in (("probe", "probe"), ("retrieval", "retrieval_auc"), ("nmi", "nmi")):
        tasks = [t for t, scores in next(iter(results.values())).items() if measure in scores]
        columns = {name: [scores[t][measure] for t in tasks] for name, scores in results.items()}
        for name in OTHERS:
            if name in known:
                columns[f"({name})"] = [known[name].get((t, column), np.nan) for t in tasks]
        print(f"\n{measure}, {options.split}")
        print(f"{'task':26}" + "".join(f"{name[:16]:>17}" for name in columns))
        for row, task in enumerate([*tasks, "mean"]):
            values = [v[row] if row < len(tasks) else np.nanmean(v) for v in columns.values()]
            print(f"{task.removeprefix('local/'):26}" + "".join(f"{v:17.3f}" for v in values))


def read_others(path: Path) -> dict[str, dict[tuple[str, str], float]]:
    """Figures of other encoders, by encoder, then task and measure."""
    known: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                for measure in ("probe", "retrieval_auc", "nmi"):
                    value = float(row[measure] or "nan")
                    known[row["encoder"]][row["task"], measure] = value
    return known


if __name__ == "__main__":
    main()
