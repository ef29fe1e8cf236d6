"""What no source can be made of: each refusal says which file, what was found, what is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dawnchorus.clips.licences import LicenceRule
from dawnchorus.clips.manifest import read_manifest
from dawnchorus.clips.split import split_manifest
from dawnchorus.errors import TaskError
from dawnchorus.sources.make import SOURCES, MakeOptions, make_manifest
from dawnchorus.sources.report import N_BAD_LINES, N_EXAMPLES, SourceReport
from source_samples import BLACKBIRD, GBIF_OCCURRENCE, gbif_zip, tabbed, three_media

ANY = LicenceRule.of(("any",))
LIST = '# YTID\nabcdefghijk, 0, 10, "/m/1"\n'
NAMES = "index,mid,display_name\n0,/m/1,Bird\n"
PAGE = json.dumps({"recordings": []})
OCCURRENCE = tabbed(GBIF_OCCURRENCE, [BLACKBIRD | {"gbifID": "1"}])
Files = dict[str, str]


def written(folder: Path, files: Files) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("place", ["nowhere", "empty", "file.bin"])
def test_a_place_that_holds_no_such_source_is_named(
    source: str, place: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.bin").write_bytes(bytes(range(256)))
    # any file may be a list of AudioSet; what it lacks then is the names beside it
    said = "names" if (source, place) == ("audioset", "file.bin") else place
    with pytest.raises(TaskError, match=said.replace(".", r"\.")):
        make_manifest(source, tmp_path / place, tmp_path / "m.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file.bin"]


REFUSED: list[tuple[str, Files, dict[str, Any], str]] = [
    ("xeno-canto", {"page-00001.json": "{"}, {}, r"page-00001\.json: not a readable page"),
    ("xeno-canto", {"page-00001.json": "[]"}, {}, r"page-00001\.json: need an object with 'rec"),
    ("xeno-canto", {"page-00001.json": '{"recordings": {}}'}, {}, "need an object with 'record"),
    ("xeno-canto", {"page-00001.json": PAGE, "page-00002.json": ""}, {}, r"page-00002\.json: not"),
    ("inaturalist", {"occurrence.txt": OCCURRENCE}, {}, r"found none of multimedia\.txt, media\.c"),
    ("inaturalist", {"observations.csv": "a,b\n1,2\n", "media.csv": "id,type\n1,Sound\n"}, {},
     r"observations\.csv: need one of the columns .*'gbifid'.*; found \('a', 'b'\)"),
    ("animal-sound-archive", {"occurrence.txt": OCCURRENCE, "multimedia.txt": "x\ty\n1\t2\n"}, {},
     r"multimedia\.txt: need one of the columns .*; found \('x', 'y'\)"),
    ("watkins", {"a.csv": "x", "b.tsv": "x"}, {}, "holds 2 tables; name the one to use"),
    ("watkins", {"a.csv": "file,weight\nx,1\n"}, {}, r"a\.csv: need a column of files .* and"),
    ("watkins", {"a.csv": "weight,species\n1,x\n"}, {}, "found weight, species"),
    ("watkins", {}, {"table": "gone.csv"}, r"gone\.csv: no such table"),
    ("audioset", {"eval_segments.csv": LIST}, {}, r"need class_labels_indices\.csv or ontology\.j"),
    ("audioset", {"eval_segments.csv": LIST, "ontology.json": "[{}]"}, {}, "damaged: KeyError"),
    ("audioset", {"eval_segments.csv": LIST, "ontology.json": "{"}, {}, "is damaged"),
    ("audioset", {"eval_segments.csv": LIST, "class_labels_indices.csv": "mid\n/m/1\n"}, {},
     r"damaged: KeyError\('display_name'\)"),
    ("audioset", {"eval_segments.csv": LIST, "class_labels_indices.csv": NAMES},
     {"ancestors": True}, r"no ontology\.json, which is needed for the classes above"),
    ("audioset", {"eval_segments.csv": LIST, "class_labels_indices.csv": NAMES},
     {"audio": "gone"}, "gone: no such folder of clips"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "files", "reading", "said"), REFUSED)
def test_damaged_files_are_refused_by_name(
    source: str, files: Files, reading: dict[str, Any], said: str, tmp_path: Path
) -> None:
    place = written(tmp_path / "published", files or {"note.txt": "nothing"})
    # names of files are those of the place
    reading = {
        key: place / name if isinstance(name, str) else name for key, name in reading.items()
    }
    output = tmp_path / "m.parquet"
    output.write_bytes(b"made before")
    with pytest.raises(TaskError, match=said) as refused:
        make_manifest(source, place, output, MakeOptions(licences=ANY, reading=reading))
    assert str(place) in str(refused.value)
    assert output.read_bytes() == b"made before"  # and nothing beside it
    assert {path.name for path in tmp_path.iterdir()} == {"m.parquet", "published"}


def test_a_list_of_segments_that_is_not_text_is_refused(tmp_path: Path) -> None:
    written(tmp_path, {"class_labels_indices.csv": NAMES})
    (tmp_path / "eval_segments.csv").write_bytes(b'abcdefghijk, 0, 10, "/m/\xff"\n')
    with pytest.raises(TaskError, match=r"eval_segments\.csv: not a readable list of segments"):
        make_manifest("audioset", tmp_path, tmp_path / "m.parquet")


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ('abcdefghijk, 0.000, 10.000, "/m/1"', True),
        ('abcdefghijk, 0, 10, "/m/1, /m/2"', True),
        ('abcdefghijk, 10, 10, "/m/1"', False),
        ('abcdefghijk, -1, 10, "/m/1"', False),
        ('abcdefghijk, nan, 10, "/m/1"', False),
        ('abcdefghij, 0, 10, "/m/1"', False),
        ('abcdefghijk, 0, 10, ""', False),
        ("abcdefghijk, 0, 10, /m/1, /m/2", False),
        ('abcdefghijk, early, 10, "/m/1"', False),
    ],
)
def test_a_line_of_a_list_is_read_or_told_with_its_number(
    line: str,
    tmp_path: Path,
    *,
    kept: bool,
) -> None:
    good = 'zyxwvutsrqp, 0, 10, "/m/1"'
    files = {"eval_segments.csv": f"# three\n{good}\n{line}\n", "class_labels_indices.csv": NAMES}
    written(tmp_path, {**files, "abcdefghijk.wav": "", "zyxwvutsrqp.wav": ""})
    options = MakeOptions(licences=ANY)
    report = make_manifest("audioset", tmp_path, tmp_path / "m.parquet", options)
    assert (report.n_kept, report.n_bad_lines) == ((2, 0) if kept else (1, 1))
    assert [bad[:2] for bad in report.bad_lines] == ([] if kept else [("eval_segments.csv", 3)])
    if "/m/2" in line and kept:
        assert report.noted == {"label /m/2 has no name and is left out": 1}


def archive(folder: Path, n: int) -> Path:
    """So many recordings, by three people."""
    rows = [
        BLACKBIRD | {"gbifID": str(k), "catalogNumber": f"XC{k}", "recordedBy": f"person {k % 3}"}
        for k in range(n)
    ]
    media = [one for k in range(n) for one in three_media(str(k), str(k))]
    return gbif_zip(folder / "gbif.zip", rows, media)


def test_a_made_manifest_is_read_and_split_by_those_who_recorded_it(tmp_path: Path) -> None:
    report = make_manifest("xeno-canto", archive(tmp_path, 30), tmp_path / "m.parquet")
    clips = read_manifest(tmp_path / "m.parquet")
    assert (len(clips), report.n_labels, report.hours) == (30, 1, pytest.approx(30 * 24 / 3600))
    made, split = split_manifest(clips, {"train": 1.0, "val": 1.0, "test": 1.0})
    assert (split.n_groups, split.largest_group) == (3, 10)
    side_of = dict(zip(made.table["recordist"].to_pylist(), (c.split for c in made), strict=True))
    assert set(side_of.values()) == {"train", "val", "test"}


def test_every_count_of_a_report_adds_up(tmp_path: Path) -> None:
    report = make_manifest("xeno-canto", archive(tmp_path, 7), tmp_path / "m.parquet")
    assert report.n_found == report.n_kept + sum(report.dropped.values()) == 7
    assert sum(report.licences.values()) == sum(report.formats.values()) == report.n_kept
    assert report.noted == {"media of type StillImage": 14}
    assert report.hours * 3600 == pytest.approx(
        sum(pq.read_table(tmp_path / "m.parquet")["duration_s"].to_pylist())
    )


def test_a_report_keeps_a_few_examples_and_counts_all() -> None:
    report = SourceReport("mine")
    for number in range(2 * N_BAD_LINES):
        report.drop("dull", f"id {number}")
        report.bad_line("t.csv", number, "cut")
        report.keep(duration_s=None if number % 2 else 1.8, licence=None, form="")
    report.drop("many", "first of them", 40)
    assert report.examples == {
        "dull": [f"id {number}" for number in range(N_EXAMPLES)], "many": ["first of them"]
    }  # fmt: skip
    assert (report.n_bad_lines, len(report.bad_lines)) == (2 * N_BAD_LINES, N_BAD_LINES)
    assert report.dropped == {"dull": 2 * N_BAD_LINES, "many": 40}
    assert report.n_found == 4 * N_BAD_LINES + 40
    assert (report.n_without_duration, report.hours) == (N_BAD_LINES, pytest.approx(0.5))
    assert report.licences == report.formats == {"not stated": 2 * N_BAD_LINES}


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    place = archive(tmp_path, 2)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(TaskError, match=r"file/m\.parquet: cannot be written"):
        make_manifest("xeno-canto", place, tmp_path / "file" / "m.parquet")
