"""A manifest out of a source."""

from __future__ import annotations

import csv
import tracemalloc
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dawnchorus.clips.licences import LicenceRule
from dawnchorus.clips.manifest import MANIFEST_SCHEMA
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.sources.make import MakeOptions, make_manifest
from source_samples import BLACKBIRD, gbif_zip, tabbed, three_media

ND = "https://creativecommons.org/licenses/by-nc-nd/4.0/"


def told(number: int, **more: str) -> dict[str, str]:
    """An occurrence of a recording."""
    return BLACKBIRD | {"gbifID": str(number), "catalogNumber": f"XC{number}"} | more


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Eight recordings: three may stay."""
    occurrences = [
        told(1),
        told(2, scientificName="Turdus merula azorensis Hartert"),
        told(3, scientificName="Pica pica (L.)", species="Pica pica", speciesKey="5229490"),
        told(4),
        told(5, scientificName="Turdus Linnaeus", species="", speciesKey=""),
        told(6),
        told(1001, catalogNumber="XC1"),
        told(8, scientificName="Identity unknown", species=""),
    ]
    media = [one for n in (1, 2, 3, 5, 8) for one in three_media(str(n), str(n))]
    media += three_media("4", "4", license=ND)
    media += three_media("6", "1")  # the file of another
    media += three_media("1001", "1001")
    return gbif_zip(tmp_path / "xc.zip", occurrences, media)


def test_what_is_found_is_kept_or_dropped_for_a_reason(archive: Path, tmp_path: Path) -> None:
    output = tmp_path / "xc.parquet"
    report = make_manifest("xeno-canto", archive, output)
    assert (report.n_found, report.n_kept) == (8, 3)
    assert report.n_found == report.n_kept + sum(report.dropped.values())
    assert report.dropped == {
        "no-derivatives licence": 1,
        "name: not named to the species": 1,
        "same file as another": 1,
        "same id as another": 1,
        "placeholder, not a species": 1,
    }
    assert report.licences == {"CC BY-NC 4.0": 3}
    assert (round(report.hours * 3600), report.n_labels) == (72, 2)
    assert report.names == {"kept": 2, "merged": 1, "dropped": 1}


def test_a_manifest_has_the_columns_that_all_share(archive: Path, tmp_path: Path) -> None:
    make_manifest("xeno-canto", archive, tmp_path / "xc.parquet")
    table = pq.read_table(tmp_path / "xc.parquet")
    assert table.schema.names[: len(MANIFEST_SCHEMA)] == MANIFEST_SCHEMA.names
    for field in MANIFEST_SCHEMA:
        assert table.schema.field(field.name).type == field.type
    first, second, third = table.to_pylist()
    assert (
        first["path"]
        == first["url"]
        == ("https://xeno-canto.org/sounds/uploaded/ABCDEFGHIJ/XC1-x.mp3")
    )
    assert second["labels"] == ["Turdus merula"]
    assert second["scientific_name"] == "Turdus merula azorensis Hartert"
    assert (third["labels"], third["species_key"]) == (["Pica pica"], 5229490)
    assert (first["class"], first["genus"], first["level"]) == ("Aves", "Turdus", "file")
    assert first["stop_s"] is first["split"] is first["place"] is None


def test_every_name_is_in_the_report_beside_it(archive: Path, tmp_path: Path) -> None:
    make_manifest("xeno-canto", archive, tmp_path / "xc.parquet")
    with (tmp_path / "xc.labels.csv").open(newline="") as file:
        rows = [(row["published"], row["outcome"], row["reason"]) for row in csv.DictReader(file)]
    assert rows[0] == ("Turdus Linnaeus", "dropped", "not named to the species")
    assert ("Turdus merula azorensis Hartert", "merged", "") in rows


def test_only_licences_that_were_asked_for_are_taken(archive: Path, tmp_path: Path) -> None:
    options = MakeOptions(licences=LicenceRule.of(("CC BY-NC-ND",)))
    report = make_manifest("xeno-canto", archive, tmp_path / "xc.parquet", options)
    assert report.licences == {"CC BY-NC-ND 4.0": 1}
    assert report.dropped["licence CC BY-NC 4.0 was not asked for"] == 6


def test_nothing_kept_is_an_error_and_leaves_no_file(archive: Path, tmp_path: Path) -> None:
    options = MakeOptions(licences=LicenceRule.of(("CC0",)))
    with pytest.raises(TaskError, match="no recording is left of 8"):
        make_manifest("xeno-canto", archive, tmp_path / "xc.parquet", options)
    assert [path.name for path in tmp_path.iterdir()] == ["xc.zip"]
    with pytest.raises(UsageError, match="no source 'macaulay'; known: xeno-canto"):
        make_manifest("macaulay", archive, tmp_path / "x.parquet")


def test_memory_does_not_grow_with_the_archive(tmp_path: Path) -> None:
    peaks = []
    for n in (4_500, 9_000):
        folder = tmp_path / str(n)
        folder.mkdir()
        media = (sound for i in range(n) for sound in three_media(str(i), str(i)))
        (folder / "occurrence.txt").write_text(tabbed(list(told(1)), map(told, range(n))))
        (folder / "multimedia.txt").write_text(tabbed(list(three_media("1", "1")[1]), media))
        tracemalloc.start()
        make_manifest("xeno-canto", folder, folder / "xc.parquet")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]  # Python holds one batch of rows
