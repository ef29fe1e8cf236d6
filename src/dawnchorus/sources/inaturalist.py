"""iNaturalist sounds: its own archive (``observations.csv``, ``media.csv``) or GBIF's.

Source: https://www.inaturalist.org/pages/developers. An observation has any number of sounds, each
a row. Media of other kinds and what is not an animal are left out. Many files are m4a, which need
the extra ``[av]`` to be decoded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dawnchorus.sources.gbif import describe, not_an_animal, recordings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.sources.gbif import Recording
    from dawnchorus.sources.report import SourceReport
    from dawnchorus.sources.source_row import SourceRow

DATASET: Final = "inaturalist"
OBSERVATION: Final = re.compile(r"observations/(\d+)")
SOUND: Final = re.compile(r"sounds/(\d+)")


def read(place: Path, report: SourceReport) -> Iterator[SourceRow]:
    """Rows of an archive, zip or folder.

    Raises:
        TaskError: It is no such archive.
    """
    for recording in recordings(place, report):
        row, media = recording.occurrence, recording.media
        if media is None:
            report.noted["observations without sound"] += 1
            continue
        id = _id(recording)
        refusal = not_an_animal(row)
        if refusal:
            report.drop(refusal, id)
        elif not media["identifier"]:
            report.drop("no URL of the sound", id)
        else:
            found = describe(recording, id=id, dataset=DATASET)
            observer = row["inaturalistlogin"]
            if observer:  # names are not unique, logins are
                found.group = f"{DATASET}:{observer}"
            yield found


def _id(recording: Recording) -> str:
    row, media = recording.occurrence, recording.media or {}
    # GBIF has numbers of its own in its download; iNaturalist's own number is in the URL
    page = OBSERVATION.search(row["occurrenceid"]) or OBSERVATION.search(row["references"])
    sound = SOUND.search(media.get("identifier", ""))
    observation = page[1] if page else row["catalognumber"] or row["key"]
    number = sound[1] if sound else media.get("catalognumber", "")
    return f"{DATASET}/{observation}" + (f"_{number}" if number else "")
