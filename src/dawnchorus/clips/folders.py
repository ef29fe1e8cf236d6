"""A manifest of a folder of sounds in which each folder is a label."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import pyarrow as pa

from dawnchorus.audio.decode.read import AUDIO_SUFFIXES
from dawnchorus.clips.manifest import MANIFEST_SCHEMA, Manifest
from dawnchorus.clips.measure import measure
from dawnchorus.clips.parallel import in_threads
from dawnchorus.errors import TaskError
from dawnchorus.paths import stored_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from dawnchorus.clips.measure import Measured

LabelFrom = Literal["parent", "top", "none"]
# Folders that are a split, not a label, where they stand at the top.
SPLIT_FOLDERS: Final = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip
TOLERANCE_S: Final = 0.1  # by which the end of a span may lie behind the recording's


@dataclass(frozen=True, slots=True)
class Made:
    """A new manifest, and the files that are not in it: path, verdict and message of each.

    ``notes`` says what was read as what, and what to mind.
    """

    manifest: Manifest
    bad: tuple[tuple[str, str, str], ...] = ()
    notes: tuple[str, ...] = ()


def manifest_of_folder(
    folder: Path,
    *,
    label_from: LabelFrom = "parent",
    kind: str = "species",
    underscores: bool = False,
    progress: Callable[[int], None] = lambda _n: None,
) -> Made:
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
        progress: called with 1 after each file.

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
        split = SPLIT_FOLDERS.get(parts[0].lower()) if parts else None
        parts = parts[1:] if split else parts
        label = {"parent": parts[-1:], "top": parts[:1], "none": []}[label_from]
        labels = [name.replace("_", " ") if underscores else name for name in label]
        rows.append({"id": path, "path": path, "labels": labels, "kind": kind, "split": split})
    return with_lengths(rows, folder, progress, named=str(folder))


def _sound_files(folder: Path) -> Iterator[str]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                yield stored_name((Path(here) / name).relative_to(folder))


def with_lengths(
    rows: Sequence[dict[str, Any]],
    folder: Path,
    progress: Callable[[int], None],
    *,
    named: str,
) -> Made:
    """Measure the file of each row and make a manifest of those that can be read.

    A row whose ``stop_s`` is missing or lies after the end gets the end, which the notes say; one
    that starts there is bad as well.

    Raises:
        TaskError: None can be read, or most end long after their recordings.
    """
    unique = list(dict.fromkeys(row["path"] for row in rows))
    found: dict[str, Measured] = {}
    for path, measured in zip(
        unique, in_threads(partial(measure, folder, deep=False), unique), strict=True
    ):
        found[path] = measured
        progress(1)
    bad = [
        (path, measured.verdict, measured.message)
        for path, measured in found.items()
        if not measured.readable
    ]
    readable = [row for row in rows if found[row["path"]].readable]
    _check_lengths(readable, found, named)
    notes = _too_long(readable, found, named)
    good: list[dict[str, Any]] = []
    for row in readable:
        measured = found[row["path"]]
        stop_s = row.get("stop_s")
        start_s, stop_s = (
            row.get("start_s") or 0.0,
            measured.duration_s if stop_s is None else stop_s,
        )
        where = row.pop("where", None)
        if start_s >= measured.duration_s:
            message = f"{row['path']}: ends at {measured.duration_s:.3f} s, before {start_s:g} s"
            bad.append((row["id"], "beyond-end", f"{where}: {message}" if where else message))
            continue
        good.append(
            {
                **row,
                "start_s": start_s,
                "stop_s": min(stop_s, measured.duration_s),
                "duration_s": measured.duration_s,
                "sample_rate": measured.sample_rate,
            }
        )
    if not good:
        remedy = "; say where they lie with --audio" if bad[0][1] == "missing" else ""
        raise TaskError(
            f"{named}: none of {len(rows)} clips can be read; the first: {bad[0][2]}{remedy}"
        )
    return Made(Manifest(_table(good), folder, named=named), tuple(bad), notes)


def _check_lengths(rows: Sequence[dict[str, Any]], found: dict[str, Measured], named: str) -> None:
    """Lengths that a table gives without starts are those of recordings, or it is refused."""
    told = [
        (row, row.pop("length_s", None), found[row["path"]].duration_s)
        for row in rows
        if "length_s" in row
    ]
    short = [
        (row, length_s, duration_s)
        for row, length_s, duration_s in told
        if length_s is not None and length_s < 0.9 * duration_s - TOLERANCE_S
    ]
    if 2 * len(short) > len(told):
        row, length_s, duration_s = short[0]
        raise TaskError(
            f"{named}: a column says that clips are shorter than their recordings ("
            f"{row.get('where') or row['path']}: {length_s:g} s of {duration_s:g} s), and none "
            "says where they start; name it: --column start_s=COLUMN, or remove the lengths"
        )


def _too_long(
    rows: Sequence[dict[str, Any]], found: dict[str, Measured], named: str
) -> tuple[str, ...]:
    """Spans that end after their recordings; where most do by far, the times are no seconds."""
    ends = [
        (row, float(row["stop_s"]), found[row["path"]].duration_s)
        for row in rows
        if row.get("stop_s") is not None
    ]
    late = [end for end in ends if end[1] > end[2] + TOLERANCE_S]
    if not late:
        return ()
    row, stop_s, duration_s = late[0]
    where = row.get("where") or row["path"]
    said = f"{where}: ends at {stop_s:g} s, its recording at {duration_s:g} s"
    if 2 * sum(stop_s > 2 * duration_s for _, stop_s, duration_s in late) > len(ends):
        raise TaskError(
            f"{named}: most of {len(ends)} clips end long after their recordings ({said}); are the "
            "times in another unit? Say so in the name of the column, as in start_ms or "
            "start_samples; or are these other recordings?"
        )
    return (f"{len(late)} of {len(ends)} clips end after their recordings and are cut ({said})",)


def _table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows as columns; those of the schema have its types, whatever the first rows hold."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table(
        {
            name: pa.array(
                [row.get(name) for row in rows],
                MANIFEST_SCHEMA.field(name).type if name in MANIFEST_SCHEMA.names else None,
            )
            for name in names
        }
    )
