"""Files of a store, there whole or not at all: on a disk, or as objects behind a URL.

Everything a store asks of the place it lies in is here, so that the commit rule is written once. A
disk has renames, flushes and locks; object storage has none of them, and needs none: a PUT is whole
or nothing.
"""

from __future__ import annotations

import os
import time
import uuid
from typing import TYPE_CHECKING, Any, Final, cast

from dawnchorus.errors import StoreError
from dawnchorus.paths import is_remote, remote_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BESIDE_SUFFIX: Final = ".beside"  # of files being written; never read, removed by the next writer


def beside(path: Path) -> Path:
    """A new hidden name in the same folder, to be renamed to ``path`` when complete."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{BESIDE_SUFFIX}")


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` so that, after a kill or a power cut, ``path`` holds all of it or nothing.

    Raises:
        StoreError: The disk is full, read-only or gone; nothing is left behind.
    """
    if is_remote(path):
        _put(path, content, mode="overwrite")
        return
    unfinished = beside(path)
    try:
        with unfinished.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        remove_if_possible(unfinished)
        raise StoreError(f"{path}: cannot write {len(content)} bytes: {error}") from error


def write_first(path: Path, content: bytes) -> None:
    """Write a file unless somebody else has; on a disk, call it with the lock that makes it so.

    Raises:
        StoreError: It cannot be written.
    """
    if is_remote(path):
        _put(path, content, mode="create")
    else:
        write_whole(path, content)


def _put(path: Path, content: bytes, *, mode: str) -> None:
    place = cast("Any", path)
    try:
        with remote_errors(path):
            place.fs.pipe_file(place.path, content, mode=mode)
    except FileExistsError:
        return  # the other writer's, which the caller reads
    except OSError as error:
        if mode == "create" and path.exists():
            return
        raise StoreError(f"{path}: cannot write {len(content)} bytes: {error}") from error


def names_in(folder: Path) -> Iterator[str]:
    """Names of what lies in a folder, a listing of this moment; none if it is not there."""
    if not is_remote(folder):
        if folder.is_dir():
            yield from os.listdir(folder)  # noqa: PTH208  names, not paths: there may be many
        return
    place = cast("Any", folder)
    try:
        with remote_errors(folder):
            found = place.fs.ls(place.path, detail=False)
    except FileNotFoundError:
        return
    yield from (name.rstrip("/").rpartition("/")[2] for name in found)


def is_link(folder: Path) -> bool:
    """Whether a folder is elsewhere, so that what lies in it may be somebody else's."""
    return not is_remote(folder) and folder.is_symlink()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; object storage has none.

    Raises:
        OSError: It cannot be made.
    """
    if not is_remote(folder):
        folder.mkdir(parents=True, exist_ok=True)


def changed_ns(folder: Path) -> int | None:
    """When something was added to a folder or removed; None where that is not kept."""
    return None if is_remote(folder) else folder.stat().st_mtime_ns


def age_s(path: Path) -> float:
    """Seconds since a file was written, by the clock of the place it lies in and of this machine.

    Raises:
        OSError: It is gone or cannot be reached.
    """
    if not is_remote(path):
        return time.time() - path.stat().st_mtime
    place = cast("Any", path)
    with remote_errors(path):
        modified = place.fs.modified(place.path)
    return time.time() - float(modified.timestamp())


def remove_if_possible(path: Path) -> None:
    """Remove a leftover; a disk that refuses that too keeps it for the next writer to remove."""
    try:
        with remote_errors(path):
            path.unlink(missing_ok=True)
    except OSError:
        return


def sync_folder(folder: Path) -> None:
    """Make a rename durable; only POSIX needs and allows it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
