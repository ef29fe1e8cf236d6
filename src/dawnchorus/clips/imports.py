"""Labelled clips from whatever people have: tables, annotations, folders of sounds, a manifest.

Every form ends in the same place: a manifest whose recordings were found and measured, and a list
of what is not in it. `read_labels` finds out which form it is.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

import pyarrow.compute as pc

from dawnchorus.annotations.annotation import AnnotationList, clip_id
from dawnchorus.annotations.audacity import read_audacity
from dawnchorus.annotations.raven import RAVEN_SUFFIX, read_raven
from dawnchorus.annotations.recordings import Recordings
from dawnchorus.annotations.row_reader import RAVEN_BEGIN, ReadOptions
from dawnchorus.annotations.table import TABLE_SUFFIXES, read_table
from dawnchorus.audio.decode.read import AUDIO_SUFFIXES
from dawnchorus.clips.build import ImportedClips, build_manifest
from dawnchorus.clips.folders import SPLIT_FOLDERS, manifest_of_folder
from dawnchorus.clips.manifest import MANIFEST_SCHEMA, read_manifest
from dawnchorus.clips.measure import rate_of
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.progress import NO_PROGRESS, Progress
from dawnchorus.text_tables.read import open_table
from dawnchorus.text_tables.values import is_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence, Set

    from dawnchorus.clips.build import Row

Form = Literal["csv", "folder", "raven", "audacity", "manifest"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)
# Columns of a manifest that a table may have by their own names; the others have roles of their own
# (path, times, labels) or are measured.
_KNOWN_COLUMNS: Final[dict[str, type]] = {
    field.name: {"double": float, "int64": int}.get(str(field.type), str)
    for field in MANIFEST_SCHEMA
    if field.name not in {"path", "labels", "start_s", "stop_s", "duration_s"}
}
# What is drawn by hand lies inside of a recording, and its clips share that recording's day and
# place, so they stay on one side of a split.
_DRAWN: Final = {"kind": "species", "level": "segment"}


def read_labels(
    paths: Path | Sequence[Path],
    *,
    form: Form | None = None,
    audio: Path | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    values: Mapping[str, str] | None = None,
    progress: Progress = NO_PROGRESS,
) -> ImportedClips:
    """Read labelled clips of any form.

    Lines of one recording and span are one clip with all their labels. What cannot be read is left
    out and named. Which tables are known is in the documentation of formats.

    Args:
        paths: tables, or folders of them: CSV or TSV (``path,label``, and ``start_s``, ``stop_s``,
            ``split``, ``group`` where there are; or as BirdNET, Kaleidoscope, OpenSoundscape ...
            write them), Raven selection tables or Audacity labels (``.txt``); a folder with a
            folder for each label; or a manifest (``.parquet``).
        form: which of these it is; None: detected from the files.
        audio: folder of the recordings; None: the folder of the first table.
        columns: our column to theirs, such as ``{"labels": "Species"}``; also ``path``,
            ``start_s``, ``stop_s``, ``length_s``.
        separator: text between several labels in one cell; None: a cell is one label, commas and
            all.
        values: our column to a value for every clip, such as ``{"source": "Watkins"}``; an empty
            ``labels`` says that the clips have none.
        progress: counts each file whose header was read.

    Raises:
        UsageError: It is not clear what they are, or which column is which.
        TaskError: They cannot be read, or none of their clips can.
    """
    named = [paths] if isinstance(paths, Path) else list(paths)
    if not named:
        raise UsageError("need labelled clips: a table, a folder for each label, or annotations")
    form = form or form_of(named)
    if form in {"folder", "manifest"} and len(named) > 1:
        raise UsageError(f"{form}: need one of them, got {len(named)}")
    values = dict(values or {})
    if form == "folder":
        kind = values.get("kind", "species")
        return manifest_of_folder(named[0], kind=kind, progress=progress)
    if form == "manifest":
        return _of_manifest(named[0])
    folder = audio or (named[0] if named[0].is_dir() else named[0].parent)
    options = ReadOptions(
        columns=columns or {}, separator=separator, values=values, known=_KNOWN_COLUMNS
    )
    annotations = read_tables(named, form, folder, options)
    rows = _rows(annotations, values if form == "csv" else {**_DRAWN, **values})
    if form != "csv":
        rows = [{**row, "group": row["path"]} for row in rows]
    source = str(named[0] if form == "csv" else folder)
    if not rows and not annotations.failures:
        raise TaskError(f"{source}: no line under the names of the columns, so no annotation")
    if not rows:
        first = annotations.failures[0]
        raise TaskError(
            f"{source}: none of {len(annotations.failures)} rows is a clip: {first.message}"
        )
    built = build_manifest(_joined(rows), folder, named=source, progress=progress)
    return ImportedClips(
        built.manifest,
        (*annotations.failures, *built.failures),
        (*annotations.notes(), *built.notes),
    )


def read_tables(
    named: Sequence[Path], form: Form, folder: Path, options: ReadOptions
) -> AnnotationList:
    """The annotations of all tables, whose recordings lie below a folder.

    Args:
        named: tables, or folders of them.
        form: csv, raven or audacity; each text file is read as which of these two it is.
        folder: of the recordings.
        options: what the user says of the tables.

    Raises:
        TaskError: A table cannot be read; the line is named.
        UsageError: It is not clear which column is which.
    """
    recordings = Recordings(folder, partial(rate_of, folder))
    readers: dict[Form, Callable[[Path], AnnotationList]] = {
        "csv": lambda table: read_table(table, recordings, options),
        "raven": lambda table: read_raven(table, recordings, options),
        "audacity": lambda table: read_audacity(table, recordings),
    }
    annotations = AnnotationList()
    suffixes = TABLE_SUFFIXES if form == "csv" else {RAVEN_SUFFIX}
    for table in _tables(named, suffixes):
        own = form if form == "csv" else _form_of_text(table)
        annotations.extend(readers[form if own == "csv" else own](table))
    for folder in filter(Path.is_dir, named):
        others = tables_of(folder, {*TABLE_SUFFIXES, RAVEN_SUFFIX} - suffixes)
        if others:
            annotations.remarks.append(
                f"{folder}: not read are {len(others)} tables of another form, such as {others[0]}"
            )
    annotations.remarks += recordings.notes()
    return annotations


def _tables(named: Sequence[Path], suffixes: Set[str]) -> list[Path]:
    """Files that were named, and those of folders that were named."""
    tables: list[Path] = []
    for path in named:
        files = tables_of(path, suffixes) if path.is_dir() else [path]
        if not files:
            raise TaskError(f"{path}: no {' or '.join(sorted(suffixes))} file in it")
        tables += files
    return tables


def tables_of(folder: Path, suffixes: Set[str]) -> list[Path]:
    """The tables of a folder and of those below it."""
    return sorted(file for file in folder.rglob("*") if _suffix(file) in suffixes)


def _suffix(path: Path) -> str:
    """The ending of a file's name, of what is packed in a gzip."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _rows(annotations: AnnotationList, values: Mapping[str, str]) -> list[Row]:
    """Annotations as rows of a manifest to be built."""
    rows = []
    for annotation in annotations.annotations:
        row: Row = {**annotation.columns, **values}
        split = row.get("split")
        if split:
            row["split"] = SPLIT_FOLDERS.get(split.lower(), split)
        row |= {
            "path": annotation.path,
            "start_s": annotation.start_s,
            "stop_s": annotation.end_s,
            "labels": list(annotation.labels),
            "where": annotation.where,
        }
        if annotation.recording_s is not None:
            row["recording_s"] = annotation.recording_s
        row["id"] = row.get("id") or None
        rows.append(row)
    return rows


def _joined(rows: Sequence[Row]) -> list[Row]:
    """Rows of one file and span as one clip with all labels; every clip with an id."""
    clips: dict[tuple[str, float | None, float | None], Row] = {}
    for row in rows:
        clip = clips.setdefault((row["path"], row["start_s"], row["stop_s"]), row)
        if clip is not row:
            clip["labels"] = list(dict.fromkeys([*clip["labels"], *row["labels"]]))
    ids = {row["id"] for row in clips.values() if row["id"]}
    for row in clips.values():
        if not row["id"]:
            row["id"] = _free_id(clip_id(row["path"], row["start_s"], row["stop_s"]), ids)
    return list(clips.values())


def _free_id(name: str, ids: set[str]) -> str:
    """The name, with a number behind it where another span is the same to the millisecond."""
    free, number = name, 2
    while free in ids:
        free, number = f"{name}#{number}", number + 1
    ids.add(free)
    return free


def _of_manifest(path: Path) -> ImportedClips:
    """A manifest as it is; labels that other programs write for "nothing" are named."""
    manifest = read_manifest(path)
    labels = pc.unique(pc.list_flatten(manifest.table["labels"])).drop_null().to_pylist()
    odd = sorted(label for label in labels if is_missing(label))
    if not odd:
        return ImportedClips(manifest)
    note = f"{path}: {odd} are labels here, not clips without a label"
    return ImportedClips(manifest, notes=(note,))


def form_of(paths: Sequence[Path]) -> Form:
    """What labelled clips are, detected by suffix, folder or first line.

    Raises:
        UsageError: It is not there, or nothing that is known.
    """
    path = paths[0]
    suffix = _suffix(path)
    if path.is_dir():
        return _form_of_folder(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such file or folder")
    if suffix == ".parquet":
        return "manifest"
    if suffix in TABLE_SUFFIXES:
        return "csv"
    if suffix == RAVEN_SUFFIX:
        return _form_of_text(path)
    raise UsageError(
        f"{path}: what is it? need .csv, .tsv, .parquet, a Raven or Audacity .txt, or a folder; "
        f"or name its form: {', '.join(FORMS)}"
    )


def _form_of_folder(folder: Path) -> Form:
    if any(file.suffix.lower() in AUDIO_SUFFIXES for file in folder.glob("*/*")):
        return "folder"
    texts = tables_of(folder, {RAVEN_SUFFIX})
    if texts:
        return _form_of_text(texts[0])
    if tables_of(folder, TABLE_SUFFIXES):
        return "csv"
    raise UsageError(
        f"{folder}: need a folder for each label with sounds in it, or annotations (.txt, .csv)"
    )


def _form_of_text(path: Path) -> Form:
    """Raven has its columns' names, Audacity begins with times; whatever else is a table."""
    if not path.stat().st_size:
        return "audacity"  # a track without labels
    names = open_table(path).names
    if RAVEN_BEGIN in names:
        return "raven"
    return "audacity" if re.match(r"[\d.,]+(\s|$)", names[0]) else "csv"
