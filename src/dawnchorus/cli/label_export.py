"""``dawnchorus label export``: an annotation table to files of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from dawnchorus.cli import options

if TYPE_CHECKING:
    from dawnchorus.annotations.places import Places


def export(
    annotations: options.AnnotationFolder,
    *,
    output: Annotated[
        Path,
        options.output("File to write, or a folder that gets a file for each recording."),
    ],
    form: options.AnnotationFormat = None,
    audio: options.Audio = None,
    label: options.Label = None,
    state: options.OfState = None,
    purpose: options.OfPurpose = None,
    author: options.Author = None,
) -> int:
    """Write annotations for Raven, Audacity, Kaleidoscope, or as CSV or Parquet.

    All but Audacity give back the same rows in label import. Audacity holds one state at a time.

    Example: dawnchorus label export archive.annotations -o tables/ --to raven
    """
    from dawnchorus.cli.label_tables import chosen_rows, open_annotations
    from dawnchorus.engine.exports.annotation_files import annotation_format, write_annotations

    annotation_format(output, form)  # refused before anything is read
    table = open_annotations(annotations)
    rows = chosen_rows(table, label, state, purpose, author)
    files = write_annotations(rows, output, _places(annotations, audio), form)
    where = str(files[0]) if len(files) == 1 else f"{output}: {len(files)} files"
    print(f"{where}: {len(rows)} annotations of {len({row.path for row in rows})} recordings")
    return 0


def _places(name: str, audio: Path | None) -> Places:
    """Folder and lengths of the recordings: as the store knows them, otherwise as they are."""
    from functools import cache

    from dawnchorus.annotations.places import Places
    from dawnchorus.cli.label_tables import audio_folder, store_of
    from dawnchorus.clips.measure import measure
    from dawnchorus.paths import from_stored_name
    from dawnchorus.store.read import Store

    store, folder = store_of(name), audio or audio_folder(name) or Path()

    @cache
    def stored() -> dict[str, float | None]:
        if store is None:
            return {}
        rows = Store(store).recordings().select(["path", "duration_s"]).to_pylist()
        return {row["path"]: row["duration_s"] for row in rows}

    @cache
    def length_s(path: str) -> float | None:
        if stored().get(path):
            return stored()[path]
        measured = measure(folder, str(from_stored_name(path)), deep=False)
        return measured.duration_s if measured.readable else None

    return Places(folder, length_s)
