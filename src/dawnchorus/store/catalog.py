"""What a store holds already, in some 70 bytes per recording, kept up to date with other writers.

Whole rows of a million recordings would take gigabytes of Python objects, and most runs need only
to know whether a recording is done. So a table of numbers is kept, sorted by id.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.store.parts import part_names
from dawnchorus.store.recording_rows import latest_rows, read_all_rows, read_rows, rows_of
from dawnchorus.store.schema import EMBEDDINGS, RECORDINGS, STATUSES
from dawnchorus.store.storage import changed_ns

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dawnchorus.store.schema import RecordingRow

COLUMNS: Final = [
    "recording_id",
    "status",
    "file_size",
    "modified_ns",
    "content_hash",
    "revision",
    "parts",
]
HASH_PREFIX: Final = "sha256:"
UNKNOWN: Final = -1
# A folder changed as recently as this may change again under the same date: file systems keep
# dates to one or two seconds.
STALE_S: Final = 2.0
LISTING_S: Final = 30.0  # between listings of object storage, which keeps no date of a folder
ENTRY: Final = np.dtype(
    [
        ("id", "<u8"),
        ("status", "u1"),
        ("lacks_parts", "?"),
        ("size", "<i8"),
        ("modified", "<i8"),
        ("revision", "<i4"),
        ("hash", "S64"),
    ]
)


@dataclass(frozen=True, slots=True)
class CommittedRecording:
    """A recording as last committed; with ``lacks_parts``, one of its parts is not on disk."""

    status: str
    file_size: int | None
    modified_ns: int | None
    content_hash: str | None
    revision: int
    lacks_parts: bool


class Catalog:
    """Committed recordings by id; may be used from any thread."""

    def __init__(self, store: Path) -> None:
        """Read the store's recordings.

        Raises:
            StoreError: A part of ``recordings/`` is damaged.
        """
        self._folder = store / RECORDINGS
        self._lock = threading.Lock()
        self._seen = part_names(self._folder)
        self._listed_at = time.time()
        self._changed_ns = changed_ns(self._folder)
        self._on_disk = part_names(store / EMBEDDINGS)
        self.named_parts: set[str] = set()
        self._entries = self._index(sorted(self._seen))
        self._by_hash: np.ndarray | None = None  # positions of entries, made when first needed
        self._rows = StoredRows(store)
        self._later: dict[str, CommittedRecording] = {}  # committed by others since

    def _index(self, names: Iterable[str]) -> np.ndarray:
        """Sorted entries of the latest rows."""
        tables = [read_rows(self._folder / name, COLUMNS) for name in names]
        if not tables:
            return np.zeros(0, ENTRY)
        table = latest_rows(pa.concat_tables(tables))
        entries = np.zeros(len(table), ENTRY)
        entries["id"] = [int(identity, 16) for identity in table["recording_id"].to_pylist()]
        entries["status"] = [STATUSES.index(status) for status in table["status"].to_pylist()]
        for field, column in (("size", "file_size"), ("modified", "modified_ns")):
            entries[field] = pc.fill_null(table[column], UNKNOWN).to_numpy()
        entries["revision"] = table["revision"].to_numpy()
        hashes = pc.fill_null(table["content_hash"], "").to_pylist()
        entries["hash"] = [value.removeprefix(HASH_PREFIX) for value in hashes]
        entries["lacks_parts"] = self._lacking(table)
        return np.sort(entries, order="id")

    def _lacking(self, table: pa.Table) -> list[bool]:
        lacking = []
        for parts in table["parts"]:  # one row at a time: a list of all would be large
            names = {str(part["name"]) for part in parts.as_py()}
            self.named_parts |= names
            lacking.append(not names <= self._on_disk)
        return lacking

    def __len__(self) -> int:
        """Recordings that were committed when the store was opened."""
        return len(self._entries)

    def get(self, recording_id: str) -> CommittedRecording | None:
        """The last commit of a recording, None if there is none."""
        with self._lock:
            later = self._later.get(recording_id)
            if later:
                return later
            at = _position(self._entries["id"], recording_id)
            return None if at is None else _committed(self._entries[at])

    def row(self, recording_id: str) -> RecordingRow | None:
        """The whole row of a recording as last committed; all of them are read when it is new.

        Raises:
            StoreError: A part of ``recordings/`` is damaged.
        """
        known = self.get(recording_id)
        return None if known is None else self._rows.get(recording_id, known.revision)

    def ids_with_content(self, content_hash: str) -> list[str]:
        """Ids of the recordings with this content that were done when the store was opened."""
        with self._lock:
            if self._by_hash is None:
                self._by_hash = np.argsort(self._entries["hash"], kind="stable")
            hashes = self._entries["hash"][self._by_hash]
        wanted = np.bytes_(content_hash.removeprefix(HASH_PREFIX).encode())
        first, after = (int(np.searchsorted(hashes, wanted, side)) for side in ("left", "right"))
        entries = self._entries[self._by_hash[first:after]]
        done = entries[(entries["status"] == STATUSES.index("done")) & ~entries["lacks_parts"]]
        return [f"{int(number):016x}" for number in done["id"]]

    def has_size(self, n_bytes: int) -> bool:
        """Whether a recording of this size was there when the store was opened."""
        return bool((self._entries["size"] == n_bytes).any())

    def refresh(self) -> None:
        """Take in what other writers committed.

        Raises:
            StoreError: A part of ``recordings/`` is damaged.
        """
        changed = changed_ns(self._folder)
        if not self._may_have_news(changed):
            return
        with self._lock:
            self._changed_ns, self._listed_at = changed, time.time()
            new = part_names(self._folder) - self._seen
            self._seen |= new
            if not new:
                return
            self._on_disk = part_names(self._folder.with_name(EMBEDDINGS))
            for entry in self._index(sorted(new)):
                identity = f"{int(entry['id']):016x}"
                row, before = _committed(entry), self._later.get(identity)
                if before is None or row.revision >= before.revision:
                    self._later[identity] = row

    def _may_have_news(self, changed: int | None) -> bool:
        if changed is None:
            return time.time() - self._listed_at > LISTING_S
        settled = changed / 1e9 < self._listed_at - STALE_S
        return changed != self._changed_ns or not settled

    def add_own_part(self, part: str) -> None:
        """A part of ``recordings/`` is this writer's own, so nothing in it is news."""
        with self._lock:
            self._seen.add(part)


class StoredRows:
    """Whole rows of a store, read when one is first needed: most runs need none."""

    def __init__(self, store: Path) -> None:
        """Nothing is read yet."""
        self._store = store
        self._table: pa.Table | None = None
        self._ids = np.zeros(0, np.uint64)

    def get(self, recording_id: str, revision: int) -> RecordingRow | None:
        """A recording's row of this revision; others may have committed it since the last look."""
        row = self._find(recording_id)
        if row is None or row.revision != revision:
            self._read()
            row = self._find(recording_id)
        return row if row is not None and row.revision == revision else None

    def _read(self) -> None:
        table = read_all_rows(self._store)
        ids = np.array([int(text, 16) for text in table["recording_id"].to_pylist()], np.uint64)
        order = np.argsort(ids)
        self._ids, self._table = ids[order], table.take(pa.array(order)).combine_chunks()

    def _find(self, recording_id: str) -> RecordingRow | None:
        at = _position(self._ids, recording_id)
        if self._table is None or at is None:
            return None
        return rows_of(self._table.slice(at, 1))[recording_id]


def _position(ids: np.ndarray, recording_id: str) -> int | None:
    """Where an id stands among sorted ones, None if it is not there."""
    number = np.uint64(int(recording_id, 16))
    at = int(np.searchsorted(ids, number))
    return at if at < len(ids) and ids[at] == number else None


def _committed(entry: np.void) -> CommittedRecording:
    size, modified = int(entry["size"]), int(entry["modified"])
    content_hash = bytes(entry["hash"]).decode()
    return CommittedRecording(
        status=STATUSES[int(entry["status"])],
        file_size=None if size == UNKNOWN else size,
        modified_ns=None if modified == UNKNOWN else modified,
        content_hash=f"{HASH_PREFIX}{content_hash}" if content_hash else None,
        revision=int(entry["revision"]),
        lacks_parts=bool(entry["lacks_parts"]),
    )
