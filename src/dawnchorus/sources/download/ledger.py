"""What became of each file of a download: ``downloads.jsonl``, a line of JSON for each file.

Lines are only appended, so that a killed run loses at most the line it was writing. The last line
of an id counts. No line holds a secret of a URL.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from dawnchorus.configs.json_file import parse_json
from dawnchorus.errors import TaskError, shortened, shown
from dawnchorus.url_secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEDGER_NAME: Final = "downloads.jsonl"
DONE: Final = "done"
MOST_LINE: Final = 1 << 20  # bytes
MOST_BYTES: Final = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """What became of a file.

    Attributes:
        id: of the manifest's row.
        url: where it was requested, without secrets.
        status: ``done``, or in two or three words why not.
        path: relative to the folder; empty unless done.
        n_bytes: of the file.
        sha256: of the file.
        when: ISO 8601, UTC.
        wall_s: seconds since the first try.
    """

    id: str
    url: str
    status: str
    path: str = ""
    n_bytes: int = 0
    sha256: str = ""
    when: str = ""
    wall_s: float = 0.0


def _entry(line: bytes) -> LedgerEntry:
    """An entry as this program writes it; people edit such files, and others may hand them over.

    Raises:
        ValueError, TypeError: It is not one, or leads out of the folder.
    """
    entry = LedgerEntry(**parse_json(line))
    for name, value in asdict(entry).items():
        kinds = {"n_bytes": (int,), "wall_s": (int, float)}.get(name, (str,))
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise ValueError(f"{name} is {shown(value)}")
    if not 0 <= entry.n_bytes < MOST_BYTES:
        raise ValueError(f"n_bytes is {shown(entry.n_bytes)}")
    path = PurePosixPath(entry.path)
    if path.is_absolute() or ".." in path.parts or "\0" in entry.path:
        raise ValueError(f"{shown(entry.path)} is not inside of the folder")
    return entry


class Ledger:
    """The ledger of a folder, looked up in a temporary database: it may have millions of lines."""

    def __init__(self, folder: Path) -> None:
        """Read what earlier runs did.

        Raises:
            TaskError: A line that is not the last is damaged.
        """
        self._path = folder / LEDGER_NAME
        self._folder = folder
        self._done = sqlite3.connect("", isolation_level=None)
        self._done.execute(
            "CREATE TABLE done (id TEXT PRIMARY KEY, url, path, n_bytes, sha256) WITHOUT ROWID"
        )
        self._done.execute("BEGIN")
        for entry in self._entries():
            self._remember(entry)
        self._file = self._path.open("a", encoding="utf-8", newline="\n")

    def close(self) -> None:
        """Close the files."""
        self._done.close()
        self._file.close()

    def _entries(self) -> Iterator[LedgerEntry]:
        if not self._path.exists():
            return
        whole = 0
        with self._path.open("rb") as lines:
            number = 0
            # a line without an end was cut by a kill, and is cut off below
            while (line := lines.readline(MOST_LINE)).endswith(b"\n"):
                number += 1
                whole += len(line)
                try:
                    yield _entry(line)
                except (ValueError, TypeError) as error:
                    problem = shortened(str(error), 300)
                    raise TaskError(f"{self._path}: line {number} is damaged: {problem}") from error
            if len(line) == MOST_LINE:
                raise TaskError(f"{self._path}: line {number + 1} is longer than {MOST_LINE} bytes")
        if whole < self._path.stat().st_size:  # a kill while it was written
            with self._path.open("r+b") as file:
                file.truncate(whole)

    def _remember(self, entry: LedgerEntry) -> None:
        if entry.status == DONE:
            self._done.execute(
                "INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?, ?)",
                [entry.id, without_secrets(entry.url), entry.path, entry.n_bytes, entry.sha256],
            )
        else:
            self._done.execute("DELETE FROM done WHERE id = ?", [entry.id])

    def add(self, entry: LedgerEntry) -> None:
        """Append what became of a file."""
        self._file.write(json.dumps(asdict(entry)) + "\n")
        self._file.flush()
        self._remember(entry)

    def done(self, id: str, url: str) -> LedgerEntry | None:
        """The entry of a file that was fetched from this URL and still has its size."""
        found = self._done.execute(
            "SELECT path, n_bytes, sha256 FROM done WHERE id = ? AND url = ?",
            [id, without_secrets(url)],
        ).fetchone()
        if found is None:
            return None
        path, n_bytes, sha256 = found
        file = self._folder / path
        # somebody may have removed or replaced it; a hash of each would take hours
        if not file.is_file() or file.stat().st_size != n_bytes:
            return None
        return LedgerEntry(id=id, url=url, status=DONE, path=path, n_bytes=n_bytes, sha256=sha256)
