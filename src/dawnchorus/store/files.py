"""Files that are there whole or not at all."""

from __future__ import annotations

import os
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
