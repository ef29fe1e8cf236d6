"""A store as one file for other programs: NumPy, CSV, Parquet or SQLite."""

from __future__ import annotations

import json
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from dawnchorus.errors import StoreError, UsageError
from dawnchorus.store.columns import distinct
from dawnchorus.store.files import whole_file
from dawnchorus.store.schema import COMPUTED, RECORDING_SCHEMA, WINDOW_SCHEMA
from dawnchorus.store.sqlite import write_sqlite
from dawnchorus.text_tables.write import runs_as_formula

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from dawnchorus.store.read import Store

SUFFIXES: Final = (".npz", ".csv", ".parquet", ".sqlite")
# columns that keep their names; a column of the user's list gives way
OURS: Final = frozenset({*WINDOW_SCHEMA.names, *RECORDING_SCHEMA.names, *COMPUTED})
SCORE: Final = "score_"  # before the name of a label that is also the name of a column


def export_store(
    store: Store,
    path: str | Path,
    columns: Sequence[str] | None = None,
    *,
    vectors: bool = True,
    scores: bool = False,
    spreadsheet_safe: bool = False,
    **filters: Any,
) -> int:
    """Write all windows, or those that pass; returns how many.

    ``.npz`` has an array a column, ``vector (windows, dim)``, ``scores (windows, labels)`` and
    ``labels``; ``.csv`` and ``.parquet`` have a row a window, the vector as columns ``v0``, ``v1``,
    ... and a column a label. A column of the user's list with such a name has ``list_`` before it.
    All of it is in memory at once: the store itself is the form for archives. ``.sqlite`` is
    written recording by recording, always whole; see `write_sqlite`.

    Args:
        store: what to write.
        path: the new file; its suffix is the format.
        columns: as for `Store.read`.
        vectors: write the vectors.
        scores: write the labels' probabilities, where the store has them.
        spreadsheet_safe: in CSV, text that a spreadsheet would run gets an apostrophe.
        filters: as for `Store.read`.

    Raises:
        UsageError: There is no such format, column or filter, or there are no scores.
        StoreError: The file exists or cannot be written, or a part is damaged.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise UsageError(f"{path}: need a name that ends in {', '.join(SUFFIXES)}")
    if path.exists():
        raise StoreError(f"{path}: exists already; choose another name")
    if kind == ".sqlite" and (columns or scores or not vectors or any(filters.values())):
        raise UsageError(
            f"{path}: .sqlite takes a whole store with its vectors, no columns, scores or filters"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished:
            if kind == ".sqlite":
                return write_sqlite(store, unfinished)
            table, arrays = _read(store, columns, vectors=vectors, scores=scores, **filters)
            as_csv = partial(_write_csv, spreadsheet_safe=spreadsheet_safe)
            writers: dict[str, Callable[..., None]] = {
                ".npz": _write_npz,
                ".csv": as_csv,
                ".parquet": _write_parquet,
            }
            writers[kind](table, arrays, store.header.labels or (), unfinished)
            return len(table)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error}") from error


def _read(
    store: Store, columns: Sequence[str] | None, *, vectors: bool, scores: bool, **filters: Any
) -> tuple[pa.Table, dict[str, NDArray[np.float32]]]:
    """The windows, and their vectors and scores as far as they are wanted."""
    arrays: dict[str, NDArray[np.float32]] = {}
    table = None
    if scores:
        arrays["scores"], table = store.read_scores(columns, **filters)
    if vectors:
        arrays = {"vector": np.zeros(0, np.float32), **arrays}  # vectors come first
        arrays["vector"], table = store.read(columns, **filters)
    return store.windows(columns, **filters) if table is None else table, arrays


def _write_npz(
    table: pa.Table,
    arrays: Mapping[str, NDArray[np.float32]],
    labels: Sequence[str],
    path: Path,
) -> None:
    named: dict[str, NDArray[Any]] = dict(arrays)
    if "scores" in arrays:
        named["labels"] = np.array(labels, dtype=np.str_)
    for name, column in zip(_names(table, list(named)), table.columns, strict=True):
        named[name] = _plain(column)
    # not savez: columns called file or allow_pickle would be arguments of it
    with zipfile.ZipFile(path, "w", allowZip64=True) as file:
        for name, values in named.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(values), allow_pickle=False)


def _write_csv(
    table: pa.Table,
    arrays: Mapping[str, NDArray[np.float32]],
    labels: Sequence[str],
    path: Path,
    *,
    spreadsheet_safe: bool = False,
) -> None:
    flat = [_as_json(column) if _is_nested(column) else column for column in table.columns]
    plain = pa.table(flat, names=table.column_names)
    if spreadsheet_safe:
        plain = pa.table([_as_text(column) for column in plain.columns], names=plain.column_names)
    with path.open("wb") as file:  # opened here: Arrow opens no path that is not UTF-8
        pa.csv.write_csv(_with_numbers(plain, arrays, labels), file)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text that a spreadsheet would run gets an apostrophe."""
    if not pa.types.is_string(column.type):
        return column
    safe = [f"'{cell}" if cell and runs_as_formula(cell) else cell for cell in column.to_pylist()]
    return pa.chunked_array([pa.array(safe, pa.string())])


def _write_parquet(
    table: pa.Table,
    arrays: Mapping[str, NDArray[np.float32]],
    labels: Sequence[str],
    path: Path,
) -> None:
    with path.open("wb") as file:
        pq.write_table(_with_numbers(table, arrays, labels), file)


def _with_numbers(
    table: pa.Table, arrays: Mapping[str, NDArray[np.float32]], labels: Sequence[str]
) -> pa.Table:
    """The table with a column for each number of vectors and scores, all names distinct."""
    width = arrays["vector"].shape[1] if "vector" in arrays else 0
    numbers = [f"v{index}" for index in range(width)]
    ours = [name for name in table.column_names if name in OURS]
    if "scores" in arrays:
        numbers += distinct(labels, [*ours, *numbers], SCORE)
    columns = [column for values in arrays.values() for column in values.T]
    names = _names(table, numbers)
    return pa.table([*table.columns, *map(pa.array, columns)], names=[*names, *numbers])


def _names(table: pa.Table, taken: Sequence[str]) -> list[str]:
    """The table's columns as they are written: the user's give way to ours."""
    theirs = [name for name in table.column_names if name not in OURS]
    ours = [name for name in table.column_names if name in OURS]
    renamed = dict(zip(theirs, distinct(theirs, [*ours, *taken]), strict=True))
    return [renamed.get(name, name) for name in table.column_names]


def _is_nested(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_nested(column.type))


def _as_json(column: pa.ChunkedArray) -> pa.Array:
    return pa.array([json.dumps(value) for value in column.to_pylist()], pa.string())


def _plain(column: pa.ChunkedArray) -> NDArray[Any]:
    """An array that needs no pickle: text as text, never as objects."""
    if _is_nested(column):
        column = _as_json(column)
    if pa.types.is_string(column.type) or pa.types.is_null(column.type):
        return np.array([value or "" for value in column.to_pylist()], dtype=np.str_)
    return np.asarray(column.to_numpy(zero_copy_only=False))
