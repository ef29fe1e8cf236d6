"""Every format as it is written, letter by letter, and as an independent reader takes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import crowsetta
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from dawnchorus.engine.exports.output import open_output
from dawnchorus.errors import UsageError
from dawnchorus.store.files import lock_unfinished, unfinished_path
from made_detections import detections

WriteSound = Callable[..., Path]
ROOT = Path("/recordings")


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
    with open_output(path, format_name=kind, root=ROOT, overwrite=False) as file:
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


@pytest.mark.parametrize("kind", ["raven", "audacity"])
def test_recordings_that_differ_in_suffix_get_a_table_each(tmp_path: Path, kind: str) -> None:
    (tmp_path / "r").mkdir()
    paths = [tmp_path / "r" / f"dawn.{suffix}" for suffix in ("wav", "flac")]
    paths.append(tmp_path / "r" / f"{'x' * 235}.wav")
    for path in paths:
        path.touch()
    for overwrite in (False, True):
        with open_output(
            tmp_path / "out", format_name=kind, root=tmp_path / "r", overwrite=overwrite
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
    dead, live, other = (unfinished_path(tmp_path / name) for name in ("x.csv", "x.csv", "y.csv"))
    for path in (dead, live, other):
        path.touch()
    held = lock_unfinished(live)
    assert held is not None
    export(tmp_path / "x.csv")
    assert [path.exists() for path in (dead, live, other)] == [False, True, True]
    held.close()
    (tmp_path / "tables/site").mkdir(parents=True)
    dead = unfinished_path(tmp_path / "tables/site/a.labels.txt")
    dead.touch()
    with open_output(
        tmp_path / "tables", format_name="audacity", root=ROOT, overwrite=True
    ) as file:
        file.write(HEARD[0])
        file.close()
    assert not dead.exists()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="a system without devices")
def test_a_device_is_never_replaced_by_a_file() -> None:
    with pytest.raises(UsageError, match="is a device or a pipe"):
        open_output(Path("/dev/null"), format_name="csv", root=ROOT, overwrite=True)


def test_what_cannot_be_in_one_line_is_quoted_in_every_table(tmp_path: Path) -> None:
    rude = detections(ROOT / "a\rb.wav", (0.0, "wren\rrobin", 0.5))
    for kind, between in (("csv", ","), ("raven", "\t"), ("kaleidoscope", ",")):
        path = tmp_path / f"{kind}.txt"
        with open_output(path, format_name=kind, root=ROOT, overwrite=False) as file:
            file.write(rude)
            file.close()
        assert len(pd.read_csv(path, sep=between)) == 1


@pytest.mark.parametrize("kind", ["csv", "raven", "kaleidoscope"])
def test_a_spreadsheet_runs_nothing_if_asked(tmp_path: Path, kind: str) -> None:
    rude = detections(ROOT / "a.wav", (0.0, "=1+1", 0.5))
    texts = []
    for safe in (False, True):
        path = tmp_path / f"{safe}.txt"
        with open_output(
            path, format_name=kind, root=ROOT, overwrite=False, spreadsheet_safe=safe
        ) as file:
            file.write(rude)
            file.close()
        texts.append(path.read_text(encoding="utf-8"))
    assert ("'=1+1" in texts[0], "'=1+1" in texts[1]) == (False, True)
    assert texts[0] == texts[1].replace("'", "")
