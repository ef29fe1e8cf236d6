"""A check of every byte of a store, and how damaged parts are set aside."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc

from dawnchorus.errors import StoreError
from dawnchorus.paths import remote_errors
from dawnchorus.store.parts import part_names, read_sealed
from dawnchorus.store.recording_rows import (
    PartUse,
    joined,
    latest_rows,
    parts_used,
    read_rows,
    rows_of,
)
from dawnchorus.store.schema import EMBEDDINGS, RECORDINGS, embedding_schema, read_header
from dawnchorus.store.storage import is_link

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

ASIDE_SUFFIX: Final = ".damaged"  # of parts that were set aside; nothing reads them


@dataclass(frozen=True, slots=True)
class Damage:
    """A part that is not what it was when written, and the recordings that have windows in it.

    ``part`` is relative to the store; empty where a row and its parts do not agree.
    """

    part: str
    problem: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """How much was read, and what was wrong with it."""

    n_recordings: int
    n_parts: int
    n_windows: int
    damages: tuple[Damage, ...]


def check_store(store: Path) -> CheckReport:
    """Read every part and compare it with its seal, the header and the rows of recordings.

    Raises:
        StoreError: There is no store, or its header is damaged.
    """
    schema = embedding_schema(read_header(store))
    damages, tables = [], []
    for name in sorted(part_names(store / RECORDINGS)):
        try:
            tables.append(read_rows(store / RECORDINGS / name))
        except StoreError as error:
            damages.append(Damage(f"{RECORDINGS}/{name}", str(error), ()))
    rows = rows_of(latest_rows(joined(tables, str(store / RECORDINGS))))
    n_windows: Counter[str] = Counter()  # that are there, of each recording
    parts = parts_used(rows)
    for name, use in parts.items():
        problem = _problem(store / EMBEDDINGS / name, schema, use, n_windows)
        if problem:
            paths = tuple(sorted(use.paths.values()))
            damages.append(Damage(f"{EMBEDDINGS}/{name}", problem, paths))
    if not damages:  # otherwise windows are missing because their part is damaged
        damages += [
            Damage("", f"promises {row.n_windows} windows, its parts hold {n_there}", (row.path,))
            for key, row in rows.items()
            if (n_there := n_windows[key]) != row.n_windows
        ]
    return CheckReport(
        n_recordings=len(rows),
        n_parts=len(parts),
        n_windows=n_windows.total(),
        damages=tuple(damages),
    )


def set_aside(store: Path, report: CheckReport) -> list[str]:
    """Take damaged parts out of the store, so that their recordings are embedded again.

    The files stay, under another name. Returns the paths of the recordings. Those that only a
    damaged part of ``recordings/`` knew are not among them, but will be embedded again too.

    Raises:
        StoreError: The disk refuses.
    """
    paths: set[str] = set()
    for damage in report.damages:
        folder, _, name = damage.part.rpartition("/")
        part = store / folder / name
        if is_link(store / folder):
            raise StoreError(f"{store / folder}: leads out of the store; set parts aside there")
        paths |= set(damage.paths)
        try:
            with remote_errors(part):
                if damage.part and part.exists():
                    part.rename(part.with_suffix(ASIDE_SUFFIX))
        except OSError as error:
            raise StoreError(f"{part}: cannot be set aside: {error}") from error
    return sorted(paths)


def _problem(path: Path, schema: pa.Schema, use: PartUse, n_windows: Counter[str]) -> str | None:
    """What is wrong with a part, None if nothing is; counts its windows."""
    if not path.is_file():
        return "missing"
    try:
        table = read_sealed(path, use.seals, schema)
    except StoreError as error:
        return str(error)
    for count in pc.value_counts(table["recording_id"]).to_pylist():
        if count["values"] in use.paths:  # other rows are of a recording that was embedded again
            n_windows[count["values"]] += count["counts"]
    return None
