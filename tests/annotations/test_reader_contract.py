"""One contract for the readers of annotations: read right, or refused by table and line.

`FORMS` writes the same events in every layout. What one reader must take or refuse, all of them
must; see ``tests/clips/test_label_readers.py`` for the same down to clips.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dawnchorus.annotations.annotation import Annotation, AnnotationList, clip_id
from dawnchorus.annotations.audacity import read_audacity
from dawnchorus.annotations.kaleidoscope import is_reviewed
from dawnchorus.annotations.label_cells import LabelCells
from dawnchorus.annotations.raven import read_raven
from dawnchorus.annotations.recordings import Recordings
from dawnchorus.annotations.row_reader import ReadOptions
from dawnchorus.annotations.table import read_table
from dawnchorus.errors import TaskError, UsageError

Event = tuple[str, str, str]  # start and stop as they are written, label
SOME: list[Event] = [("0.5", "1.25", "wren"), ("2.0", "3.75", "Zaunkönig"), ("2.0", "4", "wren")]


@dataclass(frozen=True)
class Form:
    """A layout: its reader, and its text; ``band`` is whether it has one."""

    name: str
    read: Callable[[Path, Recordings], AnnotationList]
    header: str
    row: str  # with {start}, {stop}, {label}
    band: bool = False

    def text(self, events: Sequence[Event]) -> str:
        rows = [
            self.row.format(start=a, stop=b, label=c, n=n) for n, (a, b, c) in enumerate(events)
        ]
        return self.header + "".join(rows)


RAVEN_NAMES = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies"
)
RAVEN_ROW = "{n}\tSpectrogram 1\t1\t{start}\t{stop}\t500\t4000\t{label}"
FORMS = {
    "raven": Form("rec1.selections.txt", read_raven, f"{RAVEN_NAMES}\n", f"{RAVEN_ROW}\n",
                  band=True),
    "raven with a path": Form("all.txt", read_raven, f"{RAVEN_NAMES}\tBegin File\n",
                              f"{RAVEN_ROW}\trec1.wav\n", band=True),
    "raven as a table": Form("rec1.tsv", read_table, f"{RAVEN_NAMES}\n", f"{RAVEN_ROW}\n",
                             band=True),
    "audacity": Form("rec1.txt", read_audacity, "", "{start}\t{stop}\t{label}\n"),
    "audacity with bands": Form("rec1.txt", read_audacity, "",
                                "{start}\t{stop}\t{label}\n\\\t500\t4000\n", band=True),
    "semicolons": Form("t.csv", read_table, "file;start;end;label\n",
                       "rec1.wav;{start};{stop};{label}\n"),
    "tabs": Form("t.tsv", read_table, "file\tonset_s\toffset_s\tlabel\n",
                 "rec1.wav\t{start}\t{stop}\t{label}\n"),
    "bars, no path": Form("rec1.csv", read_table, "start|end|label\n", "{start}|{stop}|{label}\n"),
    "kaleidoscope": Form("k.csv", read_table, "INDIR;FOLDER;IN FILE;begin;end;MANUAL ID\n",
                         "/disk;;rec1.wav;{start};{stop};{label}\n"),
}  # fmt: skip
EVERY = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
FREELY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    """Files that are never opened: annotations know no sound."""
    for name in ("rec1.wav", "rec10.wav", "sub/rec2.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return Recordings(tmp_path, lambda _path: None)


def write(recordings: Recordings, form: Form, content: str | bytes) -> Path:
    table = recordings.folder / form.name
    table.write_bytes(content.encode() if isinstance(content, str) else content)
    return table


def spans(found: AnnotationList) -> list[tuple[str, float | None, float | None, tuple[str, ...]]]:
    return [(one.path, one.start_s, one.end_s, one.labels) for one in found.annotations]


WANTED = [("rec1.wav", float(a), float(b), (label,)) for a, b, label in SOME]


@EVERY
def test_the_same_events_come_back_equal(recordings: Recordings, form: Form) -> None:
    table = write(recordings, form, form.text(SOME))
    found = form.read(table, recordings)
    assert spans(found) == WANTED
    assert found.failures == []
    band = (500.0, 4000.0) if form.band else (None, None)
    assert {(one.low_hz, one.high_hz) for one in found.annotations} == {band}
    lines = table.read_text(encoding="utf-8").split("\n")
    for one, (_, _, label) in zip(found.annotations, SOME, strict=True):
        where = re.fullmatch(rf"{re.escape(str(table))}, line (\d+)", one.where)
        assert where is not None
        assert label in lines[int(where[1]) - 1]


@EVERY
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_encodings_and_line_ends_change_nothing(
    recordings: Recordings, form: Form, encoding: str, line_end: str
) -> None:
    content = form.text(SOME).replace("\n", line_end).encode(encoding)
    found = form.read(write(recordings, form, content), recordings)
    assert spans(found) == WANTED
    guessed = [note for note in found.notes() if "read as Windows-1252" in note]
    assert len(guessed) == (encoding == "cp1252")


@EVERY
def test_decimal_commas_are_read_where_one_proves_them(recordings: Recordings, form: Form) -> None:
    commas = [(a.replace(".", ","), b.replace(".", ","), c) for a, b, c in SOME]
    assert spans(form.read(write(recordings, form, form.text(commas)), recordings)) == WANTED
    mixed = [("0,5", "1,25", "wren"), ("2.0", "3,75", "wren")]
    with pytest.raises(TaskError, match=r"line \d.*'?2\.0.*other numbers have decimal commas"):
        form.read(write(recordings, form, form.text(mixed)), recordings)
    thousands = [("1,500", "2,500", "wren")]
    with pytest.raises(TaskError, match=r"line \d.*1,500.*may be 1\.5 or 1500"):
        form.read(write(recordings, form, form.text(thousands)), recordings)


@EVERY
@pytest.mark.parametrize("text", ["soon", "1 500", "inf", "1.5 s", "0x10", "1:30"])
@pytest.mark.parametrize("at_start", [True, False], ids=["start", "stop"])
def test_a_time_that_is_none_is_refused_by_table_and_line(
    recordings: Recordings,
    form: Form,
    text: str,
    at_start: bool,  # noqa: FBT001
) -> None:
    wrong = (text, "9", "wren") if at_start else ("1", text, "wren")
    table = write(recordings, form, form.text([*SOME, wrong]))
    n_lines = table.read_text().count("\n")
    line = n_lines - 1 if form.name == "rec1.txt" and form.band else n_lines
    with pytest.raises(TaskError) as refused:
        form.read(table, recordings)
    said = str(refused.value)
    assert said.startswith(f"{table}, line {line}: ")
    assert text in said
    assert "need" in said or "write seconds" in said


@EVERY
@pytest.mark.parametrize(
    ("start", "stop"), [("1.5", "1.5"), ("2", "1"), ("-0.5", "1"), ("-2", "-1")]
)
def test_reversed_empty_and_negative_spans_are_failures_by_line(
    recordings: Recordings, form: Form, start: str, stop: str
) -> None:
    table = write(recordings, form, form.text([(start, stop, "owl"), *SOME]))
    found = form.read(table, recordings)
    assert spans(found) == WANTED
    (failure,) = found.failures
    assert failure.path == clip_id("rec1.wav", float(start), float(stop))
    line = 2 if form.header else 1
    assert failure.message.startswith(f"{table}, line {line}: 'owl' ")
    reason = "before-start" if start.startswith("-") else "no-length"
    assert failure.reason == ("point" if form.read is read_audacity else reason)


@EVERY
def test_blank_lines_are_no_events_and_duplicates_stay_two(
    recordings: Recordings, form: Form
) -> None:
    text = form.text([*SOME, SOME[0]]).replace("\n", "\n\n")
    assert spans(form.read(write(recordings, form, text), recordings)) == [*WANTED, WANTED[0]]


@EVERY
@pytest.mark.parametrize("word", ["", "NA", "nan", "NULL"])
def test_an_event_without_a_label_has_none_and_is_remarked(
    recordings: Recordings, form: Form, word: str
) -> None:
    table = write(recordings, form, form.text([*SOME, ("5", "6", word)]))
    found = form.read(table, recordings)
    if "MANUAL ID" in form.header:  # nobody looked at it, which is not "nothing there"
        assert [failure.reason for failure in found.failures] == ["unreviewed"]
        assert spans(found) == WANTED
        return
    assert spans(found) == [*WANTED, ("rec1.wav", 5.0, 6.0, ())]
    said = f"'{word}' 1" if word else "empty 1"
    assert any(f"rows without a label ({said})" in note for note in found.notes())


@EVERY
@FREELY
@given(
    events=st.lists(
        st.tuples(
            st.integers(0, 10**6),
            st.integers(1, 10**5),
            st.text(
                st.characters(
                    codec="utf-8",
                    exclude_categories=("C", "Z"),
                    exclude_characters='";|\t\\[]{}',
                ),
                min_size=1,
                max_size=6,
            ).filter(lambda text: text.casefold() not in {"na", "nan", "n/a", "null", "#n/a",
                                                          "<na>"}),
        ),
        min_size=1,
        max_size=6,
    )
)  # fmt: skip
def test_any_event_to_the_millisecond_comes_back(
    recordings: Recordings, form: Form, events: list[tuple[int, int, str]]
) -> None:
    written = [(f"{a / 1000:.3f}", f"{(a + n) / 1000:.3f}", label) for a, n, label in events]
    found = form.read(write(recordings, form, form.text(written)), recordings)
    assert spans(found) == [
        ("rec1.wav", float(start), float(stop), (label,)) for start, stop, label in written
    ]


@EVERY
def test_bytes_that_are_no_text_are_refused_with_the_table(
    recordings: Recordings, form: Form
) -> None:
    for content, said in (
        (form.text(SOME).encode("cp1251", "replace").replace(b"wren", b"\xe7\xff\xe1\xeb\xe8\xea"),
         "its encoding cannot be detected; save it as UTF-8"),
        (form.text(SOME).encode().replace(b"wren", b"w\x00n"), "holds bytes that are not text"),
        (b"PK\x03\x04" + form.text(SOME).encode(), "a spreadsheet or zip file; save the table as"),
        (b"RIFF" + form.text(SOME).encode(), "a sound file, not a table"),
        (codecs.BOM_UTF16_LE + form.text(SOME).encode("utf-16-le")[:-1], "utf-16"),
    ):  # fmt: skip
        table = write(recordings, form, content)
        with pytest.raises(TaskError, match=re.escape(said)) as refused:
            form.read(table, recordings)
        assert str(refused.value).startswith(f"{table}: ")


@pytest.mark.parametrize(
    "form", [form for form in FORMS.values() if form.header], ids=lambda f: f.name
)
@pytest.mark.parametrize("n_more", [-1, 1])
def test_a_row_of_another_width_is_refused_by_line(
    recordings: Recordings, form: Form, n_more: int
) -> None:
    separator = next(sign for sign in "\t;|" if sign in form.header)
    n_names = form.header.count(separator) + 1
    row = separator.join(["1"] * (n_names + n_more))
    table = write(recordings, form, form.text(SOME) + row + "\n")
    with pytest.raises(
        TaskError, match=rf"line 5: need {n_names} fields.* found {n_names + n_more}"
    ):
        form.read(table, recordings)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0.5 1.25 wren", "there is no tab"),
        ("0.5\t1.25\twren\ttit", "need a number"),
        ("wren\t0.5\t1.25", "need a number"),
    ],
)
def test_a_line_that_is_no_audacity_label_is_refused(
    recordings: Recordings, line: str, said: str
) -> None:
    table = recordings.folder / "rec1.txt"
    table.write_text(f"1\t2\towl\n{line}\n")
    with pytest.raises(TaskError) as refused:
        read_audacity(table, recordings)
    assert str(refused.value) == (
        f"{table}, line 2: need start, stop and label between tabs, found {line!r} ({said})"
    )


def test_only_three_decimals_behind_an_audacity_label_are_a_score(recordings: Recordings) -> None:
    table = recordings.folder / "rec1.txt"
    table.write_text("0\t1\twren 0.912\n1\t2\ttype 2.5\n2\t3\twren 1.0\n3\t4\t0.912\n")
    found = read_audacity(table, recordings)
    assert [one.labels[0] for one in found.annotations] == ["wren", "type 2.5", "wren 1.0", "0.912"]
    assert found.remarks == [f"{table}: 1 labels end in a score, which is not part of them"]


@pytest.mark.parametrize("name", ["gone.txt", "rec.txt", "rec1b.txt"])
def test_a_table_of_no_recording_is_a_failure_with_its_name(
    recordings: Recordings, name: str
) -> None:
    table = recordings.folder / name
    table.write_text(FORMS["audacity"].text(SOME))
    (failure,) = read_audacity(table, recordings).failures
    assert (failure.path, failure.reason) == (Path(name).stem, "missing")
    assert "is not below" in failure.message
    table.write_text(FORMS["raven"].text(SOME), encoding="utf-8")
    found = read_raven(table, recordings)
    assert [one.message.split(":")[0] for one in found.failures] == [
        f"{table}, line {line}" for line in (2, 3, 4)
    ]


def clock_table(
    recordings: Recordings, rows: Sequence[tuple[int, str, str]], more: str = ""
) -> Path:
    table = recordings.folder / "all.txt"
    lines = [f"{n}\tS\t1\t{t}\t{float(t) + 0.5}\t1\t2\twren\t{file}\n" for n, t, file in rows]
    table.write_text(f"{RAVEN_NAMES}\tBegin File{more}\n" + "".join(lines))
    return table


def test_times_that_may_run_on_over_recordings_are_refused(recordings: Recordings) -> None:
    run_on = [(1, "1", "rec1.wav"), (2, "7", "rec10.wav")]
    for read in (read_raven, read_table):
        with pytest.raises(TaskError, match=r"has 2 recordings and no column 'File Offset \(s\)'"):
            read(clock_table(recordings, run_on), recordings)
        own = ReadOptions(columns={"start_s": "Begin Time (s)"})
        assert len(read(clock_table(recordings, run_on), recordings, own).annotations) == 2
        again = [(1, "1", "rec1.wav"), (1, "7", "rec10.wav")]  # numbers start again
        assert len(read(clock_table(recordings, again), recordings).annotations) == 2
        back = [(1, "7", "rec1.wav"), (2, "1", "rec10.wav")]  # times go back
        assert len(read(clock_table(recordings, back), recordings).annotations) == 2


def test_an_empty_path_and_an_unknown_column_are_refused(recordings: Recordings) -> None:
    table = recordings.folder / "t.csv"
    table.write_text("path,start,end,label\nrec1.wav,0,1,wren\n,1,2,wren\n")
    with pytest.raises(TaskError, match=r"t\.csv, line 3: the path is empty"):
        read_table(table, recordings)
    with pytest.raises(UsageError, match=r"no column 'bird' for 'labels'; columns: \['path', 'st"):
        read_table(table, recordings, ReadOptions(columns={"labels": "bird"}))


def test_values_stand_for_every_row(recordings: Recordings) -> None:
    table = recordings.folder / "t.csv"
    table.write_text("path,start,end,label\nrec1.wav,0,1,wren\nrec10.wav,1,2,owl\n")
    one_path = ReadOptions(values={"path": "sub/rec2.wav"})
    assert [one.path for one in read_table(table, recordings, one_path).annotations] == [
        "sub/rec2.wav", "sub/rec2.wav"
    ]  # fmt: skip
    for text, labels in (("a|b", ("a", "b")), ("", ())):
        options = ReadOptions(values={"labels": text}, separator="|")
        found = read_table(table, recordings, options).annotations
        assert {one.labels for one in found} == {labels}


def test_rows_with_half_a_span_or_none_are_counted(recordings: Recordings) -> None:
    table = recordings.folder / "t.csv"
    table.write_text(
        "path,start,end,label\nrec1.wav,1,2,a\nrec1.wav,,,b\nrec1.wav,1,NA,c\nrec1.wav,,2,d\n"
    )
    found = read_table(table, recordings)
    assert [(one.start_s, one.end_s) for one in found.annotations] == [
        (1.0, 2.0), (None, None), (1.0, None), (None, 2.0)
    ]  # fmt: skip
    assert found.remarks == [
        f"{table}: 1 rows have no times; their labels are of whole recordings",
        f"{table}: 2 rows have a start or a stop only; they begin or end with their recordings",
    ]


@pytest.mark.parametrize(
    ("cell", "moment"),
    [("2024-05-01T04:30:00", "2024-05-01T04:30:00"), ("25/5/2024", "2024-05-25"),
     ("1.5.2024 4:30", "2024-05-01T04:30:00"), ("NA", None)],
)  # fmt: skip
def test_a_date_is_read_as_its_column_proves(
    recordings: Recordings, cell: str, moment: str | None
) -> None:
    table = recordings.folder / "t.csv"
    table.write_text(f"path,label,recorded_at\nrec1.wav,a,{cell}\n")
    known = ReadOptions(known={"recorded_at": str})
    (found,) = read_table(table, recordings, known).annotations
    assert found.columns == {"recorded_at": moment}
    table.write_text("path,label,recorded_at\nrec1.wav,a,3/4/2024\n")
    with pytest.raises(TaskError, match=r"line 2: recorded_at is '3/4/2024', which may be two day"):
        read_table(table, recordings, known)
    table.write_text("path,label,recorded_at\nrec1.wav,a,25/4/2024\nrec1.wav,a,4/25/2024\n")
    with pytest.raises(TaskError, match=r"column 'recorded_at': '25/4/2024' has the day first"):
        read_table(table, recordings, known)


def test_a_length_alone_is_that_of_the_recording(recordings: Recordings) -> None:
    table = recordings.folder / "t.csv"
    table.write_text("path,label,duration_ms\nrec1.wav,a,1500\nrec1.wav,b,long\n")
    found = read_table(table, recordings).annotations
    assert [(one.start_s, one.end_s, one.recording_s) for one in found] == [
        (None, None, 1.5), (None, None, None)
    ]  # fmt: skip


def test_a_label_whose_parts_are_labels_is_asked_about() -> None:
    cells = LabelCells(Path("t.csv"))
    for cell in ("a; b", "a", "b", "c, d", "c"):
        cells.labels(cell)
    assert cells.notes() == [
        "t.csv: 'a; b' is read as one label, and its parts are labels too; if it is several, say "
        "--separator ';'"
    ]


@pytest.mark.parametrize(
    ("labels", "cells", "reviewed"),
    [(("MANUAL ID",), ("", "x"), True), (("MANUAL ID",), ("", "NA"), False),
     (("AUTO ID",), ("x",), False), ((), ("x",), False)],
)  # fmt: skip
def test_a_table_is_reviewed_where_a_person_wrote_a_label(
    labels: tuple[str, ...],
    cells: tuple[str, ...],
    reviewed: bool,  # noqa: FBT001
) -> None:
    rows = [dict.fromkeys(labels, cell) for cell in cells]
    assert is_reviewed(labels, rows) == reviewed


def test_lists_joined_say_each_layout_once() -> None:
    def one(name: str, layout: str) -> AnnotationList:
        found = AnnotationList(layouts={layout: [Path(name)]}, remarks=[f"{name}: mind"])
        found.add(Annotation(path=name, start_s=0, end_s=1, labels=(), where=name))
        return found

    joined = AnnotationList()
    for name, layout in (("a", "L"), ("b", "M"), ("c", "L")):
        joined.extend(one(name, layout))
    assert joined.notes() == ("a and 1 more tables: L", "b: M", "a: mind", "b: mind", "c: mind")
    assert [found.id for found in joined.annotations] == [f"{n}:0.000-1.000" for n in "abc"]


def test_a_file_is_one_recording_whatever_leads_to_it(recordings: Recordings) -> None:
    (recordings.folder / "link.wav").symlink_to(recordings.folder / "rec1.wav")
    found = [
        recordings.find(text).path
        for text in ("rec1.wav", "link.wav", str(recordings.folder / "rec1.wav"), "./rec1.wav")
    ]
    assert found == ["rec1.wav"] * 4
    assert recordings.notes() == []
    assert recordings.find("rec2.wav").path == "sub/rec2.wav"
    assert recordings.notes() == [
        f"1 recordings were found by their names below {recordings.folder}, such as rec2.wav: "
        "sub/rec2.wav"
    ]
