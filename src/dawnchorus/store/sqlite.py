"""A store as one SQLite file in the nouns of perch-hoplite: deployments, recordings, windows."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.local_time import local_start
from dawnchorus.store.columns import distinct
from dawnchorus.store.local import zone_of
from dawnchorus.store.schema import RECORDING_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.store.read import Store, StoredRecording

OF_RECORDINGS: Final = ("id", "filename", "datetime", "deployment_id")
DEPLOYMENT: Final = ("deployment", "site")  # columns of the user's list, the first that is there
# names of tables and columns as in perch-hoplite's SQLite databases
TABLES: Final = """
create table hoplite_metadata (key text primary key, value text not null);
create table deployments (id integer primary key, name text not null unique);
create table recordings (
    id integer primary key, filename text not null unique, datetime text,
    deployment_id integer references deployments(id)
);
create table windows (
    id integer primary key, recording_id integer not null references recordings(id),
    start_s real not null, stop_s real not null, embedding blob not null
);
create index windows_of_recording on windows(recording_id);
"""


def write_sqlite(store: Store, path: Path) -> int:
    """Write all finished recordings, one after the other; returns how many windows there are.

    ``embedding`` is little-endian float16 or float32, as ``dtype`` in ``hoplite_metadata`` says;
    its other rows are the store's header. ``datetime`` is local time, with an offset where one is
    known; the columns of the user's list stand behind it, under names that are not taken.

    Raises:
        StoreError: A part is missing or damaged.
        OSError: The file cannot be written.
    """
    number = np.dtype(store.header.dtype).newbyteorder("<")
    header = store.header.model_dump(mode="json", exclude={"labels"})
    connection = sqlite3.connect(path)
    try:
        with connection:
            # no journal: the file is whole or not there at all, see `whole_file`
            connection.executescript("pragma journal_mode = off;" + TABLES)
            listed = _add_columns(connection, store)
            facts = [(key, json.dumps(value)) for key, value in header.items()]
            connection.executemany("insert into hoplite_metadata values (?, ?)", facts)
            count = 0
            for recording in store.each_recording():
                recording_id = _insert(connection, recording, listed)
                rows = _windows(recording, recording_id, number)
                connection.executemany(
                    "insert into windows (recording_id, start_s, stop_s, embedding) "
                    "values (?, ?, ?, ?)",
                    rows,
                )
                count += len(recording.windows)
    except sqlite3.Error as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()
    return count


def _add_columns(connection: sqlite3.Connection, store: Store) -> dict[str, str]:
    """Columns for those of the user's list; returns the SQL name of each."""
    ours = set(RECORDING_SCHEMA.names)
    names = [name for name in store.recordings().column_names if name not in ours]
    listed = {
        name: '"' + new.replace('"', '""') + '"'
        for name, new in zip(names, distinct(names, OF_RECORDINGS), strict=True)
    }
    for quoted in listed.values():
        connection.execute(f"alter table recordings add column {quoted} text")
    return listed


def _insert(
    connection: sqlite3.Connection, recording: StoredRecording, listed: dict[str, str]
) -> int | None:
    row, carried = recording.row, dict(recording.row.carried)
    name = next((carried[key] for key in DEPLOYMENT if carried.get(key)), None)
    if name is not None:
        connection.execute("insert or ignore into deployments (name) values (?)", (name,))
    started = None
    if row.recorded_at:
        started = local_start(row.recorded_at, zone_of(None, row.time_zone)).isoformat()
    columns = "".join(f", {quoted}" for quoted in listed.values())
    return connection.execute(
        f"insert into recordings (filename, datetime, deployment_id{columns}) "  # noqa: S608  quoted
        f"values (?, ?, (select id from deployments where name = ?){', ?' * len(listed)})",
        (row.path, started, name, *(carried.get(key) for key in listed)),
    ).lastrowid


def _windows(
    recording: StoredRecording, recording_id: int | None, number: np.dtype[np.floating]
) -> Iterator[tuple[int | None, float, float, bytes]]:
    times = (recording.windows[name].to_pylist() for name in ("start_s", "stop_s"))
    for start_s, stop_s, vector in zip(*times, recording.vectors.astype(number), strict=True):
        yield recording_id, start_s, stop_s, vector.tobytes()
