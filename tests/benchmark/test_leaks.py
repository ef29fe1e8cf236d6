"""A test item that a model has heard is found by its number, its file or its sound; others stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from dawnchorus.benchmark.leaks import (
    HITS_FILE,
    HITS_SCHEMA,
    LeakReport,
    audit_leaks,
    read_known,
    summary,
    write_leaks,
)
from dawnchorus.benchmark.source_ids import source_ids, telling_name
from dawnchorus.clips.manifest import Manifest
from dawnchorus.errors import TaskError

RATE = 16_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("birds_europe/xc143002", "xeno-canto:143002"),
        ("audio/XC00821988-Lasiurus_blossevillii.wav", "xeno-canto:821988"),
        ("https://xeno-canto.org/559984", "xeno-canto:559984"),
        ("https://xeno-canto.org/sounds/uploaded/ABC/XC75-take.mp3", "xeno-canto:75"),
        ("radrat, XC559984 (xeno-canto)", "xeno-canto:559984"),
        ("https://www.inaturalist.org/observations/99", "inaturalist:99"),
        ("inaturalist/99_1234", "inaturalist:99"),
        ("https://static.inaturalist.org/sounds/1234.mp3?1", "inaturalist-sound:1234"),
        ("http://www.freesound.org/people/Bosk1/sounds/144083/", "freesound:144083"),
        ("sound_files/207-Wind.wav@185s = 4-144083-B-16.wav", "freesound:144083"),
        ("audio/fold5/100032-3-0-0.wav", "freesound:100032"),
        ("https://macaulaylibrary.org/asset/12345", "macaulay:12345"),
        ("https://youtu.be/-0DLPzsiXXE?t=30", "youtube:-0DLPzsiXXE"),
        ("audioset/-0DLPzsiXXE_30", "youtube:-0DLPzsiXXE"),
        ("data/audioset/eval/Y-0DLPzsiXXE.wav", "youtube:-0DLPzsiXXE"),
        ("watkins/Common_Dolphin/61025001.wav", "watkins:61025001"),
        ("animal-sound-archive/Turdus_merula_S0123", "animal-sound-archive:turdus_merula_s0123"),
    ],
)
def test_a_catalogue_number_is_found_however_it_is_written(text: str, found: str) -> None:
    assert source_ids([None, text, "no number here, 2024-05-01"]) == {found}


@pytest.mark.parametrize(
    "text", ["20240501_043000.wav", "digits/3_nicolas_25", "taxc123", "2019-05-01-12.wav", "xc"]
)
def test_what_is_no_catalogue_number_is_not_taken_for_one(text: str) -> None:
    assert not source_ids([text])


def test_only_a_name_that_says_something_counts_as_a_name() -> None:
    assert telling_name("a/S4A03895_20190522_120000.wav") == "s4a03895_20190522_120000"
    assert telling_name("a/20190522_120000.wav") is None
    assert telling_name("a/rec_001.wav") is None
    assert telling_name("a/oecanthus_069.wav") == "oecanthus_069"


def song(seed: int, seconds: float = 3.0) -> np.ndarray:
    """Chirps in noise, all drawn at random."""
    rng = np.random.default_rng(seed)
    sound = 0.01 * rng.standard_normal(round(seconds * RATE))
    for _ in range(round(6 * seconds)):
        n = int(rng.integers(800, 4800))
        start = int(rng.integers(0, len(sound) - n))
        pitch = np.linspace(*rng.uniform(800, 6500, 2), n)
        sound[start : start + n] += (
            0.2 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * np.hanning(n)
        )
    return sound.astype(np.float32)


def rows(folder: Path, named: str, *clips: dict[str, object]) -> Manifest:
    names = dict.fromkeys(name for clip in clips for name in clip)
    columns = {name: [clip.get(name) for clip in clips] for name in names}
    columns["labels"] = [["wren"]] * len(clips)
    return Manifest(pa.table(columns), folder, named=named)


def found(report: LeakReport) -> set[tuple[str, str, str]]:
    return {(hit.test_id, hit.train_id, hit.why) for hit in report.hits}


def test_numbers_checksums_and_files_are_compared_across_folders(tmp_path: Path) -> None:
    (tmp_path / "task").mkdir()
    test = rows(
        tmp_path / "task",
        "task",
        {"id": "t1", "path": "a.wav", "source": "https://xeno-canto.org/77"},
        {"id": "t2", "path": "b.wav", "sha256": "ff"},
        {"id": "t3", "path": "../shared/c.wav", "start_s": 0.0, "stop_s": 1.0},
        {"id": "t4", "path": "oecanthus_069.wav"},
        {"id": "t5", "path": "rec_1.wav"},
    )
    first = rows(
        tmp_path / "shared",
        "first",
        {"id": "one", "path": "XC77.mp3"},
        {"id": "again", "path": "XC77.mp3", "start_s": 1.0, "stop_s": 2.0},
        {"id": "sum", "path": "d.wav", "sha256": "ff"},
        {"id": "unseen", "path": "e.wav", "source": "XC77", "split": "test"},
        {"id": "piece", "path": "c.wav", "start_s": 2.0, "stop_s": 3.0},
        {"id": "same row", "path": "c.wav", "start_s": 0.0, "stop_s": 1.0},
    )
    second = rows(
        tmp_path,
        "second",
        {"id": "named", "path": "x/oecanthus_069.flac"},
        {"id": "other", "path": "x/rec_1.wav"},
    )
    report = audit_leaks(test, [first, second], sound=False)
    assert found(report) == {
        ("t1", "one", "source id"),
        ("t2", "sum", "sha256"),
        ("t3", "piece", "same file"),
        ("t4", "named", "file name"),
    }
    assert report.known() == {"t1", "t2", "t3"}  # a name alone is listed, not counted
    assert report.training == (("first", 4), ("second", 2))


def test_a_copy_is_heard_only_where_the_item_lies_in_it(tmp_path: Path) -> None:
    whole, other = song(0, 6.0), song(1)
    soundfile.write(tmp_path / "long.wav", whole, RATE)
    soundfile.write(tmp_path / "copy.flac", 0.3 * whole[: 3 * RATE], RATE)
    soundfile.write(tmp_path / "other.wav", other, RATE)
    soundfile.write(tmp_path / "broken.wav", np.zeros(3, np.float32), RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    test = rows(
        tmp_path,
        "task",
        {"id": "early", "path": "long.wav", "start_s": 0.5, "stop_s": 2.0},
        {"id": "late", "path": "long.wav", "start_s": 4.0, "stop_s": 6.0},
    )
    train = rows(
        tmp_path,
        "train",
        {"id": "copy", "path": "copy.flac", "split": "val"},
        {"id": "other", "path": "other.wav", "split": "train"},
        {"id": "broken", "path": "broken.wav", "split": "train"},
    )
    report = audit_leaks(test, [train], threads=1)
    assert found(report) == {("early", "copy", "sound")}
    assert report.hits[0].strength > 0.9
    assert [path for path, _ in report.bad] == [str(tmp_path / "broken.wav")]
    assert report.n_files == 3


def test_two_training_copies_of_one_sound_are_no_hit(tmp_path: Path) -> None:
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", song(0), RATE)
    soundfile.write(tmp_path / "t.wav", song(1), RATE)
    test = rows(tmp_path, "task", {"id": "t", "path": "t.wav"})
    train = rows(tmp_path, "train", {"id": "a", "path": "a.wav"}, {"id": "b", "path": "b.wav"})
    assert not audit_leaks(test, [train], threads=1).hits


def test_an_audit_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    test = rows(
        tmp_path,
        "task",
        {"id": "t1", "path": "a.wav", "source": "XC77"},
        {"id": "t2", "path": "oecanthus_069.wav"},
        {"id": "t3", "path": "c.wav"},
    )
    train = rows(
        tmp_path / "x", "train", {"id": "n", "path": "oecanthus_069.mp3", "source": "XC77"}
    )
    report = audit_leaks(test, [train], sound=False)
    write_leaks(report, tmp_path / "audit")
    assert read_known(tmp_path / "audit") == {"t1"}
    assert read_known(tmp_path / "audit", 0.1) == {"t1", "t2"}
    table = pq.read_table(tmp_path / "audit" / HITS_FILE)
    assert table.schema.equals(HITS_SCHEMA)
    assert table["strength"].to_pylist() == [1.0, 0.3]
    told = summary(report)
    assert (told["n_test"], told["n_known"]) == (3, 1)
    assert told["n_items_by_reason"] == {"source id": 1, "file name": 1}


def test_an_audit_of_nothing_is_refused(tmp_path: Path) -> None:
    test = rows(tmp_path, "task", {"id": "t1", "path": "a.wav"})
    seen = rows(tmp_path, "train", {"id": "x", "path": "b.wav", "split": "test"})
    with pytest.raises(TaskError, match="1 test rows and 0 training rows"):
        audit_leaks(test, [seen], sound=False)
    with pytest.raises(TaskError, match="no leak audit"):
        read_known(tmp_path)
