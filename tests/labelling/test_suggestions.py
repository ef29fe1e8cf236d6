"""Suggestions out of files: what a search, an export or somebody's script wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from dawnchorus.annotations.annotation_row import new_row
from dawnchorus.annotations.annotation_table import AnnotationTable, changed, suggested_row
from dawnchorus.annotations.places import Places
from dawnchorus.engine.exports.annotation_files import write_annotations
from dawnchorus.errors import DawnChorusError
from dawnchorus.labelling.suggestions import read_suggestions
from dawnchorus.search.result_files import write_results

FOUND = [
    {"rank": 1, "query": "q", "path": "a.wav", "start_s": 3605.125, "stop_s": 3608.125,
     "score": 0.75, "percentile": 99.0, "recording_id": "r1", "window": 4},
    {"rank": 2, "query": "q", "path": "b, c.wav", "start_s": 0.0, "stop_s": 3.0,
     "score": 0.5, "percentile": 90.0, "recording_id": "r2", "window": 0},
]  # fmt: skip


@pytest.fixture
def table(tmp_path: Path) -> AnnotationTable:
    return AnnotationTable(tmp_path / "x.annotations", create=True)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_result_of_a_search_is_suggestions(
    suffix: str, table: AnnotationTable, tmp_path: Path
) -> None:
    path = tmp_path / f"found{suffix}"
    write_results(pa.Table.from_pylist(FOUND), path)
    rows = read_suggestions(path, table, "wren")
    assert [(r.path, r.start_s, r.end_s, r.score, r.recording_id) for r in rows] == [
        (f["path"], f["start_s"], f["stop_s"], f["score"], f["recording_id"]) for f in FOUND
    ]
    assert {(r.state, r.source, r.purpose, r.label) for r in rows} == {
        (None, "suggested", "train", "wren")
    }
    same = [suggested_row(found, "wren", model="m", score=None) for found in FOUND]
    assert [row.id for row in rows] == [row.id for row in same]


def test_a_span_that_was_drawn_for_an_estimate_stays_so(
    table: AnnotationTable, tmp_path: Path
) -> None:
    drawn = suggested_row(FOUND[0], "wren", model="m", score=0.1, purpose="estimate")
    table.append([drawn])
    table.append([changed(drawn, state="absent", author="bob")])
    path = tmp_path / "found.csv"
    write_results(pa.Table.from_pylist(FOUND), path)
    assert read_suggestions(path, table, "wren")[0] == drawn
    assert len(read_suggestions(path, table, "wren", "train")) == 1
    assert read_suggestions(path, table, "wren", "estimate") == [drawn]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_export_gives_back_its_suggestions_and_no_judgement(
    suffix: str, table: AnnotationTable, tmp_path: Path
) -> None:
    given = {"author": "ann", "extra": (("group", "g1"),)}
    wanted = new_row("a.wav", 0, 1, "wren", state=None, source="suggested", score=0.5, **given)
    table.append([wanted, new_row("a.wav", 2, 3, "wren", **given)])
    path = tmp_path / f"export{suffix}"
    write_annotations(table.rows(), path, Places(tmp_path))
    assert read_suggestions(path, table) == [wanted]  # with the columns of a foreign table
    elsewhere = AnnotationTable(tmp_path / "y.annotations", create=True)
    (row,) = read_suggestions(path, elsewhere)
    assert (row.id, row.purpose, row.state) == (wanted.id, "train", None)


def test_lines_of_a_script_say_what_they_know(table: AnnotationTable, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(
        "path;start_s;end_s;label;purpose\na.wav;1.5;2.5;wren;estimate\na.wav;4;;fox;\n"
        "a.wav;1.5;2.5;wren;\n"
    )
    rows = read_suggestions(path, table)
    assert [(r.start_s, r.end_s, r.label, r.purpose) for r in rows] == [
        (1.5, 2.5, "wren", "estimate"), (4.0, None, "fox", "train")
    ]  # fmt: skip
    assert [row.label for row in read_suggestions(path, table, "fox")] == ["fox"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "x", "need suggestions in a file that ends in .csv"),
        ("a.csv", "path,start_s,stop_s\na.wav,0,1\n", "line 2: it does not say which label"),
        ("a.csv", "path,stop_s,label\na.wav,1,owl\n", "line 2: no start_s; has the columns path"),
        ("a.csv", "start_s,label\n1,owl\n", "line 2: no path"),
        ("a.csv", "path,start_s,label\na.wav,one,owl\n", "line 2: start_s is 'one'; need a number"),
        ("a.csv", "path,start_s,stop_s,label\na.wav,5,1,owl\n", "line 2: annotation of a.wav"),
        ("a.csv", "path,start_s,label,purpose\na.wav,5,owl,fun\n", "purpose is 'fun'; known: tra"),
        ("a.csv", "path,start_s,label,dc_row\na.wav,5,owl,x\n", "line 2: dc_row is damaged"),
        ("a.jsonl", "{}\n", "line 1: no path and no start_s"),
        ("a.jsonl", "\n[1]\n", "line 2: need an object"),
        ("a.jsonl", "{", "line 1: is not JSON"),
        ("a.parquet", "no", "cannot be read as Parquet"),
    ],
    ids=range(12),
)
def test_what_cannot_be_read_is_said_with_its_line(
    name: str, text: str, said: str, table: AnnotationTable, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DawnChorusError) as caught:
        read_suggestions(tmp_path / name, table)
    assert said in str(caught.value)


def test_a_file_of_json_lines_that_is_gone_is_said(table: AnnotationTable, tmp_path: Path) -> None:
    with pytest.raises(DawnChorusError, match=r"gone.jsonl: cannot be read"):
        read_suggestions(tmp_path / "gone.jsonl", table)
    line = json.dumps({"path": "a.wav", "start_s": 1, "stop_s": 2, "label": "owl"})
    (tmp_path / "one.jsonl").write_text(f"\n{line}\n")
    assert [row.start_s for row in read_suggestions(tmp_path / "one.jsonl", table)] == [1.0]
