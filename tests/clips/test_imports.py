"""Tables of labels as the programs of the field write them: each is read, and said how, or refused.

One sample of each layout. All of them say the same: wren from 1.5 to 3.5 s of ``rec1.wav`` and
robin from 4 to 5 s of ``rec2.wav``; those of one recording say only the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conftest import make_sound
from dawnchorus.clips.build import ImportedClips, build_manifest
from dawnchorus.clips.imports import read_labels
from dawnchorus.errors import DawnChorusError, TaskError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


WREN = ("rec1.wav", 1.5, 3.5, ("wren",))
ROBIN = ("rec2.wav", 4.0, 5.0, ("robin",))
BOTH, ONE = [WREN, ROBIN], [WREN]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two recordings of ten seconds."""
    for name in ("rec1.wav", "rec2.wav"):
        make_sound(tmp_path / name, 10.0, rate=8000)
    return tmp_path


def spans(made: ImportedClips) -> list[tuple[str, float, float, tuple[str, ...]]]:
    rounded = ((c.path, round(c.start_s, 6), round(c.stop_s, 6), c.labels) for c in made.manifest)
    return sorted(rounded)


CSV = {
    "ours": "path,start_s,stop_s,label\nrec1.wav,1.5,3.5,wren\nrec2.wav,4,5,robin\n",
    "our detections": (
        "path,window,start_s,stop_s,start_sample,stop_sample,sample_rate,label,probability,rank,"
        "n_windows\nrec1.wav,0,1.500000,3.500000,12000,28000,8000,wren,0.900000,1,1\n"
        "rec2.wav,1,4.000000,5.000000,32000,40000,8000,robin,0.800000,1,1\n"
    ),
    "BirdNET": (
        "Start (s),End (s),Scientific name,Common name,Confidence,File\n"
        "1.5,3.5,wren,Eurasian Wren,0.91,rec1.wav\n4.0,5.0,robin,European Robin,0.8,rec2.wav\n"
    ),
    "BirdNET, elsewhere": (
        "Start (s),End (s),Scientific name,Common name,Confidence,File\n"
        "1.5,3.5,wren,Wren,0.91,/home/me/2024/rec1.wav\n4.0,5.0,robin,Robin,0.8,D:\\x\\rec2.wav\n"
    ),
    "BirdNET for R": (
        "filepath,start,end,scientific_name,common_name,confidence,lat,lon,week,overlap,"
        "sensitivity,min_conf,species_list,model\n"
        "rec1.wav,1.5,3.5,wren,Wren,0.9,-1,-1,-1,0,1,0.1,,BirdNET\n"
        "rec2.wav,4,5,robin,Robin,0.8,-1,-1,-1,0,1,0.1,,BirdNET\n"
    ),
    "BirdNET for Kaleidoscope": (
        "INDIR,FOLDER,IN FILE,OFFSET,DURATION,scientific_name,common_name,confidence,lat,lon\n"
        "/data,x,rec1.wav,1.5,2.0,wren,Wren,0.9,-1,-1\n"
        "/data,x,rec2.wav,4.0,1.0,robin,Robin,0.9,-1,-1\n"
    ),
    "Kaleidoscope": (
        "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,AUTO ID,TOP1MATCH,MANUAL ID\n"
        "/data,,rec1.wav,0,1.5,2,NoID,x,wren\n/data,,rec2.wav,0,4,1,NoID,x,robin\n"
    ),
    "Kaleidoscope, not reviewed": (
        "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,TOP1MATCH,PROBABILITY,MANUAL ID\n"
        "/,data,rec1.wav,0,1.5,2,wren,0.9,\n/,data,rec2.wav,0,4,1,robin,0.7,\n"
    ),
    "Raven as CSV": (
        "Selection,View,Channel,Begin Time (s),End Time (s),Low Freq (Hz),High Freq (Hz),"
        "Begin File,Species\n1,Spectrogram 1,1,1.5,3.5,0,1,rec1.wav,wren\n"
        "1,Spectrogram 1,1,4,5,0,1,rec2.wav,robin\n"
    ),
    "Raven as CSV, running on": (
        "Selection,Begin Time (s),End Time (s),Begin File,File Offset (s),Annotation\n"
        "1,1.5,3.5,rec1.wav,1.5,wren\n2,14,15,rec2.wav,4,robin\n"
    ),
    "OpenSoundscape": (
        "file,start_time,end_time,wren,robin\nrec1.wav,1.5,3.5,1,0\nrec2.wav,4.0,5.0,0,1\n"
    ),
    "OpenSoundscape, floats": (
        "file,start_time,end_time,wren,robin\nrec1.wav,1.5,3.5,1.0,0.0\nrec2.wav,4.0,5.0,0.0,1.0\n"
    ),
    "crowsetta generic-seq": (
        "label,onset_s,offset_s,onset_sample,offset_sample,notated_path,annot_path,sequence,"
        "annotation\nwren,1.5,3.5,12000,28000,./rec1.wav,a.xml,0,0\n"
        "robin,4.0,5.0,32000,40000,./rec2.wav,a.xml,1,1\n"
    ),
    "warbleR": (
        "sound.files,channel,selec,start,end,bottom.freq,top.freq,species\n"
        "rec1.wav,1,1,1.5,3.5,0,1,wren\nrec2.wav,1,1,4,5,0,1,robin\n"
    ),
    "onset and offset": "file,onset,offset,label\nrec1.wav,1.5,3.5,wren\nrec2.wav,4,5,robin\n",
    "offset and duration": (
        "file,offset,duration,label\nrec1.wav,1.5,2,wren\nrec2.wav,4,1,robin\n"
    ),
    "start and duration": "file,start,duration,label\nrec1.wav,1.5,2,wren\nrec2.wav,4,1,robin\n",
    "milliseconds": (
        "file,start_ms,end_ms,label\nrec1.wav,1500,3500,wren\nrec2.wav,4000,5000,robin\n"
    ),
    "milliseconds, brackets": (
        "file,Start [ms],End [ms],label\nrec1.wav,1500,3500,wren\nrec2.wav,4000,5000,robin\n"
    ),
    "camels": "fileName,startMs,endMs,label\nrec1.wav,1500,3500,wren\nrec2.wav,4000,5000,robin\n",
    "minutes": "file,start_min,end_min,label\nrec1.wav,0.025,3.5,wren\n".replace(
        "3.5", "0.058333333333"
    )
    + "rec2.wav,0.066666666667,0.083333333333,robin\n",
    "samples of the file": (
        "file,start_sample,end_sample,label\nrec1.wav,12000,28000,wren\nrec2.wav,32000,40000,robin\n"
    ),
    "samples with a rate": (
        "file,start_sample,end_sample,sample_rate,label\nrec1.wav,1500,3500,1000,wren\n"
        "rec2.wav,8000,10000,2000,robin\n"
    ),
    "clock": (
        "file,start,end,label\nrec1.wav,0:00:01.5,0:00:03.5,wren\nrec2.wav,0:00:04,0:00:05,robin\n"
    ),
    "semicolons and decimal commas": (
        "file;start;end;label\nrec1.wav;1,5;3,5;wren\nrec2.wav;4;5;robin\n"
    ),
    "tabs and decimal commas": (
        "file\tstart\tend\tlabel\nrec1.wav\t1,5\t3,5\twren\nrec2.wav\t4,0\t5,0\trobin\n"
    ),
    "quoted decimal commas": (
        'file,start,end,label\nrec1.wav,"1,5","3,5",wren\nrec2.wav,"4,0","5,0",robin\n'
    ),
    "separator line of Excel": (
        "sep=;\nfile;start;end;label\nrec1.wav;1.5;3.5;wren\nrec2.wav;4;5;robin\n"
    ),
    "row numbers of pandas": (
        ",file,start,end,label\n0,rec1.wav,1.5,3.5,wren\n1,rec2.wav,4,5,robin\n"
    ),
    "separators at line ends": (
        "file,start,end,label\nrec1.wav,1.5,3.5,wren,,\nrec2.wav,4,5,robin,\n"
    ),
    "R with quotes": (
        '"file"\t"start"\t"end"\t"label"\n"rec1.wav"\t1.5\t3.5\t"wren"\n"rec2.wav"\t4\t5\t"robin"\n'
    ),
    "Windows line ends": (
        "file,start,end,label\r\nrec1.wav,1.5,3.5,wren\r\n\r\nrec2.wav,4,5,robin\r\n"
    ),
    "spellings": "file,start,end,label\n./rec1.wav,1.5,3.5,wren\n.//rec2.wav,4,5,robin\n",
}


@pytest.mark.parametrize("layout", CSV)
def test_a_known_layout_gives_its_spans_and_says_what_was_read(folder: Path, layout: str) -> None:
    table = folder / "labels.csv"
    table.write_text(CSV[layout], encoding="utf-8", newline="")
    made = read_labels(form="csv", paths=table)
    assert spans(made) == BOTH
    assert not made.failures
    read = next(note for note in made.notes if "read: " in note)
    assert "path = " in read
    assert "; ignored: " in read
    assert not any(word in read for word in ("labels = none", "whole recordings"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["wren", "Zaunkönig, Wren", "Крапивник", "ミソサザイ"])
def test_an_encoding_that_proves_itself_is_read(folder: Path, encoding: str, text: str) -> None:
    table = folder / "labels.csv"
    table.write_text(CSV["ours"].replace("wren", f'"{text}"'), encoding=encoding)
    assert spans(read_labels(form="csv", paths=table)) == [(*WREN[:3], (text,)), ROBIN]


def test_western_windows_text_is_read_and_said_and_other_code_pages_are_refused(
    folder: Path,
) -> None:
    table = folder / "labels.csv"
    table.write_text(CSV["ours"].replace("wren", "Zaunkönig, pöllö"), encoding="cp1252")
    with pytest.raises(TaskError, match="line 2: need 4 fields"):
        read_labels(form="csv", paths=table)
    table.write_text(CSV["ours"].replace("wren", "Zaunkönig pöllö"), encoding="cp1252")
    made = read_labels(form="csv", paths=table)
    assert spans(made)[0][3] == ("Zaunkönig pöllö",)
    assert any("read as Windows-1252" in note for note in made.notes)
    for name, encoding in (
        ("Крапивник", "cp1251"), ("ミソサザイ", "shift-jis"), ("Zaunkönig", "mac-roman"),
        ("鹪鹩", "gbk"),
    ):  # fmt: skip
        table.write_bytes(CSV["ours"].replace("wren", name).encode(encoding))
        with pytest.raises(TaskError, match="save it as UTF-8"):
            read_labels(form="csv", paths=table)


RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"
ROW = "1\tSpectrogram 1\t1\t1.5\t3.5\t0\t4000"
TABLES = {
    "beside": (f"{RAVEN}\tSpecies\n{ROW}\twren\n", ONE),
    "empty Annotation beside Species": (f"{RAVEN}\tAnnotation\tSpecies\n{ROW}\t\twren\n", ONE),
    "BirdNET": (
        f"{RAVEN}\tCommon Name\tSpecies Code\tConfidence\tBegin Path\tFile Offset (s)\n"
        f"{ROW}\twren\teurwre1\t0.9\t/elsewhere/rec1.wav\t1.5\n"
        "2\tSpectrogram 1\t1\t14.0\t15.0\t0\t4000\trobin\teurrob1\t0.9\t/elsewhere/rec2.wav\t4.0\n",
        BOTH,
    ),
    "pasted": (
        f"{RAVEN}\tBegin File\tAnnotation\n{ROW}\trec1.wav\twren\n"
        "1\tSpectrogram 1\t1\t4\t5\t0\t4000\trec2.wav\trobin\n",
        BOTH,
    ),
    "views": (
        f"{RAVEN}\tSpecies\n{ROW}\twren\n{ROW.replace('Spectrogram', 'Waveform')}\twren\n", ONE
    ),
    "decimal commas": (f"{RAVEN}\tSpecies\n{ROW.replace('.', ',')}\twren\n", ONE),
    "one mark in a note": (f'{RAVEN}\tSpecies\tNotes\n{ROW}\twren\t"faint\n', ONE),
    "marks around a note": (f'{RAVEN}\tSpecies\tNotes\n{ROW}\twren\t"faint"\n', ONE),
    "a note of two lines, as pandas writes it": (
        f'{RAVEN}\tNotes\tSpecies\n{ROW}\t"faint\nand far"\twren\n', ONE
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", TABLES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_raven_table_gives_its_selections(folder: Path, layout: str, encoding: str) -> None:
    text, want = TABLES[layout]
    table = folder / "rec1.Table.1.selections.txt"
    table.write_text(text, encoding=encoding)
    made = read_labels(form="raven", paths=[table], audio=folder)
    assert spans(made) == want
    assert any("read: " in note and "ignored: " in note for note in made.notes)
    assert spans(read_labels(form="csv", paths=table)) == want


def test_raven_selections_whose_times_may_run_on_are_refused_unless_it_is_said(
    folder: Path,
) -> None:
    table = folder / "all.txt"
    rows = "1\t1.5\t3.5\trec1.wav\twren\n2\t4\t5\trec2.wav\trobin\n"
    table.write_text(f"Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\tSpecies\n{rows}")
    with pytest.raises(TaskError, match=r"no column 'File Offset \(s\)'"):
        read_labels(form="raven", paths=[table], audio=folder)
    said = {"start_s": "Begin Time (s)"}
    assert spans(read_labels(form="raven", paths=[table], audio=folder, columns=said)) == BOTH


AUDACITY = {
    "plain": "1.5\t3.5\twren\n",
    "frequencies": "1.500000\t3.500000\twren\n\\\t500.0\t4000.0\n",
    "BirdNET": "1.5\t3.5\twren\t0.9123\n",
    "ours": "1.500000\t3.500000\twren 0.912\n",
    "decimal commas": "1,500000\t3,500000\twren\n",
}


@pytest.mark.parametrize("layout", AUDACITY)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_an_audacity_track_gives_its_labels(folder: Path, layout: str, encoding: str) -> None:
    table = folder / "rec1.txt"
    table.write_text(AUDACITY[layout], encoding=encoding)
    assert spans(read_labels(form="audacity", paths=[table], audio=folder)) == ONE


def test_a_table_without_paths_belongs_to_the_recording_of_its_name(folder: Path) -> None:
    simple = folder / "rec1.csv"  # crowsetta's simple-seq, BirdNET's table of one recording
    for text in (
        "onset_s,offset_s,label\n1.5,3.5,wren\n",
        "Start (s),End (s),Scientific name,Common name,Confidence\n1.5,3.5,wren,Wren,0.9\n",
    ):
        simple.write_text(text)
        assert spans(read_labels(form="csv", paths=simple)) == ONE
    other = folder / "labels.csv"
    other.write_text("onset_s,offset_s,label\n1.5,3.5,wren\n")
    with pytest.raises(UsageError, match="which column is the path"):
        read_labels(form="csv", paths=other)


def test_tables_of_a_folder_are_read_together(folder: Path) -> None:
    for name, row in (("rec1", "1.5,3.5,wren"), ("rec2", "4,5,robin")):
        table = folder / f"{name}.BirdNET.results.csv"
        table.write_text(f"Start (s),End (s),Common name,Confidence\n{row},0.9\n")
    assert spans(read_labels(form="csv", paths=folder)) == BOTH


def test_text_tables_of_a_folder_are_each_what_they_are_and_others_are_said(folder: Path) -> None:
    (folder / "rec1.txt").write_text("1.5\t3.5\twren\n")
    (folder / "rec2.selections.txt").write_text(
        "Selection\tBegin Time (s)\tEnd Time (s)\tSpecies\n1\t4\t5\trobin\n"
    )
    (folder / "more.csv").write_text("path,label\nrec1.wav,owl\n")
    clips = read_labels(folder)
    assert spans(clips) == BOTH
    assert f"not read are 1 tables of another form, such as {folder}/more.csv" in clips.notes[-1]


REFUSED = {
    "an unknown unit": ("file,start_frame,end_frame,label\nrec1.wav,3,9,wren\n", "start_frame"),
    "an unknown word": ("file,from,to,label\nrec1.wav,1,2,wren\n", "--column start_s=from"),
    "a stop by another name": ("file,start,until,label\nrec1.wav,1,2,wren\n", "stop_s=until"),
    "offset alone": ("file,offset,label\nrec1.wav,1,wren\n", "--column start_s=offset"),
    "offset of a start and a length": (
        "file,start,offset,duration,label\nrec1.wav,1,2,1,wren\n", "is 'offset' a stop"
    ),
    "a stop alone": ("file,end,label\nrec1.wav,1,wren\n", "where does it start"),
    "labels in another language": ("path,Art\nrec1.wav,Zaunkönig\n", "--column labels=Art"),
    "two columns of labels": (
        "path,label,species\nrec1.wav,a,b\n", r"which of \['label', 'species"
    ),
    "one name twice": ("path,label,label\nrec1.wav,a,b\n", "no column is known|which of"),
    "counts in a table of classes": (
        "file,start,end,wren,owl,robin\nrec1.wav,1,2,0,1,3\n", "'robin' holds other numbers"
    ),
    "scores in a table of classes": (
        "file,start,end,wren,robin\nrec1.wav,1,2,0.1,0.8\n", "wren, robin may"
    ),
    "seconds of what": ("file,seconds,label\nrec1.wav,3,a\n", "--column start_s=seconds"),
    "a moment": ("file,timestamp_s,label\nrec1.wav,3,a\n", "--column start_s=timestamp_s"),
    "lengths of calls without their starts": (
        "file,duration,label\nrec1.wav,3,a\n", "line 2: 3 s of 10 s.*where they start"
    ),
    "gaps in a table of classes": (
        "file,start,end,wren,robin\nrec1.wav,1,2,0,\nrec1.wav,2,3,1,1\n",
        "cells of 'robin' are empty",
    ),
    "hours or minutes": ("file,start,end,label\nrec1.wav,0:01,0:02,a\n", "hours or minutes"),
    "thousands or decimals": (
        'file;start;end;label\nrec1.wav;1,500;3,500;a\n', "1.5 or 1500"
    ),
    "decimal points and commas": (
        'file;start;end;label\nrec1.wav;1,5;3.5;a\n', "have decimal commas"
    ),
    "infinity": ("file,start,end,label\nrec1.wav,0,inf,a\n", "line 2: end is 'inf', need a number"),
    "a date for seconds": (
        "file,start,end,label\nrec1.wav,2024-05-01,2024-05-02,a\n", "need a number"
    ),
    "milliseconds without a word": (
        "file,start,end,label\nrec1.wav,1500,3500,a\nrec2.wav,0,5000,b\n", "in another unit"
    ),
    "a quotation mark that is not closed": (
        'file,start,end,label,note\nrec1.wav,1,2,a,"faint\nrec2.wav,1,2,b,\n', "line 2: a quotation"
    ),
    "two of them": (
        'file,label,note\nrec1.wav,a,"faint\nrec2.wav,b,x\nrec1.wav,c,loud"\n',
        "line 2: a quotation",
    ),
    "marks in the wrong place": ('file,label\nrec1.wav,"a" b\n', "line 2: a quotation"),
    "a month that may be a day": (
        "file,label,recorded_at\nrec1.wav,a,12/05/2024\n", "may be two days"
    ),
    "a spreadsheet": ("PK\x03\x04xl/workbook.xml", "a spreadsheet or zip file"),
    "bytes": ("path,label\0\0\x01\n", "bytes that are not text"),
    "nothing": ("", "is empty"),
    "a long line": ("path,label\n" + "a" * (1 << 20), "field larger than field limit"),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_a_table_that_may_mean_two_things_is_refused_with_the_way_out(
    folder: Path, fault: str
) -> None:
    text, said = REFUSED[fault]
    table = folder / "labels.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(DawnChorusError, match=said) as refusal:
        read_labels(form="csv", paths=table)
    assert "labels.csv" in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "columns", "want"),
    [
        ("file,from,to,x\nrec1.wav,1.5,3.5,wren\n",
         {"start_s": "from", "stop_s": "to", "labels": "x"}, ONE),
        ("file,offset,label\nrec1.wav,1.5,wren\n", {"stop_s": "offset"},
         [("rec1.wav", 0.0, 1.5, ("wren",))]),
        ("file,offset,len_ms,label\nrec1.wav,1.5,2000,wren\n",
         {"start_s": "offset", "length_s": "len_ms"}, ONE),
        ("file,begin_samples,begin_s,end_s,label\nrec1.wav,12000,0,3.5,wren\n",
         {"start_s": "begin_samples"}, ONE),
    ],
)  # fmt: skip
def test_a_column_that_is_named_is_read(
    folder: Path, text: str, columns: dict[str, str], want: list[object]
) -> None:
    (folder / "labels.csv").write_text(text)
    assert spans(read_labels(form="csv", paths=folder / "labels.csv", columns=columns)) == want


def test_labels_of_no_length_and_before_the_beginning_are_left_out_by_their_line(
    folder: Path,
) -> None:
    table = folder / "labels.csv"
    rows = (
        "rec1.wav,0,0,a\nrec1.wav,5,5,b\nrec1.wav,6,5,c\nrec1.wav,-1,5,d\nrec1.wav,1.5,3.5,wren\n"
    )
    table.write_text(f"path,start,end,label\n{rows}")
    made = read_labels(form="csv", paths=table)
    assert spans(made) == ONE
    assert [failure.reason for failure in made.failures] == ["no-length"] * 3 + ["before-start"]
    assert [
        f"labels.csv, line {n}: " in said
        for n, said in enumerate([failure.message for failure in made.failures], 2)
    ] == [True] * 4


def test_words_for_no_label_are_no_classes_and_are_named(folder: Path) -> None:
    table = folder / "labels.csv"
    words = ["NA", "nan", "N/A", "NULL", "", "wren"]
    rows = "".join(f"rec1.wav,{n},{n + 1},{word}\n" for n, word in enumerate(words))
    table.write_text(f"path,start,end,label\n{rows}")
    made = read_labels(form="csv", paths=table)
    assert [labels for *_, labels in spans(made)] == [()] * 5 + [("wren",)]
    warning = next(note for note in made.notes if "without a label" in note)
    assert all(word in warning for word in ("'NA' 1", "'nan' 1", "empty 1"))


def test_several_labels_in_a_cell_are_read_or_said(folder: Path) -> None:
    table = folder / "labels.csv"
    table.write_text("path,labels\nrec1.wav,\"['wren', 'robin']\"\nrec2.wav,[]\n")
    assert [labels for *_, labels in spans(read_labels(form="csv", paths=table))] == [
        ("wren", "robin"),
        (),
    ]
    rows = 'rec1.wav,0,1,wren\nrec1.wav,1,2,robin\nrec1.wav,2,3,"wren, robin"\n'
    table.write_text(f"path,start,end,labels\n{rows}")
    made = read_labels(form="csv", paths=table)
    assert spans(made)[2][3] == ("wren, robin",)
    assert any("say --separator ','" in note for note in made.notes)
    made = read_labels(form="csv", paths=table, separator=",")
    assert spans(made)[2][3] == ("wren", "robin")
    assert not any("--separator" in note for note in made.notes)


def test_rows_with_half_of_their_times_or_none_are_said(folder: Path) -> None:
    table = folder / "labels.csv"
    table.write_text("path,start,end,label\nrec1.wav,5,NA,a\nrec1.wav,nan,,b\nrec1.wav,1,2,c\n")
    made = read_labels(form="csv", paths=table)
    assert [(start, stop) for _, start, stop, _ in spans(made)] == [(0, 10), (1, 2), (5, 10)]
    assert any("1 rows have no times" in note for note in made.notes)
    assert any("1 rows have a start or a stop only" in note for note in made.notes)


def test_the_length_of_the_recording_beside_a_label_is_no_doubt(folder: Path) -> None:
    table = folder / "labels.csv"
    table.write_text("path,duration_s,label\nrec1.wav,10.02,wren\nrec2.wav,9.99,robin\n")
    assert spans(read_labels(form="csv", paths=table)) == [
        ("rec1.wav", 0.0, 10.0, ("wren",)), ("rec2.wav", 0.0, 10.0, ("robin",))
    ]  # fmt: skip


def test_rows_that_nobody_reviewed_are_left_out_of_a_reviewed_kaleidoscope_table(
    folder: Path,
) -> None:
    table = folder / "labels.csv"
    rows = "/,x,rec1.wav,1.5,2,robin,wren\n/,x,rec2.wav,4,1,robin,\n"
    table.write_text(f"INDIR,FOLDER,IN FILE,OFFSET,DURATION,TOP1MATCH,MANUAL ID\n{rows}")
    made = read_labels(form="csv", paths=table)
    assert spans(made) == ONE
    assert [failure.reason for failure in made.failures] == ["unreviewed"]


def test_dates_of_a_column_are_read_where_one_of_them_tells_how(folder: Path) -> None:
    table = folder / "labels.csv"
    table.write_text("path,label,recorded_at\nrec1.wav,a,12/05/2024\nrec2.wav,b,25/05/2024 04:30\n")
    made = read_labels(form="csv", paths=table)
    assert made.manifest.table["recorded_at"].to_pylist() == ["2024-05-12", "2024-05-25T04:30:00"]


def test_one_recording_has_one_path_however_it_is_spelled_or_linked(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "link.wav").symlink_to(folder / "rec1.wav")
    table = folder / "labels.csv"
    spelled = ["rec1.wav", "./rec1.wav", ".\\rec1.wav", "sub/../rec1.wav", f"{folder}/rec1.wav",
               "link.wav"]  # fmt: skip
    rows = "".join(f"{path},{n},{n + 1},a\n" for n, path in enumerate(spelled))
    table.write_text(f"path,start,end,label\n{rows}")
    assert {path for path, *_ in spans(read_labels(form="csv", paths=table))} == {"rec1.wav"}


def test_paths_of_another_computer_are_found_by_their_last_folders(folder: Path) -> None:
    for name in ("north/a.wav", "south/a.wav"):
        make_sound(folder / name, 10.0, rate=8000)
    table = folder / "labels.csv"
    rows = "/old/disk/south/a.wav,1,2,wren\nE:\\disk\\north\\a.wav,3,4,robin\n/old/a.wav,5,6,x\n"
    table.write_text(f"path,start,end,label\n{rows}")
    made = read_labels(form="csv", paths=table)
    assert [path for path, *_ in spans(made)] == ["north/a.wav", "south/a.wav"]
    assert [failure.reason for failure in made.failures] == ["ambiguous"]  # which of the two?
    assert any("found by their names" in note for note in made.notes)


def test_a_stop_at_0_is_never_the_end_of_the_recording(folder: Path) -> None:
    row = {"id": "a", "path": "rec1.wav", "start_s": 0.0, "stop_s": 0.0, "labels": ["wren"]}
    with pytest.raises(TaskError, match="need 0 <= start_s < stop_s"):
        build_manifest([row], folder, named="rows")


def test_a_recording_that_is_not_found_is_left_out_and_the_others_are_read(folder: Path) -> None:
    for name in ("rec1", "gone"):
        (folder / f"{name}.Table.1.selections.txt").write_text(f"{RAVEN}\tSpecies\n{ROW}\twren\n")
    made = read_labels(form="raven", paths=[folder], audio=folder)
    assert spans(made) == ONE
    assert [failure.reason for failure in made.failures] == ["missing"]
    assert "gone.Table.1.selections.txt" in made.failures[0].message


def test_tables_that_are_alike_are_said_once(folder: Path) -> None:
    for name in ("rec1", "rec2"):
        (folder / f"{name}.txt").write_text(f"{RAVEN}\tSpecies\n{ROW}\twren\n")
    (folder / "rec2.b.txt").write_text(f"{RAVEN}\tLabel\n{ROW}\twren\n")
    read = [
        note
        for note in read_labels(form="raven", paths=[folder], audio=folder).notes
        if "read: " in note
    ]
    assert ["rec1.txt and 1 more tables: read: " in note for note in read] == [True, False]


def test_an_empty_selection_table_is_named_and_the_others_are_read(folder: Path) -> None:
    (folder / "rec1.txt").write_text(f"{RAVEN}\tSpecies\n{ROW}\twren\n")
    (folder / "rec2.txt").write_text(f"{RAVEN}\tSpecies\n")
    made = read_labels(form="raven", paths=[folder], audio=folder)
    assert spans(made) == ONE
    assert any("rec2.txt: has no selections" in note for note in made.notes)
