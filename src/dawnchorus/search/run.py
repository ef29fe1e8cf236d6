"""`search_stores`: the windows of an archive that sound most like what is looked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dawnchorus.annotations.annotation_row import named_label
from dawnchorus.annotations.annotation_table import (
    AnnotationTable,
    annotations_beside,
    suggested_row,
)
from dawnchorus.annotations.window_labels import ABSENT, PRESENT, window_labels
from dawnchorus.configs.search import SearchConfig
from dawnchorus.errors import UsageError, shown
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.search.archive import Archive
from dawnchorus.search.neighbours import best_windows
from dawnchorus.search.query import SoundQuery, direction_of, embed_sounds
from dawnchorus.search.ray import search_workers
from dawnchorus.search.results import SearchResult, result_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnchorus.models.encoder import Encoder
    from dawnchorus.progress import Progress
    from dawnchorus.search.archive import Stores

    Floats = NDArray[np.float32]
    Sounds = list[SoundQuery]
    Given = str | Path | SoundQuery | Sequence[str | Path | SoundQuery] | NDArray[np.floating]


def search_stores(
    stores: Stores,
    like: Given = (),
    *,
    unlike: Given = (),
    label: str | None = None,
    config: SearchConfig | None = None,
    model: Encoder | str | Path | None = None,
    progress: Progress = NO_PROGRESS,
    **filters: Any,
) -> SearchResult:
    """Find the windows of stores that sound most like what is looked for.

    Several sounds, and those of a label, are one query: their mean direction; with sounds that it
    must not be mistaken for, a linear head.

    Args:
        stores: one or several, of one model and settings.
        like: a sound or several, such as ``call.wav`` or ``night.wav@12.5-14.0``; or vectors of
            the encoder ``(n, dim)``.
        unlike: sounds that are mistaken for them.
        label: of the annotations: windows that people said hold it are looked for, those that they
            said do not are as ``unlike``.
        config: how many, and how; None: as `SearchConfig` has it.
        model: the stores' encoder, for sounds. None: the one whose name the first store has.
        progress: who is told.
        **filters: fields of `WindowFilter`, such as ``where={"site": "North"}``.

    Raises:
        UsageError: Nothing is looked for, or a column, filter or label does not exist.
        AudioError: A sound cannot be read.
        WeightsError: A sound cannot be embedded as the stores were.
        StoreError: A store is damaged.
        DependencyError: A cluster is asked for, and Ray is not installed.
    """
    config = SearchConfig.model_validate(config or {})
    like, unlike = _sounds(like), _sounds(unlike)
    archive = Archive(stores, **filters)
    if not archive.n_windows:
        raise UsageError("no window passes the filters; there is nothing to search")
    positives, negatives = _examples(archive, like, unlike, model)
    if label is not None:
        of_label = _of_label(archive, label, config)
        positives, negatives = positives + of_label[0], negatives + of_label[1]
    with search_workers(config) as workers:
        archive.prepare(progress, workers)
        direction = direction_of(
            archive, _stacked(positives, archive.dim), _stacked(negatives, archive.dim),
            seed=config.seed,
        )  # fmt: skip
        found = best_windows(
            archive,
            direction[None],
            config.k,
            per_recording=config.per_recording,
            sketch=config.sketch,
            progress=progress,
            workers=workers,
        )
    return result_of(archive, found, [_name(like, label)], config.columns)


def _examples(
    archive: Archive,
    like: Sounds | Floats,
    unlike: Sounds | Floats,
    model: Encoder | str | Path | None,
) -> tuple[list[Floats], list[Floats]]:
    """Vectors of what is like and unlike the sound that is looked for."""
    sounds = [one for some in (like, unlike) if isinstance(some, list) for one in some]
    vectors = iter(embed_sounds(sounds, archive.header, model) if sounds else [])
    of_like, of_unlike = (
        [next(vectors) for _ in some] if isinstance(some, list) else [archive.checked(some)]
        for some in (like, unlike)
    )
    return of_like, of_unlike


def _sounds(given: Given) -> Sounds | Floats:
    """Sounds as a list, or vectors as an array; one sound is not a list of letters."""
    if isinstance(given, str | bytes | Path | SoundQuery) or not isinstance(given, Iterable):
        given = [given]
    listed = list(given) if not hasattr(given, "__array__") else np.asarray(given)
    if all(isinstance(one, str | bytes | Path | SoundQuery) for one in listed):
        return [one if isinstance(one, SoundQuery) else _parsed(one) for one in listed]
    try:
        return np.asarray(listed, np.float32)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"need sounds such as night.wav@12.5-14.0, or vectors, got {shown(given)}"
        ) from error


def _parsed(sound: str | bytes | Path) -> SoundQuery:
    return SoundQuery.parse(os.fsdecode(sound))


def _of_label(
    archive: Archive, label: str, config: SearchConfig
) -> tuple[list[Floats], list[Floats]]:
    """Vectors of windows that people said do, or do not, hold a label."""
    folder = config.annotations or annotations_beside(archive.stores[0].path)
    rows = AnnotationTable(folder).rows()
    labels = window_labels(archive.windows(), rows, label)
    if not (labels == PRESENT).any():
        known = sorted({row.label for row in rows if row.label})
        raise UsageError(
            f"{folder}: no window of these stores is said to hold {label!r}; labels there: "
            f"{', '.join(known[:20]) or 'none'}"
        )
    return tuple([archive.take(np.flatnonzero(labels == state))] for state in (PRESENT, ABSENT))  # type: ignore[return-value]


def _stacked(pieces: Sequence[Floats], dim: int) -> Floats:
    return np.concatenate([np.zeros((0, dim), np.float32), *pieces])


def _name(like: Sounds | Floats, label: str | None) -> str:
    """What the query is called in the result."""
    sounds = [str(one) for one in like] if isinstance(like, list) else ["vectors"]
    return " + ".join([*sounds, *([label] if label is not None else [])])


def suggest_matches(table: pa.Table, annotations: str | Path, label: str, *, model: str) -> int:
    """Write the windows of a result into an annotation table, as suggestions to be judged.

    Args:
        table: of a `SearchResult`.
        annotations: the folder of the table; it is made if it is not there.
        label: that they are suggested to hold.
        model: the encoder's name, to be kept with them.

    Returns:
        How many were written.

    Raises:
        StoreError: They cannot be written.
    """
    label = named_label(label)
    rows = [
        suggested_row(row, label, model=model, score=float(row["score"]))
        for row in table.to_pylist()
    ]
    AnnotationTable(annotations, create=True).append(rows)
    return len(rows)
