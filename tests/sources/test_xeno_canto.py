"""Xeno-canto in its three public forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dawnchorus.errors import TaskError
from dawnchorus.sources.report import SourceReport
from dawnchorus.sources.source_row import SourceRow
from dawnchorus.sources.xeno_canto import read, recording_number
from source_samples import (
    BLACKBIRD,
    PUBLISHER_MEDIA,
    PUBLISHER_OCCURRENCE,
    comma,
    gbif_zip,
    three_media,
)


def read_all(place: Path) -> tuple[list[SourceRow], SourceReport]:
    """All rows and the report."""
    report = SourceReport("xeno-canto")
    return list(read(place, report)), report


def occurrence(gbif_id: str, number: str, **told: str) -> dict[str, str]:
    """A recording of a blackbird."""
    return BLACKBIRD | {
        "gbifID": gbif_id,
        "license": "CC_BY_NC_4_0",
        "catalogNumber": f"XC{number}",
        "recordedBy": "A. Singer",
        "eventDate": "2021-05-01",
        "eventTime": "05:30",
        "locality": "Tiergarten",
        "countryCode": "DE",
        "decimalLatitude": "52.5",
        "decimalLongitude": "13.35",
        "behavior": "song",
        "associatedTaxa": "has background sounds: Pica pica|Parus major",
        **told,
    }


def test_a_gbif_download_gives_one_row_per_sound(tmp_path: Path) -> None:
    place = gbif_zip(
        tmp_path / "gbif.zip",
        [occurrence("1001", "9"), occurrence("1002", "10", occurrenceRemarks='a "lone quote')],
        [*three_media("1002", "10"), *three_media("1001", "9")],
    )
    rows, report = read_all(place)
    assert [row.id for row in rows] == ["xeno-canto/XC9", "xeno-canto/XC10"]
    assert report.noted == {"media of type StillImage": 4}
    assert report.n_bad_lines == 0
    row = rows[0]
    assert row.url == "https://xeno-canto.org/sounds/uploaded/ABCDEFGHIJ/XC9-x.mp3"
    assert row.licence == "CC BY-NC 4.0"
    assert (row.recordist, row.group) == ("A. Singer", "xeno-canto:A. Singer")
    assert row.attribution == "A. Singer, https://xeno-canto.org/9"
    assert (row.recorded_at, row.duration_s) == ("2021-05-01T05:30", 24.0)
    assert (row.latitude, row.longitude, row.place) == (52.5, 13.35, "Tiergarten, DE")
    assert row.background == ("Pica pica", "Parus major")
    assert row.published is not None
    assert (row.published.accepted, row.published.key) == ("Turdus merula", 6171845)
    assert row.published.ranks[2] == "Aves"
    assert row.note == "type: song"
    assert 'a "lone quote' in rows[1].note


def test_the_licence_of_the_sound_goes_before_that_of_the_occurrence(tmp_path: Path) -> None:
    nd = "https://creativecommons.org/licenses/by-nc-nd/4.0/"
    place = gbif_zip(
        tmp_path / "gbif.zip",
        [occurrence("1", "1"), occurrence("2", "2")],
        [*three_media("1", "1", license=nd), *three_media("2", "2", license="")],
    )
    assert [row.licence for row in read_all(place)[0]] == ["CC BY-NC-ND 4.0", "CC BY-NC 4.0"]


def test_what_is_left_out_is_counted_with_its_reason(tmp_path: Path) -> None:
    place = gbif_zip(
        tmp_path / "gbif.zip",
        [
            occurrence("1", "1"),
            occurrence("2", "2", scientificName="Mystery mystery", species=""),
            occurrence("3", "3", scientificName="Sonus naturalis", species=""),
            occurrence("4", "4"),  # its sound has no URL
            occurrence("5", "5"),  # it has no sound
            occurrence("6", "6", kingdom="Plantae"),
        ],
        [
            *(one for n in "1236" for one in three_media(n, n)),
            *three_media("4", "4", identifier=""),
            *three_media("77", "77"),
        ],
        more="1\tcut off\n",
    )
    rows, report = read_all(place)
    assert [row.id for row in rows] == ["xeno-canto/XC1"]
    assert report.dropped == {
        "placeholder, not a species": 2,
        "no URL of the sound (restricted)": 2,
        "kingdom Plantae": 1,
        "sound without an occurrence": 1,
    }
    assert report.examples["no URL of the sound (restricted)"] == ["XC4", "XC5"]
    assert report.bad_lines == [("occurrence.txt", 8, "2 fields, the header has 223")]


def test_the_publishers_archive_has_commas_and_names_of_its_own(tmp_path: Path) -> None:
    told = {
        "id": "9@XC",
        "catalogNumber": "XC9",
        "scientificName": "Turdus merula",
        "recordedBy": "Singer, A.",
        "locality": 'Berlin, "Tiergarten"\nlake',
        "longitudeDecimal": "13.35",
        "latitudeDecimal": "52.5",
        "Associated Taxa": "Pica pica, Parus major",
        "eventDate": "2010-05-00",
        "license": "CC BY-NC-SA 4.0",
    }
    media = {"CoreId": "9@XC", "type": "Sound", "Identifier": "https://x.org/XC9.mp3"}
    (tmp_path / "Occurrence.txt").write_text(comma(PUBLISHER_OCCURRENCE, [told]))
    (tmp_path / "Multimedia.txt").write_text(
        comma(PUBLISHER_MEDIA, [media | {"Rating": "A", "description": "1:02"}])
    )
    ((row,), report) = read_all(tmp_path)
    assert report.n_bad_lines == 0
    assert row.id == "xeno-canto/XC9"
    assert (row.latitude, row.longitude) == (52.5, 13.35)
    assert row.background == ("Pica pica", "Parus major")
    assert (row.recordist, row.recorded_at, row.duration_s) == ("Singer, A.", "2010-05", 62.0)
    assert row.licence == "CC BY-NC-SA 4.0"
    assert row.note == "quality: A"


# the shape is that of API version 3: every scalar is a string, "" or null
RECORD: dict[str, Any] = {
    "id": "694038",
    "gen": "Troglodytes",
    "sp": "troglodytes",
    "ssp": "",
    "grp": "birds",
    "en": "Eurasian Wren",
    "rec": "A. Singer",
    "cnt": "Spain",
    "loc": "Sisalde, Galicia",
    "lat": "42.8373",
    "lon": "-8.652",
    "alt": "30",
    "type": "alarm call, song",
    "sex": "",
    "stage": "",
    "method": "field recording",
    "url": "//xeno-canto.org/694038",
    "file": "https://xeno-canto.org/694038/download",
    "file-name": "XC694038-Zaunk%C3%B6nig.mp3",
    "sono": None,
    "osci": None,
    "lic": "//creativecommons.org/licenses/by-nc-sa/4.0/",
    "q": "A",
    "length": "1:36",
    "time": "?",
    "date": "2021-12-00",
    "also": ["Turdus merula", ""],
    "rmk": "",
    "temp": None,
    "smp": "48000",
}


def pages(folder: Path, *contents: object) -> Path:
    """Pages as the client keeps them."""
    for number, content in enumerate(contents, start=1):
        (folder / f"page-{number:05}.json").write_text(json.dumps(content))
    return folder


def page(*records: object) -> dict[str, object]:
    """One answer."""
    return {"numRecordings": "9", "numSpecies": "1", "page": 1, "recordings": list(records)}


def test_pages_of_the_api_hold_strings_nulls_and_nothing(tmp_path: Path) -> None:
    older = RECORD | {"id": "7", "lng": "2.5", "lon": None, "q": "no score", "also": None}
    rows, report = read_all(pages(tmp_path, page(RECORD), page(older, {"id": None}, "x")))
    assert [row.id for row in rows] == ["xeno-canto/XC694038", "xeno-canto/XC7"]
    assert [line for _, line, _ in report.bad_lines] == [1, 2]
    row = rows[0]
    assert row.published is not None
    assert row.published.name == "Troglodytes troglodytes"
    assert row.url == "https://xeno-canto.org/694038/download"
    assert (row.licence, row.form, row.duration_s) == ("CC BY-NC-SA 4.0", "mp3", 96.0)
    assert (row.recorded_at, row.background) == ("2021-12", ("Turdus merula",))
    assert (row.latitude, row.longitude) == (42.8373, -8.652)
    assert "type: alarm call, song" in row.note
    assert rows[1].longitude == 2.5


def test_restricted_and_placeholder_records_of_the_api_are_counted(tmp_path: Path) -> None:
    restricted = RECORD | {"id": "1", "file": ""}
    nobody = RECORD | {"id": "2", "gen": "Mystery", "sp": "mystery", "en": "Identity unknown"}
    unknown = RECORD | {"id": "3", "gen": "X", "sp": "y", "en": "Identity unknown"}
    rows, report = read_all(pages(tmp_path, page(restricted, nobody, unknown)))
    assert rows == []
    assert report.dropped == {
        "no URL of the sound (restricted)": 1,
        "placeholder, not a species": 2,
    }


def test_an_error_of_the_api_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="need an object with 'recordings'"):
        read_all(pages(tmp_path, {"error": "client_error", "message": "Invalid key"}))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("XC9", 9),
        ("9@XC", 9),
        ("XC123456-Zaunk%C3%B6nig.mp3", 123456),
        ("https://xeno-canto.org/sounds/uploaded/ABC/XC5%20song.mp3", 5),
        ("https://xeno-canto.org/123/download", 123),
        ("//www.xeno-canto.org/77", 77),
        ("4711-Parus_major.mp3", 4711),
        ("https://xeno-canto.org/sounds/uploaded/ABC/4711_x.mp3", 4711),
        ("2247862347", None),
        ("Turdus_merula.mp3", None),
        ("", None),
    ],
)
def test_the_number_is_found_in_names_old_and_new(text: str, number: int | None) -> None:
    assert recording_number(text) == number


def test_a_place_without_tables_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="need a Darwin Core archive"):
        read_all(tmp_path)
