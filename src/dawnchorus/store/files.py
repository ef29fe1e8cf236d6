"""Files that are there whole or not at all, and the lock that keeps a second writer out."""

from __future__ import annotations

import os
import sys
import uuid
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import StoreError

if TYPE_CHECKING:
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


def remove_if_possible(path: Path) -> None:
    """Remove a leftover; a disk that refuses that too keeps it for the next writer to remove."""
    try:
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


class FolderLock:
    """An exclusive lock that the operating system drops when its holder dies, kill -9 included."""

    def __init__(self, path: Path) -> None:
        """Take the lock at ``path``.

        Raises:
            StoreError: Another process holds it, or the folder cannot be written.
        """
        self._path = path
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise StoreError(f"{path.parent}: cannot write in this folder: {error}") from error
        try:
            _lock(self._file.fileno())
        except OSError as error:
            self._file.close()
            raise StoreError(
                f"{path.parent}: another run is writing this store; wait until it ends, or use "
                "another store"
            ) from error

    def release(self) -> None:
        """Let the next writer in."""
        self._file.close()


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
