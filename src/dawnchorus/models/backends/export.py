"""From a model to the encoder that another library computes: exported, compared, kept, found again.

A graph that is further from its model than the gate allows is never written. Exports lie in the
user's cache, in a folder named after all that they are made of, or in a folder ``onnx`` or
``onnx-int8`` beside the weights, where ``dawnchorus export -o`` may have put them.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, cast

from dawnchorus.errors import DawnChorusWarning, UsageError, WeightsError
from dawnchorus.models.backends.calibrate import (
    calibration_sounds,
    input_ranges,
    rounding_errors,
    windows_for,
)
from dawnchorus.models.backends.encoder import PRECISIONS, OnnxEncoder
from dawnchorus.models.backends.folder import (
    GRAPH_VERSION,
    ExportRecord,
    graph_of,
    shape_of,
    write_export,
)
from dawnchorus.models.backends.graph import OPSET, graph_bytes
from dawnchorus.models.parity import LEAST_COSINE_INT8, LEAST_OVERLAP, Parity, embedded, parity
from dawnchorus.models.weights_file import weights_sha256_of
from dawnchorus.paths import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.configs import Backend
    from dawnchorus.models.backends.rounding import InputRange
    from dawnchorus.models.eat import EAT
    from dawnchorus.models.load import LoadedModel

EXPORTS: Final = "exports"
LEAST_COSINES: Final = {"onnx": 0.99999, "onnx-int8": LEAST_COSINE_INT8}
# of the linear layers, those with the largest errors, which stay float32 until the gate holds
SHARES_IN_FLOAT32: Final = (0.0, 0.125, 0.25, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A graph that holds its gate: its bytes, and what is written beside them."""

    graph: bytes
    record: ExportRecord


def export_model(model: EAT, backend: Backend) -> Exported:
    """Write a model as a graph, and hold it against the model on the clips that are shipped.

    Args:
        model: in float32, on the CPU.
        backend: ``onnx`` or ``onnx-int8``.

    Raises:
        DependencyError: The extra is not installed.
        WeightsError: The graph's vectors are too far from the model's.
        UsageError: The backend has no graphs.
    """
    if backend not in PRECISIONS:
        raise UsageError(f"backend {backend!r} is not exported; need {' or '.join(PRECISIONS)}")
    precision = PRECISIONS[backend]
    windows = windows_for(model)
    reference = embedded(model.embed, windows)
    least = LEAST_COSINES[backend]
    found: list[Parity] = []
    for ranges in _plans(model, precision):
        graph = graph_bytes(model, ranges)
        found.append(parity(reference, embedded(OnnxEncoder(model, graph, backend).embed, windows)))
        if found[-1].holds(least):
            return Exported(graph=graph, record=_record(model, backend, graph, ranges, found[-1]))
    tried = "; ".join(map(str, found))
    raise WeightsError(
        f"{model.name}: not exported, its vectors by {backend} are too far from its own: {tried}. "
        f"Need a cosine of at least {least} and {LEAST_OVERLAP:.0%} of the nearest; use --backend "
        + ("torch" if precision == "float32" else "onnx")
    )


def _plans(model: EAT, precision: str) -> Iterator[dict[str, InputRange]]:
    """Layers that are computed in int8, with the ranges of their inputs; the fastest first."""
    if precision == "float32":
        yield {}
        return
    sounds = calibration_sounds(model)
    ranges = input_ranges(model, sounds)
    errors = rounding_errors(model, ranges, sounds[0])
    best_first = sorted(ranges, key=lambda name: (errors[name], name))
    for share in SHARES_IN_FLOAT32:
        kept = best_first[: len(best_first) - round(share * len(best_first))]
        yield {name: ranges[name] for name in kept}


def _record(
    model: EAT, backend: Backend, graph: bytes, ranges: dict[str, InputRange], found: Parity
) -> ExportRecord:
    return ExportRecord(
        model=model.name,
        weights_sha256=str(weights_sha256_of(model)),
        shape=shape_of(model),
        backend=backend,
        precision=PRECISIONS[backend],
        opset=OPSET,
        graph_sha256=hashlib.sha256(graph).hexdigest(),
        n_int8=len(ranges),
        cosine=round(found.cosine, 6),
        overlap=round(found.overlap, 4),
        n_windows=found.n_windows,
        licence=model.licence,
        versions={name: version(name) for name in ("dawnchorus", "torch", "onnx", "onnxruntime")},
    )


def backend_encoder(model: EAT, backend: Backend, beside: Path | None = None) -> OnnxEncoder:
    """The encoder of a backend: from its export, which is made where there is none yet.

    Args:
        model: in float32, on the CPU.
        backend: ``onnx`` or ``onnx-int8``.
        beside: folder of the weights, where an export may lie too.

    Raises:
        DependencyError: The extra is not installed.
        WeightsError: An export beside the weights is damaged or of other weights, or what is made
            now misses its gate.
    """
    if backend not in PRECISIONS:
        raise UsageError(f"backend {backend!r}: need torch, {' or '.join(PRECISIONS)}")
    if beside is not None and (beside / backend).is_dir():
        return OnnxEncoder(model, graph_of(beside / backend, model, backend), backend)
    folder = cached_export(model, backend)
    try:
        graph: bytes | Path = graph_of(folder, model, backend)
    except WeightsError:  # not there, or damaged: whatever is in a cache can be made again
        graph = _made(model, backend, folder)
    return OnnxEncoder(model, graph, backend)


def cached_export(model: EAT, backend: Backend) -> Path:
    """The folder in the cache of what is made of these weights by this version."""
    parts = [weights_sha256_of(model), shape_of(model), GRAPH_VERSION]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return cache_folder() / EXPORTS / key[:32] / backend


def _made(model: EAT, backend: Backend, folder: Path) -> bytes:
    exported = export_model(model, backend)
    try:
        write_export(folder, exported.graph, exported.record)
    except WeightsError as error:
        text = f"{model.name}: exported, and to be exported again next time: {error}"
        warnings.warn(text, DawnChorusWarning, stacklevel=4)
    return exported.graph


def export_named(name: str, backend: str, output: Path | None = None) -> tuple[Path, ExportRecord]:
    """Load a model, export it anew, and write the export to a folder; None: the cache.

    Raises:
        UsageError: The backend has no graphs. WeightsError: As for `export_model`, or the folder
            cannot be written. Others: as for `load_model`.
    """
    from dawnchorus.models.load import open_model  # noqa: PLC0415  it offers backends itself

    if backend not in PRECISIONS:
        raise UsageError(f"backend {backend!r} is not exported; need {' or '.join(PRECISIONS)}")
    model = open_model(name).model
    exported = export_model(model, cast("Backend", backend))
    folder = output or cached_export(model, cast("Backend", backend))
    write_export(folder, exported.graph, exported.record)
    return folder, exported.record


def backend_parity(loaded: LoadedModel, backend: str) -> tuple[Parity, bool]:
    """A model by a backend against itself by torch, on this machine, and whether that will do.

    An export is held to its gate where it was made; another processor may multiply otherwise.

    Raises:
        UsageError, WeightsError: As for `backend_encoder`.
    """
    chosen = cast("Backend", backend)
    encoder = backend_encoder(loaded.model, chosen, loaded.source.weights.parent)
    windows = windows_for(loaded.model)
    found = parity(embedded(loaded.model.embed, windows), embedded(encoder.embed, windows))
    return found, found.holds(LEAST_COSINES[backend])
