"""Reading a store: vectors and windows, recordings, and a check of every byte."""

from __future__ import annotations

import functools
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.errors import StoreError, UsageError
from dawnchorus.store.parts import file_sha256, read_part, read_rows, rows_of
from dawnchorus.store.schema import EMBEDDINGS, WINDOW_SCHEMA, read_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dawnchorus.store.schema import RecordingRow

_ORDER = [("path", "ascending"), ("window", "ascending")]


@dataclass(frozen=True, slots=True)
class Damage:
    """A part that is not what it was when written, and the recordings that have windows in it."""

    part: str
    problem: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What `Store.check` read, and what was wrong with it."""

    n_recordings: int
    n_parts: int
    n_windows: int
    damages: tuple[Damage, ...]


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """One recording out of a store: ``values (windows, n)`` float32, and its windows."""

    row: RecordingRow
    values: NDArray[np.float32]
    windows: pa.Table


class Store:
    """A store on disk, for reading, also while it is written: each call sees the last commit."""

    def __init__(self, path: str | Path) -> None:
        """Open the store at ``path``.

        Raises:
            StoreError: There is no store, or its format is not this version's.
        """
        self.path = Path(path)
        self.header = read_header(self.path)

    def recordings(self) -> pa.Table:
        """One row for every recording ever committed, by path; the columns are in FORMAT.md.

        Raises:
            StoreError: A part is missing or damaged.
        """
        return read_rows(self.path)

    def read(self, columns: Sequence[str] | None = None) -> tuple[NDArray[np.float32], pa.Table]:
        """Vectors and windows of all finished recordings, in the order of path and window.

        Args:
            columns: columns of the table: those of a window, and those of its recording, such as
                ``recorded_at`` or ``site``. None: ``path`` and all that a window has.

        Returns:
            ``(windows, dim)`` float32, and a table with as many rows.

        Raises:
            UsageError: A column does not exist.
            StoreError: A part is missing or damaged.
        """
        return self._read("vector", self.header.dim, columns)

    def read_scores(
        self, columns: Sequence[str] | None = None
    ) -> tuple[NDArray[np.float32], pa.Table]:
        """Probabilities ``(windows, labels)`` in the order of ``header.labels``; else as `read`.

        Raises:
            UsageError: The store was made without ``predict``, or a column does not exist.
            StoreError: A part is missing or damaged.
        """
        if self.header.labels is None:
            raise UsageError(f"{self.path}: holds no scores; they are kept by embed --predict")
        return self._read("scores", len(self.header.labels), columns)

    def each_recording(
        self, values: Literal["vector", "scores"] = "vector"
    ) -> Iterator[StoredRecording]:
        """Finished recordings one after the other, by path, for stores larger than memory.

        Raises:
            UsageError: There are no scores in this store.
            StoreError: A part is missing or damaged.
        """
        if values == "scores" and self.header.labels is None:
            raise UsageError(f"{self.path}: holds no scores; they are kept by embed --predict")

        @functools.lru_cache(maxsize=2)  # recordings that follow each other share parts
        def part(name: str) -> pa.Table:
            return read_part(self.path / EMBEDDINGS / name, [*WINDOW_SCHEMA.names, values])

        for row in _with_status(self.recordings(), "done").values():
            of_recording = [
                part(piece.name).filter(
                    pc.equal(part(piece.name)["recording_id"], pa.scalar(row.recording_id))
                )
                for piece in row.parts
            ]
            table = pa.concat_tables(of_recording).sort_by("window")
            lists = table[values].combine_chunks()
            flat = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
            yield StoredRecording(row, flat.reshape(len(table), -1), table.drop_columns([values]))

    def _read(
        self, values: str, width: int, columns: Sequence[str] | None
    ) -> tuple[NDArray[np.float32], pa.Table]:
        wanted = ["path", *WINDOW_SCHEMA.names] if columns is None else list(columns)
        recordings = self.recordings()
        of_windows = {"path", *WINDOW_SCHEMA.names}
        known = [*of_windows, *(n for n in recordings.column_names if n not in of_windows)]
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise UsageError(f"no column {unknown[0]!r} in a store; it has {', '.join(known)}")
        parts = _by_part(_with_status(recordings, "done"))
        pieces = [self._windows(name, owners) for name, owners in sorted(parts.items())]
        windows = pa.concat_tables([_empty_windows(), *pieces])
        order = pc.sort_indices(windows, _ORDER).to_numpy()
        vectors = self._values(windows, order, values, width)
        windows = windows.take(order)
        extra = [name for name in wanted if name not in of_windows]
        if extra:
            windows = _with_recordings(windows, recordings, extra)
        return vectors, windows.select(wanted)

    def _windows(self, part: str, owners: dict[str, str]) -> pa.Table:
        """The windows of a part that belong to finished recordings, and each one's place in it."""
        table = read_part(self.path / EMBEDDINGS / part, WINDOW_SCHEMA.names)
        place = pa.array(np.arange(len(table)), pa.int64())
        table = table.append_column("place", place).append_column(
            "part", pa.array([part] * len(table), pa.string())
        )
        # other rows are of a recording that failed later, or was read anew
        table = table.filter(pc.is_in(table["recording_id"], pa.array(list(owners), pa.string())))
        paths = pa.array(
            [owners[identity] for identity in table["recording_id"].to_pylist()], pa.string()
        )
        return table.add_column(0, "path", paths)

    def _values(
        self, windows: pa.Table, order: NDArray[np.int64], column: str, width: int
    ) -> NDArray[np.float32]:
        values = np.empty((len(order), width), np.float32)
        target = np.empty(len(order), np.int64)
        target[order] = np.arange(len(order))
        first = 0
        for part, n_rows in _runs(windows["part"]):
            rows = slice(first, first + n_rows)
            lists = read_part(self.path / EMBEDDINGS / part, [column])[column]
            stored = lists.combine_chunks().flatten().to_numpy(zero_copy_only=False)
            place = windows["place"][rows.start : rows.stop].to_numpy()
            values[target[rows]] = stored.reshape(-1, width)[place]
            first = rows.stop
        return values

    def check(self) -> CheckReport:
        """Read every part that the store's recordings name, and hold it against its seal.

        Raises:
            StoreError: A part of ``recordings/`` is missing or damaged.
        """
        table = self.recordings()
        damages: list[Damage] = []
        found: dict[str, int] = defaultdict(int)
        rows = rows_of(table)
        parts = _by_part(rows)
        seals = {part.name: part.sha256 for row in rows.values() for part in row.parts}
        for name, owners in sorted(parts.items()):
            problem = self._problem(name, seals[name], owners, found)
            if problem:
                damages.append(Damage(name, problem, tuple(sorted(owners.values()))))
        if not damages:
            damages += _miscounted(rows, found)
        return CheckReport(
            n_recordings=len(rows),
            n_parts=len(parts),
            n_windows=sum(found.values()),
            damages=tuple(damages),
        )

    def _problem(
        self, part: str, seal: str, owners: dict[str, str], found: dict[str, int]
    ) -> str | None:
        path = self.path / EMBEDDINGS / part
        if not path.is_file():
            return "missing"
        if file_sha256(path) != seal:
            return "its bytes are not the ones that were written (SHA-256 differs)"
        try:
            table = read_part(path)
        except StoreError as error:
            return str(error)
        for identity in table["recording_id"].to_pylist():
            if identity in owners:
                found[identity] += 1
        return None


def _empty_windows() -> pa.Table:
    schema = WINDOW_SCHEMA.insert(0, pa.field("path", pa.string()))
    return (
        schema.append(pa.field("place", pa.int64()))
        .append(pa.field("part", pa.string()))
        .empty_table()
    )


def _with_recordings(windows: pa.Table, recordings: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Windows with columns of their recordings."""
    place = pc.index_in(windows["recording_id"], recordings["recording_id"].combine_chunks())
    for name in columns:
        windows = windows.append_column(name, recordings[name].take(place))
    return windows


def _with_status(table: pa.Table, status: str) -> dict[str, RecordingRow]:
    return rows_of(table.filter(pc.equal(table["status"], status)))


def _by_part(rows: dict[str, RecordingRow]) -> dict[str, dict[str, str]]:
    """Part name to the recordings that own rows of it, id to path."""
    parts: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows.values():
        for part in row.parts:
            parts[part.name][row.recording_id] = row.path
    return parts


def _runs(names: pa.ChunkedArray) -> list[tuple[str, int]]:
    """Consecutive equal names and how many there are of each."""
    encoded = pc.run_end_encode(names.combine_chunks())
    ends = encoded.run_ends.to_pylist()
    return [
        (name, end - start)
        for name, start, end in zip(encoded.values.to_pylist(), [0, *ends], ends, strict=False)
    ]


def _miscounted(rows: dict[str, RecordingRow], found: dict[str, int]) -> list[Damage]:
    return [
        Damage(
            "recordings",
            f"promises {row.n_windows} windows, its parts hold {found[key]}",
            (row.path,),
        )
        for key, row in rows.items()
        if found[key] != row.n_windows
    ]
