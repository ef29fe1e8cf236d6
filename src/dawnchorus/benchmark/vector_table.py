"""Tables of vectors that another program made of a task's clips, to be scored like an encoder."""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.errors import TaskError, UsageError
from dawnchorus.paths import sha256_of_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

ID, VECTOR, START, TASK = "id", "vector", "start_s", "task"
NAMED: Final = 3  # missing ids that a message lists


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorTable:
    """Vectors by clip.

    Attributes:
        rows: id to the row of its vector; ``task`` and ``id`` joined by a blank where the file
            limits rows to tasks.
        vectors: ``(rows, dim)`` float32, windows of one clip averaged.
        by_task: whether ids hold for one task only.
    """

    path: Path
    sha256: str
    rows: dict[str, int]
    vectors: NDArray[np.float32]
    by_task: bool = False

    def check(self, task: str, ids: Sequence[str]) -> None:
        """Refuse items that have no vector.

        Raises:
            TaskError: Some are missing; a score on the others would be one of another task.
        """
        missing = [key for key in self._keys(task, ids) if key not in self.rows]
        if missing:
            first = next(iter(self.rows), "none")
            raise TaskError(
                f"{self.path}: {len(missing)} of {len(ids)} clips of {task} have no vector, the "
                f"first are {', '.join(map(repr, missing[:NAMED]))}; the table has "
                f"{len(self.rows)} ids such as {first!r}; add the missing clips"
            )

    def take(self, task: str, ids: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of some items, ``(items, dim)``; errors as for `check`."""
        self.check(task, ids)
        return self.vectors[[self.rows[key] for key in self._keys(task, ids)]]

    def _keys(self, task: str, ids: Sequence[str]) -> list[str]:
        return [f"{task} {name}" for name in ids] if self.by_task else list(ids)


def read_vectors(path: Path) -> VectorTable:
    """Read a table of vectors.

    Args:
        path: NPZ with ``id`` (items,) and ``vector`` (items, dim); Parquet or CSV with ``id`` and
            either a list column ``vector`` (Parquet) or one numeric column per dimension, in the
            file's order. A column ``task`` limits a row to that task. Several rows of one id are
            windows of a clip and averaged if there is a column ``start_s``, else an error.

    Raises:
        UsageError: Not such a file, or values that cannot be right.
    """
    reader = {".npz": _read_npz, ".parquet": _read_parquet, ".csv": _read_csv}.get(path.suffix)
    if reader is None:
        raise UsageError(f"{path}: need .npz, .parquet or .csv")
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    columns = reader(path)
    vectors = columns[VECTOR]
    if vectors.dtype.kind not in "iuf":
        raise UsageError(f"{path}: vectors of {vectors.dtype}; need numbers")
    if vectors.ndim != 2 or not vectors.size or len(vectors) != len(columns[ID]):
        raise UsageError(
            f"{path}: {len(columns[ID])} ids with vectors of shape {vectors.shape}; need one "
            f"vector of equal length an id"
        )
    uneven = [name for name, held in columns.items() if np.shape(held) != (len(vectors),)]
    uneven.remove(VECTOR)
    if uneven:
        shape = np.shape(columns[uneven[0]])
        raise UsageError(
            f"{path}: {uneven[0]} of shape {shape}; need one value for each of {len(vectors)} "
            f"vectors"
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise UsageError(
            f"{path}: {len(bad)} vectors hold values that are not finite, the first belongs to "
            f"{columns[ID][bad[0]]!r}"
        )
    return _by_id(path, columns)


def _by_id(path: Path, columns: dict[str, Any]) -> VectorTable:
    tasks = columns.get(TASK)
    names = [str(name) for name in columns[ID]]
    if tasks is not None:
        names = [f"{task} {name}" for task, name in zip(tasks, names, strict=True)]
    rows: dict[str, int] = {}
    row_of = np.array([rows.setdefault(name, len(rows)) for name in names])
    vectors = columns[VECTOR].astype(np.float32)
    if len(rows) < len(names):  # an average without being asked would hide a wrong id column
        if START not in columns:
            raise UsageError(
                f"{path}: {len(names) - len(rows)} ids occur more than once; where the rows are "
                f"windows of one clip, say so by a column {START}, and they are averaged"
            )
        sums = np.zeros((len(rows), vectors.shape[1]))
        np.add.at(sums, row_of, vectors)
        vectors = (sums / np.bincount(row_of)[:, None]).astype(np.float32)
    return VectorTable(
        path=path,
        sha256=sha256_of_file(path),
        rows=rows,
        vectors=vectors,
        by_task=tasks is not None,
    )


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            missing = {ID, VECTOR} - set(stored)
            if missing:
                raise _lacks(path, missing, list(stored))
            return {name: stored[name] for name in (ID, VECTOR, TASK, START) if name in stored}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: cannot be read as NPZ without pickles: {error}") from error


def _read_parquet(path: Path) -> dict[str, Any]:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path}: cannot be read as Parquet: {error}") from error
    if VECTOR not in table.column_names:
        numeric = [
            field.name
            for field in table.schema
            if pa.types.is_floating(field.type) and field.name != START
        ]
        return _columns(path, table.column_names, numeric, lambda name: table[name].to_numpy())
    kind = table.schema.field(VECTOR).type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)
            or pa.types.is_fixed_size_list(kind)):  # fmt: skip
        raise UsageError(f"{path}: column {VECTOR} holds {kind}; need lists of numbers")
    lists = table[VECTOR].combine_chunks()
    lengths = np.unique(lists.value_lengths().to_numpy(zero_copy_only=False))
    if len(lengths) != 1 or lists.null_count or lists.flatten().null_count:
        raise UsageError(f"{path}: vectors of lengths {lengths.tolist()}, or empty; need one")
    vectors = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(table), -1)
    if ID not in table.column_names:
        raise _lacks(path, {ID}, table.column_names)
    held = [name for name in (ID, TASK, START) if name in table.column_names]
    return {VECTOR: vectors, **{name: table[name].to_pylist() for name in held}}


def _read_csv(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as CSV with a header: {error}") from error
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UsageError(f"{path}: column {twice[0]!r} is there more than once; rename one")
    uneven = [number for number, row in enumerate(rows, 2) if len(row) != len(header)]
    if uneven:
        raise UsageError(f"{path}, line {uneven[0]}: need {len(header)} fields as in line 1")
    numeric = [name for name in header if name not in {ID, TASK, START}]
    columns = zip(*rows, strict=True) if rows else ([] for _ in header)
    cells = {name: list(column) for name, column in zip(header, columns, strict=True)}

    def take(name: str) -> NDArray[np.float32] | list[str]:
        values = cells[name]
        if name not in numeric:
            return values
        try:
            return np.array(values, np.float32)
        except ValueError as error:
            raise UsageError(
                f"{path}: column {name!r} is not all numbers ({error}); beside id, task and "
                f"start_s every column is a dimension"
            ) from error

    return _columns(path, header, numeric, take)


def _columns(
    path: Path, names: Sequence[str], numeric: Sequence[str], take: Callable[[str], Any]
) -> dict[str, Any]:
    if ID not in names or not numeric:
        raise _lacks(path, {ID, VECTOR} - set(names), names)
    held = {name: take(name) for name in (ID, TASK, START) if name in names}
    return {VECTOR: np.stack([take(name) for name in numeric], axis=1), **held}


def _lacks(path: Path, missing: set[str], found: Sequence[str]) -> UsageError:
    return UsageError(
        f"{path}: no {' and '.join(sorted(missing))}; need id and vector (or one numeric column a "
        f"dimension), found {', '.join(found[:8]) or 'nothing'}"
    )
