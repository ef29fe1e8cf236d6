"""The Animal Sound Archive as GBIF hands it out."""

from __future__ import annotations

from pathlib import Path

from dawnchorus.sources.animal_sound_archive import read
from dawnchorus.sources.report import SourceReport
from source_samples import BLACKBIRD, gbif_zip


def test_catalogue_numbers_separate_dates_and_german_remarks(tmp_path: Path) -> None:
    told = BLACKBIRD | {
        "gbifID": "1",
        "catalogNumber": "TSA:Anas_acuta_DIG_195_3",
        "scientificName": "Anas acuta Linnaeus, 1758",
        "species": "Anas acuta",
        "year": "1998",
        "month": "4",
        "day": "7",
        "eventTime": "07:05:00Z",
        "recordedBy": "K.-H. Frommolt",
        "occurrenceRemarks": 'Rufe des Männchens; Wetter: "bewölkt',
    }
    undated = told | {"gbifID": "2", "catalogNumber": "TSA:Rana_x_1", "month": "", "day": ""}
    silent = told | {"gbifID": "3", "catalogNumber": "TSA:Rana_x_2"}
    media = [
        {
            "gbifID": number,
            "type": "Sound",
            "format": "audio/mp3",
            "identifier": f"https://www.tierstimmenarchiv.de/webinterface/{number}.mp3",
            "license": "http://creativecommons.org/licenses/by-nc-sa/3.0/de/",
        }
        for number in "12"
    ]
    report = SourceReport("animal-sound-archive")
    rows = list(read(gbif_zip(tmp_path / "x.zip", [told, undated, silent], media), report))
    assert [row.id for row in rows] == [
        "animal-sound-archive/Anas_acuta_DIG_195_3",
        "animal-sound-archive/Rana_x_1",
    ]
    assert [row.recorded_at for row in rows] == ["1998-04-07T07:05:00Z", "1998"]
    assert rows[0].licence == "CC BY-NC-SA 3.0 DE"
    assert rows[0].note == 'remarks: Rufe des Männchens; Wetter: "bewölkt'
    assert report.dropped == {"no URL of the sound": 1}
    assert report.examples["no URL of the sound"] == ["TSA:Rana_x_2"]
