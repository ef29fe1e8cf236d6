"""A database in a temporary file, for tables of millions of rows that are looked up by key."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def scratch_database(*statements: str) -> Iterator[sqlite3.Connection]:
    """An empty database with the tables that the statements create, gone after the block."""
    # the name "" is a file that SQLite makes and removes; small ones stay in memory
    database = sqlite3.connect("", isolation_level=None)
    try:
        for statement in statements:
            database.execute(statement)
        # one transaction that is never committed: nothing has to reach the disk
        database.execute("BEGIN")
        yield database
    finally:
        database.close()
