"""Reading a store: vectors and windows, all or some of them, and recordings."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.errors import DawnChorusWarning, StoreError, UsageError
from dawnchorus.paths import as_path
from dawnchorus.store.check import check_store
from dawnchorus.store.filter import WindowFilter
from dawnchorus.store.local import RECORDING_CLOCK, clock_warnings, local_column
from dawnchorus.store.parts import (
    by_part,
    read_rows,
    read_sealed,
    read_windows,
    rows_of,
    seals_of,
)
from dawnchorus.store.row_rules import REPAIR, check_complete
from dawnchorus.store.schema import (
    COMPUTED,
    EMBEDDINGS,
    WINDOW_SCHEMA,
    embedding_schema,
    read_header,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from dawnchorus.store.check import CheckReport
    from dawnchorus.store.schema import RecordingRow

# beside columns of any name: users have columns called place and part
_PLACE, _PART = "\0place", "\0part"
_ORDER = [("path", "ascending"), ("window", "ascending")]


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """One recording out of a store.

    Attributes:
        row: the recording.
        windows: columns of `WINDOW_SCHEMA`, one row a window.
        vectors: ``(windows, dim)`` float32.
        scores: ``(windows, labels)`` float32, ``(windows, 0)`` when they were not asked for.
    """

    row: RecordingRow
    windows: pa.Table
    vectors: NDArray[np.float32]
    scores: NDArray[np.float32]


class Store:
    """A store on disk, for reading, also while it is written: each call sees the last commit."""

    def __init__(self, path: str | Path) -> None:
        """Open the store at ``path``.

        Raises:
            StoreError: There is no store, or its format is not this version's.
        """
        self.path = as_path(path)
        self.header = read_header(self.path)

    def recordings(self) -> pa.Table:
        """One row for every recording ever committed, by path; the columns are in FORMAT.md.

        Raises:
            StoreError: A part is missing or damaged.
        """
        return read_rows(self.path)

    def read(
        self,
        columns: Sequence[str] | None = None,
        *,
        memory_map: str | Path | None = None,
        **filters: Any,
    ) -> tuple[NDArray[np.float32], pa.Table]:
        """Vectors and windows of all finished recordings, in the order of path and window.

        Args:
            columns: columns of the table: those of a window, and those of its recording, such as
                ``recorded_at`` or ``site``; ``local_time`` is when a window begins. None: ``path``
                and all that a window has.
            memory_map: a new ``.npy`` file for the vectors, for more of them than fit in memory;
                they come as an array that lies in it, and `numpy.load` opens it again.
            filters: fields of `WindowFilter`, such as ``where={"site": "North"}`` or
                ``time_of_day=("04:00", "07:00")``; only windows that pass are read.

        Returns:
            ``(windows, dim)`` float32, and a table with as many rows. ``table.to_pandas()`` gives a
            data frame.

        Raises:
            UsageError: A column or filter does not exist.
            StoreError: A part is missing or damaged.
        """
        rule = WindowFilter(**filters)
        return self._read("vector", columns, rule, memory_map)

    def windows(self, columns: Sequence[str] | None = None, **filters: Any) -> pa.Table:
        """The table of `read` alone: vectors are left on disk.

        Raises:
            UsageError: A column or filter does not exist.
            StoreError: A part is missing or damaged.
        """
        wanted = _default(columns)
        return self._chosen(wanted, WindowFilter(**filters))[0].select(wanted)

    def read_scores(
        self, columns: Sequence[str] | None = None, **filters: Any
    ) -> tuple[NDArray[np.float32], pa.Table]:
        """Probabilities ``(windows, labels)`` in the order of ``header.labels``; else as `read`.

        Raises:
            UsageError: The store was made without ``predict``, or a column does not exist.
            StoreError: A part is missing or damaged.
        """
        if self.header.labels is None:
            raise UsageError(f"{self.path}: holds no scores; they are kept by embed --predict")
        return self._read("scores", columns, WindowFilter(**filters))

    def check(self) -> CheckReport:
        """Read every byte of the store and hold it against its seals; see `check_store`."""
        return check_store(self.path)

    def each_recording(self, *, scores: bool = False) -> Iterator[StoredRecording]:
        """Finished recordings one after the other, by path, for stores larger than memory.

        Args:
            scores: read the labels' probabilities too.

        Raises:
            UsageError: There are no scores in this store.
            StoreError: A part is missing or damaged.
        """
        if scores and self.header.labels is None:
            raise UsageError(f"{self.path}: holds no scores; they are kept by embed --predict")
        lists = ["vector", "scores"] if scores else ["vector"]

        rows = rows_of(_finished(self.recordings()))
        seals = seals_of(rows)
        schema = self._schema([*WINDOW_SCHEMA.names, *lists])

        @functools.lru_cache(maxsize=2)  # recordings that follow each other share parts
        def part(name: str) -> pa.Table:
            return read_sealed(self.path / EMBEDDINGS / name, seals[name], schema)

        for row in rows.values():
            own = pa.scalar(row.recording_id)
            pieces = [part(piece.name) for piece in row.parts]
            pieces = [piece.filter(pc.equal(piece["recording_id"], own)) for piece in pieces]
            table = pa.concat_tables([schema.empty_table(), *pieces]).sort_by("window")
            if not np.array_equal(table["window"].to_numpy(), np.arange(row.n_windows)):
                raise StoreError(
                    f"{self.path}: {row.path}: windows 0 to {row.n_windows - 1} are promised, and "
                    f"its parts hold {len(table)} or others; {REPAIR}"
                )
            values = [_as_array(table[column], len(table)) for column in lists]
            values.append(np.zeros((len(table), 0), np.float32))  # for scores not asked for
            yield StoredRecording(row, table.drop_columns(lists), values[0], values[1])

    def _read(
        self,
        values: str,
        columns: Sequence[str] | None,
        rule: WindowFilter,
        memory_map: str | Path | None = None,
    ) -> tuple[NDArray[np.float32], pa.Table]:
        wanted = _default(columns)
        windows, seals = self._chosen(wanted, rule)
        return self._values(windows, seals, values, memory_map), windows.select(wanted)

    def _chosen(
        self, wanted: Sequence[str], rule: WindowFilter
    ) -> tuple[pa.Table, dict[str, set[str]]]:
        """Windows that pass, in order, with the wanted columns and their places in the parts.

        And the SHA-256 of each part, as the recordings' rows have it.
        """
        recordings = self.recordings()
        of_windows = {"path", *WINDOW_SCHEMA.names}
        known = [*of_windows, *(n for n in recordings.column_names if n not in of_windows)]
        known += [name for name in COMPUTED if name not in known]
        unknown = [name for name in [*wanted, *rule.where] if name not in known]
        if unknown:
            raise UsageError(f"no column {unknown[0]!r} in a store; it has {', '.join(known)}")
        if rule.needs_clock or set(COMPUTED) & set(wanted):
            for text in clock_warnings(recordings, rule.time_zone):
                warnings.warn(text, DawnChorusWarning, stacklevel=4)
        finished = _finished(recordings)
        rows = rows_of(finished)
        pieces = [self._windows(name, owners) for name, owners in sorted(by_part(rows).items())]
        windows = pa.concat_tables([_empty_windows(), *pieces])
        check_complete(windows, finished, str(self.path))
        seals = seals_of(rows)
        if not rule.is_open:
            windows = windows.filter(pa.array(self._passes(windows, recordings, rule, seals)))
        windows = windows.sort_by(_ORDER)
        extra = [name for name in wanted if name not in of_windows]
        return _with_recordings(windows, recordings, extra, rule.time_zone), seals

    def _schema(self, names: Sequence[str]) -> pa.Schema:
        """Of some columns of a part of ``embeddings/``."""
        whole = embedding_schema(self.header)
        return pa.schema([whole.field(name) for name in names])

    def _passes(
        self,
        windows: pa.Table,
        recordings: pa.Table,
        rule: WindowFilter,
        seals: Mapping[str, set[str]],
    ) -> NDArray[np.bool_]:
        clock = RECORDING_CLOCK if rule.needs_clock else ()
        extra = [name for name in {*clock, *rule.where} if name not in windows.column_names]
        keep = rule.passes(_with_recordings(windows, recordings, extra, rule.time_zone))
        if rule.label is None:
            return keep
        labels = self.header.labels
        if labels is None or rule.label not in labels:
            has = "no scores" if labels is None else f"{len(labels)} labels"
            raise UsageError(f"{self.path}: has {has}, and no label {rule.label!r}")
        scores = self._values(windows, seals, "scores")
        passed: NDArray[np.bool_] = keep & (scores[:, labels.index(rule.label)] >= rule.min_score)
        return passed

    def _windows(self, part: str, owners: dict[str, str]) -> pa.Table:
        """The windows of a part that belong to finished recordings, and each one's place in it."""
        table = read_windows(self.path / EMBEDDINGS / part, WINDOW_SCHEMA)
        place = pa.array(np.arange(len(table)), pa.int64())
        table = table.append_column(_PLACE, place).append_column(
            _PART, pa.array([part] * len(table), pa.string())
        )
        # other rows are of a recording that failed later, or was read anew
        table = table.filter(pc.is_in(table["recording_id"], pa.array(list(owners), pa.string())))
        paths = pa.array(
            [owners[identity] for identity in table["recording_id"].to_pylist()], pa.string()
        )
        return table.add_column(0, "path", paths)

    def _values(
        self,
        windows: pa.Table,
        seals: Mapping[str, set[str]],
        column: str,
        memory_map: str | Path | None = None,
    ) -> NDArray[np.float32]:
        """Vectors or scores of windows in any order, each part read once."""
        schema = self._schema([column])
        width = schema.field(column).type.list_size
        values = _new_array((len(windows), width), memory_map)
        order = pc.sort_indices(windows, [(_PART, "ascending"), (_PLACE, "ascending")]).to_numpy()
        sorted_windows = windows.select([_PART, _PLACE]).take(order)
        first = 0
        for part, n_rows in _runs(sorted_windows[_PART]):
            rows = slice(first, first + n_rows)
            lists = read_sealed(self.path / EMBEDDINGS / part, seals[part], schema)[column]
            stored = lists.combine_chunks().flatten().to_numpy(zero_copy_only=False)
            place = sorted_windows[_PLACE][rows.start : rows.stop].to_numpy()
            values[order[rows]] = stored.reshape(-1, width)[place]
            first = rows.stop
        return values


def _new_array(shape: tuple[int, int], memory_map: str | Path | None) -> NDArray[np.float32]:
    if memory_map is None or 0 in shape:  # nothing cannot be mapped
        return np.empty(shape, np.float32)
    if Path(memory_map).exists():
        raise UsageError(f"{memory_map}: exists already; name a new file")
    return np.lib.format.open_memmap(memory_map, mode="w+", dtype=np.float32, shape=shape)


def _empty_windows() -> pa.Table:
    schema = WINDOW_SCHEMA.insert(0, pa.field("path", pa.string()))
    return (
        schema.append(pa.field(_PLACE, pa.int64()))
        .append(pa.field(_PART, pa.string()))
        .empty_table()
    )


def _as_array(lists: pa.ChunkedArray, n_rows: int) -> NDArray[np.float32]:
    flat: NDArray[np.float32] = lists.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(n_rows, -1).astype(np.float32)


def _with_recordings(
    windows: pa.Table, recordings: pa.Table, columns: Sequence[str], time_zone: str | None
) -> pa.Table:
    """Windows with columns of their recordings, and with those that are computed."""
    place = pc.index_in(windows["recording_id"], recordings["recording_id"].combine_chunks())
    computed = [name for name in COMPUTED if name not in recordings.column_names]
    for name in columns:
        if name in computed:
            clock = [recordings[column].take(place) for column in RECORDING_CLOCK]
            table = pa.table([windows["start_s"], *clock], names=["start_s", *RECORDING_CLOCK])
            values = local_column(table, time_zone)
        else:
            values = recordings[name].take(place)
        windows = windows.append_column(name, values)
    return windows


def _default(columns: Sequence[str] | None) -> list[str]:
    # a column that is asked for twice comes once
    return ["path", *WINDOW_SCHEMA.names] if columns is None else list(dict.fromkeys(columns))


def _finished(table: pa.Table) -> pa.Table:
    return table.filter(pc.equal(table["status"], "done"))


def _runs(names: pa.ChunkedArray) -> list[tuple[str, int]]:
    """Consecutive equal names and how many there are of each."""
    encoded = pc.run_end_encode(names.combine_chunks())
    ends = encoded.run_ends.to_pylist()
    return [
        (name, end - start)
        for name, start, end in zip(encoded.values.to_pylist(), [0, *ends], ends, strict=False)
    ]
