"""The GBIF backbone as a small database of names, made once from the table that GBIF publishes.

``Taxon.tsv`` of https://hosted-datasets.gbif.org/datasets/backbone/current/, in its zip or not, has
some eight million rows; any table with the same columns will do. Only species and what lies below
them are kept. The database lies beside the table and is made again when the table changes.
"""

from __future__ import annotations

import difflib
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import TaskError
from dawnchorus.progress import NO_PROGRESS, Progress
from dawnchorus.sources.names.scientific import (
    RANKS,
    NameMatch,
    PublishedName,
    Taxon,
    parse_name,
    ranks_of,
)
from dawnchorus.sources.source_table import SourceTable
from dawnchorus.store.files import whole_file
from dawnchorus.text_tables.files import TextFile, find_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.progress import Advance

FORMAT: Final = "dawnchorus names 1"
TABLES: Final = ("Taxon.tsv", "Taxon.txt", "Taxon.csv", "taxa.csv")
KEPT_RANKS: Final = {"species", "subspecies", "variety", "form", "infraspecific_name"}
# as the backbone writes them; the position of each is kept as a number
STATUSES: Final = ("accepted", "doubtful", "synonym", "proparte synonym", "misapplied")
ACCEPTED, DOUBTFUL, SYNONYM, PRO_PARTE, MISAPPLIED = range(len(STATUSES))
COLUMNS: Final = (
    "taxonid",
    "acceptednameusageid",
    "canonicalname",
    "scientificname",
    "taxonrank",
    "taxonomicstatus",
    *RANKS[:-1],
)
ROWS_AT_ONCE: Final = 20_000
# synonyms of synonyms; a longer chain is a circle
CHAIN_AT_MOST: Final = 16
SCHEMA: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE lineages (id INTEGER PRIMARY KEY, kingdom, phylum, class, "order", family);
CREATE TABLE taxa (
  key INTEGER PRIMARY KEY, name TEXT, accepted INTEGER, rank TEXT, status INTEGER, lineage INTEGER
);
"""
SELECT: Final = """
SELECT key, name, accepted, rank, status, kingdom, phylum, class, "order", family
FROM taxa JOIN lineages ON lineage = lineages.id WHERE {}
"""
Row = tuple[int, str, int | None, str, int, str, str, str, str, str]


def index_backbone(
    table: Path, index: Path | None = None, *, progress: Progress = NO_PROGRESS
) -> Path:
    """Make the database of a backbone table, or find it made already.

    Args:
        table: the table, a zip or folder that holds it, or such a database.
        index: where the database is to lie; None for beside the table.
        progress: counts the rows that were read.

    Raises:
        TaskError: There is no such table in it, it lacks columns, or the disk is full.
    """
    if table.is_file() and _is_index(table):
        return table
    file = find_file(table, [*TABLES, table.name])
    if file is None:
        raise TaskError(f"{table}: holds none of {', '.join(TABLES)}; need the backbone's table")
    index = index or table.with_name(table.name + ".names.sqlite")
    stat = file.container.stat()
    # another size or time of the table: it was replaced, and the index is built again
    signature = f"{FORMAT}, {file.name}, {stat.st_size} bytes, {stat.st_mtime_ns}"
    if index.exists() and _fact(index, "signature") == signature:
        return index
    try:
        with whole_file(index) as unfinished:
            _build(
                file, unfinished, signature, progress.start("indexing the backbone", unit="names")
            )
    except (sqlite3.Error, OSError) as error:
        raise TaskError(f"{index}: cannot be written: {error}") from error
    return index


def _is_index(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(15) == b"SQLite format 3"


def _fact(index: Path, name: str) -> str | None:
    try:
        with closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT value FROM facts WHERE name = ?", [name]).fetchone()
    except sqlite3.Error:
        return None
    return None if found is None else str(found[0])


def _build(file: TextFile, target: Path, signature: str, advance: Advance) -> None:
    table = SourceTable(file, lambda *_bad: None)
    missing = [name for name in ("taxonid", "taxonrank") if name not in table.columns]
    if missing or not {"canonicalname", "scientificname"} & set(table.columns):
        raise TaskError(
            f"{file}: need columns taxonID, canonicalName, taxonRank, "
            f"acceptedNameUsageID, taxonomicStatus and ranks; found {table.columns}"
        )
    # millions of taxa share far fewer lineages
    lineages: dict[tuple[str, ...], int] = {}
    with closing(sqlite3.connect(target)) as database:
        database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + SCHEMA)
        database.executemany(
            "INSERT OR REPLACE INTO taxa VALUES (?, ?, ?, ?, ?, ?)",
            _taxa(table, lineages, advance),
        )
        database.executemany(
            "INSERT INTO lineages VALUES (?, ?, ?, ?, ?, ?)",
            ((number, *ranks) for ranks, number in lineages.items()),
        )
        database.execute("CREATE INDEX by_name ON taxa (name)")
        database.execute("INSERT INTO facts VALUES ('signature', ?)", [signature])
        database.commit()


def _taxa(
    table: SourceTable, lineages: dict[tuple[str, ...], int], advance: Advance
) -> Iterator[tuple[int, str, int | None, str, int, int]]:
    for number, row in enumerate(table.rows(COLUMNS)):
        if number % ROWS_AT_ONCE == 0 and number:
            advance(ROWS_AT_ONCE)
        rank = row["taxonrank"].lower()
        key = row["taxonid"].rpartition(":")[2]
        if rank not in KEPT_RANKS or not key.isdigit():
            continue
        # without authors, as the names to look up will be
        name = parse_name(row["canonicalname"] or row["scientificname"])
        if name.problem:
            continue
        accepted = row["acceptednameusageid"].rpartition(":")[2]
        lineage = lineages.setdefault(ranks_of(row)[:-1], len(lineages))
        yield (
            int(key),
            name.text,
            int(accepted) if accepted.isdigit() and accepted != key else None,
            rank,
            _status(row["taxonomicstatus"].lower(), accepted),
            lineage,
        )


def _status(text: str, accepted: str) -> int:
    if "pro parte" in text or "proparte" in text:
        return PRO_PARTE
    if "misapplied" in text:
        return MISAPPLIED
    if "synonym" in text:
        return SYNONYM
    if "doubtful" in text:
        return DOUBTFUL
    return SYNONYM if accepted and not text else ACCEPTED


class Backbone:
    """Names and their accepted taxa, read from the database of `index_backbone`."""

    def __init__(self, index: Path) -> None:
        """Open it for reading.

        Raises:
            TaskError: It is not such a database, or of another version.
        """
        if not (_fact(index, "signature") or "").startswith(FORMAT):
            raise TaskError(f"{index}: not a database of names of this version; make it again")
        self._database = sqlite3.connect(f"file:{index}?mode=ro", uri=True)

    def find(self, name: str, published: PublishedName) -> NameMatch:
        """The accepted taxon of a name without authors.

        Homonyms are settled by the publisher's key, its kingdom, then its class, order and family,
        then by which of them is an accepted name; if that leaves more than one there is no match.
        """
        rows = self._rows("name = ?", name)
        if not rows:
            return NameMatch(problem="not in the backbone", near=self._near(name))
        usable = _settled(rows, published)
        if not usable:
            kingdoms = ", ".join(sorted({row[5] for row in rows}))
            return NameMatch(problem=f"only in another kingdom ({kingdoms}) or misapplied")
        # a name that was split among several species stands for none of them
        if len(usable) == 1 and usable[0][4] == PRO_PARTE:
            return NameMatch(problem="synonym of several species", near=self._names(usable))
        # names may differ and mean one taxon in the end
        ends = {end[0]: end for row in usable if (end := self._accepted(row)) is not None}
        if not ends:
            return NameMatch(problem="its accepted name is missing from the backbone or circular")
        if len(ends) > 1:
            return NameMatch(problem="homonym, not settled by its ranks", near=self._names(usable))
        ((_, end),) = ends.items()
        how = "synonym" if all(row[0] != end[0] for row in usable) else STATUSES[end[4]]
        return NameMatch(_taxon(end), how)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _rows(self, where: str, *values: str | int) -> list[Row]:
        return self._database.execute(SELECT.format(where), values).fetchall()

    def _accepted(self, row: Row) -> Row | None:
        """Follow accepted names to the last one."""
        for _ in range(CHAIN_AT_MOST):
            if row[2] is None:
                return row if row[4] in {ACCEPTED, DOUBTFUL} else None
            found = self._rows("key = ?", row[2])
            if not found:
                return None
            (row,) = found
        return None

    def _names(self, rows: list[Row]) -> tuple[str, ...]:
        ends = [self._accepted(row) or row for row in rows]
        return tuple(sorted({f"{end[1]} ({end[0]}, {end[5]}: {end[9]})" for end in ends}))

    def _near(self, name: str) -> tuple[str, ...]:
        """Names of the same genus that look alike; suggestions only."""
        genus = name.partition(" ")[0]
        # "!" is the character after the space
        found = self._database.execute(
            "SELECT DISTINCT name FROM taxa WHERE name > ? AND name < ?", [genus + " ", genus + "!"]
        )
        return tuple(difflib.get_close_matches(name, [row[0] for row in found], cutoff=0.8))


def _settled(rows: list[Row], published: PublishedName) -> list[Row]:
    # a misapplied name is one that was used for the wrong species
    rows = [row for row in rows if row[4] != MISAPPLIED]
    keyed = [row for row in rows if published.key is not None and published.key in (row[0], row[2])]
    if keyed:
        return keyed
    kingdom = published.rank("kingdom")
    if kingdom:
        rows = [row for row in rows if row[5] in {"", kingdom}]
    for column, rank in ((7, "class"), (8, "order"), (9, "family")):
        # a rank that fits none is another classification's, not another animal's
        fitting = [row for row in rows if row[column] == published.rank(rank) != ""]
        rows = fitting or rows
    accepted = [row for row in rows if row[4] == ACCEPTED]
    return accepted or [row for row in rows if row[4] != PRO_PARTE] or rows


def _taxon(row: Row) -> Taxon:
    return Taxon(row[1], row[0], row[3], (*row[5:], row[1].partition(" ")[0]))
