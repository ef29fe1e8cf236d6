"""A store as one file for other programs: NumPy, CSV, Parquet or SQLite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from dawnchorus.errors import StoreError, UsageError
from dawnchorus.store.files import beside, remove_if_possible
from dawnchorus.store.sqlite import write_sqlite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.store.read import Store

SUFFIXES: Final = (".npz", ".csv", ".parquet", ".sqlite")


def export_store(
    store: Store, path: str | Path, columns: Sequence[str] | None = None, **filters: Any
) -> int:
    """Write all windows, or those that pass; returns how many.

    ``.npz`` has an array a column and ``vector (windows, dim)``; ``.csv`` and ``.parquet`` have a
    row a window and the vector as columns ``v0``, ``v1``, ... All of it is in memory at once: the
    store itself is the form for archives. ``.sqlite`` is written recording by recording, always
    whole; see `write_sqlite`.

    Args:
        store: what to write.
        path: the new file; its suffix is the format.
        columns: as for `Store.read`.
        filters: as for `Store.read`.

    Raises:
        UsageError: There is no such format, column or filter.
        StoreError: The file exists or cannot be written, or a part is damaged.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: need a name that ends in {', '.join(SUFFIXES)}")
    if path.exists():
        raise StoreError(f"{path}: exists already; choose another name")
    unfinished = beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".sqlite":
            if columns or any(filters.values()):
                raise UsageError(f"{path}: .sqlite takes a whole store, no columns or filters")
            n_windows = write_sqlite(store, unfinished)
            unfinished.replace(path)
            return n_windows
        vectors, table = store.read(columns, **filters)
        if path.suffix.lower() == ".npz":
            arrays: dict[str, Any] = {name: _plain(table[name]) for name in table.column_names}
            with unfinished.open("xb") as file:
                np.savez(file, vector=vectors, **arrays)
        else:
            for index in range(vectors.shape[1]):
                table = table.append_column(f"v{index}", pa.array(vectors[:, index]))
            write = pa.csv.write_csv if path.suffix.lower() == ".csv" else pq.write_table
            write(table, unfinished)
        unfinished.replace(path)
    except OSError as error:
        remove_if_possible(unfinished)
        raise StoreError(f"{path}: cannot be written: {error}") from error
    return len(table)


def _plain(column: pa.ChunkedArray) -> np.ndarray:
    """An array that needs no pickle: text as text, never as objects."""
    if pa.types.is_string(column.type):
        return np.array([value or "" for value in column.to_pylist()], dtype=np.str_)
    return np.asarray(column.to_numpy())
