"""Import, export and import again gives the same rows, for each form; what a form cannot hold."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dawnchorus.annotations.annotation_table import AnnotationTable, new_row
from dawnchorus.annotations.audacity import audacity_text
from dawnchorus.annotations.imported import add_new, merge, rows_of
from dawnchorus.annotations.kaleidoscope import kaleidoscope_text
from dawnchorus.annotations.own_columns import number
from dawnchorus.annotations.places import Places
from dawnchorus.annotations.raven import raven_text
from dawnchorus.annotations.row_reader import ReadOptions
from dawnchorus.annotations.table import table_text
from dawnchorus.clips.imports import form_of, read_tables
from dawnchorus.errors import TaskError, UsageError

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RECORDINGS = ("rec1.wav", "north/a.wav", "south/a.wav", "rec 2.flac")
TEXTS = {
    "raven.txt": raven_text,
    "rec1.labels.txt": audacity_text,
    "kaleidoscope.csv": kaleidoscope_text,
    "table.csv": lambda rows, _: table_text(rows),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("audio")
    for name in RECORDINGS:
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).touch()
    return top


def places(folder: Path) -> Places:
    return Places(folder, dict.fromkeys(RECORDINGS, 600.1).get)


def read(table: Path, folder: Path, author="bob", unnamed="present", **options):
    listed = read_tables([table], form_of([table]), folder, ReadOptions(keep=True, **options))
    rows, failures = rows_of(listed, author, unnamed=unnamed, at=NOON)
    assert [*failures, *listed.failures] == []
    return rows


def written(rows, name, folder):
    path = folder / name
    path.write_text(TEXTS[name](rows, places(folder)), encoding="utf-8", newline="")
    return path


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
LABELS = st.sampled_from(
    ["wren", "Troglodytes troglodytes", "song, type 2", 'the "wren"', "Ü", "1"]
)
CELLS = st.sampled_from(["", "x", "3.5", "a, b", 'say "x"', "-", "NA", "#1", "ü", "=1+1"])
SECONDS = st.floats(0, 300, allow_nan=False)
HERTZ = st.none() | st.floats(0, 20_000, allow_nan=False)


@st.composite
def rows_of_any_kind(draw, paths=RECORDINGS, *, judged=True):
    start_s = draw(SECONDS)
    low_hz = draw(HERTZ)
    high_hz = draw(HERTZ)
    if low_hz is not None and high_hz is not None:
        low_hz, high_hz = sorted((low_hz, high_hz))
    return new_row(
        draw(st.sampled_from(paths)),
        start_s,
        start_s + draw(st.floats(0.001, 300)),
        draw(LABELS),
        author=draw(st.sampled_from(["ann", "Bob & Co", "ç"])),
        at=draw(st.datetimes(datetime(2000, 1, 1), timezones=st.just(UTC))),
        low_hz=low_hz,
        high_hz=high_hz,
        channel=draw(st.none() | st.integers(0, 5)),
        state=draw(st.sampled_from(["present", "absent", "unsure", None] if judged else [None])),
        source=draw(st.sampled_from(["hand", "suggested", "imported"])),
        purpose=draw(st.sampled_from(["train", "estimate"])),
        model=draw(st.none() | NAMES),
        score=draw(st.none() | st.floats(allow_nan=False, allow_infinity=False)),
        note=draw(st.none() | st.sampled_from(["rain", "a\tb\nc", "100 %", 'x "y" & z=1'])),
        extra=tuple(draw(st.dictionaries(NAMES, CELLS, max_size=4)).items()),
    )


UNIQUE = st.lists(rows_of_any_kind(), min_size=1, max_size=5, unique_by=lambda row: row.id)
FAST = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("name", ["raven.txt", "kaleidoscope.csv", "table.csv"])
@FAST
@given(rows=UNIQUE)
def test_any_rows_come_back_exactly(name, rows, folder) -> None:
    assert read(written(rows, name, folder), folder) == rows


@FAST
@given(rows=st.lists(rows_of_any_kind(("rec1.wav",)), min_size=1, max_size=5))
def test_audacity_gives_back_span_band_and_label(rows, folder) -> None:
    rows = [replace(row, state="present") for row in rows]
    read_back = read(written(rows, "rec1.labels.txt", folder), folder)
    names = ("path", "start_s", "end_s", "low_hz", "high_hz", "label", "state")
    assert [[getattr(row, n) for n in names] for row in read_back] == [
        [getattr(row, n) for n in names] for row in rows
    ]
    # from then on nothing is lost any more, and no id differs
    assert read(written(read_back, "rec1.labels.txt", folder), folder) == read_back


@pytest.mark.parametrize("name", ["raven.txt", "kaleidoscope.csv", "table.csv"])
@pytest.mark.parametrize("column", ["END", "Species", "start", "file", "duration", "0"])
def test_a_foreign_column_may_have_any_name(name, column, folder) -> None:
    rows = [new_row("rec1.wav", 0, 1, "wren", author="ann", extra=((column, "5"),))]
    assert read(written(rows, name, folder), folder) == rows


RAVEN_HEADER = (
    "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)",
    "High Freq (Hz)", "Begin Path", "File Offset (s)", "Zeta", "Species", "Delta Time (s)", "Alpha",
)  # fmt: skip


@st.composite
def raven_tables(draw):
    """A table over several recordings that were open together, with columns of somebody's own."""
    lines, clock_s = ["\t".join(RAVEN_HEADER)], 0.0
    for path in draw(st.lists(st.sampled_from(RECORDINGS), min_size=1, unique=True)):
        for _ in range(draw(st.integers(1, 3))):
            start_s = round(draw(SECONDS), draw(st.integers(0, 9)))
            length_s = round(draw(st.floats(0.01, 200)), 6)
            cells = [
                len(lines) * 3, "Spectrogram 1", draw(st.integers(1, 2)),
                number(clock_s + start_s), number(clock_s + start_s + length_s),
                draw(st.sampled_from(["0", "1250.5"])), "3000.0", f"/elsewhere/{path}",
                number(start_s), draw(CELLS), draw(LABELS), number(length_s), draw(CELLS),
            ]  # fmt: skip
            lines.append("\t".join(map(str, cells)))
        clock_s += 600.1
    return "\n".join(lines) + "\n"


@FAST
@given(text=raven_tables())
def test_a_raven_table_over_several_files_comes_back_with_its_own_columns(text, folder) -> None:
    table = folder / "foreign.txt"
    table.write_text(text, encoding="utf-8", newline="")
    rows = read(table, folder)
    assert {tuple(name for name, _ in row.extra) for row in rows} == {
        ("Selection", "Zeta", "Delta Time (s)", "Alpha")
    }
    again = written(rows, "raven.txt", folder)
    assert read(again, folder) == rows
    header, *lines = (line.split("\t") for line in again.read_text("utf-8").splitlines())
    assert header[11:14] == ["Zeta", "Delta Time (s)", "Alpha"]
    theirs = [line.split("\t") for line in text.splitlines()[1:]]
    assert [line[0] for line in lines] == [cells[0] for cells in theirs]  # numbers
    assert [line[11:14] for line in lines] == [
        [cells[9].strip(), cells[11], cells[12].strip()] for cells in theirs
    ]
    # Raven's own clock still runs on over the recordings, to the microsecond
    for line, cells in zip(lines, theirs, strict=True):
        assert float(line[3]) == pytest.approx(float(cells[3]), abs=2e-6)


@pytest.mark.parametrize("name", ["raven.txt", "kaleidoscope.csv", "table.csv"])
def test_every_form_reads_what_another_form_was_read_from(name, folder) -> None:
    table = folder / "theirs.csv"
    table.write_text(
        "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,Fmin,AUTO ID*,MANUAL ID,Label\n"
        "/x,north,a.wav,1,0.5,1.25,1200,Auto,wren,odd\n"
        ",,rec1.wav,0,3,0.1,,,robin,\n"
    )
    rows = read(table, folder, columns={"labels": "MANUAL ID"})
    assert rows[0].channel == 1
    assert dict(rows[0].extra) == {"Fmin": "1200", "AUTO ID*": "Auto", "Label": "odd"}
    assert read(written(rows, name, folder), folder) == rows


def test_rows_to_the_end_of_a_recording_get_its_length_where_a_form_needs_one(folder) -> None:
    rows = [new_row("rec1.wav", 2, None, "wren", author="ann")]
    for name in ("raven.txt", "kaleidoscope.csv", "table.csv"):
        assert read(written(rows, name, folder), folder) == rows
    assert audacity_text(rows, places(folder)) == "2\t600.1\twren\n"
    with pytest.raises(UsageError, match=r"needs the length of the recording.*--audio"):
        audacity_text(rows, Places(folder))


def test_a_raven_table_of_one_recording_needs_no_length(folder) -> None:
    rows = [new_row("rec1.wav", 2, 3, "wren", author="ann")]
    assert "\t2\t3\t" in raven_text(rows, Places(folder))
    with pytest.raises(UsageError, match="needs the length"):
        raven_text([*rows, new_row("north/a.wav", 0, 1, "wren", author="ann")], Places(folder))


@pytest.mark.parametrize("state", ["absent", "unsure"])
def test_audacity_refuses_what_it_has_no_word_for(state, folder) -> None:
    rows = [
        new_row("rec1.wav", 0, 1, "wren", author="ann"),
        new_row("rec1.wav", 2, 3, "wren", author="ann", state=state),
    ]
    with pytest.raises(UsageError, match=r"no state, and 1 of 2 .*--state present"):
        audacity_text(rows, places(folder))
    with pytest.raises(UsageError, match="no state"):  # nor may suggestions pass for what is heard
        audacity_text([rows[0], replace(rows[1], state=None)], places(folder))
    assert audacity_text([replace(rows[1], state=None)], places(folder)) == "2\t3\twren\n"


def test_audacity_refuses_several_recordings_and_labels_it_would_change(folder) -> None:
    def row(path, label):
        return new_row(path, 0, 1, label, author="ann")

    with pytest.raises(UsageError, match="of one recording; name a folder"):
        audacity_text([row("rec1.wav", "a"), row("north/a.wav", "a")], places(folder))
    with pytest.raises(UsageError, match="ends like one with a score"):
        audacity_text([row("rec1.wav", "wren 0.500")], places(folder))


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("label", ["NA", "nan", "['wren', 'robin']"])
def test_a_label_that_would_be_read_as_another_is_refused(name, label, folder) -> None:
    rows = [new_row("rec1.wav", 0, 1, label, author="ann")]
    with pytest.raises(UsageError, match="would not be read as that"):
        TEXTS[name](rows, places(folder))


@pytest.mark.parametrize("name", ["raven.txt", "kaleidoscope.csv", "table.csv"])
def test_our_other_readers_take_only_what_is_called_present(name, folder) -> None:
    states = ("present", "absent", "unsure", None)
    rows = [
        new_row("rec1.wav", 5 * n, 5 * n + 2, "wren", author="ann", state=state)
        for n, state in enumerate(states)
    ]
    table = written(rows, name, folder)
    listed = read_tables([table], form_of([table]), folder, ReadOptions())
    assert [one.start_s for one in listed.annotations] == [0.0]
    assert [failure.reason for failure in listed.failures] == ["unreviewed"] * 3


# --- what people change in the other program ---


def edit(table: Path, column: str, text: str, line=1) -> None:
    sign = "," if table.suffix == ".csv" else "\t"
    lines = [one.split(sign) for one in table.read_text("utf-8").splitlines()]
    lines[line][lines[0].index(column)] = text
    table.write_text("\n".join(sign.join(one) for one in lines) + "\n", "utf-8")


@pytest.mark.parametrize(
    ("name", "end", "label"),
    [
        ("raven.txt", "End Time (s)", "Label"),
        ("table.csv", "end_s", "label"),
    ],
)
def test_a_moved_edge_another_name_and_a_written_state_are_judgements(
    name, end, label, folder
) -> None:
    row = new_row("rec1.wav", 10, 12, "wren", state=None, source="suggested", author="eat", at=NOON)
    for column, text, expected in (
        ("dc_state", "a", [("wren", "absent", 10, 12)]),
        ("dc_state", "Present", [("wren", "present", 10, 12)]),
        (end, "12.5", [("wren", None, 10, 12.5)]),
        (end, "12.0004", []),  # rounded by the other program
        (label, "robin", [("wren", "absent", 10, 12), ("robin", "present", 10, 12)]),
    ):
        table = written([row], name, folder)
        edit(table, column, text)
        stored, *edits = read(table, folder)
        assert stored == row
        assert [(e.label, e.state, e.start_s, e.end_s) for e in edits] == expected
        assert all(e.author == "bob" for e in edits)
        assert all(e.id == row.id and e.at > row.at for e in edits if e.label == "wren")
    table = written([row], name, folder)
    edit(table, "dc_state", "maybe")
    with pytest.raises(TaskError, match=r"dc_state is 'maybe'; known: present, absent, unsure"):
        read(table, folder)
    table = written([row], name, folder)
    edit(table, "dc_row", "id=%")
    with pytest.raises(TaskError, match="dc_row is damaged"):
        read(table, folder)


@pytest.mark.parametrize(
    ("manual", "expected"),
    [
        ("", []),
        ("wren", [("wren", "present")]),
        ("Noise", [("wren", "absent"), ("Noise", "present")]),
    ],
)
def test_a_manual_id_judges_a_suggestion(manual, expected, folder) -> None:
    row = new_row("rec1.wav", 10, 12, "wren", state=None, author="eat", score=0.5, at=NOON)
    table = written([row], "kaleidoscope.csv", folder)
    assert ",10,2,wren,0.5,,," in table.read_text("utf-8")
    edit(table, "MANUAL ID", manual)
    stored, *edits = read(table, folder)
    assert stored == row
    assert [(e.label, e.state) for e in edits] == expected


def test_a_line_that_somebody_added_is_a_new_annotation(folder) -> None:
    row = new_row("rec1.wav", 10, 12, "wren", author="ann", at=NOON)
    table = written([row], "raven.txt", folder)
    cells = table.read_text("utf-8").splitlines()[1].split("\t")
    cells[0], cells[3], cells[4], cells[9], cells[10] = "2", "20", "21", "20", "robin"
    cells[-3:] = ["", "", ""]
    with table.open("a", encoding="utf-8") as file:
        file.write("\t".join(cells) + "\n")
    first, second = read(table, folder)
    assert first == row
    assert (second.label, second.start_s, second.end_s, second.source, second.author) == (
        "robin", 20.0, 21.0, "imported", "bob"
    )  # fmt: skip


def test_further_views_of_a_selection_are_one_annotation(folder) -> None:
    table = folder / "rec1.views.txt"
    head = (
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tA\n"
    )
    lines = ["1\tWaveform 1\t1\t1\t2\t0\t5\twren", "1\tSpectrogram 1\t1\t1\t2\t0\t5\twren"]
    table.write_text(head + "\n".join([*lines, "2\tSpectrogram 1\t1\t1\t2\t0\t5\twren"]) + "\n")
    listed = read_tables([table], "raven", folder, ReadOptions(keep=True, columns={"labels": "A"}))
    rows, _ = rows_of(listed, "bob")
    assert [dict(row.extra)["Selection"] for row in rows] == ["1", "2"]
    assert rows[0].id != rows[1].id  # two selections that are alike stay two
    assert any("1 lines are further views" in remark for remark in listed.remarks)


def test_a_box_without_a_name_is_unsure_and_a_clip_without_a_label_holds_none(folder) -> None:
    table = folder / "rec1.empty.csv"
    table.write_text("path,start_s,end_s,label\nrec1.wav,0,1,\nrec1.wav,2,3,wren\n")
    assert [(r.label, r.state) for r in read(table, folder)] == [
        ("", "present"),
        ("wren", "present"),
    ]
    unsure = read(table, folder, unnamed="unsure", columns={})
    assert [r.state for r in unsure] == ["unsure", "present"]
    assert read(written(unsure, "table.csv", folder), folder) == unsure


def test_a_band_that_cannot_be_is_left_out_by_name(folder) -> None:
    table = folder / "rec1.bands.csv"
    table.write_text("path,start_s,end_s,label,low_hz,high_hz\nrec1.wav,0,1,wren,500,100\n")
    listed = read_tables([table], "csv", folder, ReadOptions(keep=True))
    rows, (failure,) = rows_of(listed, "bob")
    assert rows == []
    assert failure.reason == "invalid"
    assert "line 2" in failure.message
    assert "low <= high" in failure.message


def test_a_second_import_adds_nothing_and_a_merge_takes_all(folder, tmp_path) -> None:
    one = AnnotationTable(tmp_path / "one.annotations", create=True)
    two = AnnotationTable(tmp_path / "two.annotations", create=True)
    table = folder / "rec1.twice.csv"
    table.write_text("path,start_s,end_s,label\nrec1.wav,0,1,wren\nrec1.wav,0,1,wren\n")
    assert add_new(one, read(table, folder)) == 2
    assert add_new(one, [replace(row, at=datetime.now(UTC)) for row in read(table, folder)]) == 0
    two.append([new_row("rec1.wav", 0, 1, "wren", author="cem", state="absent", at=NOON)])
    assert (merge(one, [two, one]), merge(one, [two]), merge(two, [one])) == (1, 0, 2)
    assert {row.author for row in one.rows()} == {"bob", "cem"}
    assert sorted(r.to_dict()["id"] for r in one.rows()) == sorted(r.id for r in two.rows())
    assert len(one.conflicts()) == 2


def test_a_track_that_lost_what_audacity_cannot_hold_does_not_replace_it(folder, tmp_path) -> None:
    table = AnnotationTable(tmp_path / "one.annotations", create=True)
    row = new_row(
        "rec1.wav", 0, 1, "wren", author="bob", channel=1, purpose="estimate", at=NOON,
        extra=(("quality", "A"),), note="far",
    )  # fmt: skip
    table.append([row])
    track = read(written([row], "rec1.labels.txt", folder), folder)
    assert add_new(table, track) == 0
    assert add_new(table, [replace(track[0], author="cem")]) == 1  # somebody else says it too
    assert add_new(table, [replace(track[0], note="near")]) == 1  # says more
    assert [r for r in table.rows(author="bob") if r.purpose == "estimate"] == [row]


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0, max_value=1e12))
def test_numbers_are_exact_and_plain(value) -> None:
    value = round(value, 6)
    assert float(number(value)) == value
    assert "e" not in number(value)
