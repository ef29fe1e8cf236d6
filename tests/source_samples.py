"""Small archives in the forms in which collections are published, quirks included."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

Row = Mapping[str, str]


def columns(text: str, n: int = 0) -> list[str]:
    """Names out of a text, filled up to ``n`` columns."""
    names = text.split()
    return names + [f"filler{i}" for i in range(len(names), n)]


GBIF_OCCURRENCE = columns(
    """gbifID abstract accessRights license identifier references type basisOfRecord occurrenceID
    catalogNumber recordedBy sex lifeStage behavior associatedTaxa occurrenceRemarks eventDate
    eventTime year month day locality countryCode decimalLatitude decimalLongitude scientificName
    kingdom phylum class order family genus genericName specificEpithet taxonRank taxonomicStatus
    taxonKey acceptedTaxonKey speciesKey species acceptedScientificName""",
    223,
)
GBIF_MEDIA = columns(
    """gbifID type format identifier references title description source audience created creator
    contributor publisher license rightsHolder"""
)
PUBLISHER_OCCURRENCE = [
    name.replace("_", " ")
    for name in columns(
        """id occurrenceID catalogNumber scientificName kingdom class genus specificEpithet
        recordedBy eventDate eventTime locality country longitudeDecimal latitudeDecimal sex
        lifeStage behavior Associated_Taxa license""",
        37,
    )
]
PUBLISHER_MEDIA = columns("CoreId type format Identifier description creator license Rating")
INAT_OBSERVATIONS = columns(
    """id occurrenceID basisOfRecord modified captive eventDate eventTime decimalLatitude
    decimalLongitude coordinateUncertaintyInMeters countryCode taxonID scientificName taxonRank
    kingdom phylum class order family genus license rightsHolder inaturalistLogin sex lifeStage""",
    48,
)
INAT_MEDIA = columns(
    """id type format identifier references created creator publisher license rightsHolder
    catalogNumber"""
)
BLACKBIRD = {
    "scientificName": "Turdus merula Linnaeus, 1758",
    "species": "Turdus merula",
    "speciesKey": "6171845",
    "kingdom": "Animalia",
    "phylum": "Chordata",
    "class": "Aves",
    "order": "Passeriformes",
    "family": "Turdidae",
    "genus": "Turdus",
}
BY_NC = "https://creativecommons.org/licenses/by-nc/4.0/"


def tabbed(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """As GBIF writes tables: no quoting at all."""
    lines = ["\t".join(columns), *("\t".join(row.get(c, "") for c in columns) for row in rows)]
    return "\n".join(lines) + "\n"


def comma(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """As publishers write tables."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([columns, *([row.get(c, "") for c in columns] for row in rows)])
    return text.getvalue()


def gbif_zip(path: Path, occurrences: Sequence[Row], media: Sequence[Row], more: str = "") -> Path:
    """A GBIF download; ``more`` is put at the end of the occurrences."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("citations.txt", "GBIF.org download")
        archive.writestr("verbatim.txt", "gbifID\n")
        archive.writestr("occurrence.txt", tabbed(GBIF_OCCURRENCE, occurrences) + more)
        archive.writestr("multimedia.txt", tabbed(GBIF_MEDIA, media))
    return path


def three_media(gbif_id: str, number: str, **sound: str) -> list[Row]:
    """Media of a Xeno-canto recording: the sound and two pictures of it."""
    base = f"https://xeno-canto.org/sounds/uploaded/ABCDEFGHIJ/XC{number}-x"
    pictures = [
        {"gbifID": gbif_id, "type": "StillImage", "identifier": f"{base}-{kind}.png"}
        for kind in ("oscillogram", "sonogram")
    ]
    told = {
        "gbifID": gbif_id,
        "type": "Sound",
        "format": "audio/mpeg",
        "identifier": f"{base}.mp3",
        "references": f"https://xeno-canto.org/{number}",
        "description": "24 s",
        "creator": "A. Singer",
        "license": BY_NC,
    }
    return [pictures[0], told | sound, pictures[1]]
