"""What a store holds already, in some 70 bytes a recording, kept up to date with other writers."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.store.parts import latest_rows, part_names, read_recordings, read_rows, rows_of
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
STALE_S: Final = 2.0  # a folder changed as recently as this may change again under the same date
LISTING_S: Final = 30.0  # between listings of object storage, which keeps no date of a folder
ENTRY: Final = np.dtype(
    [
        ("id", "<u8"),
        ("status", "u1"),
        ("lost", "?"),
        ("size", "<i8"),
        ("modified", "<i8"),
        ("revision", "<i4"),
        ("hash", "S64"),
    ]
)


@dataclass(frozen=True, slots=True)
class Known:
    """A recording as last committed; ``lost``: one of its parts is not on disk."""

    status: str
    file_size: int | None
    modified_ns: int | None
    content_hash: str | None
    revision: int
    lost: bool


class Catalog:
    """Committed recordings by id; may be asked from any thread."""

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
        self._by_hash: np.ndarray | None = None  # places of entries, made when first asked for
        self._rows = StoredRows(store)
        self._later: dict[str, Known] = {}  # committed by others since

    def _index(self, names: Iterable[str]) -> np.ndarray:
        """Sorted entries of the latest rows."""
        tables = [read_recordings(self._folder / name, COLUMNS) for name in names]
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
        entries["lost"] = self._lost(table)
        return np.sort(entries, order="id")

    def _lost(self, table: pa.Table) -> list[bool]:
        lost = []
        for parts in table["parts"]:  # one row at a time: a list of all would be large
            names = {str(part["name"]) for part in parts.as_py()}
            self.named_parts |= names
            lost.append(not names <= self._on_disk)
        return lost

    def __len__(self) -> int:
        """Recordings that were committed when the store was opened."""
        return len(self._entries)

    def get(self, recording_id: str) -> Known | None:
        """The last commit of a recording, None if there is none."""
        with self._lock:
            later = self._later.get(recording_id)
            if later:
                return later
            number = np.uint64(int(recording_id, 16))
            place = int(np.searchsorted(self._entries["id"], number))
            if place == len(self._entries) or self._entries["id"][place] != number:
                return None
            return _known(self._entries[place])

    def row(self, recording_id: str) -> RecordingRow | None:
        """The whole row of a recording as last committed; all of them are read when it is new.

        Raises:
            StoreError: A part of ``recordings/`` is damaged.
        """
        known = self.get(recording_id)
        return None if known is None else self._rows.get(recording_id, known.revision)

    def holding(self, content_hash: str) -> list[str]:
        """Ids of the recordings with this content that were done when the store was opened."""
        with self._lock:
            if self._by_hash is None:
                self._by_hash = np.argsort(self._entries["hash"], kind="stable")
            hashes = self._entries["hash"][self._by_hash]
        wanted = np.bytes_(content_hash.removeprefix(HASH_PREFIX).encode())
        first, after = (int(np.searchsorted(hashes, wanted, side)) for side in ("left", "right"))
        entries = self._entries[self._by_hash[first:after]]
        done = entries[(entries["status"] == STATUSES.index("done")) & ~entries["lost"]]
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
                known, before = _known(entry), self._later.get(identity)
                if before is None or known.revision >= before.revision:
                    self._later[identity] = known

    def _may_have_news(self, changed: int | None) -> bool:
        if changed is None:
            return time.time() - self._listed_at > LISTING_S
        settled = changed / 1e9 < self._listed_at - STALE_S
        return changed != self._changed_ns or not settled

    def committed(self, part: str) -> None:
        """A part of ``recordings/`` is this writer's own, so that nothing in it is news."""
        with self._lock:
            self._seen.add(part)


class StoredRows:
    """Whole rows of a store, read when one is first asked for: most runs need none."""

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
        table = read_rows(self._store)
        ids = np.array([int(text, 16) for text in table["recording_id"].to_pylist()], np.uint64)
        order = np.argsort(ids)
        self._ids, self._table = ids[order], table.take(pa.array(order)).combine_chunks()

    def _find(self, recording_id: str) -> RecordingRow | None:
        number = np.uint64(int(recording_id, 16))
        place = int(np.searchsorted(self._ids, number))
        if self._table is None or place == len(self._ids) or self._ids[place] != number:
            return None
        return rows_of(self._table.slice(place, 1))[recording_id]


def _known(entry: np.void) -> Known:
    size, modified = int(entry["size"]), int(entry["modified"])
    content_hash = bytes(entry["hash"]).decode()
    return Known(
        status=STATUSES[int(entry["status"])],
        file_size=None if size == UNKNOWN else size,
        modified_ns=None if modified == UNKNOWN else modified,
        content_hash=f"{HASH_PREFIX}{content_hash}" if content_hash else None,
        revision=int(entry["revision"]),
        lost=bool(entry["lost"]),
    )
