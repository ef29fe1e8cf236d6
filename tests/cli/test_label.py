"""``dawnchorus label``: what the commands say, write and refuse."""

import json
from pathlib import Path

import pytest

from dawnchorus.annotations.annotation_table import AnnotationTable, changed
from dawnchorus.cli.app import main


@pytest.fixture
def folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAWNCHORUS_AUTHOR", "ann")
    for name in ("a.wav", "b.wav"):
        Path(name).write_bytes(b"no sound")
    Path("labels.csv").write_text(
        "path,start_s,end_s,label,quality\na.wav,0,2,wren,A\na.wav,5,6,robin,B\nb.wav,1,3,wren,A\n"
    )
    assert main(["label", "import", "labels.csv", "--annotations", "x.annotations", "-q"]) == 0
    assert "x.annotations: 3 annotations added, 0 were there; 0 left out" in capsys.readouterr().out
    return tmp_path


def run(*arguments: str, code: int = 0) -> None:
    assert main(["label", *arguments]) == code


def test_an_import_says_what_was_added_and_adds_it_once(folder: Path, capsys) -> None:
    run("import", "labels.csv", "--annotations", "x.annotations")
    said = capsys.readouterr()
    assert "0 annotations added, 3 were there" in said.out
    assert "labels = label" in said.err
    rows = AnnotationTable(folder / "x.annotations").rows()
    assert [(r.path, r.label, r.state, r.author, r.source) for r in rows] == [
        ("a.wav", "wren", "present", "ann", "imported"),
        ("a.wav", "robin", "present", "ann", "imported"),
        ("b.wav", "wren", "present", "ann", "imported"),
    ]


@pytest.mark.usefixtures("folder")
def test_state_purpose_and_author_are_those_that_are_named(capsys) -> None:
    run(
        "import", "labels.csv", "--annotations", "x.annotations", "--state", "absent",
        "--purpose", "estimate", "--author", "bob", "--json",
    )  # fmt: skip
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rows"], facts["added"], facts["bad"]) == (3, 3, [])
    table = AnnotationTable("x.annotations")
    assert len(table.rows(state="absent", purpose="estimate", author="bob")) == 3
    assert len(table.conflicts()) == 3
    run("list", "x.annotations", "--conflicts")
    said = capsys.readouterr()
    assert "a.wav      0-2      wren   ann" in said.out
    assert "6 annotations by ann, bob; 3 contradictions" in said.err
    run("list", "x.annotations", "--json")
    facts = json.loads(capsys.readouterr().out)
    assert facts["labels"][1] == {
        "label": "wren", "present": 2, "absent": 2, "unsure": 0, "suggested": 0, "to estimate": 2,
        "recordings": 2,
    }  # fmt: skip
    assert facts["conflicts"][0]["absent"]["author"] == "bob"


@pytest.mark.usefixtures("folder")
def test_what_cannot_be_read_is_left_out_with_exit_code_3(capsys) -> None:
    Path("bad.csv").write_text("path,start_s,end_s,label\na.wav,0,2,wren\na.wav,5,5,robin\n")
    run("import", "bad.csv", "--annotations", "new.annotations", code=3)
    said = capsys.readouterr()
    assert "left out: bad.csv, line 3: 'robin' from 5 to 5 s has no length" in said.err
    assert "1 annotations added, 0 were there; 1 left out" in said.out


@pytest.mark.usefixtures("folder")
def test_what_was_judged_in_another_program_comes_back(capsys) -> None:
    run("export", "x.annotations", "-o", "out.csv")
    text = Path("out.csv").read_text()
    assert text.startswith("path,start_s,end_s,low_hz,high_hz,label,quality,dc_state,")
    Path("out.csv").write_text(text.replace(",B,present,", ",B,unsure,"))
    run("import", "out.csv", "--annotations", "x.annotations", "--author", "bob", "-q")
    assert "1 annotations added, 3 were there" in capsys.readouterr().out
    states = {(r.label, r.state, r.author) for r in AnnotationTable("x.annotations").rows()}
    assert ("robin", "unsure", "bob") in states


@pytest.mark.parametrize(
    ("to", "files"),
    [
        ("raven", ["a.selections.txt", "b.selections.txt"]),
        ("audacity", ["a.labels.txt", "b.labels.txt"]),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_folder_gets_a_file_for_each_recording(to: str, files, capsys) -> None:
    run("export", "x.annotations", "-o", "out", "--to", to)
    assert sorted(file.name for file in Path("out").iterdir()) == files
    assert "out: 2 files: 3 annotations of 2 recordings" in capsys.readouterr().out
    run("import", "out", "--annotations", "x.annotations", "--audio", ".", "-q")
    assert "0 annotations added, 3 were there" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_an_export_can_be_of_some_rows(capsys) -> None:
    run("export", "x.annotations", "-o", "out.csv", "--label", "robin")
    assert "out.csv: 1 annotations of 1 recordings" in capsys.readouterr().out
    run("export", "x.annotations", "-o", "out.parquet", "--author", "ann", "--state", "present")
    assert "out.parquet: 3 annotations" in capsys.readouterr().out
    run("export", "x.annotations", "-o", "out.csv", "--to", "kaleidoscope")
    assert Path("out.csv").read_text().startswith("INDIR,FOLDER,IN FILE,")


@pytest.mark.usefixtures("folder")
def test_a_store_stands_for_the_annotations_beside_it(capsys) -> None:
    Path("x.store").mkdir()
    Path("x.store/store.json").touch()
    run("list", "x.store")
    assert "3 annotations by ann" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_tables_of_two_people_become_one(capsys) -> None:
    run("merge", "x.annotations", "-o", "bob.annotations")
    bobs = AnnotationTable("bob.annotations")
    bobs.append([changed(bobs.rows(label="robin")[0], state="absent", author="bob")])
    run("merge", "x.annotations", "bob.annotations", "-o", "both.annotations")
    run("merge", "bob.annotations", "-o", "both.annotations", "--json")
    out = capsys.readouterr().out
    assert "both.annotations: 4 rows added; 4 annotations count, 1 contradictions" in out
    assert '"added": 0' in out


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["import", "labels.csv"], "name the folder: --annotations", 2),
        (["import", "labels.csv", "--annotations", "x", "--state", "no"], "--state 'no'; known", 2),
        (["import", "a.wav", "--annotations", "x"], "what is it?", 2),
        (["import", "labels.csv", "--annotations", "x", "--input-format", "folder"],
         "folder is not a form of annotations", 2),
        (["list", "none.annotations"], "not an annotation table", 1),
        (["merge", "none.annotations", "-o", "new.annotations"], "not an annotation table", 1),
        (["export", "x.annotations", "-o", "out.xyz"], "no format ends in '.xyz'", 2),
        (["export", "x.annotations", "-o", "out.csv", "--to", "word"], "no format 'word'", 2),
        (["export", "x.annotations", "-o", "o.csv", "--label", "owl"], "no such annotation", 2),
        (["export", "x.annotations", "-o", "out.txt"], "needs the length of the recording", 2),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_is_made(
    folder: Path, arguments: list[str], message: str, code: int, capsys
) -> None:
    before = set(folder.iterdir())
    run(*arguments, code=code)
    assert message in capsys.readouterr().err
    assert set(folder.iterdir()) == before
