"""What each reader makes of a row: span, band, labels, and which recording it means."""

from __future__ import annotations

from pathlib import Path

import pytest

from dawnchorus.annotations.annotation import Annotation, AnnotationList, clip_id
from dawnchorus.annotations.annotation_row import new_row
from dawnchorus.annotations.audacity import read_audacity
from dawnchorus.annotations.imported import not_in_store, rows_of
from dawnchorus.annotations.label_cells import LabelCells
from dawnchorus.annotations.raven import read_raven
from dawnchorus.annotations.recordings import Recordings
from dawnchorus.annotations.row_reader import ReadOptions
from dawnchorus.annotations.table import read_table, table_text
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.failures import Failure
from dawnchorus.store.schema import recording_id


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    """Files that are never opened: annotations know no sound."""
    for name in ("rec1.wav", "rec10.wav", "north/a.wav", "south/a.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return Recordings(tmp_path, lambda path: 8000 if path == "rec1.wav" else None)


RAVEN = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tCall\n"
)


def test_a_raven_selection_has_its_band(recordings: Recordings) -> None:
    table = recordings.folder / "rec10.Table.1.selections.txt"
    table.write_text(f"{RAVEN}1\tSpectrogram 1\t1\t0.5\t1.25\t500.5\t3000\ta\n")
    options = ReadOptions(columns={"labels": "Call"})
    (found,) = read_raven(table, recordings, options).annotations
    assert found == Annotation(
        path="rec10.wav", start_s=0.5, end_s=1.25, labels=("a",), low_hz=500.5, high_hz=3000.0,
        where=f"{table}, line 2",
    )  # fmt: skip
    (same,) = read_table(table, recordings, options).annotations
    assert (same.low_hz, same.high_hz) == (500.5, 3000.0)
    assert same.columns["Low Freq (Hz)"] == "500.5"  # a CSV keeps what it has


@pytest.mark.parametrize(
    ("line", "band"),
    [("\\\t500.0\t3000.0\n", (500.0, 3000.0)), ("\\\t-1.0\t-1.0\n", (None, None)),
     ("\\\tx\n", (None, None)), ("", (None, None))],
)  # fmt: skip
def test_an_audacity_label_has_the_band_of_the_line_after_it(
    recordings: Recordings, line: str, band: tuple[float | None, float | None]
) -> None:
    table = recordings.folder / "rec1.txt"
    table.write_text(f"\\\t1\t2\n0.5\t1.25\ta\n{line}2\t3\tb\n")
    first, second = read_audacity(table, recordings).annotations
    assert (first.low_hz, first.high_hz) == band
    assert (second.start_s, second.low_hz, second.high_hz) == (2.0, None, None)


def test_samples_count_at_the_rate_of_the_row_then_of_the_recording(
    recordings: Recordings,
) -> None:
    table = recordings.folder / "t.csv"
    table.write_text(
        "path,start_sample,end_sample,sample_rate,label\n"
        "rec1.wav,4000,8000,,a\nrec1.wav,4000,8000,1000,b\n"
    )
    spans = [(a.start_s, a.end_s) for a in read_table(table, recordings).annotations]
    assert spans == [(0.5, 1.0), (4.0, 8.0)]


def test_columns_that_somebody_knows_are_read_as_their_type(recordings: Recordings) -> None:
    table = recordings.folder / "t.csv"
    table.write_text("path,label,Species Key,latitude,site\nrec1.wav,a,7.0,-1.5,NA\n")
    known = {"species_key": int, "latitude": float}
    (plain,) = read_table(table, recordings).annotations
    (typed,) = read_table(table, recordings, ReadOptions(known=known)).annotations
    assert plain.columns == {"Species Key": "7.0", "latitude": "-1.5", "site": "NA"}
    assert typed.columns == {"species_key": 7, "latitude": -1.5, "site": "NA"}


def test_a_table_that_is_no_selection_table_is_refused_and_an_empty_one_is_noted(
    recordings: Recordings,
) -> None:
    table = recordings.folder / "rec1.txt"
    table.write_text("a\tb\n1\t2\n")
    with pytest.raises(TaskError, match=r"no column 'Begin Time \(s\)'"):
        read_raven(table, recordings)
    table.write_text(RAVEN)
    empty = read_raven(table, recordings)
    assert (empty.annotations, empty.notes()) == ([], (f"{table}: has no selections",))


@pytest.mark.parametrize(
    ("text", "path", "failure"),
    [
        ("rec1.wav", "rec1.wav", None),
        ("./north/../rec1.wav", "rec1.wav", None),
        ("/old/disk/north/a.wav", "north/a.wav", None),
        ("D:\\disk\\south\\a.wav", "south/a.wav", None),
        ("/old/disk/rec10.wav", "rec10.wav", None),
        ("a.wav", "a.wav", "ambiguous"),
        ("gone.wav", "gone.wav", None),  # whoever measures it says so
        ("s3://bucket/a.wav", "s3://bucket/a.wav", None),
    ],
)
def test_the_recording_that_a_path_means(
    recordings: Recordings, text: str, path: str, failure: str | None
) -> None:
    location = recordings.find(text)
    assert location.path == path
    assert (location.failure or (None,))[0] == failure


def test_a_table_belongs_to_the_recording_with_the_longest_name_that_fits(
    recordings: Recordings,
) -> None:
    folder = recordings.folder
    assert recordings.beside(folder / "rec1.Table.1.txt").path == "rec1.wav"
    assert recordings.beside(folder / "rec10.Table.1.txt").path == "rec10.wav"
    assert recordings.beside(folder / "north" / "a.txt").path == "north/a.wav"
    both = recordings.beside(folder / "a.txt")
    assert both.failure is not None
    assert both.failure[0] == "ambiguous"


def test_annotations_without_a_length_are_failures_named_by_their_span() -> None:
    found = AnnotationList()
    for start_s, end_s in ((1.0, 1.0), (-0.5, 1.0), (0.0, None), (None, 2.0)):
        found.add(Annotation(path="x", start_s=start_s, end_s=end_s, labels=("a",), where="t, 2"))
    assert [(one.start_s, one.end_s) for one in found.annotations] == [(0.0, None), (None, 2.0)]
    assert found.failures == [
        Failure("x:1.000-1.000", "no-length", "t, 2: 'a' from 1 to 1 s has no length"),
        Failure(
            "x:-0.500-1.000", "before-start", "t, 2: 'a' starts at -0.5 s, before the recording"
        ),
    ]
    assert [clip_id("x", None, None), clip_id("x", None, 2), clip_id("x", 1, None)] == [
        "x", "x:0.000-2.000", "x:1.000-"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "separator", "labels"),
    [
        ("wren", None, ("wren",)),
        ("a, b", None, ("a, b",)),
        ("a; b;a", ";", ("a", "b")),
        ("['a', 'b']", None, ("a", "b")),
        ("[a]", None, ("[a]",)),
        ("[1, 2]", None, ("[1, 2]",)),
        ("['a'", None, ("['a'",)),
        ("NA", None, ()),
        ("", None, ()),
        ("a;NA;", ";", ("a",)),
    ],
)
def test_the_labels_of_a_cell(cell: str, separator: str | None, labels: tuple[str, ...]) -> None:
    assert LabelCells(Path("t.csv"), separator).labels(cell) == labels


STATES = "path,start_s,end_s,label,state\nrec1.wav,1,2,a,Present\nrec1.wav,2,3,a,absent\n"


def read(table: Path, text: str, recordings: Recordings, *, keep: bool) -> AnnotationList:
    table.write_text(text)
    return read_table(table, recordings, ReadOptions(keep=keep))


def test_a_column_of_states_is_what_it_says(recordings: Recordings) -> None:
    table = recordings.folder / "t.csv"
    found = read(table, f"{STATES}rec1.wav,3,4,a,\n", recordings, keep=True)
    rows, failures = rows_of(found, "ann", state="present")
    assert [row.state for row in rows] == ["present", "absent", "present"]
    assert not failures
    assert "'state' says which labels are heard" in " ".join(found.notes())
    # whoever wants clips, not annotations, gets those alone in which the label is heard
    found = read(table, STATES, recordings, keep=False)
    assert [one.start_s for one in found.annotations] == [1.0]
    assert [failure.message for failure in found.failures] == [
        f"{table}, line 3: state is 'absent', not 'present'"
    ]


def test_a_state_that_is_not_known_is_refused_by_its_line(recordings: Recordings) -> None:
    table = recordings.folder / "t.csv"
    found = read(table, f"{STATES}rec1.wav,3,4,a,maybe\n", recordings, keep=True)
    with pytest.raises(TaskError, match="line 4: state is 'maybe'; known: present, absent, unsure"):
        rows_of(found, "ann", state="present")


def test_the_state_of_a_country_is_no_state(recordings: Recordings) -> None:
    text = "path,start_s,end_s,label,state\nrec1.wav,1,2,a,Ohio\n"
    for keep in (True, False):
        (one,) = read(recordings.folder / "t.csv", text, recordings, keep=keep).annotations
        assert one.state is None


def test_a_line_added_to_our_own_table_has_its_state(recordings: Recordings) -> None:
    table = recordings.folder / "t.csv"
    ours = new_row("rec1.wav", 0.0, 1.0, "a", author="ann")
    text = f"{table_text([ours])}rec1.wav,2,3,,,b,absent,,\n"
    rows, _ = rows_of(read(table, text, recordings, keep=True), "bob", state="present")
    assert [(row.label, row.state) for row in rows] == [("a", "present"), ("b", "absent")]


def test_spans_without_a_column_of_labels_do_not_become_background(recordings: Recordings) -> None:
    with pytest.raises(UsageError, match="no column holds the labels; name it: --column labels="):
        read(recordings.folder / "t.csv", "path,start_s,end_s\nrec1.wav,1,2\n", recordings,
             keep=True)  # fmt: skip


@pytest.mark.parametrize("ours", ["labels", "label", "Label", "LABELS"])
def test_our_columns_may_be_named_as_people_name_them(ours: str, recordings: Recordings) -> None:
    table = recordings.folder / "t.csv"
    table.write_text("path,von,bis,Art\nrec1.wav,1,2,a\n")
    columns = {ours: "Art", "Start": "von", "end_s": "bis"}
    (one,) = read_table(table, recordings, ReadOptions(columns=columns)).annotations
    assert (one.start_s, one.end_s, one.labels) == (1.0, 2.0, ("a",))


def test_an_empty_separator_is_refused() -> None:
    with pytest.raises(UsageError, match="need the text between two labels"):
        ReadOptions(separator="")


def test_rows_that_no_window_will_meet_are_remarked_on() -> None:
    rows = [new_row(path, start_s, None, "a", author="ann")
            for path, start_s in (("a.wav", 9.9), ("a.wav", 10.0), ("b.wav", 99.0), ("c.wav", 0.0))
    ]  # fmt: skip
    lengths_s = {recording_id("a.wav"): 10.0, recording_id("b.wav"): None}
    strange, behind = not_in_store(rows, lengths_s, "x.store")
    assert strange.startswith("1 of 4 annotations are of recordings that x.store does not have, ")
    assert "such as c.wav" in strange
    assert behind.startswith("1 of 4 annotations begin behind the end of their recordings, such as")
    assert "a.wav at 10 s" in behind
    assert not_in_store(rows[:1], lengths_s, "x.store") == []
