"""The data of a run on one's own recordings: long ones, without labels, for a teacher alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.clips.folders import manifest_of_folder
from dawnchorus.clips.manifest import SEGMENT, Clip, Manifest, write_manifest
from dawnchorus.errors import TaskError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MANIFEST: Final = "manifest.parquet"
# A day's recording is to be heard more often than a minute's: clips are drawn, not files.
PIECE_S: Final = 30.0
VALIDATION_SHARE: Final = 0.05  # of the recordings' length
LEAST_S: Final = 0.1  # of a piece


def recordings_run_values(
    recipe: Mapping[str, Any], folder: Path, *, runs: Path = Path("runs")
) -> dict[str, Any]:
    """A recipe's keys, with the recordings of a folder as its data.

    The manifest is made once and kept in the run's folder, so that a resumed run has the same
    clips. Recordings are cut into pieces of 30 s; a twentieth of them, whole recordings, is kept
    for validation where there are several.

    Args:
        recipe: keys of a run of post-training without labels.
        folder: of the recordings, of any length.
        runs: folder that holds run folders.

    Raises:
        UsageError: The recipe has labels, which a folder does not give it.
        TaskError: There is no recording, or some cannot be read.
    """
    data = {**recipe.get("data", {})}
    if data.get("label_kinds", ["species"]):
        raise UsageError(
            f"--folder {folder}: this file trains on labels, which come from a manifest "
            "(dawnchorus data import, then --data); a folder of recordings needs data.label_kinds: "
            "[] and a teacher"
        )
    path = runs / str(recipe.get("name", "distilled")) / MANIFEST
    if not path.is_file():
        write_manifest(manifest_of_recordings(folder), path)
    return {**recipe, "data": {**data, "root": str(path.parent), "manifest": MANIFEST}}


def manifest_of_recordings(folder: Path, *, seed: int = 0) -> Manifest:
    """Pieces of all recordings below a folder, without labels, most of them for training.

    Folders ``train``, ``val`` and ``test`` at the top are the split; without them some recordings
    are drawn for validation.

    Args:
        folder: the top.
        seed: of which recordings are kept for validation.

    Raises:
        TaskError: There is no recording, or some cannot be read.
    """
    found = manifest_of_folder(folder, label_from="none")
    if found.failures:
        first = found.failures[0]
        raise TaskError(
            f"{folder}: {len(found.failures)} files cannot be read, the first is {first.path} "
            f"({first.reason}); remove or repair them; dawnchorus doctor {folder} lists them"
        )
    files = list(found.manifest)
    split = {clip.path: clip.split for clip in files}
    if not any(split.values()):
        split = _drawn_split(files, seed)
    pieces = [piece for clip in files for piece in _pieces(clip, split[clip.path])]
    return Manifest.of(pieces, found.manifest.folder)


def _drawn_split(files: list[Clip], seed: int) -> dict[str, str]:
    """Whole recordings for validation, until they are a twentieth; a single one is trained on."""
    split = {clip.path: "train" for clip in files}
    wanted_s = VALIDATION_SHARE * sum(clip.duration_s for clip in files)
    order = np.random.default_rng(seed).permutation(len(files))
    # never more than half of the recordings, however their lengths differ
    for number in order[: len(files) // 2].tolist():
        if wanted_s <= 0:
            break
        split[files[number].path] = "val"
        wanted_s -= files[number].duration_s
    return split


def _pieces(clip: Clip, split: str) -> Iterator[Clip]:
    """Equal pieces of a recording, of 30 s at most."""
    if clip.duration_s < LEAST_S:
        return
    count = max(1, math.ceil(clip.duration_s / PIECE_S))
    edges = np.linspace(clip.start_s, clip.stop_s, count + 1).tolist()
    for number in range(count):
        yield Clip(
            id=f"{clip.id}#{number}" if count > 1 else clip.id,
            path=clip.path,
            dataset=clip.dataset,
            level=SEGMENT if count > 1 else clip.level,
            start_s=edges[number],
            stop_s=edges[number + 1],
            labels=(),
            kind=clip.kind,
            split=split,
        )
