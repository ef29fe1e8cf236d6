"""Rows of results that look like a plan's, drawn at random, and what a run leaves beside them."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.benchmark.items_file import write_items
from dawnchorus.benchmark.predictions import write_predictions
from dawnchorus.benchmark.task_data import LabelledItems
from dawnchorus.embedding.cache import PieceCache
from dawnchorus.embedding.encode import PieceValues
from dawnchorus.metrics import retrieval

COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in ("task", "task_version", "protocol", "split", "model")),
        *((name, pa.string()) for name in ("weights_sha256", "readout", "pooling", "probe")),
        ("measure", pa.string()),
        *((name, pa.float64()) for name in ("value", "low", "high")),
        ("reason", pa.string()),
        *((name, pa.int64()) for name in ("n_items", "n_groups", "n_skipped", "n_labels", "seed")),
        *((name, pa.string()) for name in ("seeds", "leaks", "data_sha256", "features_sha256")),
        *((name, pa.string()) for name in ("cell", "versions")),
        ("seconds", pa.float64()),
        ("finished_at", pa.string()),
    ]
)
MEASURES = {
    "beans/watkins": ("accuracy", "retrieval_roc_auc", "nmi"),
    "beans/cbi": ("accuracy", "retrieval_roc_auc", "nmi"),
    "beans/dogs": ("accuracy", "retrieval_roc_auc", "nmi"),
    "beans/rfcx": ("beans_map", "retrieval_roc_auc"),
    "beans/dcase": ("beans_map", "retrieval_roc_auc"),
    "local/bird_species": ("macro_recall", "accuracy", "retrieval_roc_auc", "nmi", "ami"),
    "local/esc50": ("accuracy", "macro_recall", "retrieval_roc_auc", "nmi", "ami"),
    "local/scene_detection": ("cmap", "beans_map", "macro_roc_auc", "retrieval_roc_auc"),
    "repertoire/zebra_finch": ("retrieval_roc_auc", "nmi"),
}
PROBE = {"accuracy", "macro_recall", "beans_map", "cmap", "macro_roc_auc"}


def row(task: str, model: str, measure: str, value: float, **more: Any) -> dict[str, Any]:
    """A row with what a test does not care about filled in."""
    probe = "linear" if measure in PROBE else ""
    given = {"task": task, "model": model, "measure": measure, "value": value, "probe": probe}
    usual = {
        "task_version": "1", "protocol": "strict", "split": "test", "weights_sha256": "ab" * 32,
        "readout": "output", "pooling": "valid", "low": value - 0.04, "high": value + 0.04,
        "reason": "", "n_items": 120, "n_groups": 40, "n_skipped": 0, "n_labels": None,
        "seed": None, "seeds": "0", "leaks": "with", "data_sha256": "", "features_sha256": "",
        "cell": "", "versions": "{}", "seconds": 1.0, "finished_at": "2025-01-01",
    }  # fmt: skip
    return usual | given | more


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, COLUMNS)


def grid(
    models: list[str], tasks: list[str], protocol: str = "strict", n_layers: int = 0
) -> list[dict[str, Any]]:
    """Scores of every model on every task, by layer and by number of labels too, on two splits."""
    rng = np.random.default_rng(0)
    rows = []
    for model in models:
        skill = rng.uniform(-0.15, 0.15)
        for task in tasks:
            for measure in MEASURES[task]:
                level = {"retrieval_roc_auc": 0.75, "nmi": 0.5, "beans_map": 0.3}.get(measure, 0.7)
                base = float(np.clip(level + skill + rng.uniform(-0.1, 0.1), 0.02, 0.97))
                rows.append(row(task, model, measure, base, protocol=protocol))
                for layer in range(n_layers):
                    value = base - 0.01 * (layer - n_layers * 0.7) ** 2
                    for split in ("val", "test"):
                        more = {"readout": str(layer), "protocol": protocol, "split": split}
                        rows.append(row(task, model, measure, max(value, 0.01), **more))
                if n_layers and measure in PROBE:
                    for n_labels in (1, 2, 5, 10, 20):
                        value = max(base * (1 - 0.6 / n_labels**0.5), 0.0)
                        more = {"n_labels": n_labels, "protocol": protocol}
                        rows.append(row(task, model, measure, value, **more))
    return rows


def run_folder(
    folder: Path, skills: dict[str, float], *, n_items: int = 60, n_classes: int = 4
) -> list[dict[str, Any]]:
    """A run on one task with a probe and retrieval, with its predictions, items and features."""
    rng = np.random.default_rng(1)
    own = np.arange(n_items) % n_classes
    y = np.eye(n_classes, dtype=np.int8)[own]
    classes = tuple(f"class {k}" for k in range(n_classes))
    groups, ids = (
        [f"{what}{n // each}" for n in range(n_items)] for what, each in (("g", 2), ("i", 1))
    )
    items = LabelledItems(y, np.array(groups), np.array(ids))
    rows = []
    for model, skill in skills.items():
        key = sha256(model.encode()).hexdigest()
        logits = {s: y * skill + rng.standard_normal(y.shape) for s in (0, 1)}
        write_items(folder, "dd" * 32, "test", items, classes)
        write_predictions(folder, key[:32], items, classes, logits)
        vectors = np.pad(y * skill, ((0, 0), (0, 4))) + rng.standard_normal(
            (n_items, n_classes + 4)
        )
        vectors = vectors.astype(np.float32)
        _write_features(folder / "features", key, ids, vectors)
        value = float(np.mean([(one.argmax(axis=1) == own).mean() for one in logits.values()]))
        marks = {"cell": key[:32], "data_sha256": "dd" * 32, "features_sha256": key}
        more = {"n_items": n_items, "n_groups": n_items // 2, **marks}
        rows.append(row("made/calls", model, "accuracy", value, **more))
        found = retrieval(vectors, y).roc_auc
        rows.append(row("made/calls", model, "retrieval_roc_auc", found, **more))
    pq.write_table(table(rows), folder / "results.parquet")
    return rows


def _write_features(cache: Path, key: str, ids: list[str], vectors: np.ndarray) -> None:
    """A cache as a run leaves it: a clip of one piece for each item, and the list of them."""
    facts = {"model": key}
    pieces = PieceCache(cache, facts)
    for name, vector in zip(ids, vectors, strict=True):
        pieces.add(name, PieceValues(vector[None], (1,)))
    pieces.flush()
    about = {"encoding": facts, "readout": "output", "pooling": "valid", "clips": ids}
    (cache / "sets").mkdir(exist_ok=True)
    (cache / "sets" / f"{key}.json").write_text(json.dumps(about))
