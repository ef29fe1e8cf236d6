"""Which file of a folder a table means: one path for each recording, however often it is spelled.

A recording that is there under two names would lie on both sides of a split, and scores would
flatter. Paths that spell the same are made alike; files that the file system says are one (letters
of another case, links) are called as they were first.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.decode.read import AUDIO_SUFFIXES
from dawnchorus.paths import is_remote
from dawnchorus.text_tables.paths import is_absolute, parts_of, plain_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MISSING, AMBIGUOUS = "missing", "ambiguous"
SHOWN: Final = 2  # recordings of one name, in a message


@dataclass(frozen=True, slots=True)
class Location:
    """Where a recording lies; ``failure`` is a one-word reason and a message if it is not clear."""

    path: str
    failure: tuple[str, str] | None = None


class Recordings:
    """Finds the recordings that tables name, below a folder."""

    def __init__(self, folder: Path, read_rate: Callable[[str], int | None]) -> None:
        """Look at nothing yet.

        Args:
            folder: where relative paths start.
            read_rate: gives the rate of a recording in Hz; None if it cannot be read.
        """
        self.folder = folder
        self.by_name: list[tuple[str, str]] = []  # path in a table, and what was found by its name
        self._read_rate = read_rate
        self._locations: dict[str, Location] = {}
        self._files: dict[tuple[int, int], str] = {}
        self._rates: dict[str, int | None] = {}
        self._index: dict[str, list[str]] | None = None

    def find(self, text: str) -> Location:
        """The recording of a path, or of a name that stands alone.

        A path from another computer is found by as many of its last folders as lie below the
        folder, otherwise by its name alone where only one recording has it.
        """
        path = plain_path(text, None if is_remote(self.folder) else self.folder)
        if path not in self._locations:
            self._locations[path] = self._find(path)
        return self._locations[path]

    def _find(self, path: str) -> Location:
        if "://" in path or is_remote(self.folder):
            return Location(path)
        there = self._there(path)
        parts = parts_of(path)
        if there is None and is_absolute(path):
            # as many of its last folders as there are here: more of them mean less doubt
            tails = ("/".join(parts[n:]) for n in range(1, len(parts)))
            there = next((inside for tail in tails if (inside := self._there(tail))), None)
            if there is not None:
                self.by_name.append((path, there))
        if there is not None:
            return Location(there)
        if len(parts) > 1 and not is_absolute(path):
            return Location(path)  # whoever measures it says what is wrong
        return self._named(path, parts[-1] if parts else path)

    def _named(self, path: str, name: str) -> Location:
        paths = self._names().get(name, [])
        if len(paths) == 1:
            self.by_name.append((path, paths[0]))
            return Location(self._there(paths[0]) or paths[0])
        if not paths:
            return Location(path)
        return Location(path, self._failure(paths, name))

    def beside(self, table: Path) -> Location:
        """The recording that a table belongs to by its name: the longest that fits."""
        # not "rec1" for "rec10.Table.1.txt": a name ends where no letter or digit follows
        # names of recordings with which the table's name begins
        fitting = ((rf"{re.escape(Path(name).stem)}(?![^\W_])", name) for name in self._names())
        stems = [name for pattern, name in fitting if re.match(pattern, table.name)]
        longest = max((len(Path(name).stem) for name in stems), default=0)
        paths = [
            path
            for name in stems
            if len(Path(name).stem) == longest
            for path in self._names()[name]
        ]
        # of several of one name, the one in the same folder
        near = [path for path in paths if (self.folder / path).parent == table.parent]
        paths = near if len(near) == 1 else paths
        if len(paths) == 1:
            return Location(self._there(paths[0]) or paths[0])
        return Location(table.stem, self._failure(paths, table.stem))

    def rate_hz(self, path: str) -> int | None:
        """The rate of a recording; None if it cannot be read."""
        if path not in self._rates:
            self._rates[path] = self._read_rate(path)
        return self._rates[path]

    def notes(self) -> list[str]:
        """What was found in a place other than where the tables say."""
        if not self.by_name:
            return []
        written, there = self.by_name[0]
        return [
            f"{len(self.by_name)} recordings were found by their names below {self.folder}, such "
            f"as {written}: {there}"
        ]

    def _there(self, path: str) -> str | None:
        """The path of a file that exists, as it was called the first time."""
        try:
            status = (self.folder / path).stat()
        except (OSError, ValueError):
            return None
        if is_absolute(path):
            top = os.path.abspath(self.folder)  # noqa: PTH100  links stay links
            path = os.path.relpath(path, top) if Path(path).is_relative_to(top) else path
        # device and inode are the file, whatever links and letters of another case call it
        return self._files.setdefault((status.st_dev, status.st_ino), path)

    def _names(self) -> dict[str, list[str]]:
        """Paths of the recordings below the folder, by name; walked once."""
        if self._index is None:
            self._index = {}
            for file in sorted(self.folder.rglob("*")):
                if file.suffix.lower() in AUDIO_SUFFIXES and not file.name.startswith("."):
                    path = file.relative_to(self.folder).as_posix()
                    self._index.setdefault(file.name, []).append(path)
        return self._index

    def _failure(self, paths: Sequence[str], name: str) -> tuple[str, str]:
        if not paths:
            return MISSING, f"its recording {name!r} is not below {self.folder}"
        some = ", ".join(paths[:SHOWN])
        return AMBIGUOUS, (
            f"its recording {name!r} is there {len(paths)} times below {self.folder}: {some}"
        )
