"""Manifests made of folders, tables and annotations as they come, and checked against the sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import make_sound
from counted_progress import CountedProgress, Stage
from dawnchorus.clips.check import check_manifest, write_report
from dawnchorus.clips.folders import manifest_of_folder
from dawnchorus.clips.imports import read_labels
from dawnchorus.clips.manifest import Manifest, read_manifest, write_manifest
from dawnchorus.errors import TaskError, UsageError


def labels(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    return {clip.id: clip.labels for clip in manifest}


def test_each_folder_is_a_label_and_a_split_folder_is_a_split(tmp_path: Path) -> None:
    for name in ("train/Turdus_merula/a.wav", "train/Turdus_merula/deep/b.flac", "Test/wren/c.WAV"):
        make_sound(tmp_path / name, 0.5)
    make_sound(tmp_path / "loose.wav", 0.25, rate=8000)
    make_sound(tmp_path / ".hidden/x.wav", 0.5)
    (tmp_path / "train" / "notes.txt").write_text("no sound")
    manifest = manifest_of_folder(tmp_path, label_from="top", underscores=True).manifest
    assert labels(manifest) == {
        "Test/wren/c.WAV": ("wren",),
        "train/Turdus_merula/a.wav": ("Turdus merula",),
        "train/Turdus_merula/deep/b.flac": ("Turdus merula",),
        "loose.wav": (),
    }
    assert {clip.id: clip.split for clip in manifest}["Test/wren/c.WAV"] == "test"
    assert manifest.where(split="train").table["duration_s"].to_pylist() == [0.5, 0.5]
    loose = next(clip for clip in manifest if clip.id == "loose.wav")
    assert (loose.stop_s, loose.split, loose.level) == (0.25, "", "file")
    parent = manifest_of_folder(tmp_path).manifest
    assert labels(parent)["train/Turdus_merula/deep/b.flac"] == ("deep",)


def test_files_that_cannot_be_read_are_named_and_left_out(tmp_path: Path) -> None:
    make_sound(tmp_path / "wren/a.wav", 0.5)
    (tmp_path / "wren/b.wav").write_bytes(b"no sound at all" * 9)
    made = manifest_of_folder(tmp_path)
    assert len(made.manifest) == 1
    assert [(failure.path, failure.reason) for failure in made.failures] == [
        ("wren/b.wav", "unreadable")
    ]
    (tmp_path / "wren/a.wav").unlink()
    with pytest.raises(TaskError, match="none of 1 clips can be read"):
        manifest_of_folder(tmp_path)
    (tmp_path / "wren/b.wav").unlink()
    with pytest.raises(TaskError, match="no sound file in it"):
        manifest_of_folder(tmp_path)


def test_a_table_is_taken_by_the_names_of_its_columns(tmp_path: Path) -> None:
    make_sound(tmp_path / "audio/ä b.wav", 2.0)
    (tmp_path / "t.csv").write_text(
        "﻿Filename;Species;Start Time;end;license;mood;split\n"
        'ä b.wav;"Fin,_Finback_Whale";0;1;CC0;glad;valid\n'
        "ä b.wav;wren;0;1;CC0;glad;valid\n"
        "ä b.wav;;1,5;9;CC0;;\n".replace("1,5", "1.5"),
        encoding="utf-8",
    )
    made = read_labels(
        form="csv", paths=tmp_path / "t.csv", audio=tmp_path / "audio", values={"source": "Watkins"}
    )
    first, second = made.manifest
    assert (first.id, first.labels) == ("ä b.wav:0.000-1.000", ("Fin,_Finback_Whale", "wren"))
    assert (first.split, first.level, second.split) == ("val", "segment", "")
    assert (second.labels, second.stop_s) == ((), 2.0)  # cut at the file's end
    assert made.manifest.table["licence"].to_pylist() == ["CC0", "CC0"]
    assert made.manifest.table["mood"].to_pylist() == ["glad", None]
    assert made.manifest.table["source"].to_pylist() == ["Watkins", "Watkins"]
    write_manifest(made.manifest, tmp_path / "m.parquet")
    assert read_manifest(tmp_path / "m.parquet")[0].path == "audio/ä b.wav"


def test_several_labels_in_a_cell_and_columns_of_any_name(tmp_path: Path) -> None:
    make_sound(tmp_path / "a.wav", 1.0)
    (tmp_path / "t.tsv").write_text("clip\ttarget\tcategory\na.wav\t7\twren; robin\n")
    with pytest.raises(UsageError, match="which column is the path"):
        read_labels(form="csv", paths=tmp_path / "t.tsv", columns={"labels": "category"})
    with pytest.raises(UsageError, match=r"which of \['target', 'category'\] is 'labels'"):
        read_labels(form="csv", paths=tmp_path / "t.tsv", columns={"path": "clip"})
    columns = {"path": "clip", "labels": "category"}
    made = read_labels(form="csv", paths=tmp_path / "t.tsv", columns=columns, separator=";")
    assert labels(made.manifest) == {"a.wav": ("wren", "robin")}
    with pytest.raises(UsageError, match="no column 'wav' for 'path'"):
        read_labels(form="csv", paths=tmp_path / "t.tsv", columns={"path": "wav"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,start\na.wav,early\n", "line 2: start is 'early', need a number"),
        ("path,start\na.wav\n", "line 2: need 2 fields"),
        ("path,start\na.wav,1,2\n", "line 2: need 2 fields"),
        ("path,start\n,1\n", "line 2: the path is empty"),
        ("path,start\n", "no line under"),
    ],
)
def test_a_table_that_is_wrong_is_refused_by_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(TaskError, match=said):
        read_labels(form="csv", paths=tmp_path / "t.csv")


def test_rows_without_a_file_or_behind_its_end_are_bad(tmp_path: Path) -> None:
    make_sound(tmp_path / "a.wav", 1.0)
    (tmp_path / "t.csv").write_text("path,start,end\na.wav,0,1\na.wav,1.5,2\nb.wav,0,1\n")
    made = read_labels(form="csv", paths=tmp_path / "t.csv")
    assert [clip.id for clip in made.manifest] == ["a.wav:0.000-1.000"]
    assert [(failure.path, failure.reason) for failure in made.failures] == [
        ("b.wav", "missing"),
        ("a.wav:1.500-2.000", "beyond-end"),
    ]


RAVEN = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"
    "{more}\tSpecies\n"
)


def test_raven_selections_are_clips_once_whatever_the_views(tmp_path: Path) -> None:
    for name in ("rec1.wav", "rec10.wav"):
        make_sound(tmp_path / "sound" / name, 5.0)
    table = tmp_path / "rec10.Table.1.selections.txt"
    table.write_text(
        RAVEN.format(more="")
        + "1\tWaveform 1\t1\t0.5\t1.25\t0\t8000\tcanwar\n"
        + "1\tSpectrogram 1\t1\t0.5\t1.25\t500\t3000\tcanwar\n"
        + "2\tSpectrogram 1\t1\t0.5\t1.25\t500\t3000\twren\n"
        + "3\tSpectrogram 1\t1\t2.0\t3.0\t500\t3000\t\n"
    )
    manifest = read_labels(form="raven", paths=[table], audio=tmp_path / "sound").manifest
    assert labels(manifest) == {
        "rec10.wav:0.500-1.250": ("canwar", "wren"),
        "rec10.wav:2.000-3.000": (),
    }
    assert {clip.level for clip in manifest} == {"segment"}
    assert manifest.table["group"].to_pylist() == ["rec10.wav"] * 2
    with pytest.raises(UsageError, match="no column 'Call'"):
        read_labels(
            form="raven", paths=[table], audio=tmp_path / "sound", columns={"labels": "Call"}
        )


def test_raven_tables_of_several_recordings_go_by_file_and_offset(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        make_sound(tmp_path / "sound" / name, 5.0)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "all.txt").write_text(
        RAVEN.format(more="\tBegin File\tFile Offset (s)")
        + "1\tSpectrogram 1\t1\t1.0\t2.0\t0\t1\ta.wav\t1.0\twren\n"
        + "2\tSpectrogram 1\t1\t7.0\t7.5\t0\t1\tb.wav\t2.0\trobin\n"
    )
    manifest = read_labels(
        form="raven", paths=[tmp_path / "tables"], audio=tmp_path / "sound"
    ).manifest
    assert labels(manifest) == {"a.wav:1.000-2.000": ("wren",), "b.wav:2.000-2.500": ("robin",)}


def test_a_recording_that_is_not_found_or_twice_is_an_error(tmp_path: Path) -> None:
    table = tmp_path / "a.txt"
    table.write_text("0\t1\twren\n")
    (tmp_path / "sound").mkdir()
    with pytest.raises(TaskError, match="its recording 'a' is not below"):
        read_labels(form="audacity", paths=[table], audio=tmp_path / "sound")
    make_sound(tmp_path / "sound/1/a.wav", 1.0)
    make_sound(tmp_path / "sound/2/a.wav", 1.0)
    with pytest.raises(TaskError, match="'a' is there 2 times"):
        read_labels(form="audacity", paths=[table], audio=tmp_path / "sound")
    beside = tmp_path / "sound/2/a.txt"
    beside.write_text("0\t1\twren\n")
    made = read_labels(form="audacity", paths=[beside], audio=tmp_path / "sound")
    assert [clip.path for clip in made.manifest] == ["2/a.wav"]


def test_audacity_labels_with_frequencies_and_points(tmp_path: Path) -> None:
    make_sound(tmp_path / "a.wav", 5.0)
    (tmp_path / "a_labels.txt").write_text(
        "0.500000\t1.250000\tGrünfink\n\\\t500.0\t3000.0\n2.0\t2.0\there\n3.0\t9.0\t\n"
    )
    made = read_labels(form="audacity", paths=[tmp_path / "a_labels.txt"], audio=tmp_path)
    assert labels(made.manifest) == {
        "a.wav:0.500-1.250": ("Grünfink",),
        "a.wav:3.000-9.000": (),
    }
    assert [(failure.path, failure.reason) for failure in made.failures] == [
        ("a.wav:2.000-2.000", "point")
    ]
    (tmp_path / "a.txt").write_text("0.5 1.25 Grünfink\n")
    with pytest.raises(TaskError, match="line 1: need start, stop and label between tabs"):
        read_labels(form="audacity", paths=[tmp_path / "a.txt"], audio=tmp_path)


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """Files with one fault each, and a table of clips of them."""
    make_sound(tmp_path / "good.wav", 2.0)
    whole = make_sound(tmp_path / "cut.wav", 2.0).read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    flac = make_sound(tmp_path / "broken.flac", 20.0, rate=44_100)
    content = bytearray(flac.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    flac.write_bytes(content)
    (tmp_path / "text.wav").write_bytes(b"no sound at all" * 9)
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000, np.float32), 16_000)
    sick = np.full(16_000, 0.1, np.float32)
    sick[5] = np.nan
    soundfile.write(tmp_path / "nan.wav", sick, 16_000, "FLOAT")
    return tmp_path


def test_every_bad_clip_has_its_verdict_and_the_rest_its_true_length(faulty: Path) -> None:
    lines = {
        "good": ("good.wav", "", "", "ok"),
        "inside": ("good.wav", "0.5", "1.5", "ok"),
        "rounded": ("good.wav", "0", "2.01", "ok"),
        "past": ("good.wav", "1", "3", "shortened"),
        "beyond": ("good.wav", "2", "3", "beyond-end"),
        "tiny": ("good.wav", "1.99", "2", "too-short"),
        "cut": ("cut.wav", "", "", "truncated"),
        "lost": ("cut.wav", "1.5", "2", "beyond-end"),
        "broken": ("broken.flac", "", "", "damaged"),
        "text": ("text.wav", "", "", "unreadable"),
        "empty": ("empty.wav", "", "", "empty"),
        "silent": ("silent.wav", "", "", "silent"),
        "nan": ("nan.wav", "", "", "nonfinite"),
        "none": ("none.wav", "", "", "missing"),
    }
    import pyarrow as pa  # noqa: PLC0415

    table = pa.table(
        {
            "id": list(lines),
            "path": [path for path, *_ in lines.values()],
            "start_s": pa.array([float(t) if t else None for _, t, _, _ in lines.values()]),
            "stop_s": pa.array([float(t) if t else None for _, _, t, _ in lines.values()]),
            "labels": [["wren"]] * len(lines),
        }
    )
    progress = CountedProgress()
    report = check_manifest(Manifest(table, faulty), progress=progress)
    assert {f.id: f.verdict for f in report.findings} == {k: v[3] for k, v in lines.items()}
    assert progress.stages == [Stage("checking", 8, "files", done=8)]
    assert report.n_files == 8
    kept = {clip.id: clip for clip in report.kept}
    assert set(kept) == {"good", "inside", "rounded", "past", "cut"}
    assert (kept["past"].stop_s, kept["rounded"].stop_s, kept["good"].stop_s) == (2.0, 2.0, 2.0)
    assert 0.9 < kept["cut"].stop_s < 1.0
    assert {f.id for f in report.bad} == set(lines) - set(kept)
    write_report(report, faulty / "report.csv")
    again = (faulty / "report.csv").read_text().splitlines()
    assert len(again) == 1 + len(lines)
    assert again[0].startswith("id,path,verdict,message,")
    assert again[-1].split(",")[2] == "ok"
