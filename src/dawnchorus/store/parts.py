"""Parquet bytes of a store: sealed when written; when read, no more than a part can hold."""

from __future__ import annotations

import hashlib
import io
import re
import uuid
from collections import defaultdict
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.errors import StoreError, shortened, shown
from dawnchorus.paths import is_remote, remote_errors
from dawnchorus.store.files import write_whole
from dawnchorus.store.row_rules import checked_recordings, joined
from dawnchorus.store.schema import PART_NAME, RECORDINGS, Part, RecordingRow
from dawnchorus.store.storage import names_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


GROUP_NUMBERS: Final = 1 << 18  # in a row group; the writer takes some 50 bytes for each
LISTS: Final = {"vector", "scores", "parts", "gaps"}  # their inner columns have other names
MOST_BYTES: Final = 1 << 30  # of a part, unpacked; ours have some 16 MB
MOST_ROWS: Final = 1 << 23
CHECK: Final = "run: dawnchorus store check"

# pyarrow maps most of what malformed files make Thrift and Arrow raise to these
MALFORMED: Final = (
    OSError, pa.ArrowException, ValueError, TypeError, KeyError, IndexError, OverflowError,
    NotImplementedError, MemoryError,
)  # fmt: skip


def write_part(folder: Path, table: pa.Table) -> Part:
    """Write one part under a new name, durable when this returns."""
    content = _parquet_bytes(table)
    part = Part(f"part-{uuid.uuid4().hex[:20]}.parquet", hashlib.sha256(content).hexdigest())
    write_whole(folder / part.name, content)
    return part


def _parquet_bytes(table: pa.Table) -> bytes:
    # Plain pages with checksums: with a dictionary, one damaged page would reach into all the
    # others. Vectors do not compress; the other columns shrink to almost nothing.
    columns = [name for name in table.column_names if name not in LISTS]
    compression = dict.fromkeys(columns, "zstd") | {
        "vector.list.element": "none",
        "scores.list.element": "zstd",
    }
    sink = io.BytesIO()
    lists = [field for field in table.schema if pa.types.is_fixed_size_list(field.type)]
    width = sum(field.type.list_size for field in lists)
    pq.write_table(
        table,
        sink,
        row_group_size=max(1, GROUP_NUMBERS // width) if width else None,
        use_dictionary=False,
        column_encoding="PLAIN",
        compression=compression if "vector" in table.column_names else "zstd",
        write_page_checksum=True,
    )
    return sink.getvalue()


def read_part(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one part, page checksums verified; columns that it lacks are not in the table.

    Raises:
        StoreError: The part is missing, damaged, or larger than any part.
    """
    with (
        _named(path),
        path.open("rb") if is_remote(path) else nullcontext(path) as source,
    ):
        return _table(source, columns, verify=True)


def read_windows(path: Path, schema: pa.Schema) -> pa.Table:
    """The columns of a part of ``embeddings/`` that ``schema`` names.

    Raises:
        StoreError: As of `read_part`, or a column is missing, of another type, or has gaps.
    """
    return _held_to(path, read_part(path, schema.names), schema)


def read_sealed(path: Path, seals: set[str], schema: pa.Schema) -> pa.Table:
    """As `read_windows`, from bytes that have the SHA-256 that the recordings' rows name.

    The seal stands for the checksums of the pages, which are not looked at again.

    Raises:
        StoreError: As of `read_windows`, or the bytes are others.
    """
    with _named(path), path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if seals != {hashlib.sha256(content).hexdigest()}:
        raise StoreError(f"{path}: damaged part ({OTHER_BYTES}); {CHECK}")
    with _named(path):
        table = _table(pa.BufferReader(content), schema.names, verify=False)
    return _held_to(path, table, schema)


OTHER_BYTES: Final = "its bytes are not the ones that were written, SHA-256 differs"


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of the disk and of pyarrow as ours, with the part's name."""
    try:
        with remote_errors(path):
            yield
    except FileNotFoundError as error:
        raise StoreError(f"{path}: a part of the store is missing; {CHECK}") from error
    except MALFORMED as error:
        message = shortened(str(error), 400)
        raise StoreError(f"{path}: damaged part ({message}); {CHECK}") from error


def _table(source: Any, columns: Sequence[str] | None, *, verify: bool) -> pa.Table:
    # ParquetFile, not read_table: the latter takes a folder name such as "year=2026" for a column
    with pq.ParquetFile(source, page_checksum_verification=verify) as file:
        about = file.metadata
        n_bytes = sum(about.row_group(n).total_byte_size for n in range(about.num_row_groups))
        if about.num_rows > MOST_ROWS or n_bytes > MOST_BYTES:
            raise ValueError(
                f"{about.num_rows} rows of {n_bytes} bytes, a part has at most {MOST_ROWS} of "
                f"{MOST_BYTES}"
            )
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise ValueError("two of its columns have one name")
        table = file.read(columns=None if columns is None else list(columns))
    table.validate(full=True)
    return table


def _held_to(path: Path, table: pa.Table, schema: pa.Schema) -> pa.Table:
    for field in schema:
        if field.name not in table.column_names:
            raise StoreError(f"{path}: damaged part (no column {field.name!r}); {CHECK}")
        column = table[field.name]
        if column.type != field.type:
            raise StoreError(
                f"{path}: column {field.name!r} is of type {shown(str(column.type))}, store.json "
                f"promises {field.type}: one of the two was edited, or is of another store; {CHECK}"
            )
        gaps = column.null_count
        if pa.types.is_fixed_size_list(field.type) and not gaps:
            gaps = pa.chunked_array([c.values for c in column.chunks], field.type.value_type)
            gaps = gaps.null_count
        if gaps:
            raise StoreError(f"{path}: damaged part (gaps in column {field.name!r}); {CHECK}")
    return table


def part_names(folder: Path) -> set[str]:
    """Names of the complete parts of a folder; a folder that is not there yet has none."""
    return {name for name in names_in(folder) if re.fullmatch(PART_NAME, name)}


def read_recordings(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one part of ``recordings/``: the columns that `RECORDING_SCHEMA` has, and the user's.

    Raises:
        StoreError: The part is missing or damaged, or a row says what no row can say.
    """
    return checked_recordings(read_part(path, columns), str(path), columns)


def read_rows(store: Path) -> pa.Table:
    """Every recording's latest row by path, as a table with `RECORDING_SCHEMA`'s columns."""
    folder = store / RECORDINGS
    tables = [read_recordings(folder / name) for name in sorted(part_names(folder))]
    return latest_rows(joined(tables, str(folder))).sort_by("path")


def latest_rows(table: pa.Table) -> pa.Table:
    """Of several rows with one id the one of the highest revision; of equals, the last."""
    if not len(table):
        return table
    identity = table["recording_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.lexsort((np.arange(len(table)), table["revision"].to_numpy(), identity))
    last = np.append(np.diff(identity[order]) != 0, True)
    return table.take(pa.array(np.sort(order[last])))


def rows_of(table: pa.Table) -> dict[str, RecordingRow]:
    """The rows of a table by recording id."""
    rows = (RecordingRow.from_dict(values) for values in table.to_pylist())
    return {row.recording_id: row for row in rows}


def by_part(rows: dict[str, RecordingRow]) -> dict[str, dict[str, str]]:
    """Part name to the recordings that own rows of it, id to path."""
    parts: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows.values():
        for part in row.parts:
            parts[part.name][row.recording_id] = row.path
    return parts


def seals_of(rows: dict[str, RecordingRow]) -> dict[str, set[str]]:
    """Part name to the SHA-256 that rows name for it: one, unless they were edited."""
    seals: dict[str, set[str]] = defaultdict(set)
    for row in rows.values():
        for part in row.parts:
            seals[part.name].add(part.sha256)
    return seals
