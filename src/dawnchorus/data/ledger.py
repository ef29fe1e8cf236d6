"""What became of each file of a download: one line of JSON a file, only ever appended.

A killed run loses at most the line it was writing. The newest line of an id counts.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEDGER_NAME: Final = "downloads.jsonl"
DONE: Final = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The fate of a file.

    Attributes:
        id: of the manifest's row.
        url: where it was asked for.
        status: ``done``, or why not, in two or three words.
        path: relative to the folder; empty unless done.
        n_bytes: of the file.
        sha256: of the file.
        when: ISO 8601, UTC.
        wall_s: seconds from the first try on.
    """

    id: str
    url: str
    status: str
    path: str = ""
    n_bytes: int = 0
    sha256: str = ""
    when: str = ""
    wall_s: float = 0.0


class Ledger:
    """The ledger of a folder; its lines are looked up in a temporary database."""

    def __init__(self, folder: Path) -> None:
        """Read what was done before.

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
        """Let go of the files."""
        self._done.close()
        self._file.close()

    def _entries(self) -> Iterator[Entry]:
        if not self._path.exists():
            return
        whole = 0
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                try:
                    yield Entry(**json.loads(line))
                except (ValueError, TypeError) as error:
                    raise TaskError(f"{self._path}: line {number} is damaged: {error}") from error
        if whole < self._path.stat().st_size:  # a kill while it was written
            with self._path.open("r+b") as file:
                file.truncate(whole)

    def _remember(self, entry: Entry) -> None:
        if entry.status == DONE:
            self._done.execute(
                "INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?, ?)",
                [entry.id, entry.url, entry.path, entry.n_bytes, entry.sha256],
            )
        else:
            self._done.execute("DELETE FROM done WHERE id = ?", [entry.id])

    def add(self, entry: Entry) -> None:
        """Append the fate of a file."""
        self._file.write(json.dumps(asdict(entry)) + "\n")
        self._file.flush()
        self._remember(entry)

    def done(self, id: str, url: str) -> Entry | None:
        """The entry of a file that was fetched from this URL and lies there whole."""
        found = self._done.execute(
            "SELECT path, n_bytes, sha256 FROM done WHERE id = ? AND url = ?", [id, url]
        ).fetchone()
        if found is None:
            return None
        path, n_bytes, sha256 = found
        file = self._folder / path
        if not file.is_file() or file.stat().st_size != n_bytes:
            return None
        return Entry(id=id, url=url, status=DONE, path=path, n_bytes=n_bytes, sha256=sha256)
