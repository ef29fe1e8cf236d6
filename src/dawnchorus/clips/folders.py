"""A manifest of a folder of sounds in which each folder is a label."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from dawnchorus.audio.decode.read import AUDIO_SUFFIXES
from dawnchorus.clips.build import ImportedClips, build_manifest
from dawnchorus.errors import TaskError
from dawnchorus.paths import stored_name
from dawnchorus.progress import NO_PROGRESS, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

LabelFrom = Literal["parent", "top", "none"]
# Folders that are a split, not a label, where they stand at the top.
SPLIT_FOLDERS: Final = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip


def manifest_of_folder(
    folder: Path,
    *,
    label_from: LabelFrom = "parent",
    kind: str = "species",
    underscores: bool = False,
    progress: Progress = NO_PROGRESS,
) -> ImportedClips:
    """Make a manifest of every sound file below a folder.

    Lengths and rates come from the headers; files whose header only estimates are decoded. A folder
    ``train``, ``val`` or ``test`` right below ``folder`` gives the split. Hidden files are passed
    over.

    Args:
        folder: the top.
        label_from: ``parent``: the folder that a file lies in; ``top``: the first one below
            ``folder`` and its split; ``none``: no labels. Files right in ``folder`` have none.
        kind: of the labels.
        underscores: the labels' underscores are spaces.
        progress: counts each file whose header was read.

    Raises:
        TaskError: There is no sound file.
    """
    if not folder.is_dir():
        raise TaskError(f"{folder}: no such folder")
    paths = list(_sound_files(folder))
    if not paths:
        raise TaskError(
            f"{folder}: no sound file in it (endings: {' '.join(sorted(AUDIO_SUFFIXES))})"
        )
    rows = []
    for path in paths:
        parts = path.split("/")[:-1]
        # only right below the top: a folder "test" further down may be a label
        split = SPLIT_FOLDERS.get(parts[0].lower()) if parts else None
        parts = parts[1:] if split else parts
        label = {"parent": parts[-1:], "top": parts[:1], "none": []}[label_from]
        labels = [name.replace("_", " ") if underscores else name for name in label]
        rows.append({"id": path, "path": path, "labels": labels, "kind": kind, "split": split})
    return build_manifest(rows, folder, named=str(folder), progress=progress)


def _sound_files(folder: Path) -> Iterator[str]:
    for here, folders, files in os.walk(folder):
        # in place: `os.walk` then walks only what is left of the list
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                yield stored_name((Path(here) / name).relative_to(folder))
