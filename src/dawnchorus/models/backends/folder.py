"""An exported model's folder: ``model.onnx``, and ``export.json`` with what it was made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.configs import Config
from dawnchorus.configs.json_file import read_json
from dawnchorus.errors import UsageError, WeightsError, shown
from dawnchorus.models.weights_file import weights_sha256_of
from dawnchorus.models.write import write_files
from dawnchorus.paths import sha256_of_file

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.configs import Backend
    from dawnchorus.models.eat import EAT

GRAPH_FILE: Final = "model.onnx"
RECORD_FILE: Final = "export.json"
GRAPH_VERSION: Final = 1  # another number where the same weights would give another graph
MOST_RECORD_BYTES: Final = 1 << 20
# what of a model's config the graph depends on; all else is done outside of it
SHAPE: Final = ("dim", "n_layers", "n_heads", "mlp_ratio", "max_time_steps")


class ExportRecord(Config):
    """``export.json``: what a graph was made of, and how near it is to its model."""

    graph_version: int = GRAPH_VERSION
    model: str
    weights_sha256: str
    shape: dict[str, float]
    backend: str
    precision: str
    opset: int
    graph_sha256: str
    n_int8: int  # linear layers that are computed in 8 bits
    cosine: float  # the lowest of a window's vector to that of the model
    overlap: float  # share of ten nearest neighbours that are the same
    n_windows: int  # of the shipped clips, on which both were measured
    licence: str | None
    versions: dict[str, str]


def shape_of(model: EAT) -> dict[str, float]:
    """What of a model's config its graph depends on."""
    return {name: getattr(model.config, name) for name in SHAPE}


def write_export(folder: Path, graph: bytes, record: ExportRecord) -> None:
    """Write both files, each whole or not at all; a graph without its record is none.

    Raises:
        WeightsError: The folder cannot be written.
    """
    text = json.dumps(record.model_dump(), indent=2, ensure_ascii=False) + "\n"
    write_files(folder, {GRAPH_FILE: graph, RECORD_FILE: text.encode()})


def graph_of(folder: Path, model: EAT, backend: Backend) -> Path:
    """The graph in a folder, if it is what was made of this model for this backend.

    Raises:
        WeightsError: There is none, it is damaged, or it was made of something else.
    """
    record = _read_record(folder)
    again = f"export it again: dawnchorus export MODEL --backend {backend} -o {folder}"
    wanted: dict[str, Any] = {
        "weights_sha256": weights_sha256_of(model),
        "shape": shape_of(model),
        "backend": backend,
        "graph_version": GRAPH_VERSION,
    }
    for key, value in wanted.items():
        if getattr(record, key) != value:
            raise WeightsError(
                f"{folder}: is stale, its {key} is {shown(getattr(record, key))}, that of "
                f"{model.name} is {shown(value)}; {again}"
            )
    graph = folder / GRAPH_FILE
    try:
        digest = sha256_of_file(graph)
    except OSError as error:
        raise WeightsError(f"{graph}: cannot be read: {error}; {again}") from error
    if digest != record.graph_sha256:
        raise WeightsError(f"{graph}: is damaged, its bytes are not those of the export; {again}")
    return graph


def _read_record(folder: Path) -> ExportRecord:
    path = folder / RECORD_FILE
    try:
        return ExportRecord.model_validate(read_json(path, most_bytes=MOST_RECORD_BYTES))
    except (OSError, ValueError, UsageError) as error:
        raise WeightsError(f"{path}: is no record of an export: {error}") from error
