"""The windows of one or several stores as one array that stays on disk."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa

from dawnchorus.errors import StoreError, UsageError
from dawnchorus.paths import absolute, as_path, as_text, is_remote
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.search.facts import store_facts
from dawnchorus.search.part_vectors import PartVectors
from dawnchorus.search.scan import PartRows
from dawnchorus.store.filter import WindowFilter
from dawnchorus.store.parts import REMOTE_READERS
from dawnchorus.store.read import PART, ROW, Store, as_texts, with_recordings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.progress import Progress
    from dawnchorus.search.facts import PartFacts
    from dawnchorus.search.sketch import Sketch
    from dawnchorus.search.workers import Workers
    from dawnchorus.store.read import LocatedWindows
    from dawnchorus.store.schema import StoreHeader

    Rows = NDArray[np.int64]
    Vectors = NDArray[np.float32]
    Stores = str | Path | Store | Sequence[str | Path | Store]

BLOCK_ROWS: Final = 65_536  # 200 MB of 768 numbers
BASE_COLUMNS: Final = ("store", "recording_id", "path", "window", "start_s", "stop_s")


class Archive:
    """Windows of one or several stores that were made by one model with one set of settings.

    What is in it is decided once, when it is opened: recordings that are added later are not seen.
    A window has a row, its number in the order of store (as they were named), path and window.
    That order depends on what is in the stores alone, not on how they were written.

    Attributes:
        stores: the stores, open for reading.
        rule: which windows pass.
        header: of the first; the others agree with it in all that vectors depend on.
    """

    def __init__(self, stores: Stores, /, **filters: Any) -> None:
        """Open the stores and find the windows that pass.

        Args:
            stores: folders or URLs of one store or more.
            filters: fields of `WindowFilter`, as for `Store.read`.

        Raises:
            UsageError: No store or one twice was named, or a column or filter does not exist.
            StoreError: A store is damaged, or has other settings than the first.
        """
        self.rule = WindowFilter(**filters)
        self.stores = _opened(stores)
        self.header: StoreHeader = self.stores[0].header
        self._located = [store.located_windows(**filters) for store in self.stores]
        counts = [len(located.windows) for located in self._located]
        self._first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        # which part each row is in, over all stores, and its row there
        self.parts: list[PartVectors] = []
        self._first_part = [0]
        self._facts: list[PartFacts] | None = None
        self.sketch: Sketch | None = None  # once it was opened
        self._part_rows: list[PartRows] | None = None
        codes = [self._add_parts(number) for number in range(len(self.stores))]
        self.part_of: NDArray[np.int32] = np.concatenate(codes)
        in_part = [located.windows[ROW].to_numpy() for located in self._located]
        self.row_in_part: Rows = np.concatenate(in_part)

    def _add_parts(self, number: int) -> NDArray[np.int32]:
        """Add a store's parts; returns the part of each of its windows."""
        store, located = self.stores[number], self._located[number]
        first = len(self.parts)
        for name, use in located.parts.items():
            self.parts.append(PartVectors(store.path, name, use, store.header))
        self._first_part.append(len(self.parts))
        codes = located.windows[PART].to_numpy()
        part_of: NDArray[np.int32] = codes.astype(np.int32) + np.int32(first)
        return part_of

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return self.header.dim

    @property
    def n_windows(self) -> int:
        """How many windows pass."""
        return int(self._first[-1])

    def windows_of(self, store: int) -> int:
        """How many windows of one of `stores` pass; named by its number."""
        return int(self._first[store + 1] - self._first[store])

    @property
    def is_remote(self) -> bool:
        """Whether a store lies behind a URL; its parts are fetched and unpacked, never mapped."""
        return any(is_remote(store.path) for store in self.stores)

    @property
    def is_filtered(self) -> bool:
        """Whether some windows may be left out."""
        return not self.rule.is_open

    def windows(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Every window, in order.

        Args:
            columns: further ones, of a window or of its recording, as for `Store.read`.

        Returns:
            `BASE_COLUMNS`, where ``store`` is the number of the store among those that were named,
            and then the columns that were asked for.

        Raises:
            UsageError: None of the stores has such a column.
        """
        return self.describe(np.arange(self.n_windows), columns)

    def describe(self, rows: Rows, columns: Sequence[str] | None = None) -> pa.Table:
        """As `windows`, of some windows, in the order that they are named.

        Raises:
            UsageError: As of `windows`, or there is no such row.
        """
        rows = self._checked(rows)
        wanted = list(dict.fromkeys([*BASE_COLUMNS, *(columns or ())]))
        of_store = np.searchsorted(self._first, rows, side="right") - 1
        pieces, order = [], []
        for number, located in enumerate(self._located):
            at = np.flatnonzero(of_store == number)
            windows = located.windows.take(pa.array(rows[at] - self._first[number]))
            windows = windows.append_column("store", pa.array(np.full(len(at), number, np.int32)))
            pieces.append(as_texts(self._with_columns(windows, located, wanted)))
            order.append(at)
        table = pa.concat_tables(pieces, promote_options="default")
        missing = [name for name in wanted if name not in table.column_names]
        if missing:
            raise UsageError(f"no column {missing[0]!r} in {self._names()}")
        table = table.select(wanted)
        if len(pieces) == 1:
            return table
        return table.take(pa.array(np.argsort(np.concatenate(order), kind="stable")))

    def _with_columns(
        self, windows: pa.Table, located: LocatedWindows, wanted: Sequence[str]
    ) -> pa.Table:
        own = {*windows.column_names}
        known = {*located.recordings.column_names, "local_time"}
        more = [name for name in wanted if name not in own and name in known]
        table = with_recordings(windows, located.recordings, more, self.rule.time_zone)
        return table.select([name for name in wanted if name in own or name in known])

    def column(self, name: str) -> pa.ChunkedArray:
        """One column of every window, in order, without a copy: ``path`` or one of a window.

        Raises:
            UsageError: A window has no such column.
        """
        pieces = [located.windows for located in self._located]
        if name not in pieces[0].column_names:
            raise UsageError(f"no column {name!r} of windows in {self._names()}")
        return pa.chunked_array([chunk for piece in pieces for chunk in piece[name].chunks])

    def subset(self, keep: NDArray[np.bool_]) -> Archive:
        """The same stores with some of the windows, in the same order.

        Args:
            keep: ``(n_windows,)``; row ``i`` of the subset is row ``flatnonzero(keep)[i]`` of this.
        """
        other = copy.copy(self)
        pieces = np.split(keep, self._first[1:-1])
        other._located = [
            replace(located, windows=located.windows.filter(pa.array(piece)))
            for located, piece in zip(self._located, pieces, strict=True)
        ]
        counts = [int(piece.sum()) for piece in pieces]
        other._first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        other.part_of, other.row_in_part = self.part_of[keep], self.row_in_part[keep]
        other._part_rows = None
        return other

    def blocks(self, n_rows: int = BLOCK_ROWS) -> Iterator[tuple[int, Vectors]]:
        """All vectors in order, some at a time: the first row of each block, ``(n, dim)``."""
        for first in range(0, self.n_windows, n_rows):
            yield first, self.take(np.arange(first, min(first + n_rows, self.n_windows)))

    def take(self, rows: Rows) -> Vectors:
        """Vectors of some windows, ``(n, dim)``, in the order that they are named.

        Raises:
            UsageError: There is no such row.
            StoreError: A part is missing or damaged.
        """
        rows = self._checked(rows)
        vectors = np.empty((len(rows), self.dim), np.float32)
        order = np.lexsort((self.row_in_part[rows], self.part_of[rows]))
        codes = self.part_of[rows[order]]
        pieces = [at for at in np.split(order, np.flatnonzero(np.diff(codes)) + 1) if len(at)]

        def fill(at: NDArray[np.intp]) -> None:
            part = self.parts[self.part_of[rows[at[0]]]]
            vectors[at] = part.take(self.row_in_part[rows[at]])

        if self.is_remote:
            self.prepare()  # then single vectors can be fetched
            with ThreadPoolExecutor(REMOTE_READERS) as pool:
                list(pool.map(fill, pieces))
        else:
            for at in pieces:
                fill(at)
        return vectors

    def prepare(
        self, progress: Progress = NO_PROGRESS, workers: Workers | None = None
    ) -> list[PartFacts]:
        """Read what is not known of the parts yet, so that they can be mapped.

        The first search does it, if nobody did it before; it reads the new parts of a store once.

        Args:
            progress: is told how far it is.
            workers: who read the parts; None: threads of this process.

        Returns:
            What is known of each of `parts`.

        Raises:
            StoreError: A part is missing or damaged.
        """
        if self._facts is None:
            measured = None if workers is None else workers.measured
            found: list[PartFacts] = []
            for number, store in enumerate(self.stores):
                parts = self.parts[self._first_part[number] : self._first_part[number + 1]]
                facts = store_facts(store.path, parts, progress, measured)
                for part in parts:
                    part.groups = facts[part.name].groups
                    found.append(facts[part.name])
            # at once, for another thread must not see half of them
            self._facts = found
        return self._facts

    def parts_of_stores(
        self, facts: list[PartFacts]
    ) -> Iterator[tuple[Store, list[PartVectors], list[PartFacts]]]:
        """Each store with its parts, and what `prepare` returned of them."""
        for number, store in enumerate(self.stores):
            own = slice(self._first_part[number], self._first_part[number + 1])
            yield store, self.parts[own], facts[own]

    def part_rows(self) -> list[PartRows]:
        """The windows that pass, by the part that they are in; parts without any are left out.

        Raises:
            StoreError: A part is missing or damaged.
        """
        facts = self.prepare()
        if self._part_rows is None:
            # runs of rows that follow each other: a stable sort of one number finds them
            order = np.argsort(
                self.part_of.astype(np.int64) << 32 | self.row_in_part, kind="stable"
            )
            bounds = np.flatnonzero(np.diff(self.part_of[order])) + 1
            owners = self.recording_numbers()
            self._part_rows = [
                PartRows(
                    part=self.parts[self.part_of[rows[0]]],
                    squares=facts[self.part_of[rows[0]]].squares,
                    in_part=self.row_in_part[rows],
                    rows=rows,
                    recordings=owners[rows],
                )
                for rows in np.split(order, bounds)
                if len(rows)
            ]
        return self._part_rows

    def recording_numbers(self) -> NDArray[np.int32]:
        """A number for the recording of each window, ``(n_windows,)``; equal ones are of one."""
        numbers, n_before = [], 0
        for located in self._located:
            encoded = located.windows["recording_id"].combine_chunks()
            numbers.append(encoded.indices.to_numpy().astype(np.int32) + np.int32(n_before))
            n_before += len(encoded.dictionary)
        return np.concatenate(numbers)

    def mean(self) -> Vectors:
        """Mean of all finished windows of the stores, ``(dim,)``, whatever passes the filters.

        So the score of a window does not depend on what else was asked for.

        Raises:
            StoreError: There is no finished window, or a part is missing or damaged.
        """
        facts = self.prepare()
        n_windows = sum(fact.n_windows for fact in facts)
        if not n_windows:
            raise StoreError(f"{self._names()}: no recording is finished, so there is no mean")
        total = np.sum([fact.total for fact in facts], axis=0)
        mean: Vectors = (total / n_windows).astype(np.float32)
        return mean

    def _checked(self, rows: Rows) -> Rows:
        rows = np.asarray(rows, np.int64).reshape(-1)
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.n_windows:
            raise UsageError(
                f"rows {rows.min()} to {rows.max()} of {self._names()}: it has {self.n_windows}"
            )
        return rows

    def checked(self, vectors: Vectors) -> Vectors:
        """Vectors that somebody brought along, if they are of this encoder's shape.

        Raises:
            UsageError: They are not ``(n, dim)``.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise UsageError(f"vectors: need (n, {self.dim}), got {vectors.shape}")
        return vectors

    def _names(self) -> str:
        return ", ".join(str(store.path) for store in self.stores)


def _opened(stores: Stores) -> list[Store]:
    """The stores, open; all of one model and settings."""
    # a URL's path is no Path, and a text is a sequence of texts
    single = (
        isinstance(stores, str | bytes) or is_remote(stores) or not isinstance(stores, Iterable)
    )
    named = cast("Iterable[str | Path | Store]", [stores] if single else stores)
    paths = [one.path if isinstance(one, Store) else as_path(one) for one in named]
    if not paths:
        raise UsageError("need at least one store")
    texts = [as_text(absolute(path)) for path in paths]
    twice = [text for text in texts if texts.count(text) > 1]
    if twice:
        raise UsageError(f"{twice[0]}: was named twice; name each store once")
    opened = [Store(path) for path in paths]
    for store in opened[1:]:
        differences = opened[0].header.differences(store.header)
        if differences:
            raise StoreError(
                f"{store.path}: its vectors cannot be compared with those of {paths[0]}: "
                f"{'; '.join(differences)}. Search them one after the other"
            )
    return opened
