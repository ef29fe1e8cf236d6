"""The vectors of one part of a store: sealed bytes unpacked, or the file itself mapped.

Vectors lie in a part as they are in memory: pages are plain-encoded, not compressed, and each row
group is small enough for one page. So the last bytes of a row group's column are its vectors, and a
part can be mapped instead of copied, and of one behind a URL some vectors fetched without the rest.
Where that holds is looked up once, with the part's seal checked, and kept by ``facts``; a part
written otherwise is unpacked each time.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.errors import StoreError
from dawnchorus.machine import n_cores
from dawnchorus.paths import is_remote
from dawnchorus.store.parts import (
    CHECK,
    MALFORMED,
    REMOTE_READERS,
    part_errors,
    sealed_bytes,
    sealed_table,
)
from dawnchorus.store.read import as_array
from dawnchorus.store.schema import EMBEDDINGS, embedding_schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.store.recording_rows import PartUse
    from dawnchorus.store.schema import StoreHeader

    Stored = NDArray[np.floating]
    Rows = NDArray[np.int64]

RANGES_UNTIL: Final = 8  # a part of more rows than so many times those that are wanted is not read
VECTOR_COLUMN: Final = "vector.list.element"  # as Parquet names it


@dataclass(frozen=True, slots=True, eq=False)
class RowGroups:
    """Where the vectors of a part lie in its file.

    Attributes:
        offsets: ``(groups,)`` first byte of each row group's vectors.
        n_rows: ``(groups,)`` how many there are.
    """

    offsets: Rows
    n_rows: Rows


def n_readers(parts: Sequence[PartVectors]) -> int:
    """How many parts are read at once; memory for as many is needed, some 50 MB each."""
    some_remote = any(is_remote(part.path) for part in parts)
    return max(n_cores(), REMOTE_READERS) if some_remote else n_cores()


class PartVectors:
    """One part, for reading its vectors.

    Attributes:
        path: of the file.
        use: which recordings own rows of it, and its seal.
        groups: where the vectors lie, once that is known and was checked; None: it is unpacked.
    """

    def __init__(self, store: Path, name: str, use: PartUse, header: StoreHeader) -> None:
        """Nothing is read yet."""
        self.path = store / EMBEDDINGS / name
        self.name = name
        self.use = use
        self.groups: RowGroups | None = None
        self._mapped: list[Stored] | None = None
        self._is_remote = is_remote(self.path)
        whole = embedding_schema(header)
        self._schema = pa.schema([whole.field("recording_id"), whole.field("vector")])
        self._dtype = np.dtype(header.dtype)
        self._dim = header.dim

    def content(self) -> bytes:
        """The bytes of the part, its seal checked.

        Raises:
            StoreError: The part is missing or damaged.
        """
        return sealed_bytes(self.path, self.use.seals)

    def unpacked(self, content: bytes) -> tuple[Stored, pa.ChunkedArray]:
        """All vectors, ``(rows, dim)`` in the store's number format, and the id of each recording.

        Raises:
            StoreError: The part is damaged.
        """
        table = sealed_table(self.path, content, self._schema)
        return as_array(table["vector"]), table["recording_id"]

    def pieces(self) -> list[Stored]:
        """All vectors in order, as arrays of ``(n, dim)`` in the store's number format.

        Raises:
            StoreError: The part is missing or damaged.
        """
        if self.groups is None or self._is_remote:
            vectors, _ = self.unpacked(self.content())
            return [np.array(vectors)]  # its own memory: torch wants to write
        if self._mapped is None:
            self._mapped = self._map(self.groups)
        return self._mapped

    def take(self, rows: Rows) -> NDArray[np.float32]:
        """Vectors of some rows, ``(n, dim)``.

        Raises:
            StoreError: The part is missing or damaged.
        """
        if self._is_remote and self.groups and len(rows) * RANGES_UNTIL < sum(self.groups.n_rows):
            return self._fetched(self.groups, rows)
        pieces = self.pieces()
        if len(pieces) == 1:
            return pieces[0][rows].astype(np.float32)
        first = np.cumsum([0, *(len(piece) for piece in pieces)])
        of_piece = np.searchsorted(first, rows, side="right") - 1
        vectors = np.empty((len(rows), self._dim), np.float32)
        for number in np.unique(of_piece):
            at = np.flatnonzero(of_piece == number)
            vectors[at] = pieces[number][rows[at] - first[number]]
        return vectors

    def _fetched(self, groups: RowGroups, rows: Rows) -> NDArray[np.float32]:
        """Some rows alone, each a range of the file behind the URL."""
        first = np.cumsum([0, *groups.n_rows])
        of_group = np.searchsorted(first, rows, side="right") - 1
        starts = groups.offsets[of_group] + (rows - first[of_group]) * self._row_bytes
        wanted, of_row = np.unique(starts, return_inverse=True)
        remote: Any = self.path
        with part_errors(self.path):
            ranges = remote.fs.cat_ranges(
                [remote.path] * len(wanted),
                wanted.tolist(),
                (wanted + self._row_bytes).tolist(),
                on_error="raise",
            )
        content = b"".join(ranges)
        if len(content) != len(wanted) * self._row_bytes:
            raise StoreError(f"{self.path}: is shorter than it was; {CHECK}")
        vectors = np.frombuffer(content, self._dtype).reshape(-1, self._dim)
        return vectors[of_row].astype(np.float32)

    def find_groups(self, vectors: Stored, content: bytes) -> RowGroups | None:
        """Where vectors lie in the file; None where it has another layout than parts of ours.

        Args:
            vectors: what `unpacked` gave: each byte is compared with it.
            content: of the file.
        """
        if not len(vectors):
            return None
        try:
            groups = self._looked_up(content)
            views = self._views(groups, content)
        except MALFORMED:
            return None  # written by another program, in another layout
        same = sum(map(len, views)) == len(vectors) and all(
            # as bytes: a NaN is not equal to itself
            view.tobytes() == vectors[first : first + len(view)].tobytes()
            for view, first in zip(views, np.cumsum([0, *groups.n_rows]), strict=False)
        )
        return groups if same else None

    def _looked_up(self, content: bytes) -> RowGroups:
        """Where the vectors lie if each row group has one page of them."""
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
        ends, n_rows = [], []
        for group in groups:
            columns = [group.column(n) for n in range(group.num_columns)]
            column = next(c for c in columns if c.path_in_schema == VECTOR_COLUMN)
            ends.append(column.data_page_offset + column.total_compressed_size)
            n_rows.append(group.num_rows)
        counts = np.array(n_rows, np.int64)
        return RowGroups(np.array(ends, np.int64) - counts * self._row_bytes, counts)

    @property
    def _row_bytes(self) -> int:
        return self._dim * self._dtype.itemsize

    def _map(self, groups: RowGroups) -> list[Stored]:
        try:
            with self.path.open("rb") as file:
                # private: torch takes no array that cannot be written; nothing writes to this one
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            return self._views(groups, content)
        except FileNotFoundError as error:
            raise StoreError(f"{self.path}: a part of the store is missing; {CHECK}") from error
        except (OSError, ValueError, TypeError) as error:
            raise StoreError(f"{self.path}: cannot be read: {error}; {CHECK}") from error

    def _views(self, groups: RowGroups, content: bytes | mmap.mmap) -> list[Stored]:
        shapes = zip(groups.offsets.tolist(), groups.n_rows.tolist(), strict=True)
        return [
            np.ndarray((n, self._dim), self._dtype, buffer=content, offset=offset)
            for offset, n in shapes
        ]

    def __getstate__(self) -> dict[str, object]:
        """Without the mapping, which belongs to a process."""
        return {**self.__dict__, "_mapped": None}
