"""The rows of ``recordings/``, from all its parts: which counts, and which parts they name."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.errors import StoreError
from dawnchorus.store.parts import of_parts, part_names, read_part
from dawnchorus.store.row_rules import REPAIR, checked_rows
from dawnchorus.store.schema import RECORDING_SCHEMA, RECORDINGS, RecordingRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(slots=True)
class PartUse:
    """What the rows of recordings say of a part of ``embeddings/``.

    Attributes:
        paths: recordings that own rows of it, from id to path.
        seals: its SHA-256; one, unless rows were edited.
    """

    paths: dict[str, str] = field(default_factory=dict)
    seals: set[str] = field(default_factory=set)


def read_rows(part: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one part of ``recordings/``: the columns that `RECORDING_SCHEMA` has, and the user's.

    Raises:
        StoreError: The part is missing or damaged, or a row is impossible.
    """
    return checked_rows(read_part(part, columns), str(part), columns)


def read_all_rows(store: Path) -> pa.Table:
    """The latest row of each recording, by path, with the columns of `RECORDING_SCHEMA`.

    Raises:
        StoreError: As `read_rows`, or two parts do not fit together.
    """
    folder = store / RECORDINGS
    tables = of_parts(folder, sorted(part_names(folder)), lambda name: read_rows(folder / name))
    return latest_rows(joined(tables, str(folder))).sort_by("path")


def joined(tables: Sequence[pa.Table], name: str) -> pa.Table:
    """Checked parts as one table, with every column that one of them has.

    Raises:
        StoreError: Two parts have the same column in different types.
    """
    try:
        return pa.concat_tables(
            [RECORDING_SCHEMA.empty_table(), *tables], promote_options="default"
        )
    except pa.ArrowException as error:
        raise StoreError(f"{name}: parts do not fit together: {error}; {REPAIR}") from error


def latest_rows(table: pa.Table) -> pa.Table:
    """Of several rows with one id the one of the highest revision; of equals, the last."""
    if not len(table):
        return table
    # numbers instead of texts: sorting a million ids as strings takes many times longer
    identity = table["recording_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.lexsort((np.arange(len(table)), table["revision"].to_numpy(), identity))
    is_last = np.append(np.diff(identity[order]) != 0, True)
    return table.take(pa.array(np.sort(order[is_last])))


def finished(table: pa.Table) -> pa.Table:
    """The rows whose windows are all there."""
    return table.filter(pc.equal(table["status"], "done"))


def rows_of(table: pa.Table) -> dict[str, RecordingRow]:
    """The rows of a table by recording id."""
    rows = (RecordingRow.from_dict(values) for values in table.to_pylist())
    return {row.recording_id: row for row in rows}


def parts_used(rows: Mapping[str, RecordingRow]) -> dict[str, PartUse]:
    """The parts of ``embeddings/`` that rows name, by name."""
    parts: dict[str, PartUse] = defaultdict(PartUse)
    for row in rows.values():
        for part in row.parts:
            parts[part.name].paths[row.recording_id] = row.path
            parts[part.name].seals.add(part.sha256)
    return dict(sorted(parts.items()))
