"""iNaturalist's own archive, and GBIF's."""

from __future__ import annotations

from pathlib import Path

from dawnchorus.sources.inaturalist import read
from dawnchorus.sources.report import SourceReport
from source_samples import BLACKBIRD, INAT_MEDIA, INAT_OBSERVATIONS, comma, gbif_zip

OBSERVATION = {key: value for key, value in BLACKBIRD.items() if not key.startswith("species")} | {
    "id": "555",
    "occurrenceID": "https://www.inaturalist.org/observations/555",
    "scientificName": "Turdus merula",
    "captive": "wild",
    "eventDate": "2023-04-01T06:10:00+02:00",
    "license": "http://creativecommons.org/licenses/by-nc/4.0/",
    "rightsHolder": "Ann Singer",
    "inaturalistLogin": "ann",
}


def sound(observation: str, number: int, form: str = "m4a", **told: str) -> dict[str, str]:
    """A sound of an observation."""
    formats = {"m4a": "audio/mp4", "mpga": "audio/mpeg", "wav": "audio/x-wav"}
    return {
        "id": observation,
        "type": "Sound",
        "format": formats[form],
        "identifier": f"https://static.inaturalist.org/sounds/{number}.{form}?1",
        "license": "http://creativecommons.org/licenses/by/4.0/",
        "rightsHolder": "Ann Singer",
        "catalogNumber": str(number),
        **told,
    }


def test_every_sound_of_an_observation_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "observations.csv").write_text(
        comma(
            INAT_OBSERVATIONS,
            [
                OBSERVATION,
                OBSERVATION | {"id": "556", "kingdom": "Plantae", "scientificName": "Urtica"},
                OBSERVATION | {"id": "557"},
                OBSERVATION | {"id": "558", "captive": "captive"},
            ],
        )
    )
    photo = {"id": "555", "type": "StillImage", "identifier": "https://x/1.jpg"}
    (tmp_path / "media.csv").write_text(
        comma(
            INAT_MEDIA,
            [
                sound("555", 7001),
                photo,
                sound("555", 7002, "mpga"),
                sound("556", 7003),
                sound("558", 7004, "wav", identifier=""),
            ],
        )
    )
    report = SourceReport("inaturalist")
    rows = list(read(tmp_path, report))
    assert [row.id for row in rows] == ["inaturalist/555_7001", "inaturalist/555_7002"]
    assert [row.form for row in rows] == ["audio/mp4", "audio/mpeg"]
    assert rows[0].licence == "CC BY 4.0"  # the sound's, not the observation's
    assert (rows[0].recordist, rows[0].group) == ("Ann Singer", "inaturalist:ann")
    assert rows[0].recorded_at == "2023-04-01T06:10:00+02:00"
    assert report.dropped == {"kingdom Plantae": 1, "no URL of the sound": 1}
    assert report.noted == {"media of type StillImage": 1, "observations without sound": 1}


def test_a_gbif_download_of_it_reads_alike(tmp_path: Path) -> None:
    told = BLACKBIRD | {
        "gbifID": "4000",
        "occurrenceID": "https://www.inaturalist.org/observations/555",
        "catalogNumber": "555",
        "recordedBy": "Ann Singer",
        "license": "CC_BY_NC_4_0",
    }
    media = {
        "gbifID": "4000",
        "type": "Sound",
        "format": "audio/mpeg",
        "identifier": "https://static.inaturalist.org/sounds/7001.mp3",
    }
    (row,) = read(gbif_zip(tmp_path / "x.zip", [told], [media]), SourceReport("inaturalist"))
    assert (row.id, row.licence) == ("inaturalist/555_7001", "CC BY-NC 4.0")
    assert row.group == "inaturalist:Ann Singer"
