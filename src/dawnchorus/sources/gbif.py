"""Darwin Core archives: a table of occurrences, and one of their media.

GBIF's downloads are TAB separated, publishers' own archives are mostly comma separated and name
some columns in their own way. The media are put into a temporary database on disk, then the
occurrences stream past it, so that tables of any length need little memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dawnchorus.clips.licences import normalise_licence
from dawnchorus.errors import TaskError
from dawnchorus.sources.names.scientific import PublishedName, ranks_of
from dawnchorus.sources.scratch import scratch_database
from dawnchorus.sources.source_row import SourceRow, key_of, listed, place_of, seconds_of, when
from dawnchorus.sources.source_table import SourceTable
from dawnchorus.text_tables.files import find_file

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dawnchorus.sources.report import SourceReport

# names of the tables in GBIF downloads, publishers' archives and iNaturalist's own
OCCURRENCES: Final = ("occurrence.txt", "occurrences.txt", "observations.csv", "occurrence.csv")
MEDIA: Final = ("multimedia.txt", "media.csv", "multimedia.csv", "media.txt")
KEYS: Final = ("gbifid", "coreid", "id")  # which column joins the tables, the first that is there
ALIASES: Final = {"longitudedecimal": "decimallongitude", "latitudedecimal": "decimallatitude"}
# terms of Darwin Core, as keys of columns
OCCURRENCE_COLUMNS: Final = (
    *("occurrenceid", "catalognumber", "license", "recordedby", "rightsholder", "inaturalistlogin"),
    *("scientificname", "species", "specieskey", "genericname", "specificepithet", "taxonrank"),
    *("kingdom", "phylum", "class", "order", "family", "genus", "associatedtaxa"),
    *("eventdate", "eventtime", "year", "month", "day", "locality", "countrycode", "country"),
    *("decimallatitude", "decimallongitude", "references", "sex", "lifestage", "behavior"),
    *("occurrenceremarks", "soundtype", "soundquality", "backgroundspecies", "captive"),
)
MEDIA_COLUMNS: Final = (
    *("type", "format", "identifier", "references", "title", "description", "creator"),
    *("license", "rightsholder", "rating", "catalognumber"),
)
SOUND_TYPES: Final = {"sound", "audio"}
Fields = dict[str, str]


@dataclass(frozen=True, slots=True)
class Recording:
    """A sound of an occurrence; ``media`` is None for an occurrence without any sound."""

    occurrence: Fields
    media: Fields | None

    @property
    def name(self) -> str:
        """What a report calls it."""
        return self.occurrence["catalognumber"] or self.occurrence["key"]


def recordings(place: Path, report: SourceReport) -> Iterator[Recording]:
    """Each sound with its occurrence, in the order of the occurrences.

    Media of other kinds are noted. Sounds whose occurrence is missing are dropped, at the end.

    Raises:
        TaskError: A table or its key is missing, or it cannot be read to its end.
    """
    occurrences = _table(place, OCCURRENCES, report)
    media = _table(place, MEDIA, report)
    columns = ", ".join(f'"{name}"' for name in MEDIA_COLUMNS)
    with scratch_database(
        "PRAGMA journal_mode = OFF",
        "PRAGMA cache_size = -65536",  # KiB
        f"CREATE TABLE sounds (key TEXT, used INTEGER, {columns})",
    ) as scratch:
        _put_sounds(scratch, media, report)
        key = _key(occurrences)
        # occurrences stream past the media, in their own order; of a download there are millions
        for row in occurrences.rows([key, *OCCURRENCE_COLUMNS]):
            row["key"] = row[key]
            sounds = scratch.execute("SELECT * FROM sounds WHERE key = ?", [row["key"]]).fetchall()
            if not sounds:
                yield Recording(row, None)
                continue
            scratch.execute("UPDATE sounds SET used = 1 WHERE key = ?", [row["key"]])
            for sound in sounds:
                yield Recording(row, dict(zip(MEDIA_COLUMNS, sound[2:], strict=True)))
        # media whose occurrence was left out of the table are recordings, too: they are counted
        left = scratch.execute("SELECT count(*), min(key) FROM sounds WHERE NOT used").fetchone()
        if left[0]:
            report.drop("sound without an occurrence", str(left[1]), left[0])


def _table(place: Path, names: Iterable[str], report: SourceReport) -> SourceTable:
    file = find_file(place, names)
    if file is None:
        raise TaskError(
            f"{place}: found none of {', '.join(names)}; need a Darwin Core archive, as a zip or "
            "unpacked"
        )
    return SourceTable(file, report.bad_line, ALIASES)


def _key(table: SourceTable) -> str:
    for key in KEYS:
        if key in table.columns:
            return key
    raise TaskError(f"{table.file}: need one of the columns {KEYS}; found {table.columns}")


def _put_sounds(scratch: sqlite3.Connection, media: SourceTable, report: SourceReport) -> None:
    key = _key(media)

    def sounds() -> Iterator[tuple[str | int, ...]]:
        for row in media.rows([key, *MEDIA_COLUMNS]):
            # publishers leave the type out and give the format only
            kind = row["type"].lower()
            if kind in SOUND_TYPES or (not kind and row["format"].startswith("audio/")):
                yield (row[key], 0, *(row[name] for name in MEDIA_COLUMNS))
            else:
                report.noted[f"media of type {row['type'] or 'unknown'}"] += 1

    marks = ", ".join("?" * (2 + len(MEDIA_COLUMNS)))
    scratch.executemany(f"INSERT INTO sounds VALUES ({marks})", sounds())  # noqa: S608  only marks
    scratch.execute("CREATE INDEX by_key ON sounds (key)")


def describe(recording: Recording, *, id: str, dataset: str) -> SourceRow:
    """A row with everything that the columns of Darwin Core say."""
    row, media = recording.occurrence, recording.media or {}
    # coordinates that cannot be are none: a zero in the sea would pass for a place
    latitude, longitude = place_of(row["decimallatitude"], row["decimallongitude"])
    recordist = row["recordedby"] or media.get("creator", "") or media.get("rightsholder", "")
    page = media.get("references", "") or row["references"] or row["occurrenceid"]
    country = row["countrycode"] or row["country"]
    return SourceRow(
        id=id,
        dataset=dataset,
        published=_published(row),
        url=media.get("identifier", ""),
        form=media.get("format", ""),
        source=page,
        # the sound may have another licence than the observation; its own counts
        licence=normalise_licence(media.get("license")) or normalise_licence(row["license"]),
        recordist=recordist,
        attribution=", ".join(part for part in (recordist, page) if part),
        # one recordist has one microphone and one garden: clips of one stay on one side
        group=f"{dataset}:{recordist}" if recordist else id,
        latitude=latitude,
        longitude=longitude,
        place=", ".join(part for part in (row["locality"], country) if part),
        recorded_at=when(
            row["eventdate"],
            row["eventtime"],
            year=row["year"],
            month=row["month"],
            day=row["day"],
        ),
        duration_s=seconds_of(media.get("description", "")),
        background=listed(row["associatedtaxa"] or row["backgroundspecies"]),
        notes=(
            ("type", row["behavior"] or row["soundtype"]),
            ("quality", media.get("rating", "") or row["soundquality"]),
            ("sex", row["sex"]),
            ("stage", row["lifestage"]),
            ("captive", row["captive"] if row["captive"].lower() in {"true", "captive"} else ""),
            ("remarks", row["occurrenceremarks"]),
        ),
    )


def _published(row: Fields) -> PublishedName:
    names = f"{row['genericname']} {row['specificepithet']}".strip()
    return PublishedName(
        name=row["scientificname"] or names,
        accepted=row["species"],
        key=key_of(row["specieskey"]),
        ranks=ranks_of(row),
    )


def not_an_animal(row: Fields) -> str | None:
    """Why a row is not of an animal; None if it is, or its kingdom is not given."""
    kingdom = row["kingdom"]
    return None if kingdom in {"", "Animalia"} else f"kingdom {kingdom}"
