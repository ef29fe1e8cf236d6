"""Animal Sound Archive (Tierstimmenarchiv) of the Museum für Naturkunde Berlin: a GBIF download.

Source: https://www.tierstimmenarchiv.de; its dataset on GBIF. Catalogue numbers look like
``TSA:Anas_acuta_DIG_195_3``; remarks are in German; day, month and year may stand apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dawnchorus.sources.gbif import describe, not_an_animal, recordings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.sources.report import SourceReport
    from dawnchorus.sources.source_row import SourceRow

DATASET: Final = "animal-sound-archive"


def read(place: Path, report: SourceReport) -> Iterator[SourceRow]:
    """Rows of an archive, zip or folder.

    Raises:
        TaskError: It is no such archive.
    """
    for recording in recordings(place, report):
        media = recording.media
        refusal = not_an_animal(recording.occurrence)
        if refusal:
            report.drop(refusal, recording.name)
        elif media is None or not media["identifier"]:
            report.drop("no URL of the sound", recording.name)
        else:
            # the prefix says no more than the name of the dataset does
            number = recording.name.removeprefix("TSA:")
            yield describe(recording, id=f"{DATASET}/{number}", dataset=DATASET)
