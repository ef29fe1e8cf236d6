"""Files that are there whole or not at all, after a kill and after a power cut.

On a disk a file is written under a hidden name in the same folder and renamed when it is complete.
While it is written it is locked; the system drops the lock when the writer dies, however that came
about, so that the next run can tell what dead runs left and remove it. Object storage needs none of
this: a PUT is whole or nothing.
"""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, Final, cast

from dawnchorus.errors import StoreError
from dawnchorus.paths import is_remote, remote_errors
from dawnchorus.store.storage import names_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNFINISHED_SUFFIX: Final = ".beside"  # of files being written; nothing reads them


def unfinished_path(path: Path) -> Path:
    """A new hidden name in the same folder, to be renamed to ``path`` when complete."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{UNFINISHED_SUFFIX}")


def is_unfinished(name: str) -> bool:
    """Whether a file of this name was being written when its run ended."""
    return name.startswith(".") and name.endswith(UNFINISHED_SUFFIX)


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` so that, after a kill or a power cut, ``path`` holds all of it or nothing.

    Raises:
        StoreError: The disk is full, read-only or gone; nothing is left behind.
    """
    if is_remote(path):
        _put(path, content, mode="overwrite")
        return
    try:
        with _renamed_at_the_end(path) as unfinished, unfinished.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: {_why_not(path, error, len(content))}") from error


def _why_not(path: Path, error: OSError, n_bytes: int) -> str:
    """Why a file cannot be written; what users get wrong most often in plain words."""
    if path.is_dir():
        return "is a folder, need the name of a file"
    if isinstance(error, FileNotFoundError):
        return f"cannot be written, its folder {path.parent} is not there"
    return f"cannot write {n_bytes} bytes: {error}"


def write_first(path: Path, content: bytes) -> None:
    """Write a file unless another writer has; on a disk, call it under the lock for that file.

    Raises:
        StoreError: It cannot be written.
    """
    if is_remote(path):
        _put(path, content, mode="create")
    else:
        write_whole(path, content)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A hidden file to write; it becomes ``path`` if the block ends well, else it is removed.

    What dead runs left of the same file is removed first; the folder must be there.

    Raises:
        OSError: The folder cannot be written.
    """
    remove_leftovers(path.parent, path.name)
    with _renamed_at_the_end(path) as unfinished:
        unfinished.touch(exist_ok=False)
        lock = lock_unfinished(unfinished)
        try:
            yield unfinished
        finally:
            if lock is not None:
                lock.close()  # before the rename: Windows renames no file that is open


@contextmanager
def _renamed_at_the_end(path: Path) -> Iterator[Path]:
    unfinished = unfinished_path(path)
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        remove_if_possible(unfinished)


def _put(path: Path, content: bytes, *, mode: str) -> None:
    remote = cast("Any", path)
    try:
        with remote_errors(path):
            remote.fs.pipe_file(remote.path, content, mode=mode)
    except FileExistsError:
        return  # the other writer's, which the caller reads
    except OSError as error:
        # some services answer with another error when the other writer was first
        if mode == "create" and path.exists():
            return
        raise StoreError(f"{path}: cannot write {len(content)} bytes: {error}") from error


def lock_unfinished(unfinished: Path) -> IO[bytes] | None:
    """Mark a file as being written, until what is returned is closed; None where that cannot be."""
    try:
        file = unfinished.open("rb")
    except OSError:
        return None
    if _lock(file):
        return file
    file.close()
    return None


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Remove what dead runs left in a folder; what another run is writing now stays.

    Args:
        folder: need not be there.
        name: of the file that they were to become; of any file, if it is empty.
    """
    with suppress(OSError):  # a folder that cannot be listed keeps them
        for entry in list(names_in(folder)):
            if is_unfinished(entry) and entry.startswith(f".{name}." if name else "."):
                lock = lock_unfinished(folder / entry)
                if lock is not None:  # otherwise its writer is alive
                    lock.close()
                    remove_if_possible(folder / entry)


def remove_if_possible(path: Path) -> None:
    """Remove a leftover; a disk that refuses that too keeps it for the next writer to remove."""
    with suppress(OSError), remote_errors(path):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename durable; only POSIX needs and allows it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(file: IO[bytes]) -> bool:
    if os.name != "posix":
        return True  # Windows removes no file that is open
    import fcntl  # noqa: PLC0415  not there on Windows

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
