"""From stores to a folder that says what is in them: clusters, a map, twins, strange sounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.annotations.annotation_table import AnnotationTable, annotations_beside
from dawnchorus.configs.search import ClusterConfig
from dawnchorus.errors import UsageError
from dawnchorus.paths import as_path
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.search.archive import Archive
from dawnchorus.search.cluster_names import cluster_names, labelled_windows, medoids
from dawnchorus.search.clusters import NONE
from dawnchorus.search.enough_sound import enough_sound
from dawnchorus.search.map import ArchiveMap, add_new_windows, map_archive, whole_vectors
from dawnchorus.search.map_files import ClusterReport, MapFiles, site_numbers
from dawnchorus.search.oddities import nearest_elsewhere, strangeness
from dawnchorus.search.stability import cluster_stability
from dawnchorus.store.files import remove_if_possible
from dawnchorus.store.storage import stranger_in

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnchorus.progress import Progress
    from dawnchorus.search.archive import Stores

MAPS: Final = "map-*.parquet"
MOST_COMPARED: Final = 100_000  # windows for duplicates: each is compared with each
CONTEXT: Final = ("site", "local_time")  # columns of a recording that a map is coloured by


def cluster_stores(
    stores: Stores,
    output: str | Path,
    *,
    config: ClusterConfig | None = None,
    annotations: str | Path | None = None,
    overwrite: bool = False,
    audio_root: str | Path | None = None,
    progress: Progress = NO_PROGRESS,
    **filters: Any,
) -> ClusterReport:
    """Group the windows of stores by what they sound like, and draw a map of them.

    A folder that holds a map of the same model and settings keeps it: windows that are new are
    placed on it, and no point moves.

    Args:
        stores: one or several, of one model and settings.
        output: a folder for the map, its tables and pictures.
        config: how; None: as `ClusterConfig` has it.
        annotations: a folder of annotations that clusters are named by. None: the one beside the
            first store, if it is there.
        overwrite: make the map again although there is one.
        audio_root: where the recordings lie now. None: where they were.
        progress: who is told.
        **filters: fields of `WindowFilter`, such as ``where={"site": "North"}``.

    Raises:
        UsageError: Too few windows pass, an earlier map does not fit, or the folder is not a map's.
        DependencyError: scikit-learn is not installed.
        StoreError: A store is damaged, or the output cannot be written.
    """
    archive = Archive(stores, **filters)
    config = ClusterConfig.model_validate(config or {})
    if config.duplicates is not None and archive.n_windows > MOST_COMPARED:
        raise UsageError(
            f"{archive.n_windows:,} windows are too many to compare each with each for duplicates; "
            f"at most {MOST_COMPARED:,}: choose some with --where or --dates"
        )
    folder = as_path(output)
    _check_own(folder)
    spoken = _annotations(archive, annotations)
    earlier = None if overwrite else _earlier(folder, config)
    mean = archive.mean() if earlier is None else earlier.mean
    vectors = whole_vectors(archive, mean, progress)
    if earlier is None:
        made, n_new = map_archive(archive, vectors, mean, config, progress), archive.n_windows
    else:
        made, n_new = add_new_windows(earlier, archive, vectors, progress)
    for old in folder.glob(MAPS) if folder.is_dir() else ():
        if overwrite and old.name != made.name:
            remove_if_possible(old)
    folder.mkdir(parents=True, exist_ok=True)
    table = _with_context(archive, made)
    labelled = {} if spoken is None else labelled_windows(table, spoken.rows())
    names = cluster_names(made.clusters, labelled)
    sizes = np.bincount(made.clusters[made.clusters != NONE], minlength=len(names)).tolist()
    report = ClusterReport(
        n_windows=archive.n_windows,
        n_new=n_new,
        n_landmarks=len(made.landmarks),
        names=names,
        sizes=sizes,
        n_none=int((made.clusters == NONE).sum()),
        files=[made.write(folder)],
    )
    writer = MapFiles(folder, as_path(audio_root or archive.header.audio_root), report)
    enough = enough_sound(archive)
    typical = medoids(vectors, made.clusters, enough)
    recordings = np.unique(table["recording_id"].to_numpy(), return_inverse=True)[1]
    if config.stability:
        advance = progress.start("drawing halves", config.stability, "draws")
        some = made.landmarks
        report.stability = cluster_stability(
            vectors[some], recordings[some], made.clusters[some], config, advance
        ).tolist()
    writer.clusters(table, names, sizes, typical)
    writer.windows(table, made, names, labelled)
    if config.duplicates is not None:
        writer.duplicates(table, _twins(vectors, recordings, enough, progress), config.duplicates)
    if config.novel:
        advance = progress.start("looking for strange sounds", len(vectors), "windows")
        # those that are no example are a site of their own, so that they take nobody's place
        wanted = (np.where(enough, site_numbers(table), -1), config.novel)
        strange = strangeness(vectors, recordings, made.landmarks, wanted, advance)
        strange[~enough] = np.nan
        writer.strangest(table, strange, config.novel)
    writer.pictures(table, made, names, labelled, typical)
    return report


def _twins(
    vectors: NDArray[np.int8],
    recordings: NDArray[np.int64],
    enough: NDArray[np.bool_],
    progress: Progress,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """As `nearest_elsewhere`, among windows that hold enough sound; -1 and nan for others."""
    rows = np.flatnonzero(enough)
    advance = progress.start("comparing recordings", len(rows), "windows")
    found, near = nearest_elsewhere(vectors[rows], recordings[rows], advance)
    nearest, cosine = np.full(len(vectors), -1), np.full(len(vectors), np.nan)
    nearest[rows] = np.where(found < 0, -1, rows[found])
    cosine[rows] = near
    return nearest, cosine


def _check_own(folder: Path) -> None:
    """Refuse a folder whose files a map would lie among, or replace.

    Raises:
        UsageError: It holds other things, and no map.
    """
    other = stranger_in(folder, "")
    if other is not None and not any(folder.glob(MAPS)):
        raise UsageError(
            f"{folder}: holds other things, such as {other!r}, and no map; a map needs a folder of "
            "its own, such as archive.map"
        )


def _earlier(folder: Path, config: ClusterConfig) -> ArchiveMap | None:
    """The map that the folder holds, if there is one.

    Raises:
        UsageError: It was made with other settings.
    """
    found = sorted(folder.glob(MAPS)) if folder.is_dir() else []
    if not found:
        return None
    earlier = ArchiveMap.read(found[-1])
    settings = config.of_the_map
    if earlier.facts.get("settings") != settings:
        raise UsageError(
            f"{found[-1]}: was made with {earlier.facts.get('settings')}, now {settings} is asked "
            "for; choose another folder, or say --overwrite"
        )
    return earlier


def _with_context(archive: Archive, made: ArchiveMap) -> pa.Table:
    """Windows of the map with site and local time, where recordings have them."""
    table = made.windows
    for name in CONTEXT:
        try:
            column = archive.windows([name])[name]
        except UsageError:
            continue  # no recording of these stores says it
        table = table.append_column(name, column)
    return table


def _annotations(archive: Archive, folder: str | Path | None) -> AnnotationTable | None:
    """The annotations, opened before any long work; None: there are none beside the store."""
    if folder is not None:
        return AnnotationTable(folder)
    beside = annotations_beside(archive.stores[0].path)
    return AnnotationTable(beside) if beside.is_dir() else None
