"""One contract for all published collections: what each sample of theirs must become.

A new source joins by a line of `SAMPLES`; without one, the last test fails.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from counted_progress import CountedProgress
from dawnchorus.clips.licences import LicenceRule, normalise_licence
from dawnchorus.clips.manifest import read_manifest
from dawnchorus.sources.make import SOURCES, MakeOptions, make_manifest
from dawnchorus.sources.report import SourceReport
from source_samples import BLACKBIRD, INAT_MEDIA, INAT_OBSERVATIONS, comma, gbif_zip, three_media

BY_NC = "http://creativecommons.org/licenses/by-nc/4.0/"


@dataclass(frozen=True)
class Sample:
    """A small collection, and what is to come of it.

    ``write`` puts the published files into a folder and gives the path to read. ``kept`` has id and
    labels of the recordings that stay; ``n_dropped`` and ``n_damaged`` count what does not.
    """

    write: Callable[[Path], Path]
    kept: dict[str, list[str]]
    licences: set[str]
    n_dropped: int
    n_damaged: int = 0
    reading: dict[str, Any] = field(default_factory=dict)


def _occurrence(number: int, **more: str) -> dict[str, str]:
    return BLACKBIRD | {"gbifID": str(number), "catalogNumber": f"XC{number}"} | more


def _xeno_canto(folder: Path) -> Path:
    occurrences = [
        _occurrence(1),
        _occurrence(2, scientificName="Turdus", species=""),
        _occurrence(3, scientificName="Pica pica (L.)", species="Pica pica"),
    ]
    media = [one for n in "123" for one in three_media(n, n)]
    return gbif_zip(folder / "gbif.zip", occurrences, media, more="4\tcut off\n")


def _xeno_canto_api(folder: Path) -> Path:
    pages = folder / "pages"
    pages.mkdir()
    records = [
        {"id": "7", "gen": "Pica", "sp": "pica", "file": "https://x.org/7", "lic": f"{BY_NC[5:]}"},
        {"id": "8", "gen": "Mystery", "sp": "mystery", "file": "https://x.org/8"},
        {"id": None},
    ]
    (pages / "page-00001.json").write_text(json.dumps({"recordings": records}))
    return pages


def _inaturalist(folder: Path) -> Path:
    observation = {key: text for key, text in BLACKBIRD.items() if not key.startswith("species")}
    observations = [
        observation | {"id": "555", "scientificName": "Turdus merula", "license": BY_NC},
        observation | {"id": "556", "kingdom": "Plantae", "scientificName": "Urtica dioica"},
    ]
    media = [
        {"id": n, "type": "Sound", "format": "audio/mp4", "catalogNumber": m,
         "identifier": f"https://x.org/sounds/{m}.m4a"}
        for n, m in (("555", "1"), ("555", "2"), ("556", "3"))
    ]  # fmt: skip
    (folder / "observations.csv").write_text(comma(INAT_OBSERVATIONS, observations) + "cut,off\n")
    (folder / "media.csv").write_text(comma(INAT_MEDIA, media))
    return folder


def _animal_sound_archive(folder: Path) -> Path:
    rows = [
        _occurrence(1, catalogNumber="TSA:Turdus_merula_1"),
        _occurrence(2, catalogNumber="TSA:Turdus_merula_2"),
    ]
    media = [{"gbifID": "1", "type": "Sound", "format": "audio/mp3", "license": BY_NC,
              "identifier": "https://x.org/1.mp3"}]  # fmt: skip
    return gbif_zip(folder / "tsa.zip", rows, media)


def _watkins(folder: Path) -> Path:
    noise = np.random.default_rng(0).normal(0, 0.1, 8000)
    for name in ("Walrus/63001001.wav", "Sea_Serpent/1.wav"):
        (folder / name).parent.mkdir()
        soundfile.write(folder / name, noise, 8000)
    (folder / "table.csv").write_text("file,species\nnone.wav,Odobenus rosmarus\ncut\n")
    return folder


def _audioset(folder: Path) -> Path:
    (folder / "eval_segments.csv").write_text(
        "# YTID, start_seconds, end_seconds, positive_labels\n"
        'abcdefghijk, 30.000, 40.000, "/m/015p6"\n'
        'gone4567890, 10.000, 20.000, "/m/015p6"\ncut, 1\n'
    )
    (folder / "class_labels_indices.csv").write_text("index,mid,display_name\n0,/m/015p6,Bird\n")
    (folder / "abcdefghijk.wav").write_bytes(b"")
    return folder


SAMPLES = {
    "xeno-canto": Sample(
        _xeno_canto,
        {"xeno-canto/XC1": ["Turdus merula"], "xeno-canto/XC3": ["Pica pica"]},
        {"CC BY-NC 4.0"}, n_dropped=1, n_damaged=1,
    ),
    "xeno-canto, API": Sample(
        _xeno_canto_api, {"xeno-canto/XC7": ["Pica pica"]}, {"CC BY-NC 4.0"}, n_dropped=1,
        n_damaged=1,
    ),
    "inaturalist": Sample(
        _inaturalist,
        {"inaturalist/555_1": ["Turdus merula"], "inaturalist/555_2": ["Turdus merula"]},
        {"CC BY-NC 4.0"}, n_dropped=1, n_damaged=1,
    ),
    "animal-sound-archive": Sample(
        _animal_sound_archive, {"animal-sound-archive/Turdus_merula_1": ["Turdus merula"]},
        {"CC BY-NC 4.0"}, n_dropped=1,
    ),
    "watkins": Sample(
        _watkins, {"watkins/Walrus/63001001": ["Odobenus rosmarus"]}, {"Watkins terms"},
        n_dropped=1, n_damaged=1,
    ),
    "audioset": Sample(
        _audioset, {"audioset/abcdefghijk_30": ["audioset:Bird"]}, {"AudioSet terms"}, n_dropped=1,
        n_damaged=1, reading={"namespace": "audioset:"},
    ),
}  # fmt: skip


def make(name: str, folder: Path, progress: CountedProgress | None = None) -> SourceReport:
    """The manifest of a sample, as ``m.parquet`` in the folder."""
    published = folder / "published"
    published.mkdir(exist_ok=True)
    sample = SAMPLES[name]
    path = sample.write(published) if not any(published.iterdir()) else _again(published)
    options = MakeOptions(licences=LicenceRule.of(("any",)), reading=sample.reading)
    return make_manifest(
        name.partition(",")[0], path, folder / "m.parquet", options,
        progress=progress or CountedProgress(),
    )  # fmt: skip


def _again(published: Path) -> Path:
    """What was written before, in a folder of its own or as one file."""
    entries = list(published.iterdir())
    return entries[0] if len(entries) == 1 else published


@pytest.mark.parametrize("name", SAMPLES)
def test_what_stays_has_its_id_and_labels_and_the_rest_is_counted(
    name: str, tmp_path: Path
) -> None:
    report, sample = make(name, tmp_path), SAMPLES[name]
    manifest = read_manifest(tmp_path / "m.parquet")
    assert {clip.id: list(clip.labels) for clip in manifest} == sample.kept
    assert report.n_kept == len(sample.kept)
    assert sum(report.dropped.values()) == sample.n_dropped
    assert report.n_found == report.n_kept + sample.n_dropped
    assert report.n_bad_lines == len(report.bad_lines) == sample.n_damaged


@pytest.mark.parametrize("name", SAMPLES)
def test_a_second_reading_gives_the_same_manifest(name: str, tmp_path: Path) -> None:
    make(name, tmp_path)
    first = pq.read_table(tmp_path / "m.parquet")
    make(name, tmp_path)
    assert pq.read_table(tmp_path / "m.parquet").equals(first)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_row_says_its_source_licence_and_group(name: str, tmp_path: Path) -> None:
    make(name, tmp_path)
    source = name.partition(",")[0]
    for row in pq.read_table(tmp_path / "m.parquet").to_pylist():
        assert row["id"].startswith(f"{source}/")
        assert (row["dataset"], row["level"], row["start_s"]) == (source, "file", 0.0)
        assert row["licence"] == normalise_licence(row["licence"])
        assert row["licence"] in SAMPLES[name].licences
        assert row["group"]
        assert row["path"] == row["url"] or Path(row["path"]).is_absolute()


@pytest.mark.parametrize("name", SAMPLES)
def test_every_published_name_is_listed_with_what_became_of_it(name: str, tmp_path: Path) -> None:
    report = make(name, tmp_path)
    table = tmp_path / "m.labels.csv"
    if name == "audioset":  # its labels are classes, not names of species
        assert not table.exists()
        return
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept = {label for labels in SAMPLES[name].kept.values() for label in labels}
    assert {row["label"] for row in rows if row["outcome"] != "dropped"} == kept
    assert sum(report.names.values()) == len(rows)
    assert all(row["reason"] for row in rows if row["outcome"] == "dropped")


@pytest.mark.parametrize("name", SAMPLES)
def test_reading_is_one_stage_of_progress(name: str, tmp_path: Path) -> None:
    progress = CountedProgress()
    make(name, tmp_path, progress)
    (stage,) = progress.stages
    assert (stage.label, stage.unit) == (f"reading {name.partition(',')[0]}", "recordings")


def test_every_source_has_a_sample() -> None:
    assert {name.partition(",")[0] for name in SAMPLES} == set(SOURCES)
