"""A check of every byte of a store, and what is done about damage."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.errors import StoreError
from dawnchorus.paths import remote_errors
from dawnchorus.store.parts import (
    by_part,
    latest_rows,
    part_names,
    read_recordings,
    read_sealed,
    rows_of,
    seals_of,
)
from dawnchorus.store.row_rules import joined
from dawnchorus.store.schema import EMBEDDINGS, RECORDINGS, embedding_schema, read_header
from dawnchorus.store.storage import is_link

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.store.schema import RecordingRow

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
    """What was read, and what was wrong with it."""

    n_recordings: int
    n_parts: int
    n_windows: int
    damages: tuple[Damage, ...]


def check_store(store: Path) -> CheckReport:
    """Read every part and hold it against its seal, the header and the recordings' rows.

    Raises:
        StoreError: There is no store, or its header is damaged.
    """
    schema = embedding_schema(read_header(store))
    damages, tables = [], []
    for name in sorted(part_names(store / RECORDINGS)):
        try:
            tables.append(read_recordings(store / RECORDINGS / name))
        except StoreError as error:
            damages.append(Damage(f"{RECORDINGS}/{name}", str(error), ()))
    rows = rows_of(latest_rows(joined(tables, str(store / RECORDINGS))))
    found: dict[str, int] = defaultdict(int)
    parts = by_part(rows)
    seals = seals_of(rows)
    for name, owners in sorted(parts.items()):
        problem = _problem(store / EMBEDDINGS / name, seals[name], schema, owners, found)
        if problem:
            damages.append(Damage(f"{EMBEDDINGS}/{name}", problem, tuple(sorted(owners.values()))))
    if not damages:
        damages += _miscounted(rows, found)
    return CheckReport(
        n_recordings=len(rows),
        n_parts=len(parts),
        n_windows=sum(found.values()),
        damages=tuple(damages),
    )


def set_aside(store: Path, report: CheckReport) -> list[str]:
    """Take damaged parts out of the store, so that their recordings are embedded anew.

    The files stay, under another name. Returns the recordings; those that only a damaged part of
    ``recordings/`` knew are not among them, but are found anew too.

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


def _problem(
    path: Path,
    seals: set[str],
    schema: pa.Schema,
    owners: dict[str, str],
    found: dict[str, int],
) -> str | None:
    if not path.is_file():
        return "missing"
    try:
        table = read_sealed(path, seals, schema)
    except StoreError as error:
        return str(error)
    for count in pc.value_counts(table["recording_id"]).to_pylist():
        if count["values"] in owners:
            found[count["values"]] += count["counts"]
    return None


def _miscounted(rows: dict[str, RecordingRow], found: dict[str, int]) -> list[Damage]:
    return [
        Damage("", f"promises {row.n_windows} windows, its parts hold {found[key]}", (row.path,))
        for key, row in rows.items()
        if found[key] != row.n_windows
    ]
