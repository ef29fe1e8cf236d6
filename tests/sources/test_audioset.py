"""AudioSet's lists, names and ontology, and clips named in several ways."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dawnchorus.errors import TaskError
from dawnchorus.sources.audioset import clip_name, read, read_ontology
from dawnchorus.sources.report import SourceReport

LIST = """\
# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=4, num_segs=4, num_unique_labels=5, num_positive_labels=6
# YTID, start_seconds, end_seconds, positive_labels
"""
CLASSES = """\
index,mid,display_name
0,/m/09x0r,"Speech"
1,/m/015p6,Bird
2,/m/020bb7,"Bird vocalization, bird call, bird song"
3,/t/dd00088,"Gargling, of birds"
"""


def node(mid: str, name: str, *children: str, restrictions: tuple[str, ...] = ()) -> object:
    """One of ontology.json."""
    return {
        "id": mid,
        "name": name,
        "description": "",
        "citation_uri": "",
        "positive_examples": [],
        "child_ids": list(children),
        "restrictions": list(restrictions),
    }


ONTOLOGY = [
    node("/m/animal", "Animal", "/m/wild"),
    node("/m/wild", "Wild animals", "/m/015p6", restrictions=("abstract",)),
    node("/m/farm", "Fowl", "/m/015p6"),
    node("/m/015p6", "Bird", "/m/020bb7"),
    node("/m/020bb7", "Bird song", "/t/dd00088"),
    node("/t/dd00088", "Gargling"),
    node("/m/human", "Human sounds", "/t/dd00088", restrictions=("blacklist",)),
    node("/m/09x0r", "Speech"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The published files, and some clips."""
    (tmp_path / "unbalanced_train_segments.csv").write_text(
        LIST
        + '-0_abcdefgh, 30.000, 40.000, "/m/09x0r,/t/dd00088"\n'
        + '--PJHxphWEs, 0.000, 9.500, "/m/020bb7"\n'
        + 'gone4567890, 10.000, 20.000, "/m/09x0r"\n'
        + "cut, 10.000\n"
        + 'abcdefghijk, 5.000, 15.000, "/m/unnamed"\n'
    )
    (tmp_path / "eval_segments.csv").write_text(
        LIST + 'twice678901, 120.000, 130.000, "/m/015p6,/m/unnamed"\n'
    )
    (tmp_path / "class_labels_indices.csv").write_text(CLASSES)
    clips = tmp_path / "clips" / "part_a"
    clips.mkdir(parents=True)
    for name in (
        "-0_abcdefgh.wav",
        "Y--PJHxphWEs.flac",
        "abcdefghijk_5.000_15.000.wav",
        "twice678901_20000.wav",
        "twice678901_120000.wav",
        "notes.txt",
    ):
        (clips / name).write_bytes(b"")
    return tmp_path


def test_lists_have_comments_spaces_and_quoted_labels(folder: Path) -> None:
    report = SourceReport("audioset")
    rows = {row.id: row for row in read(folder, report)}
    assert set(rows) == {
        "audioset/-0_abcdefgh_30",
        "audioset/--PJHxphWEs_0",
        "audioset/twice678901_120",
    }
    assert rows["audioset/-0_abcdefgh_30"].labels == ("Gargling, of birds", "Speech")
    song = rows["audioset/--PJHxphWEs_0"]
    assert song.labels == ("Bird vocalization, bird call, bird song",)
    assert (song.kind, song.split, song.duration_s) == ("sound", "train", 9.5)
    assert song.path.endswith("Y--PJHxphWEs.flac")
    test = rows["audioset/twice678901_120"]
    assert (test.split, test.path.endswith("twice678901_120000.wav")) == ("test", True)
    assert report.dropped == {"no file of the segment": 1, "none of its labels has a name": 1}
    assert report.bad_lines == [("unbalanced_train_segments.csv", 7, "['cut', '10.000']")]
    assert report.noted == {"label /m/unnamed has no name and is left out": 2}


def test_a_namespace_is_put_before_every_label(folder: Path) -> None:
    rows = list(read(folder / "eval_segments.csv", SourceReport("audioset"), namespace="audioset:"))
    assert [row.labels for row in rows] == [("audioset:Bird",)]


def test_classes_above_come_once_and_never_abstract_ones(folder: Path) -> None:
    (folder / "ontology.json").write_text(json.dumps(ONTOLOGY))
    ontology = read_ontology(folder)
    assert ontology.above("/t/dd00088") == {"/m/020bb7", "/m/015p6", "/m/farm", "/m/animal"}
    rows = {row.id: row for row in read(folder, SourceReport("audioset"), ancestors=True)}
    assert rows["audioset/twice678901_120"].labels == ("Animal", "Bird", "Fowl")


def test_names_come_from_the_ontology_where_the_table_is_missing(folder: Path) -> None:
    (folder / "class_labels_indices.csv").unlink()
    with pytest.raises(TaskError, match=r"need class_labels_indices\.csv or ontology\.json"):
        list(read(folder, SourceReport("audioset")))
    (folder / "ontology.json").write_text(json.dumps(ONTOLOGY))
    rows = {row.id: row for row in read(folder, SourceReport("audioset"))}
    assert rows["audioset/--PJHxphWEs_0"].labels == ("Bird song",)


def test_classes_above_need_the_ontology(folder: Path) -> None:
    with pytest.raises(TaskError, match=r"no ontology\.json"):
        list(read(folder, SourceReport("audioset"), ancestors=True))


@pytest.mark.parametrize(
    ("stem", "found"),
    [
        ("--PJHxphWEs", ("--PJHxphWEs", None)),
        ("-0_abcdefgh", ("-0_abcdefgh", None)),
        ("Y--PJHxphWEs", ("--PJHxphWEs", None)),
        ("YaaaaaaaaaaY", ("aaaaaaaaaaY", None)),
        ("Yaaaaaaaaaa", ("Yaaaaaaaaaa", None)),
        ("--PJHxphWEs_30", ("--PJHxphWEs", 30.0)),
        ("--PJHxphWEs_30.000_40.000", ("--PJHxphWEs", 30.0)),
        ("--PJHxphWEs_30000", ("--PJHxphWEs", 30000.0)),
        ("_________ab_5", ("_________ab", 5.0)),
        ("short", None),
        ("something else altogether", None),
    ],
)
def test_clips_are_named_in_several_ways(stem: str, found: tuple[str, float | None] | None) -> None:
    assert clip_name(stem) == found
