"""Hashes of what goes into a result: values, and files, which are hashed once."""

from __future__ import annotations

import json
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dawnchorus.configs.json_file import read_json
from dawnchorus.errors import TaskError
from dawnchorus.paths import sha256_of_file
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def hash_of_value(value: Any) -> str:
    """SHA-256 of plain values, whatever the order of their keys."""
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return sha256(text.encode()).hexdigest()


class FileHashes:
    """SHA-256 of files, remembered with their size and time of change."""

    def __init__(self, path: Path) -> None:
        """Read what was remembered; an unreadable memory is begun anew."""
        self._path = path
        self._known: dict[str, list[Any]] | None = None
        self._fresh: dict[str, str] = {}

    def of(self, folder: Path, names: Sequence[str]) -> dict[str, str]:
        """Hash of each file of a folder.

        Raises:
            TaskError: One is not there.
        """
        known = self._read()
        found: dict[str, str] = {}
        n_new = 0
        for name in names:
            path = folder / name
            place = str(path.absolute())
            if place not in self._fresh:
                try:
                    status = path.stat()
                    mark = [status.st_size, status.st_mtime_ns]
                    if known.get(place, [])[:2] != mark:
                        known[place] = [*mark, sha256_of_file(path)]
                        n_new += 1
                except OSError as error:
                    raise TaskError(f"{path}: cannot be read ({error}); fetch it again") from error
                self._fresh[place] = known[place][2]
            found[name] = self._fresh[place]
        if n_new and self._path.parent.is_dir():  # a dry run has no folder, and leaves none
            write_whole(self._path, json.dumps(known).encode())
        return found

    def _read(self) -> dict[str, list[Any]]:
        if self._known is not None:
            return self._known
        known: dict[str, list[Any]] = {}
        with suppress(OSError, ValueError):  # not there yet, or damaged: files are hashed again
            known = read_json(self._path)
        self._known = known
        return known
