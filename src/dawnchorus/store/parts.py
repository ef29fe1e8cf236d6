"""Parquet bytes of a store: sealed when written, verified when read."""

from __future__ import annotations

import hashlib
import io
import re
import uuid
from collections import defaultdict
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.errors import StoreError
from dawnchorus.places import is_remote, reaching
from dawnchorus.store.files import names_in, write_whole
from dawnchorus.store.schema import RECORDING_SCHEMA, RECORDINGS, Part, RecordingRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


PART_NAME: Final = re.compile(r"part-.*\.parquet")
GROUP_NUMBERS: Final = 1 << 18  # in a row group; the writer takes some 50 bytes for each
LISTS: Final = {"vector", "scores", "parts", "gaps"}  # their inner columns have other names


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
    """Read one part, page checksums verified.

    Raises:
        StoreError: The part is missing or damaged.
    """
    try:
        # ParquetFile, not read_table: the latter takes a folder name such as "year=2026" for a
        # column
        with (
            reaching(path),
            path.open("rb") if is_remote(path) else nullcontext(path) as source,
            pq.ParquetFile(source, page_checksum_verification=True) as file,
        ):
            return file.read(columns=None if columns is None else list(columns))
    except FileNotFoundError as error:
        raise StoreError(
            f"{path}: a part of the store is missing; run: dawnchorus store check"
        ) from error
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: damaged part ({error}); run: dawnchorus store check") from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def part_names(folder: Path) -> set[str]:
    """Names of the complete parts of a folder; a folder that is not there yet has none."""
    return {name for name in names_in(folder) if PART_NAME.fullmatch(name)}


def read_rows(store: Path) -> pa.Table:
    """Every recording's latest row by path, as a table with `RECORDING_SCHEMA`'s columns."""
    folder = store / RECORDINGS
    tables = [read_part(folder / name) for name in sorted(part_names(folder))]
    rows = pa.concat_tables([RECORDING_SCHEMA.empty_table(), *tables], promote_options="default")
    return latest_rows(rows).sort_by("path")


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
