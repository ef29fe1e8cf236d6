"""What names the sound of a clip: the SHA-256 of its file and its span in it.

A file that changed is therefore encoded again, and one that was moved or renamed is not. Hashes of
files are remembered with their size and time of change, so that each is read once.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from dawnchorus.configs.json_file import read_json
from dawnchorus.paths import is_remote, local_copy, sha256_of_file
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

FILE = "files.json"


class ClipSpan(Protocol):
    """A clip of a file: a row of a manifest, or an item of a task."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def start_s(self) -> float: ...  # noqa: D102
    @property
    def stop_s(self) -> float | None: ...  # noqa: D102  None and NaN: to the end of the file


def stop_of(clip: ClipSpan) -> float | None:
    """Where a clip stops, None for the end of its file."""
    return None if clip.stop_s is None or clip.stop_s != clip.stop_s else clip.stop_s


def content_key(file_hash: str, clip: ClipSpan) -> str:
    """The key of a clip's sound."""
    stop_s = stop_of(clip)
    return f"{file_hash}:{clip.start_s:.4f}-{'nan' if stop_s is None else f'{stop_s:.4f}'}"


class FileHashes:
    """SHA-256 of files, remembered in ``FOLDER/files.json``."""

    def __init__(self, folder: Path | None) -> None:
        """``folder``: of the cache; None: nothing is remembered after the process."""
        self._path = None if folder is None else folder / FILE
        self._known: dict[str, list[Any]] | None = None
        self._checked: dict[Path, str] = {}  # a file is looked at once in a run
        self._n_new = 0

    def of(self, file: Path) -> str:
        """Hash of a file.

        Raises:
            OSError: It is not there, or cannot be read.
        """
        if file not in self._checked:
            self._checked[file] = self._hash(file)
        return self._checked[file]

    def _hash(self, file: Path) -> str:
        if is_remote(file):  # nothing cheap says whether it has changed
            with local_copy(file) as copy:
                return sha256_of_file(copy)
        if not file.is_file():  # to open a pipe would be to wait for ever
            raise FileNotFoundError("no such file")
        status = file.stat()
        known, name = self._read(), str(file.absolute())
        mark = [status.st_size, status.st_mtime_ns]
        if known.get(name, [])[:2] != mark:
            known[name] = [*mark, sha256_of_file(file)]
            self._n_new += 1
        return str(known[name][2])

    def save(self) -> None:
        """Remember what was hashed; a cache that is not there yet (a dry run) is not made."""
        if self._path is not None and self._n_new and self._path.parent.is_dir():
            write_whole(self._path, json.dumps(self._known).encode())
            self._n_new = 0

    def _read(self) -> dict[str, list[Any]]:
        if self._known is None:
            self._known = {}
            if self._path is not None:
                with suppress(OSError, ValueError):  # not there or damaged: hash the files again
                    self._known = read_json(self._path)
        return self._known
