"""Files that a killed run left under a hidden name: the next run for the same output removes them.

A file that is being written is locked by its writer; the system drops the lock when the writer
dies, however that came about.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from dawnchorus.store.files import BESIDE_SUFFIX, beside, names_in, remove_if_possible

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def hold(unfinished: Path) -> IO[bytes] | None:
    """Mark a file as being written, until what is returned is closed; None where that cannot be."""
    try:
        file = unfinished.open("rb")
    except OSError:
        return None
    if _lock(file):
        return file
    file.close()
    return None


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """A hidden file to write; it becomes ``path`` if the block ends well, else it is removed.

    What dead runs left of the same file is removed first; the folder must be there.

    Raises:
        OSError: The folder cannot be written.
    """
    remove_leftovers(path.parent, path.name)
    unfinished = beside(path)
    unfinished.touch(exist_ok=False)
    held = hold(unfinished)
    try:
        yield unfinished
        if held is not None:
            held.close()  # Windows renames no file that is open
        unfinished.replace(path)
    finally:
        if held is not None:
            held.close()
        remove_if_possible(unfinished)


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Remove what dead runs left in a folder; what another run is writing now stays.

    Args:
        folder: need not be there.
        name: of the file that they were to become; of any file, if it is empty.
    """
    start = f".{name}." if name else "."
    with suppress(OSError):  # a folder that cannot be looked through keeps them
        for found in list(names_in(folder)):
            if found.startswith(start) and found.endswith(BESIDE_SUFFIX):
                _remove_if_dead(folder / found)


def _remove_if_dead(unfinished: Path) -> None:
    held = hold(unfinished)
    if held is None:
        return
    held.close()
    remove_if_possible(unfinished)


def _lock(file: IO[bytes]) -> bool:
    if os.name != "posix":
        return True  # Windows removes no file that is open
    import fcntl  # noqa: PLC0415  not there on Windows

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
