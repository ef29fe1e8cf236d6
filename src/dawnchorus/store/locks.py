"""Who writes what: locks that the operating system drops when their holder dies, kill -9 included.

One file holds them all, as ranges of bytes that are never written. Each writer has a slot; each
recording that is being embedded has a byte of its own, so that two runs on one store share the work
and no recording is done twice. Local disks and NFS 4 have such locks; object storage has
none.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from dawnchorus.errors import StoreError
from dawnchorus.paths import is_remote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# the bytes of the lock file: a slot per writer, the header, then a byte per recording
N_SLOTS: Final = 256
HEADER_BYTE: Final = N_SLOTS
FIRST_RECORDING: Final = 1024
SLOT_WAIT_S: Final = 20.0  # a writer that is alone holds all slots while it clears up
HEADER_WAIT_S: Final = 20.0  # far more than writing a kilobyte takes
POLL_S: Final = 0.05  # between two tries
# what a file system without locks answers
NO_LOCKS: Final = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


class StoreLocks:
    """One writer's locks.

    Attributes:
        alone: no other writer is at work, and none can start before `open_to_others`. Never true on
            a disk without locks.
        supported: the disk has locks; without them, two runs may do one recording twice; the
            store then shows one of the two.
    """

    def __init__(self, path: Path) -> None:
        """Take a slot.

        Raises:
            StoreError: The folder cannot be written, or no slot is free.
        """
        self._path = path
        self._file: IO[bytes] | None = None
        self.supported = not is_remote(path)
        self.alone = False
        if not self.supported:
            return
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise StoreError(f"{path.parent}: cannot write in this folder: {error}") from error
        try:
            self.alone = self._take(0, N_SLOTS) and self.supported
            if not self.alone and self.supported:
                self._take_slot()
        except BaseException:
            self._file.close()
            raise

    def _take_slot(self) -> None:
        deadline = time.monotonic() + SLOT_WAIT_S
        while time.monotonic() < deadline:
            if any(self._take(slot) for slot in range(N_SLOTS)):
                return
            time.sleep(POLL_S)
        raise StoreError(
            f"{self._path.parent}: {N_SLOTS} runs are writing this store; wait until one ends"
        )

    def open_to_others(self) -> None:
        """Give up the slots that only kept other writers out."""
        if self.alone:
            self._give(0, N_SLOTS)
            self._take_slot()
            self.alone = False

    @contextmanager
    def header(self) -> Iterator[None]:
        """Only one writer at a time looks whether there is a header, and makes one.

        Raises:
            StoreError: Another writer does not come to an end with it.
        """
        deadline = time.monotonic() + HEADER_WAIT_S
        while not self._take(HEADER_BYTE):
            if time.monotonic() > deadline:
                raise StoreError(f"{self._path.parent}: another run hangs while it makes the store")
            time.sleep(POLL_S)
        try:
            yield
        finally:
            self._give(HEADER_BYTE)

    def claim(self, recording_id: str) -> bool:
        """Take a recording, unless another run has it."""
        return self._take(_byte_of(recording_id))

    def release(self, recording_id: str) -> None:
        """Its row is committed; others will find it."""
        self._give(_byte_of(recording_id))

    def close(self) -> None:
        """Give up everything."""
        if self._file is not None:
            self._file.close()

    def _take(self, first: int, count: int = 1) -> bool:
        if not self.supported or self._file is None:
            return True
        try:
            return _lock(self._file.fileno(), first, count)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise StoreError(f"{self._path}: cannot be locked: {error}") from error
            self.supported = False
            return True

    def _give(self, first: int, count: int = 1) -> None:
        if self.supported and self._file is not None:
            _unlock(self._file.fileno(), first, count)


@contextmanager
def one_writer(path: Path, *, wait_s: float = HEADER_WAIT_S) -> Iterator[None]:
    """Only one writer at a time, of all processes and threads that name this lock file.

    Behind a URL, and on a disk without locks, nobody waits.

    Args:
        path: the lock file; made if it is not there.
        wait_s: for another writer to come to an end.

    Raises:
        StoreError: The folder cannot be written, or another writer does not come to an end.
    """
    if is_remote(path):
        yield
        return
    try:
        file = path.open("a+b")
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot write in this folder: {error}") from error
    with file:  # closing it gives up the lock
        deadline = time.monotonic() + wait_s
        while not _lock_if_there_are_locks(file, path):
            if time.monotonic() > deadline:
                raise StoreError(
                    f"{path.parent}: another program has been writing here for {wait_s:g} s; wait "
                    "until it ends, and try again"
                )
            time.sleep(POLL_S)
        yield


def _lock_if_there_are_locks(file: IO[bytes], path: Path) -> bool:
    try:
        return _lock(file.fileno(), HEADER_BYTE, 1)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise StoreError(f"{path}: cannot be locked: {error}") from error
        return True


def _byte_of(recording_id: str) -> int:
    return FIRST_RECORDING + (int(recording_id, 16) >> 2)  # file offsets have 63 bits


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int, first: int, count: int) -> bool:
        os.lseek(handle, first, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, count)
        except PermissionError:
            return False
        return True

    def _unlock(handle: int, first: int, count: int) -> None:
        os.lseek(handle, first, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, count)

elif sys.platform == "linux":
    import fcntl
    import struct

    # locks of the open file, not of the process: two stores in one process know of each other, and
    # closing one of them leaves the other its locks
    def _lock(handle: int, first: int, count: int) -> bool:
        return _set(handle, fcntl.F_WRLCK, first, count)

    def _unlock(handle: int, first: int, count: int) -> None:
        _set(handle, fcntl.F_UNLCK, first, count)

    def _set(handle: int, kind: int, first: int, count: int) -> bool:
        request = struct.pack("hhqqi4x", kind, os.SEEK_SET, first, count, 0)
        try:
            fcntl.fcntl(handle, fcntl.F_OFD_SETLK, request)
        except (BlockingIOError, PermissionError):
            return False
        return True

else:
    import fcntl

    def _lock(handle: int, first: int, count: int) -> bool:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, count, first)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(handle: int, first: int, count: int) -> None:
        fcntl.lockf(handle, fcntl.LOCK_UN, count, first)
