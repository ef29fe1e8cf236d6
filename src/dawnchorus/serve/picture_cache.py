"""Pictures that were made before: the last ones in memory, more of them on disk, both bounded."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEMORY_BYTES: Final = 64_000_000
DISK_BYTES: Final = 512_000_000
SWEEP_EVERY: Final = 500  # pictures written between two looks at the size of the folder


class PictureCache:
    """Bytes by key. A disk that refuses is no error: the picture is made again."""

    def __init__(
        self,
        folder: Path | None,
        *,
        memory_bytes: int = MEMORY_BYTES,
        disk_bytes: int = DISK_BYTES,
    ) -> None:
        """Use a folder, which is made when it is needed.

        Args:
            folder: for files; None: keep nothing on disk.
            memory_bytes: at most so much in memory.
            disk_bytes: about so much on disk; the files that were used longest ago are removed.
        """
        self._folder = folder
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._n_bytes = 0
        self._bounds = memory_bytes, disk_bytes
        self._lock = threading.Lock()
        self._n_written = 0

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The bytes of a key, which are made if nobody did before.

        Args:
            key: hexadecimal digits.
            make: called without any lock held.
        """
        with self._lock:
            if key in self._memory:
                self._memory.move_to_end(key)
                return self._memory[key]
        content = self._from_disk(key)
        if content is None:
            content = make()
            self._to_disk(key, content)
        self._remember(key, content)
        return content

    def _remember(self, key: str, content: bytes) -> None:
        with self._lock:
            if key not in self._memory:
                self._memory[key] = content
                self._n_bytes += len(content)
            while self._n_bytes > self._bounds[0] and len(self._memory) > 1:
                self._n_bytes -= len(self._memory.popitem(last=False)[1])

    def _path(self, key: str) -> Path | None:
        return None if self._folder is None else self._folder / key[:2] / f"{key}.png"

    def _from_disk(self, key: str) -> bytes | None:
        path = self._path(key)
        if path is None:
            return None
        try:
            content = path.read_bytes()
            os.utime(path)  # used now
        except OSError:
            return None
        # a file that was cut short by a full disk is no picture
        return content if content.endswith(b"IEND\xaeB`\x82") else None

    def _to_disk(self, key: str, content: bytes) -> None:
        path = self._path(key)
        if path is None:
            return
        new = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new.write_bytes(content)
            new.replace(path)
        except OSError:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            return
        with self._lock:
            self._n_written += 1
            is_due = self._n_written % SWEEP_EVERY == 1
        if is_due:
            self.sweep()

    def sweep(self) -> None:
        """Remove the files that were used longest ago, until the rest is within the bound."""
        if self._folder is None:
            return
        files = []
        for path in self._folder.glob("??/*"):
            with suppress(OSError):
                stat = path.stat()
                files.append((stat.st_mtime_ns, stat.st_size, path))
        n_bytes = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if n_bytes <= self._bounds[1]:
                break
            with suppress(OSError):
                path.unlink()
            n_bytes -= size
