"""``dawnchorus data`` as a user runs it: from a folder of sounds to shards and statistics."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from conftest import make_sound
from dawnchorus.cli.app import main
from dawnchorus.cli.runs import inputs
from dawnchorus.clips.manifest import read_manifest, with_column, write_manifest


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for number in range(12):
        label = ("Turdus_merula", "Parus_major", "Erithacus_rubecula")[number % 3]
        make_sound(tmp_path / f"calls/{label}/{number}.wav", 1.0 + number / 10, seed=number)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["data", *arguments])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_from_a_folder_to_shards(calls: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "import", "calls", "-o", "all.parquet", "--underscores")
    assert (code, out) == (0, "all.parquet: 12 clips of 12 files, 0.01 h, 3 labels; 0 left out\n")
    code, out, _ = run(
        capsys, "split", "all.parquet", "-o", "split.parquet", "--shares", "train=2,test=1",
        "--json",
    )  # fmt: skip
    assert code == 0
    assert [side["name"] for side in json.loads(out)["sides"]] == ["train", "test"]
    code, out, _ = run(capsys, "summary", "split.parquet", "--plot", "all.png")
    assert code == 0
    assert "train 8" in out or "train 9" in out
    assert (calls / "all.png").is_file()
    code, out, _ = run(
        capsys, "filter", "split.parquet", "-o", "few.parquet", "--where", "labels=Parus major"
    )
    assert (code, out.splitlines()[-1]) == (0, "few.parquet: 4 of 12 clips")
    code, out, _ = run(capsys, "pack", "split.parquet", "-o", "shards", "--shard-mb", "0.2", "-q")
    assert code == 0
    assert "12 clips of 12 files" in out
    code, out, _ = run(capsys, "statistics", "shards/index.parquet", "--n-clips", "0")
    assert code == 0
    assert out.startswith("normalization: [")
    again = read_manifest("shards/index.parquet")
    assert {clip.labels for clip in again} == {
        ("Turdus merula",), ("Parus major",), ("Erithacus rubecula",)
    }  # fmt: skip


def test_what_is_bad_or_leaks_gives_exit_code_3(
    calls: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = calls / "calls/Parus_major/1.wav"
    (calls / "calls/Parus_major/copy.wav").write_bytes(same.read_bytes())
    (calls / "calls/Parus_major/bad.wav").write_bytes(b"no sound at all" * 9)
    code, out, err = run(capsys, "import", "calls", "-o", "all.parquet")
    assert code == 3
    assert "left out: calls/Parus_major/bad.wav: not a sound file" in err
    (calls / "calls/Parus_major/4.wav").write_bytes(b"")
    code, out, _ = run(capsys, "check", "all.parquet", "--csv", "r.csv", "-o", "good.parquet")
    assert code == 3
    assert "Parus_major/4.wav: empty" in out
    assert "13 clips of 13 files" in out
    assert (calls / "r.csv").read_text().count("\n") == 14
    assert len(read_manifest("good.parquet")) == 12
    assert run(capsys, "split", "good.parquet", "-o", "split.parquet", "--by", "path")[0] == 0
    code, out, _ = run(capsys, "duplicates", "good.parquet", "--csv", "pairs.csv", "--json")
    found = json.loads(out)
    assert code == 0  # nothing is split, so nothing leaks
    assert [(pair["path"], pair["other"]) for pair in found["found"]] == [
        ("calls/Parus_major/1.wav", "calls/Parus_major/copy.wav")
    ]
    assert found["n_pairs"] == 66
    manifest = read_manifest("good.parquet")
    sides = ["test" if "copy" in clip.path else "train" for clip in manifest]
    write_manifest(
        manifest.with_table(with_column(manifest.table, "split", pa.array(sides))),
        calls / "leaky.parquet",
    )
    code, out, _ = run(capsys, "duplicates", "leaky.parquet", "-o", "clean.parquet")
    assert code == 3
    assert out.endswith("1 share sound, 1 between splits\n")
    assert "calls/Parus_major/1.wav" not in {clip.path for clip in read_manifest("clean.parquet")}


def test_joining_says_what_is_there_twice(calls: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        assert run(capsys, "import", "calls", "-o", f"{name}.parquet")[0] == 0
    code, _, err = run(capsys, "join", "a.parquet", "b.parquet", "-o", "ab.parquet")
    assert code == 1
    assert "12 ids are in more than one manifest" in err
    code, out, _ = run(
        capsys, "join", "a.parquet", "b.parquet", "-o", "sub/ab.parquet", "--prefix",
        "--drop-duplicates",
    )  # fmt: skip
    assert (code, out) == (0, "sub/ab.parquet: 12 clips; 12 duplicates dropped\n")
    assert all(clip.path.startswith(str(calls)) for clip in read_manifest("sub/ab.parquet"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "none"], "none: no such file or folder"),
        (["summary", "none.parquet"], "none.parquet: no such manifest"),
        (["import", "calls", "--label-from", "name"], "--label-from 'name'; known: parent"),
        (["split", "x", "-o", "y", "--keep", "--replace"], "exclude each other"),
        (
            ["import", "t.csv", "--input-format", "csv", "--column", "labels"],
            "--column 'labels': need NAME=VALUE",
        ),
        (["import", "calls", "--separator", ";"], "--separator is for csv, raven; this is read as"),
        (["import", "x.csv", "--input-format", "excel"], "known: csv, folder, raven, audacity"),
    ],
)
@pytest.mark.usefixtures("calls")
def test_what_is_wrong_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, *arguments)
    assert code in {1, 2}
    assert said in err
    assert err.count("\n") == 1


def test_what_was_read_of_a_table_and_what_was_not_is_said(
    calls: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = "0.1,0.5,Turdus merula,Blackbird,0.9,calls/Turdus_merula/0.wav"
    (calls / "t.csv").write_text(
        f"Start (s),End (s),Scientific name,Common name,Confidence,File\n{row}\n"
    )
    code, out, err = run(capsys, "import", "t.csv", "-o", "t.parquet", "-q")
    said = (
        "t.csv: read: path = File, start_s = Start (s), stop_s = End (s), "
        "labels = Scientific name; ignored: Common name, Confidence\n"
    )
    assert (code, err) == (0, said)
    assert "1 clips of 1 files" in out
    _, out, _ = run(capsys, "import", "t.csv", "-o", "t.parquet", "--json")
    assert json.loads(out)["notes"] == [said.strip()]
    (calls / "t.csv").write_text(f"path,Art\n{row.rpartition(',')[2]},Amsel\n")
    code, _, err = run(capsys, "import", "t.csv", "-o", "t.parquet")
    assert (code, "--column labels=Art" in err) == (2, True)


def test_the_subcommands_of_each_form_still_import_it_and_say_what_to_call(
    calls: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    selection = "1\tSpectrogram 1\t1\t0.1\t0.5\t0\t4000\twren\n"
    header = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"
    (calls / "0.Table.1.txt").write_text(f"{header}\tCall\n{selection}")
    (calls / "0.labels.txt").write_text("0.1\t0.5\twren\n")
    (calls / "t.csv").write_text("path,start,end,label\ncalls/Turdus_merula/0.wav,0.1,0.5,wren\n")
    said = "warning: data {} is now data import\n"
    for form, table, *more in (
        ("csv", "t.csv"),
        ("raven", "0.Table.1.txt", "--audio", "calls", "--label", "Call"),
        ("audacity", "0.labels.txt", "--audio", "calls"),
    ):
        code, out, err = run(capsys, form, table, *more, "-o", "old.parquet", "-q")
        assert (code, "1 clips of 1 files" in out) == (0, True)
        assert said.format(form) in err
        (clip,) = read_manifest("old.parquet")
        assert (clip.path, clip.start_s, clip.stop_s) == ("calls/Turdus_merula/0.wav", 0.1, 0.5)
        assert clip.labels == ("wren",)
    code, out, err = run(capsys, "folder", "calls", "-o", "old.parquet", "--underscores")
    assert (code, "12 clips" in out, said.format("folder") in err) == (0, True, True)


def test_what_is_read_of_a_list_of_recordings_is_said(
    calls: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (calls / "list.csv").write_text("File;Site\na.wav;x\n")
    assert inputs(["calls"], Path("list.csv")) == ["calls", Path("list.csv")]
    assert capsys.readouterr().err == "list.csv: read: path = File; carried along: Site\n"
    inputs(["list.csv"], None, quiet=True)
    assert capsys.readouterr().err == ""
