"""Parts of a file on disk, as file objects that a decoder can read."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO


class ReadOnlyFile(io.RawIOBase):
    """A seekable file whose bytes come from `_read`; closing it closes the file behind it.

    Attributes:
        error: what the disk answered, if it failed. Whoever reads sees the end of the file then,
            because libsndfile has no way to pass an error on.
    """

    def __init__(self, file: BinaryIO, n_bytes: int) -> None:
        """``n_bytes`` that are read from ``file`` in some way."""
        super().__init__()
        self._file = file
        self._n_bytes = n_bytes
        self._at = 0
        self.error: OSError | None = None

    def _read(self, n_bytes: int) -> bytes:
        """Up to ``n_bytes`` from `_at` on; none at the end."""
        raise NotImplementedError

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Current position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, which never lies outside."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._n_bytes}[whence]
        self._at = min(max(0, origin + offset), self._n_bytes)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # Buffer is 3.12's
        """Read some bytes; 0 at the end, or when the disk fails."""
        view = memoryview(buffer).cast("B")
        try:
            content = self._read(len(view))
        except OSError as error:
            self.error = error
            return 0
        view[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        """Close the file behind it."""
        self._file.close()
        super().close()


class ByteSpan(ReadOnlyFile):
    """A span of a file's bytes: a recording between its tags, or one clip of a shard."""

    def __init__(self, file: BinaryIO, first: int, n_bytes: int) -> None:
        """``n_bytes`` of ``file`` from byte ``first`` on."""
        super().__init__(file, n_bytes)
        self._first = first

    def _read(self, n_bytes: int) -> bytes:
        self._file.seek(self._first + self._at)
        return self._file.read(max(0, min(n_bytes, self._n_bytes - self._at)))
