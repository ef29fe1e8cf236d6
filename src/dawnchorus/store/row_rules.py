"""What a row of a store may say, checked before it is used.

The parts of ``recordings/`` have no seal, because nothing names them. So they are the way by which
an edited or foreign store could name files outside of it, or windows that are not there.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

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

    from numpy.typing import NDArray

NEEDED: Final = ("recording_id", "path", "status", "n_windows", "parts", "revision", "gaps")
COUNTS: Final = ("n_windows", "revision", "n_nonfinite", "n_samples", "file_size")
FIRST_US: Final = -62_135_596_800_000_000  # the years 1 to 9999, which Python's dates reach,
LAST_US: Final = 253_402_300_799_999_999  # in microseconds from 1970
REPAIR: Final = "run: dawnchorus store check --repair"


class Rule(NamedTuple):
    """What is wrong, the columns that it concerns, and whether a column is so."""

    problem: str
    columns: Sequence[str]
    is_broken_by: Callable[[pa.Array], bool]


def checked_rows(table: pa.Table, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Rows as they were read, in the types of `RECORDING_SCHEMA`; further columns, if of text.

    Args:
        table: one part.
        name: where it comes from, for messages.
        columns: those that were requested; None: all.

    Raises:
        StoreError: A column is missing or of another type, or a row is impossible.
    """
    try:
        table = _typed(table, NEEDED if columns is None else columns)
        problem = next((rule.problem for rule in _RULES if _is_broken(rule, table)), None)
    except (pa.ArrowException, ValueError, KeyError, UsageError) as error:
        problem = shown(str(error))
    if problem is not None:
        raise StoreError(f"{name}: damaged part ({problem}); {REPAIR}")
    return table


def _typed(table: pa.Table, needed: Sequence[str]) -> pa.Table:
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise KeyError(f"no column {missing[0]}")
    fields = []
    for name in table.column_names:
        kind = table[name].type
        if name in RECORDING_SCHEMA.names:
            fields.append(RECORDING_SCHEMA.field(name))
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            fields.append(pa.field(name, pa.string()))
    # A cast from an older or edited file fails rather than lose something.
    return pa.table([table[f.name].cast(f.type) for f in fields], pa.schema(fields))


def _is_broken(rule: Rule, table: pa.Table) -> bool:
    # a column that was not requested, or that an older version did not write, breaks no rule
    columns = [table[name].combine_chunks() for name in rule.columns if name in table.column_names]
    return any(rule.is_broken_by(column) for column in columns)


def _has_nulls(column: pa.Array) -> bool:
    return bool(column.null_count)


def _some_unlike(pattern: str) -> Callable[[pa.Array], bool]:
    def is_broken_by(column: pa.Array) -> bool:
        like = pc.match_substring_regex(column, rf"\A(?:{pattern})\z")
        return pc.all(like, min_count=0, skip_nulls=True).as_py() is False

    return is_broken_by


def _has_other_status(column: pa.Array) -> bool:
    return pc.all(pc.is_in(column, pa.array(STATUSES)), min_count=0).as_py() is False


def _is_below_zero(column: pa.Array) -> bool:
    lowest = pc.min(column).as_py()
    return lowest is not None and lowest < 0


def _has_bad_parts(column: pa.Array) -> bool:
    names, seals = _flat_fields(column, "name", "sha256")
    # a name that leads out of the store must never be opened, renamed or removed
    return (
        _has_nulls(names)
        or _has_nulls(seals)
        or _some_unlike(PART_NAME)(names)
        or _some_unlike(SHA256)(seals)
    )


def _has_bad_gaps(column: pa.Array) -> bool:
    starts, stops = _flat_fields(column, "start_sample", "stop_sample")
    if _has_nulls(starts) or _has_nulls(stops):
        return True
    return pc.all(pc.less_equal(starts, stops), min_count=0).as_py() is False


def _flat_fields(column: pa.Array, *names: str) -> list[pa.Array]:
    """Fields of the structs in a column of lists; null where a whole struct is null."""
    flat = column.flatten()
    return [pc.struct_field(flat, name) for name in names]


def _is_beyond_calendar(column: pa.Array) -> bool:
    if len(column) == column.null_count:
        return False
    span = pc.min_max(column.cast(pa.int64())).as_py()
    return bool(span["min"] < FIRST_US or span["max"] > LAST_US)


def _cannot_be_parsed(parse: Callable[[str], object]) -> Callable[[pa.Array], bool]:
    def is_broken_by(column: pa.Array) -> bool:
        for text in pc.unique(column).to_pylist():
            if text:
                parse(text)  # its own error says more than "cannot be read"
        return False

    return is_broken_by


_RULES: Final = (
    Rule("a value is missing that every row has", NEEDED, _has_nulls),
    Rule(f"a recording_id is not {IDENTITY}", ["recording_id"], _some_unlike(IDENTITY)),
    Rule("a path is empty or holds a NUL", ["path"], _some_unlike(r"(?s)[^\x00]+")),
    Rule(
        "a content_hash is not sha256: and 64 digits",
        ["content_hash"],
        _some_unlike(f"sha256:{SHA256}"),
    ),
    Rule(f"a status is not one of {', '.join(STATUSES)}", ["status"], _has_other_status),
    Rule("a count is below 0", COUNTS, _is_below_zero),
    Rule(
        "the name or SHA-256 of an embeddings part is not one that dawnchorus writes",
        ["parts"],
        _has_bad_parts,
    ),
    Rule("a gap ends before it begins", ["gaps"], _has_bad_gaps),
    Rule("a date is beyond the calendar", ["started", "ended"], _is_beyond_calendar),
    Rule("a time cannot be read", ["recorded_at"], _cannot_be_parsed(datetime.fromisoformat)),
    Rule("a zone cannot be read", ["time_zone"], _cannot_be_parsed(parse_zone)),
)


def check_complete(
    owner: NDArray[np.integer], window: NDArray[np.integer], recordings: pa.Table, name: str
) -> None:
    """Compare windows with the rows of their recordings: each promised one is there, and once.

    Args:
        owner: ``(windows,)`` the row of each one's recording, in any order.
        window: ``(windows,)`` which of its windows each is.
        recordings: rows of finished recordings.
        name: the store, for messages.

    Raises:
        StoreError: Windows are missing, are there twice, or are beyond the last one.
    """
    n_promised = recordings["n_windows"].to_numpy().astype(np.int64)
    n_there = np.bincount(owner, minlength=len(recordings))
    wrong = n_there != n_promised
    # Only if the numbers agree: a promise of billions would take the memory to count them out.
    if not wrong.any():
        beyond = (window < 0) | (window >= n_promised[owner])
        first = np.cumsum(n_promised) - n_promised  # where each recording's windows are counted
        times = np.bincount((first[owner] + window)[~beyond], minlength=len(window))
        wrong[owner[beyond]] = True
        wrong[np.searchsorted(first, np.flatnonzero(times != 1), side="right") - 1] = True
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise StoreError(
            f"{name}: {recordings['path'][at]}: {n_promised[at]} windows are promised, and its "
            f"parts hold {n_there[at]} or others; is a part of another store? {REPAIR}"
        )
