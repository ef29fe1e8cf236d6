"""Every format as it is written, letter by letter, and as an independent reader takes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import crowsetta
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from dawnchorus.engine.detections.segments import Segments
from dawnchorus.engine.exports.formats import (
    DETECTION_SCHEMA,
    RecordingDetections,
    open_export,
    window_rows,
)
from dawnchorus.errors import UsageError
from dawnchorus.store.files import beside
from dawnchorus.store.leftovers import hold

WriteSound = Callable[..., Path]
ROOT = Path("/recordings")


def row(path: Path, start_s: float, label: str, probability: float) -> dict[str, object]:
    return {
        "path": str(path),
        "window": int(start_s),
        "start_s": start_s,
        "stop_s": start_s + 1.5,
        "start_sample": round(start_s * 48_000),
        "stop_sample": round((start_s + 1.5) * 48_000),
        "sample_rate": 48_000,
        "label": label,
        "level": "species",
        "probability": probability,
        "rank": 1,
        "n_windows": 1,
        "recorded_at": "2024-05-01T04:30:00+02:00",
        "local_time": "2024-05-01T04:30:12.250+02:00",
    }


def detections(path: Path, *rows: tuple[float, str, float]) -> RecordingDetections:
    table = pa.Table.from_pylist([row(path, *values) for values in rows], DETECTION_SCHEMA)
    return RecordingDetections(path=path, duration_s=60.0, highest_hz=8000.0, table=table)


HEARD = [
    detections(ROOT / "site" / "a.wav", (0.0, "Turdus merula", 0.5), (12.25, 'He said, "wren"', 1)),
    detections(ROOT / "b.flac"),
    detections(ROOT / "c.wav", (3.0, "Зяблик", 0.25)),
]
GOLDEN = {
    "csv": """\
path,window,start_s,stop_s,start_sample,stop_sample,sample_rate,label,level,probability,rank,n_windows,\
recorded_at,local_time
/recordings/site/a.wav,0,0.000000,1.500000,0,72000,48000,Turdus merula,species,0.500000,1,1,\
2024-05-01T04:30:00+02:00,2024-05-01T04:30:12.250+02:00
/recordings/site/a.wav,12,12.250000,13.750000,588000,660000,48000,"He said, ""wren""\",\
species,1.000000,1,1,2024-05-01T04:30:00+02:00,2024-05-01T04:30:12.250+02:00
/recordings/c.wav,3,3.000000,4.500000,144000,216000,48000,Зяблик,species,0.250000,1,1,\
2024-05-01T04:30:00+02:00,2024-05-01T04:30:12.250+02:00
""",
    "raven": """\
Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tBegin File\t\
Begin Path\tFile Offset (s)\tLabel\tProbability\trecorded_at\tlocal_time
1\tSpectrogram 1\t1\t0.000000\t1.500000\t0.0\t8000.0\ta.wav\t/recordings/site/a.wav\t0.000000\t\
Turdus merula\t0.500000\t\
2024-05-01T04:30:00+02:00\t2024-05-01T04:30:12.250+02:00
2\tSpectrogram 1\t1\t12.250000\t13.750000\t0.0\t8000.0\ta.wav\t/recordings/site/a.wav\t12.250000\t\
"He said, ""wren""\"\t1.000000\t\
2024-05-01T04:30:00+02:00\t2024-05-01T04:30:12.250+02:00
3\tSpectrogram 1\t1\t123.000000\t124.500000\t0.0\t8000.0\tc.wav\t/recordings/c.wav\t3.000000\t\
Зяблик\t0.250000\t\
2024-05-01T04:30:00+02:00\t2024-05-01T04:30:12.250+02:00
""",
    "kaleidoscope": """\
INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,TOP1MATCH,PROBABILITY,MANUAL ID
/recordings,site,a.wav,0,0.000000,1.500000,Turdus merula,0.500000,
/recordings,site,a.wav,0,12.250000,1.500000,"He said, ""wren""\",1.000000,
/,recordings,c.wav,0,3.000000,1.500000,Зяблик,0.250000,
""",
}


def export(path: Path, kind: str | None = None) -> Path:
    with open_export(path, kind=kind, root=ROOT, overwrite=False) as file:
        for heard in HEARD:
            file.write(heard)
        file.close()
    return path


@pytest.mark.parametrize("kind", list(GOLDEN))
def test_a_format_is_written_letter_by_letter(tmp_path: Path, kind: str) -> None:
    path = export(tmp_path / "x.out", kind)
    assert path.read_text(encoding="utf-8") == GOLDEN[kind]


def test_json_lines_and_parquet_hold_the_same_rows(tmp_path: Path) -> None:
    lines = export(tmp_path / "x.jsonl").read_text(encoding="utf-8").splitlines()
    rows = pq.read_table(export(tmp_path / "x.parquet")).to_pylist()
    assert [json.loads(line) for line in lines] == rows
    assert [line["label"] for line in rows] == ["Turdus merula", 'He said, "wren"', "Зяблик"]


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # crowsetta's way with pandas
def test_a_folder_has_a_table_for_each_recording_that_raven_and_crowsetta_open(
    tmp_path: Path,
) -> None:
    folder = export(tmp_path / "tables", "raven")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*.txt")}
    suffix = ".Table.1.selections.txt"
    assert names == {f"site/a{suffix}", f"b{suffix}", f"c{suffix}"}
    read = crowsetta.formats.bbox.Raven.from_file(
        folder / f"site/a{suffix}", annot_col="Label", audio_path="a.wav"
    )
    boxes = read.to_bbox()
    assert [box.label for box in boxes] == ["Turdus merula", 'He said, "wren"']
    assert [(box.onset, box.offset) for box in boxes] == [(0.0, 1.5), (12.25, 13.75)]
    assert len(pd.read_csv(folder / f"b{suffix}", sep="\t")) == 0


def test_audacity_labels_are_one_file_a_recording_and_crowsetta_reads_them(tmp_path: Path) -> None:
    folder = export(tmp_path / "labels", "audacity")
    path = folder / "site" / "a.labels.txt"
    assert path.read_text(encoding="utf-8") == (
        '0.000000\t1.500000\tTurdus merula 0.500\n12.250000\t13.750000\tHe said, "wren" 1.000\n'
    )
    sequence = crowsetta.formats.seq.AudSeq.from_file(folder / "c.labels.txt").to_seq()
    assert sequence.labels.tolist() == ["Зяблик 0.250"]
    np.testing.assert_allclose(sequence.onsets_s, [3.0])
    np.testing.assert_allclose(sequence.offsets_s, [4.5])


def test_an_unknown_format_and_an_existing_output_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no format is called 'xml'.*kaleidoscope"):
        export(tmp_path / "x.csv", "xml")
    export(tmp_path / "x.csv")
    with pytest.raises(UsageError, match="exists already"):
        export(tmp_path / "x.csv")


def test_the_best_of_each_label_are_cut_out_for_review(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    path = write_sound(tmp_path / "a.wav", 20.0, 48_000)
    segments = Segments(tmp_path / "x.segments", 2)
    segments.take(
        detections(
            path, (0.0, "wren", 0.2), (5.0, "wren", 0.9), (9.0, "wren", 0.4), (9.0, "a/b", 1)
        )
    )
    gone = detections(tmp_path / "gone.wav", (0.0, "robin", 0.5))
    segments.take(gone)
    (problem,) = segments.write()
    assert "gone.wav" in problem
    found = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.flac")}
    assert found == {
        "x.segments/wren/0.900_a_5.00s.flac",
        "x.segments/wren/0.400_a_9.00s.flac",
        "x.segments/a_b/1.000_a_9.00s.flac",
    }
    samples, rate = soundfile.read(tmp_path / "x.segments/wren/0.900_a_5.00s.flac")
    whole, _ = soundfile.read(path)
    assert (rate, len(samples)) == (48_000, round(3.5 * 48_000))
    np.testing.assert_allclose(samples, whole[4 * 48_000 : 4 * 48_000 + len(samples)], atol=4e-5)


def test_segments_of_recordings_with_one_name_are_a_file_each_and_an_index_tells_them_apart(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    sites = [write_sound(tmp_path / site / "dawn.wav", 4.0) for site in "AB"]
    segments = Segments(tmp_path / "x.segments", 9)
    for path in sites:
        segments.take(detections(path, (0.0, "wren", 0.9), (2.0, "Wren", 0.5)))
    assert segments.write() == []
    index = pd.read_csv(tmp_path / "x.segments/index.csv")
    assert len(index) == len(set(index["file"].str.casefold())) == 4
    for line in index.to_dict("records"):
        samples, rate = soundfile.read(tmp_path / "x.segments" / line["file"])
        whole, _ = soundfile.read(line["path"])
        start, stop = (line[f"{end}_in_segment_s"] for end in ("start", "stop"))
        assert (stop - start, start) == (1.5, min(1.0, line["start_s"]))
        assert line["segment_s"] == len(samples) / rate
        heard = samples[round(start * rate) : round(stop * rate)]
        there = whole[round(line["start_s"] * rate) : round(line["stop_s"] * rate)]
        np.testing.assert_allclose(heard, there, atol=4e-5)


def test_segments_of_an_earlier_run_go_and_the_users_own_files_stay(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    path = write_sound(tmp_path / "a.wav", 4.0)
    folder = tmp_path / "x.segments"
    for start_s in (0.0, 2.0):
        segments = Segments(folder, 1)
        segments.take(detections(path, (start_s, "wren", 0.9)))
        segments.write()
        (folder / "wren" / "mine.txt").write_text("heard well")
        (tmp_path / "precious.flac").touch()
        index = (folder / "index.csv").read_text()
        (folder / "index.csv").write_text(index + "../precious.flac\n")
    found = sorted(path.name for path in folder.rglob("*.*") if path.is_file())
    assert found == ["0.900_a_2.00s.flac", "index.csv", "mine.txt"]
    assert (tmp_path / "precious.flac").exists()


@pytest.mark.parametrize("kind", ["raven", "audacity"])
def test_recordings_that_differ_in_suffix_get_a_table_each(tmp_path: Path, kind: str) -> None:
    (tmp_path / "r").mkdir()
    paths = [tmp_path / "r" / f"dawn.{suffix}" for suffix in ("wav", "flac")]
    paths.append(tmp_path / "r" / f"{'x' * 235}.wav")
    for path in paths:
        path.touch()
    for overwrite in (False, True):
        with open_export(
            tmp_path / "out", kind=kind, root=tmp_path / "r", overwrite=overwrite
        ) as export:
            for path in paths:
                export.write(detections(path, (0.0, path.suffix, 0.5)))
            export.close()
        found = [path.read_text(encoding="utf-8") for path in (tmp_path / "out").iterdir()]
        assert len(found) == 3
        assert sum(".flac" in text for text in found) == 1


def test_what_a_killed_run_left_is_removed_and_what_another_is_writing_stays(
    tmp_path: Path,
) -> None:
    dead, live, other = (beside(tmp_path / name) for name in ("x.csv", "x.csv", "y.csv"))
    for path in (dead, live, other):
        path.touch()
    held = hold(live)
    assert held is not None
    export(tmp_path / "x.csv")
    assert [path.exists() for path in (dead, live, other)] == [False, True, True]
    held.close()
    (tmp_path / "tables/site").mkdir(parents=True)
    dead = beside(tmp_path / "tables/site/a.labels.txt")
    dead.touch()
    with open_export(tmp_path / "tables", kind="audacity", root=ROOT, overwrite=True) as file:
        file.write(HEARD[0])
        file.close()
    assert not dead.exists()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="a system without devices")
def test_a_device_is_never_replaced_by_a_file() -> None:
    with pytest.raises(UsageError, match="is a device or a pipe"):
        open_export(Path("/dev/null"), kind="csv", root=ROOT, overwrite=True)


def test_what_cannot_be_in_one_line_is_quoted_in_every_table(tmp_path: Path) -> None:
    rude = detections(ROOT / "a\rb.wav", (0.0, "wren\rrobin", 0.5))
    for kind, between in (("csv", ","), ("raven", "\t"), ("kaleidoscope", ",")):
        path = tmp_path / f"{kind}.txt"
        with open_export(path, kind=kind, root=ROOT, overwrite=False) as file:
            file.write(rude)
            file.close()
        assert len(pd.read_csv(path, sep=between)) == 1


@pytest.mark.parametrize("kind", ["csv", "raven", "kaleidoscope"])
def test_a_spreadsheet_runs_nothing_if_asked(tmp_path: Path, kind: str) -> None:
    rude = detections(ROOT / "a.wav", (0.0, "=1+1", 0.5))
    texts = []
    for safe in (False, True):
        path = tmp_path / f"{safe}.txt"
        with open_export(
            path, kind=kind, root=ROOT, overwrite=False, spreadsheet_safe=safe
        ) as file:
            file.write(rude)
            file.close()
        texts.append(path.read_text(encoding="utf-8"))
    assert ("'=1+1" in texts[0], "'=1+1" in texts[1]) == (False, True)
    assert texts[0] == texts[1].replace("'", "")


def test_positions_at_another_rate_are_the_nearest_ones() -> None:
    columns = {
        "window": [0, 1],
        "start_sample": np.array([0, 16_001]),
        "valid_samples": np.array([16_001, 7]),
        "label": ["a", "b"],
        "level": ["", ""],
        "probability": [0.5, 0.5],
        "rank": [1, 1],
    }
    table = window_rows("a", rate=44_100, n_samples=10**6, model_rate=16_000, columns=columns)
    assert table["start_sample"].to_pylist() == [0, round(16_001 * 44_100 / 16_000)] == [0, 44_103]
    assert table["stop_sample"].to_pylist() == [44_103, round(16_008 * 44_100 / 16_000)]
