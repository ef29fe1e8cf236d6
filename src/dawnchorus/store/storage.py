"""What a store asks of the storage it lies on: a disk, or object storage behind a URL.

A disk has folders, dates of folders and links. Object storage has none of them, and a listing of it
costs a request.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any, cast

from dawnchorus.paths import is_remote, remote_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def names_in(folder: Path) -> Iterator[str]:
    """Names of what lies in a folder at this moment; none if it is not there."""
    if not is_remote(folder):
        if folder.is_dir():
            yield from os.listdir(folder)  # noqa: PTH208  names, not paths: there may be many
        return
    remote = cast("Any", folder)
    try:
        with remote_errors(folder):
            listed = remote.fs.ls(remote.path, detail=False)
    except FileNotFoundError:
        return
    yield from (name.rstrip("/").rpartition("/")[2] for name in listed)


def stranger_in(folder: Path, ours: str) -> str | None:
    """A name of what lies in a folder and is not ours; None: whoever writes there is alone.

    Hidden files are of the system, or of a program that is writing.

    Args:
        folder: need not be there.
        ours: pattern of the names that we give.
    """
    names = (name for name in names_in(folder) if not name.startswith("."))
    return min((name for name in names if not re.fullmatch(ours, name)), default=None)


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
    """Seconds since a file was written, by the clocks of its storage and of this machine.

    Raises:
        OSError: It is gone or cannot be reached.
    """
    if not is_remote(path):
        return time.time() - path.stat().st_mtime
    remote = cast("Any", path)
    with remote_errors(path):
        modified = remote.fs.modified(remote.path)
    return time.time() - float(modified.timestamp())
