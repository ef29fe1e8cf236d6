"""What a disk gave, held to what rows can say and to what they promise, before it is used.

The parts of ``recordings/`` have no seal: nothing names them. So they are the way by which an
edited or foreign store could name files outside of it, or windows that are not there.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.errors import StoreError, UsageError, shown
from dawnchorus.local_time import parse_zone
from dawnchorus.store.schema import (
    IDENTITY,
    PART_NAME,
    RECORDING_SCHEMA,
    SHA256,
    STATUSES,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NEEDED: Final = ("recording_id", "path", "status", "n_windows", "parts", "revision", "gaps")
COUNTS: Final = ("n_windows", "revision", "n_nonfinite", "n_samples", "file_size")
FIRST_US: Final = -62_135_596_800_000_000  # the years 1 to 9999, which Python's dates reach
LAST_US: Final = 253_402_300_799_999_999
REPAIR: Final = "run: dawnchorus store check --repair"


def joined(tables: Sequence[pa.Table], named: str) -> pa.Table:
    """Checked parts as one table, with every column that one of them has.

    Raises:
        StoreError: Two parts have one column in different types.
    """
    try:
        return pa.concat_tables(
            [RECORDING_SCHEMA.empty_table(), *tables], promote_options="default"
        )
    except pa.ArrowException as error:
        raise StoreError(f"{named}: parts do not fit together: {error}; {REPAIR}") from error


def checked_recordings(
    table: pa.Table, named: str, columns: Sequence[str] | None = None
) -> pa.Table:
    """Rows as they were read, in the types of `RECORDING_SCHEMA`; further columns, if of text.

    Args:
        table: one part.
        named: where it comes from.
        columns: those that were asked for; None: all.

    Raises:
        StoreError: A column is missing or of another kind, or a row says what none can say.
    """
    try:
        table = _typed(table, NEEDED if columns is None else columns)
        problem = next((what for what, fails in _RULES.items() if fails(table)), None)
    except (pa.ArrowException, ValueError, KeyError, UsageError) as error:
        problem = shown(str(error))
    if problem is not None:
        raise StoreError(f"{named}: damaged part ({problem}); {REPAIR}")
    return table


def _typed(table: pa.Table, needed: Sequence[str]) -> pa.Table:
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise KeyError(f"no column {missing[0]}")
    own = {field.name: field for field in RECORDING_SCHEMA}
    texts = [n for n in table.column_names if n not in own and _is_text(table[n].type)]
    fields = [
        own.get(n, pa.field(n, pa.string())) for n in table.column_names if n in {*own, *texts}
    ]
    return pa.table([table[f.name].cast(f.type) for f in fields], pa.schema(fields))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _column(table: pa.Table, name: str) -> pa.Array | None:
    return table[name].combine_chunks() if name in table.column_names else None


def _has_gaps(table: pa.Table) -> bool:
    columns = (_column(table, name) for name in NEEDED)
    return any(column is not None and column.null_count for column in columns)


def _unlike(pattern: str, name: str) -> Callable[[pa.Table], bool]:
    def fails(table: pa.Table) -> bool:
        column = _column(table, name)
        return column is not None and _some_unlike(column, pattern)

    return fails


def _some_unlike(column: pa.Array, pattern: str) -> bool:
    like = pc.match_substring_regex(column, rf"\A(?:{pattern})\z")
    return pc.all(like, min_count=0, skip_nulls=True).as_py() is False


def _other_status(table: pa.Table) -> bool:
    column = _column(table, "status")
    if column is None:
        return False
    return pc.all(pc.is_in(column, pa.array(STATUSES)), min_count=0).as_py() is False


def _below_zero(table: pa.Table) -> bool:
    columns = (_column(table, name) for name in COUNTS)
    lowest = (pc.min(column).as_py() for column in columns if column is not None)
    return any(value is not None and value < 0 for value in lowest)


def _bad_parts(table: pa.Table) -> bool:
    column = _column(table, "parts")
    if column is None:
        return False
    parts = column.flatten()
    names, seals = parts.field("name"), parts.field("sha256")
    if parts.null_count or names.null_count or seals.null_count:
        return True
    return _some_unlike(names, PART_NAME) or _some_unlike(seals, SHA256)


def _bad_gaps(table: pa.Table) -> bool:
    column = _column(table, "gaps")
    if column is None:
        return False
    gaps = column.flatten()
    starts, stops = gaps.field("start_sample"), gaps.field("stop_sample")
    if gaps.null_count or starts.null_count or stops.null_count:
        return True
    return pc.all(pc.less_equal(starts, stops), min_count=0).as_py() is False


def _beyond_dates(table: pa.Table) -> bool:
    for name in ("started", "ended"):
        column = _column(table, name)
        if column is not None and len(column) > column.null_count:
            span = pc.min_max(column.cast(pa.int64())).as_py()
            if span["min"] < FIRST_US or span["max"] > LAST_US:
                return True
    return False


def _bad_times(table: pa.Table) -> bool:
    for name, parse in (("recorded_at", datetime.fromisoformat), ("time_zone", parse_zone)):
        column = _column(table, name)
        for text in [] if column is None else pc.unique(column).to_pylist():
            if text:
                parse(text)
    return False


_RULES: Final[dict[str, Callable[[pa.Table], bool]]] = {
    "a value is missing that every row has": _has_gaps,
    f"a recording_id is not {IDENTITY}": _unlike(IDENTITY, "recording_id"),
    "a path is empty or holds a NUL": _unlike(r"(?s)[^\x00]+", "path"),
    "a content_hash is not sha256: and 64 digits": _unlike(f"sha256:{SHA256}", "content_hash"),
    f"a status is not one of {', '.join(STATUSES)}": _other_status,
    "a count is below 0": _below_zero,
    "the name or SHA-256 of an embeddings part is none that dawnchorus writes": _bad_parts,
    "a gap ends before it begins": _bad_gaps,
    "a date is beyond the calendar": _beyond_dates,
    "a time cannot be read": _bad_times,
}


def check_complete(windows: pa.Table, recordings: pa.Table, named: str) -> None:
    """Hold windows against the rows of their recordings: each promised one is there, and once.

    Args:
        windows: ``recording_id`` and ``window``, of these recordings alone, in any order.
        recordings: rows of finished recordings.
        named: the store.

    Raises:
        StoreError: Windows are missing, are there twice, or are beyond the last one.
    """
    ids = recordings["recording_id"].combine_chunks()
    promised = recordings["n_windows"].to_numpy().astype(np.int64)
    owner = pc.index_in(windows["recording_id"], ids).to_numpy()
    found = np.bincount(owner, minlength=len(ids))
    window = windows["window"].to_numpy()
    wrong = found != promised
    if not wrong.any():  # so the promise is no more than what was read, and can be counted out
        beyond = (window < 0) | (window >= promised[owner])
        first = np.cumsum(promised) - promised
        times = np.bincount((first[owner] + window)[~beyond], minlength=len(window))
        wrong[owner[beyond]] = True
        wrong[np.searchsorted(first, np.flatnonzero(times != 1), side="right") - 1] = True
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise StoreError(
            f"{named}: {recordings['path'][at]}: {promised[at]} windows are promised, and its "
            f"parts hold {found[at]} or others; is a part of another store? {REPAIR}"
        )
