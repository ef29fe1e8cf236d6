"""The map of an archive: where each window lies, which cluster it is in, and how it was made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.errors import StoreError, UsageError
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.search.cells import nearest_by_cell
from dawnchorus.search.clusters import N_ANCHORS, assign, dense_groups, neighbour_graph, reaches
from dawnchorus.search.landmarks import choose_landmarks
from dawnchorus.search.layout import N_ROUNDS, between, layout
from dawnchorus.search.whole_numbers import as_whole_numbers
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.configs.search import ClusterConfig
    from dawnchorus.progress import Progress
    from dawnchorus.search.archive import Archive

    Whole = NDArray[np.int8]
    Rows = NDArray[np.int64]

FORMAT_VERSION: Final = 1
METADATA: Final = b"dawnchorus map"
PLACED_AT_ONCE: Final = 262_144  # windows: 200 MB of vectors


@dataclass(frozen=True, slots=True)
class ArchiveMap:
    """A map, in memory.

    Attributes:
        windows: one row a window, in the order of the archive: `KEYS`, ``path``, ``start_s``,
            ``stop_s``, ``x``, ``y``, ``cluster`` (-1: none) and ``landmark``.
        reach: ``(clusters,)`` how far a window may lie from the nearest member.
        mean: ``(dim,)`` that was removed from all vectors.
        facts: settings, seed and what names the model.
    """

    windows: pa.Table
    reach: NDArray[np.float64]
    mean: NDArray[np.float32]
    facts: dict[str, Any]

    @property
    def clusters(self) -> Rows:
        """The cluster of each window, -1 for none."""
        return np.asarray(self.windows["cluster"].to_numpy(), np.int64)

    @property
    def landmarks(self) -> Rows:
        """Rows of windows that are landmarks."""
        return np.flatnonzero(self.windows["landmark"].to_numpy(zero_copy_only=False))

    @property
    def name(self) -> str:
        """Its file's name: the same settings on the same model have the same one."""
        text = json.dumps(self.facts, sort_keys=True)
        return f"map-{hashlib.sha256(text.encode()).hexdigest()[:12]}.parquet"

    def write(self, folder: Path) -> Path:
        """Write it into a folder, whole or not at all; returns the file."""
        kept = {
            "format_version": FORMAT_VERSION,
            **self.facts,
            "reach": self.reach.tolist(),
            "mean": self.mean.astype(float).tolist(),
        }
        table = self.windows.replace_schema_metadata({METADATA: json.dumps(kept).encode()})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        path = folder / self.name
        write_whole(path, sink.getvalue().to_pybytes())
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a map.

        Raises:
            StoreError: It is not a map, or of another version.
        """
        try:
            table = pq.read_table(path)
            kept = json.loads((table.schema.metadata or {})[METADATA])
            version = kept.pop("format_version")
            reach, mean = np.array(kept.pop("reach")), np.array(kept.pop("mean"), np.float32)
            missing = [name for name in WINDOW_COLUMNS if name not in table.column_names]
        except (OSError, pa.ArrowException, KeyError, ValueError, AttributeError) as error:
            raise StoreError(f"{path}: not a map that cluster wrote: {error}") from error
        if version != FORMAT_VERSION or missing:
            said = f"lacks {missing[0]}" if missing else f"is of format {version}"
            raise StoreError(f"{path}: {said}; make the map again with --overwrite")
        return cls(table.replace_schema_metadata(None), reach, mean, kept)


KEYS: Final = ("store", "recording_id", "window")
WINDOW_COLUMNS: Final = (
    *KEYS, "path", "start_s", "stop_s", "x", "y", "cluster", "landmark"
)  # fmt: skip


def map_archive(
    archive: Archive,
    vectors: Whole,
    mean: NDArray[np.float32],
    config: ClusterConfig,
    progress: Progress = NO_PROGRESS,
) -> ArchiveMap:
    """Choose landmarks, group them, lay them out, and place every other window between them.

    Args:
        archive: that is mapped.
        vectors: of all its windows, from `whole_vectors`.
        mean: that was removed from them.
        config: how.
        progress: who is told.

    Raises:
        UsageError: There are fewer than three windows.
        DependencyError: scikit-learn is not installed.
        StoreError: A part of a store is missing or damaged.
    """
    if archive.n_windows < 3:
        raise UsageError(f"{archive.n_windows} windows pass; a map needs 3 at least")
    rows = choose_landmarks(vectors, config.landmarks, config.seed)
    landmarks = vectors[rows]
    progress.message(f"{len(rows):,} of {archive.n_windows:,} windows are landmarks")
    graph = neighbour_graph(landmarks, config.neighbours)
    groups = dense_groups(graph, config.least, coarse=config.coarse)
    reach = reaches(graph, groups)
    advance = progress.start("drawing the map", N_ROUNDS, "rounds")
    points = layout(landmarks, graph, config.seed, advance)
    clusters = np.empty(len(vectors), np.int64)
    places = np.empty((len(vectors), 2))
    others = np.setdiff1d(np.arange(len(vectors)), rows)
    clusters[rows], places[rows] = groups, points
    clusters[others], places[others] = _placed(
        vectors, others, landmarks, (groups, reach, points), progress
    )
    facts = {"settings": config.of_the_map, **_model_facts(archive)}
    return ArchiveMap(_table(archive, places, clusters, rows), reach, mean, facts)


def add_new_windows(
    earlier: ArchiveMap, archive: Archive, vectors: Whole, progress: Progress = NO_PROGRESS
) -> tuple[ArchiveMap, int]:
    """The map with windows that came since; those that were there stay where they are.

    Args:
        earlier: the map.
        archive: that has grown.
        vectors: of all its windows, from `whole_vectors` with the map's mean.
        progress: who is told.

    Returns:
        The map of the archive as it is now, and how many windows are new.

    Raises:
        UsageError: The map is of another model, or its landmarks are gone from the archive.
    """
    for key, value in _model_facts(archive).items():
        if earlier.facts.get(key) != value:
            raise UsageError(
                f"the map was made of vectors with {key} {earlier.facts.get(key)}, these have "
                f"{value}; make it again with --overwrite"
            )
    windows = archive.windows()
    where = _rows_by_key(earlier.windows)
    before = np.array([where.get(key, -1) for key in _keys(windows)], np.int64)
    rows = np.flatnonzero(np.isin(before, earlier.landmarks))
    if len(rows) != len(earlier.landmarks):
        raise UsageError(
            f"{len(earlier.landmarks) - len(rows)} of {len(earlier.landmarks)} landmarks of the "
            "map are not among these windows (other filters, or recordings that were removed); "
            "make it again with --overwrite"
        )
    old = np.stack([earlier.windows["x"].to_numpy(), earlier.windows["y"].to_numpy()], axis=1)
    places, clusters = old[before], earlier.clusters[before]
    new = np.flatnonzero(before < 0)
    if len(new):
        groups = clusters[rows]
        clusters[new], places[new] = _placed(
            vectors, new, vectors[rows], (groups, earlier.reach, places[rows]), progress
        )
    table = _table(archive, places, clusters, rows)
    return ArchiveMap(table, earlier.reach, earlier.mean, earlier.facts), len(new)


def whole_vectors(
    archive: Archive, mean: NDArray[np.float32], progress: Progress = NO_PROGRESS
) -> Whole:
    """All vectors of an archive in whole numbers, ``(n, dim)``: a byte for each number."""
    advance = progress.start("reading vectors", archive.n_windows, "windows")
    vectors = np.empty((archive.n_windows, archive.dim), np.int8)
    for first, block in archive.blocks():
        vectors[first : first + len(block)] = as_whole_numbers(block, mean)
        advance(len(block))
    return vectors


def _placed(
    vectors: Whole,
    rows: Rows,
    landmarks: Whole,
    made: tuple[Rows, NDArray[np.float64], NDArray[np.float64]],
    progress: Progress,
) -> tuple[Rows, NDArray[np.float64]]:
    """Clusters and positions of rows that are not landmarks."""
    groups, reach, points = made
    clusters, places = np.empty(len(rows), np.int64), np.empty((len(rows), 2))
    advance = progress.start("placing windows", len(rows), "windows")
    for start in range(0, len(rows), PLACED_AT_ONCE):
        block = slice(start, start + PLACED_AT_ONCE)
        anchors, near = nearest_by_cell(vectors[rows[block]], landmarks, N_ANCHORS, done=advance)
        clusters[block] = assign(anchors, near, groups, reach)
        places[block] = between(anchors, near, points)
    return clusters, places


def _table(
    archive: Archive, places: NDArray[np.float64], clusters: Rows, landmarks: Rows
) -> pa.Table:
    """Windows of the map, in the order of the archive."""
    is_landmark = np.zeros(archive.n_windows, bool)
    is_landmark[landmarks] = True
    columns = {"x": places[:, 0], "y": places[:, 1], "cluster": clusters, "landmark": is_landmark}
    table = archive.windows().select([name for name in WINDOW_COLUMNS if name not in columns])
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    return table


def _model_facts(archive: Archive) -> dict[str, Any]:
    """What must be the same for vectors to be comparable."""
    header = archive.header
    names = ("weights_sha256", "dim", "window_samples", "sample_rate")
    return {name: getattr(header, name) for name in names} | {"readout": str(header.readout)}


def _keys(windows: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(windows[name].to_pylist() for name in KEYS), strict=True))


def _rows_by_key(windows: pa.Table) -> dict[tuple[Any, ...], int]:
    return {key: row for row, key in enumerate(_keys(windows))}
