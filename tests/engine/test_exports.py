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

from dawnchorus.engine.exports import DETECTION_SCHEMA, RecordingDetections, open_export
from dawnchorus.engine.segments import Segments
from dawnchorus.errors import UsageError

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
path,window,start_s,stop_s,start_sample,stop_sample,sample_rate,label,probability,rank,n_windows,\
recorded_at,local_time
/recordings/site/a.wav,0,0.000000,1.500000,0,72000,48000,Turdus merula,0.500000,1,1,\
2024-05-01T04:30:00+02:00,2024-05-01T04:30:12.250+02:00
/recordings/site/a.wav,12,12.250000,13.750000,588000,660000,48000,"He said, ""wren""\",1.000000,1,1\
,2024-05-01T04:30:00+02:00,2024-05-01T04:30:12.250+02:00
/recordings/c.wav,3,3.000000,4.500000,144000,216000,48000,Зяблик,0.250000,1,1,\
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
