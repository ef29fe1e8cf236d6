"""Lists of recordings: a CSV with a ``path`` column and columns to carry along."""

from __future__ import annotations

import csv
from datetime import datetime
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import UsageError
from dawnchorus.local_time import parse_zone
from dawnchorus.places import as_place
from dawnchorus.store.schema import COMPUTED, EMBEDDING_COLUMNS, RECORDING_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LIST_SUFFIX: Final = ".csv"
PATH, START_TIME, TIME_ZONE = "path", "start_time", "time_zone"

Carried = tuple[tuple[str, str], ...]


def read_listing(listing: Path) -> Iterator[tuple[Path, Carried]]:
    """Recordings of a list, one after the other, with the columns to carry along.

    Paths are relative to the list's folder. ``start_time``, where it is given, is ISO 8601;
    ``time_zone``, an IANA name or an offset, says what local time is at that place.

    Raises:
        UsageError: Not such a file; the line is named.
    """
    try:
        with listing.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            _check_columns(listing, rows.fieldnames or ())
            for row in rows:
                yield _entry(listing, rows.line_num, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{listing}: cannot be read as a list of recordings: {error}") from error


def _check_columns(listing: Path, columns: Sequence[str]) -> None:
    if PATH not in columns:
        found = ", ".join(columns) or "nothing"
        raise UsageError(f"{listing}: need a column {PATH!r}, found {found}")
    taken = {*RECORDING_SCHEMA.names, *EMBEDDING_COLUMNS, *COMPUTED} - {PATH, TIME_ZONE}
    clashes = sorted(taken & set(columns))
    if clashes:
        raise UsageError(
            f"{listing}: a store has a column {clashes[0]!r} of its own; rename that of the list"
        )


def _entry(listing: Path, line: int, row: dict[str, str]) -> tuple[Path, Carried]:
    if None in row or None in row.values():
        raise UsageError(f"{listing}, line {line}: has more or fewer fields than the first line")
    name = row.pop(PATH).strip()
    if not name:
        raise UsageError(f"{listing}, line {line}: the path is empty")
    when = row.get(START_TIME)
    if when:
        try:
            datetime.fromisoformat(when)
        except ValueError as error:
            raise UsageError(
                f"{listing}, line {line}: {START_TIME} {when!r} is not a time such as "
                "2024-05-01T04:30:00+02:00"
            ) from error
    if row.get(TIME_ZONE):
        try:
            parse_zone(row[TIME_ZONE])
        except UsageError as error:
            raise UsageError(f"{listing}, line {line}: {error}") from error
    path = as_place(name) if "://" in name else listing.parent / name
    return path, tuple(row.items())
