"""One number for each window of an archive: how likely it is, by something, that it holds a label.

By a probe on the vectors, by the scores that the store holds, or by the direction of a search. The
archive is read in blocks, so it may be larger than memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dawnchorus.engine.detections.classify import scores_of
from dawnchorus.engine.detections.probe_rules import check_store, open_probe
from dawnchorus.errors import UsageError, shown
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.store.parts import read_sealed
from dawnchorus.store.read import as_array
from dawnchorus.store.schema import embedding_schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.progress import Progress
    from dawnchorus.search.archive import Archive

    Floats = NDArray[np.float32]


def window_scores(
    archive: Archive,
    *,
    probe: FittedProbe | str | Path | None = None,
    label: str | None = None,
    query: NDArray[np.floating] | None = None,
    progress: Progress = NO_PROGRESS,
) -> Floats:
    """Score every window of an archive, ``(windows,)`` in its order.

    Args:
        archive: whose windows.
        probe: a fitted probe or its folder: probabilities of ``label``.
        label: a class of the probe, or without a probe a label of the store's own scores. None with
            a probe of one class: that one.
        query: ``(dim,)`` a direction: the cosine of each vector with it, after the archive's mean
            was taken away.
        progress: is told of every block.

    Raises:
        UsageError: Both a probe and a query were given, or neither has the label.
        WeightsError: The probe is of another encoder.
        StoreError: A part is missing or damaged.
    """
    if probe is not None and query is not None:
        raise UsageError("scores: give a probe or a query, not both")
    if query is not None:
        return _by_direction(archive, query, progress)
    if probe is not None:
        return _by_probe(archive, open_probe(probe), label, progress)
    return _own(archive, label, progress)


def _by_probe(
    archive: Archive, probe: FittedProbe, label: str | None, progress: Progress
) -> Floats:
    check_store(archive.header, probe)
    column = label_column(label, probe.classes, "the probe")
    scores = np.empty(archive.n_windows, np.float32)
    advance = progress.start("scoring windows", archive.n_windows, "windows")
    for first, vectors in archive.blocks():
        scores[first : first + len(vectors)] = scores_of(probe, vectors)[:, column]
        advance(len(vectors))
    return scores


def _by_direction(archive: Archive, query: NDArray[np.floating], progress: Progress) -> Floats:
    direction = np.asarray(query, np.float32)
    norm = float(np.linalg.norm(direction))
    if direction.shape != (archive.dim,) or not norm > 0:
        raise UsageError(
            f"query: need a direction of {archive.dim} numbers, not all of them 0, got an array "
            f"{direction.shape} of length {norm:g}"
        )
    mean, scores = archive.mean(), np.empty(archive.n_windows, np.float32)
    advance = progress.start("scoring windows", archive.n_windows, "windows")
    for first, vectors in archive.blocks():
        centred = vectors - mean
        # a vector that is the mean itself points nowhere: its cosine is 0
        lengths = np.maximum(np.linalg.norm(centred, axis=1), np.finfo(np.float32).tiny)
        scores[first : first + len(vectors)] = centred @ (direction / norm) / lengths
        advance(len(vectors))
    return scores


def _own(archive: Archive, label: str | None, progress: Progress) -> Floats:
    header = archive.header
    if header.labels is None:
        raise UsageError(
            f"{archive.stores[0].path}: holds no scores; name a probe, or make a store with embed "
            "--predict"
        )
    column = label_column(label, header.labels, "the store")
    schema = pa.schema([embedding_schema(header).field("scores")])
    scores = np.empty(archive.n_windows, np.float32)
    # rows of one part behind each other, so that each part is read once
    order = np.argsort(archive.part_of, kind="stable")
    bounds = np.searchsorted(archive.part_of[order], np.arange(len(archive.parts) + 1))
    advance = progress.start("reading scores", archive.n_windows, "windows")
    for number, part in enumerate(archive.parts):
        rows = order[bounds[number] : bounds[number + 1]]
        if len(rows):
            table = read_sealed(part.path, part.use.seals, schema)
            scores[rows] = as_array(table["scores"])[archive.row_in_part[rows], column]
        advance(len(rows))
    return scores


def spelled(label: str, labels: Sequence[str], whose: str) -> str:
    """A label as it is spelled where its scores come from; annotations know no other spelling.

    Raises:
        UsageError: As of `label_column`.
    """
    return labels[label_column(label, labels, whose)]


def label_column(label: str | None, labels: Sequence[str], whose: str) -> int:
    """Where a label stands; upper and lower case are the same where that is not ambiguous.

    Args:
        label: None: the only one.
        labels: there are.
        whose: they are, for the message.

    Raises:
        UsageError: There is no such label, or none was named among several.
    """
    if label is None:
        if len(labels) == 1:
            return 0
        raise UsageError(f"{whose} has {len(labels)} labels; name one: {shown(list(labels))}")
    if label in labels:
        return list(labels).index(label)
    alike = [at for at, name in enumerate(labels) if name.casefold() == label.casefold()]
    if len(alike) != 1:
        raise UsageError(f"{whose} has no label {label!r}; it has {shown(list(labels))}")
    return alike[0]
