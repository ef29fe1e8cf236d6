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

from dawnchorus.errors import DawnChorusWarning, UsageError
from dawnchorus.paths import as_path
from dawnchorus.store.check import check_store
from dawnchorus.store.filter import WindowFilter
from dawnchorus.store.local import RECORDING_CLOCK, clock_warnings, local_column
from dawnchorus.store.parts import of_parts, read_sealed, read_windows
from dawnchorus.store.recording_rows import PartUse, finished, parts_used, read_all_rows, rows_of
from dawnchorus.store.row_rules import check_complete
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

# Where a window is stored: its part, and its row there. Users may have columns of any other name.
PART, ROW = "\0part", "\0row"
_OWNER = "\0owner"  # row of its recording among those that are finished, which are in order of path
_STORED_WINDOWS = pa.schema(
    [
        (_OWNER, pa.int32()),
        *(field for field in WINDOW_SCHEMA if field.name != "recording_id"),
        (PART, pa.int32()),
        (ROW, pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """One recording out of a store.

    Attributes:
        row: the recording.
        windows: columns of `WINDOW_SCHEMA`, one row a window.
        vectors: ``(windows, dim)`` float32.
        scores: ``(windows, labels)`` float32, ``(windows, 0)`` when they were not requested.
    """

    row: RecordingRow
    windows: pa.Table
    vectors: NDArray[np.float32]
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LocatedWindows:
    """Windows of one moment of a store, and where each of them is stored.

    Attributes:
        windows: ``path``, the columns of `WINDOW_SCHEMA`, `PART` (a number among ``parts``) and
            `ROW`, in the order of path and window. ``path`` and ``recording_id`` are dictionaries,
            a tenth of the memory; `as_texts` makes them plain.
        recordings: as `Store.recordings`, of the same moment.
        parts: the parts that finished recordings use, with their seals, by name.
    """

    windows: pa.Table
    recordings: pa.Table
    parts: dict[str, PartUse]


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
        """One row for every recording ever committed, by path.

        Its columns are listed in docs/reference/store_format.md.

        Raises:
            StoreError: A part is missing or damaged.
        """
        return read_all_rows(self.path)

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
        return as_texts(self._selected(wanted, WindowFilter(**filters)).windows.select(wanted))

    def located_windows(self, columns: Sequence[str] = (), **filters: Any) -> LocatedWindows:
        """The windows that pass, and where they are stored, for those who read parts themselves.

        Args:
            columns: further ones, which must exist; they are added after those of a window.
            filters: fields of `WindowFilter`.

        Raises:
            UsageError: A column or filter does not exist.
            StoreError: A part is missing or damaged.
        """
        wanted = list(dict.fromkeys(["path", *WINDOW_SCHEMA.names, *columns]))
        return self._selected(wanted, WindowFilter(**filters))

    def read_scores(
        self, columns: Sequence[str] | None = None, **filters: Any
    ) -> tuple[NDArray[np.float32], pa.Table]:
        """Probabilities ``(windows, labels)`` in the order of ``header.labels``; else as `read`.

        Raises:
            UsageError: The store was made without ``predict``, or a column does not exist.
            StoreError: A part is missing or damaged.
        """
        self._need_scores()
        return self._read("scores", columns, WindowFilter(**filters))

    def check(self) -> CheckReport:
        """Read every byte of the store and compare it with its seals; see `check_store`."""
        return check_store(self.path)

    def each_recording(self, *, scores: bool = False) -> Iterator[StoredRecording]:
        """Finished recordings one after the other, by path, for stores larger than memory.

        Args:
            scores: read the labels' probabilities too.

        Raises:
            UsageError: There are no scores in this store.
            StoreError: A part is missing or damaged.
        """
        if scores:
            self._need_scores()
        lists = ["vector", "scores"] if scores else ["vector"]
        schema = self._schema([*WINDOW_SCHEMA.names, *lists])
        table = finished(self.recordings())
        rows = rows_of(table)
        parts = parts_used(rows)

        @functools.lru_cache(maxsize=2)  # recordings that follow each other share parts
        def part(name: str) -> pa.Table:
            return read_sealed(self.path / EMBEDDINGS / name, parts[name].seals, schema)

        for at, row in enumerate(rows.values()):
            own = pa.scalar(row.recording_id)
            pieces = [part(piece.name) for piece in row.parts]
            pieces = [piece.filter(pc.equal(piece["recording_id"], own)) for piece in pieces]
            windows = pa.concat_tables([schema.empty_table(), *pieces]).sort_by("window")
            own_rows = np.zeros(len(windows), np.int32)
            check_complete(
                own_rows, windows["window"].to_numpy(), table.slice(at, 1), str(self.path)
            )
            values = [as_array(windows[column]).astype(np.float32) for column in lists]
            values.append(np.zeros((len(windows), 0), np.float32))  # for scores not requested
            yield StoredRecording(row, windows.drop_columns(lists), values[0], values[1])

    def _need_scores(self) -> None:
        if self.header.labels is None:
            raise UsageError(f"{self.path}: holds no scores; they are kept by embed --predict")

    def _read(
        self,
        values: str,
        columns: Sequence[str] | None,
        rule: WindowFilter,
        memory_map: str | Path | None = None,
    ) -> tuple[NDArray[np.float32], pa.Table]:
        wanted = _default(columns)
        located = self._selected(wanted, rule)
        vectors = self._values(located.windows, located.parts, values, memory_map)
        return vectors, as_texts(located.windows.select(wanted))

    def _selected(self, wanted: Sequence[str], rule: WindowFilter) -> LocatedWindows:
        recordings = self.recordings()
        own = {"path", *WINDOW_SCHEMA.names}
        known = [*own, *(name for name in recordings.column_names if name not in own)]
        known += [name for name in COMPUTED if name not in known]
        unknown = [name for name in [*wanted, *rule.where] if name not in known]
        if unknown:
            raise UsageError(f"no column {unknown[0]!r} in a store; it has {', '.join(known)}")
        if rule.needs_clock or set(COMPUTED) & set(wanted):
            for text in clock_warnings(recordings, rule.time_zone):
                warnings.warn(text, DawnChorusWarning, stacklevel=4)
        done = finished(recordings)
        parts = parts_used(rows_of(done))
        windows = self._stored_windows(done, parts)
        if not rule.is_open:
            windows = windows.filter(pa.array(self._passes(windows, recordings, rule, parts)))
        # numbers, most of them in runs that are in order: texts took ten times as long
        places = windows[_OWNER].to_numpy().astype(np.int64) << 32 | windows["window"].to_numpy()
        order = np.argsort(places, kind="stable")
        windows = windows.take(pa.array(order)).drop_columns(_OWNER)
        extra = [name for name in wanted if name not in own]
        windows = with_recordings(windows, recordings, extra, rule.time_zone)
        return LocatedWindows(windows, recordings, parts)

    def _stored_windows(self, done: pa.Table, parts: Mapping[str, PartUse]) -> pa.Table:
        """All windows of finished recordings, part by part, with ``path`` and ``recording_id``.

        Raises:
            StoreError: A part is missing or damaged, or windows of a recording are.
        """
        ids = done["recording_id"].combine_chunks()
        codes = {name: code for code, name in enumerate(parts)}
        own = {name: pa.array(list(use.paths), pa.string()) for name, use in parts.items()}
        rows = {name: pc.index_in(of_part, ids) for name, of_part in own.items()}
        pieces = of_parts(
            self.path, parts, lambda name: self._windows(name, codes[name], own[name], rows[name])
        )
        windows = pa.concat_tables([_STORED_WINDOWS.empty_table(), *pieces]).combine_chunks()
        owners = windows[_OWNER].combine_chunks()
        check_complete(owners.to_numpy(), windows["window"].to_numpy(), done, str(self.path))
        for at, name in enumerate(("path", "recording_id")):
            texts = pa.DictionaryArray.from_arrays(owners, done[name].combine_chunks())
            windows = windows.add_column(at, name, texts)
        return windows

    def _schema(self, names: Sequence[str]) -> pa.Schema:
        """Of some columns of a part of ``embeddings/``."""
        whole = embedding_schema(self.header)
        return pa.schema([whole.field(name) for name in names])

    def _passes(
        self,
        windows: pa.Table,
        recordings: pa.Table,
        rule: WindowFilter,
        parts: Mapping[str, PartUse],
    ) -> NDArray[np.bool_]:
        clock = RECORDING_CLOCK if rule.needs_clock else ()
        extra = [name for name in {*clock, *rule.where} if name not in windows.column_names]
        keep = rule.passes(with_recordings(windows, recordings, extra, rule.time_zone))
        if rule.label is None:
            return keep
        labels = self.header.labels
        if labels is None or rule.label not in labels:
            has = "no scores" if labels is None else f"{len(labels)} labels"
            raise UsageError(f"{self.path}: has {has}, and no label {rule.label!r}")
        scores = self._values(windows, parts, "scores")
        passed: NDArray[np.bool_] = keep & (scores[:, labels.index(rule.label)] >= rule.min_score)
        return passed

    def _windows(self, part: str, code: int, own: pa.Array, rows: pa.Array) -> pa.Table:
        """The windows of a part that belong to finished recordings, and where each is stored.

        ``own`` are the recordings that name this part, ``rows`` their rows.
        """
        table = read_windows(self.path / EMBEDDINGS / part, WINDOW_SCHEMA)
        n_rows = len(table)
        # not of all recordings: an older part may hold windows of one that was embedded again
        owner = rows.take(pc.index_in(table["recording_id"], own))
        table = table.drop_columns("recording_id").add_column(0, _OWNER, owner)
        table = table.append_column(PART, pa.repeat(pa.scalar(code, pa.int32()), n_rows))
        table = table.append_column(ROW, pa.array(np.arange(n_rows), pa.int64()))
        # other rows are of a recording that failed later, or was embedded again
        return table.filter(pc.is_valid(owner)) if owner.null_count else table

    def _values(
        self,
        windows: pa.Table,
        parts: Mapping[str, PartUse],
        column: str,
        memory_map: str | Path | None = None,
    ) -> NDArray[np.float32]:
        """Vectors or scores of windows in any order, ``(windows, n)``, each part read once."""
        schema = self._schema([column])
        width = schema.field(column).type.list_size
        values = _new_array((len(windows), width), memory_map)
        codes, rows = windows[PART].to_numpy(), windows[ROW].to_numpy()
        order = np.lexsort((rows, codes))
        bounds = np.flatnonzero(np.diff(codes[order])) + 1
        names = list(parts)
        for at in np.split(order, bounds) if len(order) else []:
            part = names[codes[at[0]]]
            lists = read_sealed(self.path / EMBEDDINGS / part, parts[part].seals, schema)[column]
            values[at] = as_array(lists)[rows[at]]  # float16 becomes float32 here
        return values


def _new_array(shape: tuple[int, int], memory_map: str | Path | None) -> NDArray[np.float32]:
    if memory_map is None or 0 in shape:  # an empty file cannot be mapped
        return np.empty(shape, np.float32)
    if Path(memory_map).exists():
        raise UsageError(f"{memory_map}: exists already; name a new file")
    return np.lib.format.open_memmap(memory_map, mode="w+", dtype=np.float32, shape=shape)


def as_array(lists: pa.ChunkedArray) -> NDArray[np.floating]:
    """A column of vectors or scores, ``(rows, n)`` in its own number format."""
    flat: NDArray[np.floating] = lists.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, lists.type.list_size)


def with_recordings(
    windows: pa.Table, recordings: pa.Table, columns: Sequence[str], time_zone: str | None
) -> pa.Table:
    """Windows with columns of their recordings, and with those that are computed."""
    if not columns:
        return windows
    row = _rows_in(recordings["recording_id"].combine_chunks(), windows["recording_id"])
    computed = [name for name in COMPUTED if name not in recordings.column_names]
    for name in columns:
        if name in computed:
            clock = [recordings[column].take(row) for column in RECORDING_CLOCK]
            table = pa.table([windows["start_s"], *clock], names=["start_s", *RECORDING_CLOCK])
            values = local_column(table, time_zone)
        else:
            values = recordings[name].take(row)
        windows = windows.append_column(name, values)
    return windows


def as_texts(windows: pa.Table) -> pa.Table:
    """The table with texts where `LocatedWindows` has dictionaries."""
    for at, name in enumerate(windows.column_names):
        if pa.types.is_dictionary(windows[name].type):
            windows = windows.set_column(at, name, windows[name].cast(pa.string()))
    return windows


def _rows_in(ids: pa.Array, wanted: pa.ChunkedArray) -> pa.Array:
    """The row of each id among ids."""
    if not pa.types.is_dictionary(wanted.type):
        return pc.index_in(wanted, ids)
    encoded = wanted.combine_chunks()
    return pc.index_in(encoded.dictionary, ids).take(encoded.indices)


def _default(columns: Sequence[str] | None) -> list[str]:
    # a column that is named twice comes once
    return ["path", *WINDOW_SCHEMA.names] if columns is None else list(dict.fromkeys(columns))
