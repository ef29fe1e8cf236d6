"""A store as one SQLite file in the nouns of perch-hoplite: deployments, recordings, windows."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.store.read import Store, StoredRecording

DEPLOYMENT: Final = ("deployment", "site")  # columns of the user's list, the first that is there
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
    its other rows are the store's header.

    Raises:
        StoreError: A part is missing or damaged.
        OSError: The file cannot be written.
    """
    number = np.dtype(store.header.dtype).newbyteorder("<")
    header = store.header.model_dump(mode="json", exclude={"labels"})
    connection = sqlite3.connect(path)
    try:
        with connection:
            connection.executescript(TABLES)
            facts = [(key, json.dumps(value)) for key, value in header.items()]
            connection.executemany("insert into hoplite_metadata values (?, ?)", facts)
            count = 0
            for recording in store.each_recording():
                recording_id = _insert(connection, recording)
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


def _insert(connection: sqlite3.Connection, recording: StoredRecording) -> int | None:
    row, carried = recording.row, dict(recording.row.carried)
    name = next((carried[key] for key in DEPLOYMENT if carried.get(key)), None)
    if name is not None:
        connection.execute("insert or ignore into deployments (name) values (?)", (name,))
    return connection.execute(
        "insert into recordings (filename, datetime, deployment_id) "
        "values (?, ?, (select id from deployments where name = ?))",
        (row.path, row.recorded_at, name),
    ).lastrowid


def _windows(
    recording: StoredRecording, recording_id: int | None, number: np.dtype[np.floating]
) -> Iterator[tuple[int | None, float, float, bytes]]:
    times = (recording.windows[name].to_pylist() for name in ("start_s", "stop_s"))
    for start_s, stop_s, vector in zip(*times, recording.vectors.astype(number), strict=True):
        yield recording_id, start_s, stop_s, vector.tobytes()
