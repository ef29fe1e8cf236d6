"""Raw data of a task, checked and turned into a manifest that every later step reads.

A set lies under ``ROOT/family/name`` as its publisher lays it out. ``prepare`` says what to fetch,
checks what is there and writes ``dawnchorus_NAME_PROTOCOL.parquet`` beside it. A manifest keeps the
classes, the counts and the quirks in its metadata. The corpus of ``local/*`` has its own manifest,
which is read as it is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa

from dawnchorus.benchmark.tasks.base import Item, TaskItems
from dawnchorus.benchmark.tasks.checks import check_files, check_items, positives
from dawnchorus.clips.manifest import Manifest, read_manifest, write_manifest
from dawnchorus.errors import TaskError
from dawnchorus.paths import sha256_of_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.benchmark.tasks.base import Download, Protocol, Split, Task

LOCAL: Final = "local"
CORPUS_MANIFEST: Final = "manifest.parquet"
NOTES: Final = b"dawnchorus.task"
FORMAT: Final = 1


def data_folder(task: Task, root: Path) -> Path:
    """Where a task's data lie: ``ROOT/family/name``; the corpus of ``local`` is whole.

    ``root`` may be the corpus itself, or hold it as ``local``.
    """
    if task.family != LOCAL:
        return root / (task.folder or task.id)
    return root if (root / CORPUS_MANIFEST).is_file() else root / LOCAL


def manifest_path(task: Task, root: Path, protocol: Protocol) -> Path:
    """Where `prepare` leaves a task's manifest."""
    folder = data_folder(task, root)
    if task.family == LOCAL:
        return folder / CORPUS_MANIFEST
    return folder / f"dawnchorus_{task.id.partition('/')[2]}_{protocol}.parquet"


def prepare(task: Task, root: Path, protocol: Protocol) -> Path:
    """Check a task's raw data, build its items and write their manifest, whole or not at all.

    Returns:
        The manifest.

    Raises:
        TaskError: Data are missing (the message says what to fetch), damaged or not as they were
            published, or their items cannot be scored honestly.
    """
    folder = data_folder(task, root)
    check_downloads(task, folder)
    built = _built(task, folder, protocol)
    check_files(task, folder, built.items)
    path = manifest_path(task, root, protocol)
    if task.family != LOCAL:
        write_manifest(_manifest(task, built, folder), path)
    return path


def load_items(task: Task, root: Path, protocol: Protocol) -> TaskItems:
    """A task's items, prepared now if that was not done before.

    Raises:
        TaskError: As `prepare`; or a manifest is damaged.
    """
    if task.family == LOCAL:
        return _built(task, data_folder(task, root), protocol)
    path = manifest_path(task, root, protocol)
    manifest = read_manifest(path) if path.is_file() else None
    notes = None if manifest is None else _current(task, manifest, protocol)
    if manifest is None or notes is None:
        manifest = read_manifest(prepare(task, root, protocol))
        notes = json.loads(manifest.table.schema.metadata[NOTES])
    return _items(manifest, notes, protocol)


def check_downloads(task: Task, folder: Path) -> None:
    """Refuse a folder in which something is missing, cut off or another version.

    Raises:
        TaskError: It lists all that is to be fetched, with where it goes.
    """
    wrong = [say for each in task.downloads for say in _faults(each, folder)]
    if wrong:
        raise TaskError(
            "\n  ".join([f"{task.id}: data are missing", *wrong, *_advice(task, folder)])
        )


def what_to_fetch(task: Task, root: Path) -> str:
    """What a user downloads, from where, and where it goes, as lines of text."""
    folder = data_folder(task, root)
    lines = [f"{task.id}: {task.title}", f"  licence: {task.licence}", f"  source: {task.source}"]
    lines += [f"  {'have' if _is_there(d, folder) else 'need'} {_line(d)}" for d in task.downloads]
    return "\n".join([*lines, f"  folder: {folder}"])


def _built(task: Task, folder: Path, protocol: Protocol) -> TaskItems:
    built = task.build(folder, protocol)
    check_items(task, built)
    return built


def _is_there(download: Download, folder: Path) -> bool:
    unpacked = download.makes is not None and (folder / download.makes).exists()
    return unpacked or (download.makes is None and (folder / download.file).exists())


def _faults(download: Download, folder: Path) -> Iterator[str]:
    path = folder / download.file
    if not _is_there(download, folder):
        packed = download.makes is not None and path.exists()
        yield f"unpack {path} there, so that {download.makes} is" if packed else _line(download)
    if not path.is_file():
        return
    n_bytes = path.stat().st_size
    if download.n_bytes is not None and n_bytes != download.n_bytes:
        yield f"{path} has {n_bytes} bytes, need {download.n_bytes}; fetch it again"
    elif download.sha256 is not None and sha256_of_file(path) != download.sha256:
        yield f"{path} is not the file that was published (sha256 differs); fetch it again"


def _line(download: Download) -> str:
    size = "" if download.n_bytes is None else f", {download.n_bytes / 1e6:,.0f} MB"
    return f"{download.file} ({download.what}{size}) from {download.url or 'its authors'}"


def _advice(task: Task, folder: Path) -> tuple[str, str]:
    return (
        f"put it into {folder}; docs/reference/tasks.md shows the tree",
        f"licence: {task.licence}",
    )


def _manifest(task: Task, built: TaskItems, folder: Path) -> Manifest:
    columns = {
        "id": [item.id for item in built.items],
        "path": [item.path for item in built.items],
        "start_s": [item.start_s for item in built.items],
        "stop_s": [item.stop_s for item in built.items],
        "labels": [list(item.labels) for item in built.items],
        "split": [item.split for item in built.items],
        "group": [item.group for item in built.items],
    }
    n_items = len(built.items)
    columns |= {"dataset": [task.id] * n_items, "licence": [task.licence] * n_items}
    types = {"start_s": pa.float64(), "stop_s": pa.float64(), "labels": pa.list_(pa.string())}
    table = pa.table({n: pa.array(v, types.get(n, pa.string())) for n, v in columns.items()})
    named = Manifest(table, folder, named=task.id)
    notes = json.dumps(_notes(task, built), ensure_ascii=False)
    return named.with_table(named.table.replace_schema_metadata({NOTES: notes.encode()}))


def _notes(task: Task, built: TaskItems) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "task": task.id,
        "version": task.version,
        "protocol": built.protocol,
        "classes": built.classes,
        "multi_label": built.multi_label,
        "counts": built.counts,
        "quirks": built.quirks,
        "positives": positives(built),
    }


def _current(task: Task, manifest: Manifest, protocol: Protocol) -> dict[str, Any] | None:
    """A manifest's notes; None where another version of the task made it."""
    text = (manifest.table.schema.metadata or {}).get(NOTES)
    if text is None:
        raise TaskError(f"{manifest.named}: not a task's manifest; delete it, then prepare again")
    notes: dict[str, Any] = json.loads(text)
    made_by = (FORMAT, task.id, task.version, protocol)
    found = tuple(notes.get(key) for key in ("format", "task", "version", "protocol"))
    return notes if found == made_by else None


def _items(manifest: Manifest, notes: dict[str, Any], protocol: Protocol) -> TaskItems:
    rows = manifest.table.select(["id", "path", "start_s", "stop_s", "labels", "split", "group"])
    return TaskItems(
        task=notes["task"],
        protocol=protocol,
        classes=tuple(notes["classes"]),
        multi_label=notes["multi_label"],
        items=tuple(_item(row) for row in rows.to_pylist()),
        counts=notes["counts"],
        quirks=tuple(notes["quirks"]),
    )


def _item(row: dict[str, Any]) -> Item:
    return Item(
        id=row["id"],
        path=row["path"],
        start_s=row["start_s"],
        stop_s=row["stop_s"],
        labels=tuple(row["labels"]),
        split=cast("Split", row["split"]),
        group=row["group"],
    )
