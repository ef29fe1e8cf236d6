"""The parts of a store, as Parquet: sealed when written, checked when read."""

from __future__ import annotations

import hashlib
import io
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.errors import StoreError, shortened, shown
from dawnchorus.paths import is_remote, remote_errors
from dawnchorus.store.column_bytes import sparse_file
from dawnchorus.store.files import write_whole
from dawnchorus.store.schema import PART_NAME, Part
from dawnchorus.store.storage import names_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")

GROUP_NUMBERS: Final = 1 << 18  # in a row group; Arrow's writer takes some 50 bytes for each
LISTS: Final = {"vector", "scores", "parts", "gaps"}  # their inner columns have other names
# A file of kilobytes can unpack to terabytes. Parts of ours have some 16 MB.
MAX_BYTES: Final = 1 << 30
MAX_ROWS: Final = 1 << 23
REMOTE_READERS: Final = 8  # parts behind a URL that are fetched at once: each waits more than works
CHECK: Final = "run: dawnchorus store check"
OTHER_BYTES: Final = "its bytes are not the ones that were written, SHA-256 differs"

# pyarrow maps most of what malformed files make Thrift and Arrow raise to these
MALFORMED: Final = (
    OSError, pa.ArrowException, ValueError, TypeError, KeyError, IndexError, OverflowError,
    NotImplementedError, MemoryError,
)  # fmt: skip


def write_part(folder: Path, table: pa.Table, *, number: str = "") -> Part:
    """Write one part under a new name, durable when this returns.

    Args:
        folder: of the parts.
        table: what is in it.
        number: what its name begins with, where the names are to tell the order of the parts.
    """
    content = _parquet_bytes(table)
    name = f"part-{number}{uuid.uuid4().hex[:20]}.parquet"
    part = Part(name, hashlib.sha256(content).hexdigest())
    write_whole(folder / part.name, content)
    return part


def _parquet_bytes(table: pa.Table) -> bytes:
    # Plain pages with checksums: with a dictionary, one damaged page would damage all the others.
    # Vectors do not compress; the other columns shrink to almost nothing.
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
    with part_errors(path):
        if is_remote(path):
            some = pa.BufferReader(_whole(path)) if columns is None else _sparse(path, columns)
            return _read_table(some, columns, verify=True)
        # opened here: Arrow opens no path with a name that is not UTF-8
        with path.open("rb") as source:
            return _read_table(source, columns, verify=True)


def _sparse(path: Path, columns: Sequence[str]) -> pa.BufferReader:
    return sparse_file(cast("Any", path), columns, MAX_BYTES)


def read_windows(path: Path, schema: pa.Schema) -> pa.Table:
    """The columns of a part of ``embeddings/`` that ``schema`` names.

    Raises:
        StoreError: As of `read_part`, or a column is missing, of another type, or has gaps.
    """
    return _with_schema(path, read_part(path, schema.names), schema)


def read_sealed(path: Path, seals: set[str], schema: pa.Schema) -> pa.Table:
    """As `read_windows`, from bytes that have the SHA-256 that the recordings' rows name.

    The seal stands for the checksums of the pages, which are not looked at again.

    Raises:
        StoreError: As of `read_windows`, or the bytes are others.
    """
    return sealed_table(path, sealed_bytes(path, seals), schema)


def sealed_bytes(path: Path, seals: set[str]) -> bytes:
    """The bytes of a part, if they are those that the recordings' rows name.

    Raises:
        StoreError: The part is missing, or its bytes are others.
    """
    with part_errors(path):
        content = _whole(path)
    if seals != {hashlib.sha256(content).hexdigest()}:
        raise StoreError(f"{path}: damaged part ({OTHER_BYTES}); {CHECK}")
    return content


def _whole(path: Path) -> bytes:
    """A part's bytes, as far as a part may have them."""
    if is_remote(path):  # one request; opening it asks for its size first
        remote = cast("Any", path)
        content: bytes = remote.fs.cat_file(remote.path, start=0, end=MAX_BYTES + 1)
        return content
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def sealed_table(path: Path, content: bytes, schema: pa.Schema) -> pa.Table:
    """The columns of a part that ``schema`` names, from the bytes of `sealed_bytes`.

    Raises:
        StoreError: As of `read_windows`.
    """
    with part_errors(path):
        table = _read_table(pa.BufferReader(content), schema.names, verify=False)
    return _with_schema(path, table, schema)


@contextmanager
def part_errors(path: Path) -> Iterator[None]:
    """Errors of the disk and of pyarrow as ours, with the part's name."""
    try:
        with remote_errors(path):
            yield
    except FileNotFoundError as error:
        raise StoreError(f"{path}: a part of the store is missing; {CHECK}") from error
    except MALFORMED as error:
        message = shortened(str(error), 400)
        raise StoreError(f"{path}: damaged part ({message}); {CHECK}") from error


def _read_table(source: Any, columns: Sequence[str] | None, *, verify: bool) -> pa.Table:
    # ParquetFile, not read_table: the latter takes a folder name such as "year=2026" for a column
    with pq.ParquetFile(source, page_checksum_verification=verify) as file:
        about = file.metadata  # looked at before anything is unpacked
        n_bytes = sum(about.row_group(n).total_byte_size for n in range(about.num_row_groups))
        if about.num_rows > MAX_ROWS or n_bytes > MAX_BYTES:
            raise ValueError(
                f"{about.num_rows} rows of {n_bytes} bytes, a part has at most {MAX_ROWS} of "
                f"{MAX_BYTES}"
            )
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise ValueError("two of its columns have one name")
        table = file.read(columns=None if columns is None else list(columns))
    table.validate(full=True)
    return table


def _with_schema(path: Path, table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table, if it has the columns of ``schema``, of its types and without nulls."""
    for field in schema:
        if field.name not in table.column_names:
            raise StoreError(f"{path}: damaged part (no column {field.name!r}); {CHECK}")
        column = table[field.name]
        if column.type != field.type:
            raise StoreError(
                f"{path}: column {field.name!r} is of type {shown(str(column.type))}, store.json "
                f"promises {field.type}: one of the two was edited, or is of another store; {CHECK}"
            )
        n_nulls = column.null_count
        if pa.types.is_fixed_size_list(field.type):
            n_nulls += sum(chunk.values.null_count for chunk in column.chunks)  # inside of vectors
        if n_nulls:
            raise StoreError(f"{path}: damaged part (gaps in column {field.name!r}); {CHECK}")
    return table


def of_parts(folder: Path, names: Iterable[str], function: Callable[[str], T]) -> list[T]:
    """What a function gives for each of the parts, in order; behind a URL for several at once."""
    if not is_remote(folder):
        return [function(name) for name in names]
    with ThreadPoolExecutor(REMOTE_READERS) as pool:
        return list(pool.map(function, names))


def part_names(folder: Path) -> set[str]:
    """Names of the complete parts of a folder; a folder that is not there yet has none."""
    return {name for name in names_in(folder) if re.fullmatch(PART_NAME, name)}
