"""Lists of recordings: a table with a column of paths and columns to carry along."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.clock import is_in_future
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.local_time import parse_zone
from dawnchorus.paths import as_path, is_remote
from dawnchorus.store.schema import COMPUTED, EMBEDDING_COLUMNS, RECORDING_SCHEMA
from dawnchorus.text_tables import column_names as known
from dawnchorus.text_tables.paths import plain_path
from dawnchorus.text_tables.read import open_table
from dawnchorus.text_tables.values import day_first, is_missing, parse_moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.text_tables.read import TextTable

LIST_SUFFIX: Final = ".csv"
PATH, START_TIME, TIME_ZONE = "path", "start_time", "time_zone"
# Other names of the column that says when a recording began.
_STARTS: Final = ("starttime", "startdatetime", "recordingstart", "datetime")
_NAMELESS: Final = re.compile(r"column \d+")  # such as the row numbers that pandas writes

Carried = tuple[tuple[str, str], ...]


def read_listing(listing: Path) -> Iterator[tuple[Path, Carried]]:
    """Recordings of a list, one after the other, with the columns to carry along.

    The list may be written in any usual encoding and with any usual separator. Paths are relative
    to its folder. ``start_time``, where it is given, is ISO 8601, or a date that can mean one day
    only; it comes along as ISO 8601. ``time_zone``, an IANA name or an offset, says what local time
    is at that place.

    Raises:
        UsageError: Not such a file; the line is named.
    """
    try:
        table = open_table(listing)
        path, start = _columns(table)
        # decided by the whole column: 03/04/2024 alone could be either
        first_is_day = None if start is None else _day_first(table, start)
        along = [name for name in table.names if _comes_along(name, path)]
        for line, row in table.rows():
            where = f"{listing}, line {line}"
            carried = {name: row[name] for name in along}
            if start is not None:
                carried[START_TIME] = _moment(row[start], where, start, first_is_day=first_is_day)
            if carried.get(TIME_ZONE):
                _check_zone(carried[TIME_ZONE], where)
            yield _place(listing, row[path], where), tuple(carried.items())
    except TaskError as error:
        raise UsageError(f"list of recordings {error}") from error


def describe_listing(listing: Path) -> tuple[str, ...]:
    """What is read of a list, and what to mind, in words.

    Raises:
        UsageError: Not such a file.
    """
    try:
        table = open_table(listing)
    except TaskError as error:
        raise UsageError(f"list of recordings {error}") from error
    path, start = _columns(table)
    read = f"path = {path}" + ("" if start is None else f", {START_TIME} = {start}")
    along = [name for name in table.names if _comes_along(name, path) and name != start]
    summary = f"{listing}: read: {read}; carried along: {', '.join(along) or 'nothing'}"
    # a hint only: such columns may mean the day of the visit
    dates = [name for name in along if known.column_key(name) in {"date", "time", "timestamp"}]
    if start is None and dates:
        summary += (
            f" ({', '.join(dates)} not read as the time of the recording; for that, call a column "
            f"{START_TIME} and write 2024-05-01T04:30:00+02:00)"
        )
    return (*table.remarks, summary)


def _columns(table: TextTable) -> tuple[str, str | None]:
    """The column of the paths, and that of the times."""
    # reversed, so that the first of two columns with one key wins
    named = {known.column_key(name): name for name in reversed(table.names)}
    path = (
        PATH
        if PATH in table.names
        else next((named[key] for key in known.PATH if key in named), None)
    )
    if path is None:
        names = ", ".join(table.names)
        raise UsageError(f"{table.file}: need a column {PATH!r}, found {names}")
    ours = {*RECORDING_SCHEMA.names, *EMBEDDING_COLUMNS, *COMPUTED} - {PATH, TIME_ZONE}
    clashes = sorted(ours & {name for name in table.names if name != path})
    if clashes:
        raise UsageError(
            f"{table.file}: a store has a column {clashes[0]!r} of its own; rename that of the list"
        )
    exact = START_TIME if START_TIME in table.names else None
    return path, exact or next((named[key] for key in _STARTS if key in named), None)


def _comes_along(name: str, path: str) -> bool:
    return name != path and not _NAMELESS.fullmatch(name)


def _day_first(table: TextTable, start: str) -> bool | None:
    try:
        return day_first(row[start] for _, row in table.rows())
    except ValueError as error:
        raise UsageError(f"{table.file}: column {start!r}: {error}") from error


def _moment(text: str, where: str, column: str, *, first_is_day: bool | None) -> str:
    if is_missing(text):
        return ""
    try:
        moment = parse_moment(text, first_is_day=first_is_day)
    except ValueError as error:
        raise UsageError(f"{where}: {column} {text!r}, {error}") from error
    if is_in_future(datetime.fromisoformat(moment)):
        raise UsageError(
            f"{where}: {column} {text!r} is still to come; correct it, or leave it empty"
        )
    return moment


def _check_zone(text: str, where: str) -> None:
    try:
        parse_zone(text)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _place(listing: Path, text: str, where: str) -> Path:
    if not text:
        raise UsageError(f"{where}: the path is empty")
    if "://" in text:  # a URL is whole, wherever the list lies
        return as_path(text)
    # as a person reads a list: from where it lies
    folder = listing.parent
    return folder / plain_path(text, None if is_remote(folder) else folder)
