"""Which column is read as what: by name and unit, and nothing that looks like more is ignored."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.errors import UsageError
from dawnchorus.text_tables.column_names import (
    as_flag,
    column_key,
    is_binary,
    is_metadata,
    is_nearly_binary,
    is_number,
    key_and_unit,
    looks_like_label,
    looks_like_path,
    looks_like_time,
    names_a_time,
)
from dawnchorus.text_tables.columns import (
    ColumnRoles,
    TimeColumn,
    assign_columns,
    first_length,
    shown,
)
from dawnchorus.text_tables.values import UNITS

# a column to its one cell; `roles` reads a table of one row
CELLS = {
    "path": "a.wav", "file": "a.wav", "start_s": "0", "stop_s": "1", "label": "wren",
    "species": "robin", "note": "windy", "start_ms": "500", "stop_ms": "900", "t0": "1.5",
    "Hörzeit": "3", "score_a": "0.3",
}  # fmt: skip


def roles(
    table: dict[str, list[str]],
    *,
    given: dict[str, str] | None = None,
    fixed: tuple[str, ...] = (),
    others: tuple[str, ...] = (),
    pathless: bool = False,
) -> ColumnRoles:
    return assign_columns(
        "t.csv",
        list(table),
        lambda name: table[name],
        given=given or {},
        fixed=fixed,
        others=others,
        pathless=lambda: pathless,
    )


def one_row(*names: str) -> dict[str, list[str]]:
    return {name: [CELLS.get(name, "x")] for name in names}


@pytest.mark.parametrize(
    ("name", "key", "unit"),
    [
        ("START", "start", None),
        ("Begin Time (s)", "begintime", "s"),
        ("Start [ms]", "start", "ms"),
        ("Start (hh:mm:ss)", "start", "s"),
        ("Start (hh:mm:ss.sss)", "start", "s"),
        ("start_ms", "start", "ms"),
        ("startms", "start", "ms"),
        ("startSample", "start", "sample"),
        ("onset_ind", "onset", "ind"),
        ("segment_start", "start", None),
        ("Call End (min)", "end", "min"),
        ("duration_h", "duration", "h"),
        ("start (furlongs)", "start", "furlongs"),  # never taken for seconds
        ("ms", "ms", None),
        ("s", "s", None),
        ("start (2)", "start", None),
        ("start_ms (3)", "start", "ms"),
    ],
)
def test_a_name_says_what_and_in_which_unit(name: str, key: str, unit: str | None) -> None:
    assert key_and_unit(name) == (key, unit)


@given(st.sampled_from(["begin time", "file offset", "sound files"]), st.data())
def test_case_spaces_and_underscores_do_not_change_a_key(name: str, data: st.DataObject) -> None:
    sign = data.draw(st.sampled_from([" ", "_", "-", ".", "  "]))
    change = data.draw(st.sampled_from([str.upper, str.lower, str.title]))
    assert column_key(change(name.replace(" ", sign))) == name.replace(" ", "")
    assert column_key(f"{name} (2)") == column_key(name)


@pytest.mark.parametrize(("unit", "scale"), sorted(UNITS.items()))
@pytest.mark.parametrize("form", ["{} ({})", "{}_{}", "{} [{}]"])
def test_times_count_in_the_unit_of_their_column(unit: str, scale: float, form: str) -> None:
    start, stop = form.format("start", unit), form.format("end", unit)
    found = roles({"path": ["a.wav"], start: ["1"], stop: ["2"], "label": ["wren"]})
    assert found.start == TimeColumn(start, scale)
    assert found.stop == TimeColumn(stop, scale)


@given(st.permutations(["path", "start_s", "stop_s", "label", "note"]))
def test_the_order_of_columns_changes_nothing(names: list[str]) -> None:
    found = roles(one_row(*names))
    assert found == ColumnRoles(
        path=("path",), start=TimeColumn("start_s"), stop=TimeColumn("stop_s"),
        labels=("label",), plain={}, ignored=("note",),
    )  # fmt: skip
    assert str(found) == (
        "read: path = path, start_s = start_s, stop_s = stop_s, labels = label; ignored: note"
    )


@given(
    st.lists(
        st.sampled_from(
            ["path", "file", "start_s", "start_ms", "stop_s", "stop_ms", "label", "species",
             "note", "t0", "Hörzeit", "duration", "offset", "fs", "lat", "score_a"]
        ),
        unique=True,
    )
)  # fmt: skip
def test_every_column_is_read_once_or_named_as_ignored_or_the_table_is_refused(
    names: list[str],
) -> None:
    table = {name: [CELLS.get(name, "2")] for name in names}
    try:
        found = roles(table)
    except UsageError as error:
        assert str(error).startswith("t.csv: ")  # noqa: PT017  either is right
        return
    read = [*found.path, *(timed.column for timed in found.timed), *found.labels, *found.plain]
    read += [found.rate] if found.rate else []
    assert sorted([*read, *found.ignored]) == sorted(names)
    assert found.stop is None or found.length is None


@pytest.mark.parametrize(
    ("names", "start", "stop", "length"),
    [
        (("offset", "duration"), "offset", None, "duration"),  # Kaleidoscope
        (("onset", "offset"), "onset", "offset", None),  # crowsetta
        (("onset", "offset", "duration"), "onset", "offset", None),
        (("start", "duration"), "start", None, "duration"),
        (("start", "stop", "duration"), "start", "stop", None),
        (("start_s", "start_ms", "stop_s", "stop_ms"), "start_s", "stop_s", None),
    ],
)
def test_an_offset_is_what_the_columns_beside_it_make_it(
    names: tuple[str, ...], start: str, stop: str | None, length: str | None
) -> None:
    found = roles({"path": ["a.wav"], "label": ["wren"], **{name: ["1"] for name in names}})
    chosen = [timed and timed.column for timed in (found.start, found.stop, found.length)]
    assert chosen == [start, stop, length]


REFUSED: dict[str, tuple[dict[str, list[str]], str]] = {
    "no path": ({"label": ["wren"]}, r"which column is the path\? name it: --column path=COLUMN"),
    "a path under no known name": (
        {"clip of": ["a.wav"], "label": ["wren"]}, r"which column is the path"
    ),
    "two paths that differ": (
        {"file": ["a.wav"], "recording": ["b.wav"], "label": ["wren"]},
        r"which of \['file', 'recording'\] is 'path'\? name it: --column path=file",
    ),
    "two labels": (one_row("path", "label", "species"),
                   r"which of \['label', 'species'\] is 'labels'\?"),
    "one label twice": ({"path": ["a"], "label": ["x"], "label (2)": ["y"]},
                        r"which of \['label', 'label \(2\)'\] is 'labels'"),
    "two starts": ({**one_row("path", "label", "stop_s"), "begin": ["1"], "onset": ["2"]},
                   r"which of \['begin', 'onset'\] is 'start_s'\?"),
    "one start twice": (
        {**one_row("path", "label"), "start": ["1"], "start (2)": ["2"], "stop": ["3"]},
        r"which of \['start', 'start \(2\)'\] is 'start_s'\?",
    ),
    "our own start twice": (
        {**one_row("path", "label", "start_s", "stop_s"), "start_s (2)": ["2"]},
        r"which of \['start_s', 'start_s \(2\)'\] is 'start_s'\?",
    ),
    "a stop alone": (one_row("path", "label", "stop_s"), r"'stop_s' says where a label stops"),
    "a start beside offset and length": (
        {**one_row("path", "label", "start_s"), "offset": ["1"], "duration": ["1"]},
        r"is 'offset' a stop\? say --column stop_s=offset or --column length_s=duration",
    ),
    "a time in no known unit": (
        {**one_row("path", "label"), "start (furlongs)": ["1"]},
        r"start \(furlongs\) may hold times and would not be read",
    ),
    "a time in another language": (
        {**one_row("path", "label"), "Anfang": ["1,5"], "Ende": ["2,5"]},
        r"Anfang, Ende may hold times and would not be read; say which is which: "
        r"--column start_s=Anfang",
    ),
    "a label in another language": (
        {"path": ["a.wav"], "Art": ["wren"]}, r"and Art may; say which: --column labels=Art"
    ),
    "scores of classes": (
        {**one_row("path", "start_s", "stop_s"), "wren": ["0.3"], "robin": ["0.5"]},
        r"no column is known to hold labels, and wren, robin may",
    ),
    "classes with gaps": (
        {"path": ["a", "b"], "wren": ["0", ""], "robin": ["0", "1"]},
        r"columns robin, wren hold 0 and 1 .* cells of 'wren' are empty; write 0 or 1",
    ),
    "a class that counts": (
        {"path": ["a", "b"], "wren": ["0", "1"], "robin": ["1", "1"], "owl": ["0", "7"]},
        r"columns wren, robin hold 0 and 1 .* 'owl' holds other numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_table_that_may_mean_two_things_is_refused_with_what_to_say(case: str) -> None:
    table, said = REFUSED[case]
    with pytest.raises(UsageError, match=said) as refused:
        roles(table)
    assert str(refused.value).startswith("t.csv: ")


def test_what_the_user_says_goes_before_names() -> None:
    table = {**one_row("path", "label", "species", "start_s", "stop_s"), "von": ["7"]}
    found = roles(table, given={"labels": "species", "start_s": "von"})
    assert (found.labels, found.start, found.stop) == (
        ("species",), TimeColumn("von"), TimeColumn("stop_s")
    )  # fmt: skip
    assert found.ignored == ("label", "start_s")
    with pytest.raises(UsageError, match=r"no column 'bis' for 'stop_s'; columns: \['path', "):
        roles(table, given={"stop_s": "bis"})


def test_a_stop_goes_before_a_length_that_the_user_gives() -> None:
    table = {**one_row("path", "label", "start_s", "stop_s"), "lasts": ["7"]}
    found = roles(table, given={"length_s": "lasts"})
    assert (found.stop, found.length) == (TimeColumn("stop_s"), None)


def test_what_is_given_in_samples_or_milliseconds_counts_so() -> None:
    table = {**one_row("path", "label"), "von_samples": ["1"], "bis_ms": ["2"], "fs": ["8000"]}
    found = roles(table, given={"start_s": "von_samples", "stop_s": "bis_ms"})
    assert (found.start, found.stop, found.rate) == (
        TimeColumn("von_samples", None), TimeColumn("bis_ms", 1e-3), "fs"
    )  # fmt: skip
    assert str(found.start) == "von_samples (samples)"
    assert str(found.stop) == "bis_ms (milliseconds)"


def test_a_path_may_be_fixed_or_that_of_the_table() -> None:
    spans = one_row("start_s", "stop_s", "label")
    assert roles(spans, fixed=("path",)).path == ()
    assert roles(spans, pathless=True).path == ()
    assert str(roles(spans, pathless=True)).startswith("read: path = the recording of the same")
    with pytest.raises(UsageError, match="which column is the path"):
        roles(spans)
    with pytest.raises(UsageError, match="which column is the path"):
        roles(one_row("label"), pathless=True)  # without spans it is of no recording


def test_columns_that_name_the_same_files_are_one_path_and_folders_join_it() -> None:
    both = {"file": ["a.wav", "b.wav"], "filepath": ["x/a.wav", "x\\b.wav"], "label": ["p", "q"]}
    assert roles(both).path == ("filepath",)
    parts = {"IN FILE": ["a.wav"], "FOLDER": ["x"], "INDIR": ["/d"], "MANUAL ID": ["p"]}
    assert roles(parts).path == ("INDIR", "FOLDER", "IN FILE")


def test_labels_are_those_of_the_first_filled_tier() -> None:
    table = {"path": ["a"], "label": ["NA"], "Common Name": ["Wren"], "Scientific Name": ["T. t."]}
    assert roles(table).labels == ("Scientific Name",)
    assert roles({"path": ["a"], "label": [""], "tag": [""]}).labels == ("label",)
    counted = {"path": ["a", "a"], "label": ["x", "y"], "annotation": ["0", "1"]}
    assert roles(counted).labels == ("label",)


def test_classes_of_0_and_1_are_the_labels_where_nothing_else_is() -> None:
    table = {"path": ["a", "b"], "wren": ["0", "1"], "robin": ["True", "false"], "site": ["x", "y"]}
    found = roles(table)
    assert (found.labels, found.one_hot, found.ignored) == (("wren", "robin"), True, ("site",))
    assert "labels = 2 columns of 0 and 1 (wren, robin)" in str(found)
    assert not roles({**table, "label": ["x", "y"]}).one_hot


def test_our_further_columns_are_found_by_their_names_and_old_ones() -> None:
    table = {**one_row("path", "label"), "License": ["CC0"], "clip_id": ["c"], "Site": ["x"]}
    found = roles(table, others=("licence", "id", "site", "recordist"))
    assert found.plain == {"License": "licence", "clip_id": "id", "Site": "site"}
    fixed = roles(table, others=("licence", "id"), fixed=("licence",))
    assert fixed.plain == {"clip_id": "id"}


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (["length_samples", "duration_ms", "duration"], "duration_ms"),
        (["duration", "duration_s"], "duration_s"),
        (["length_samples", "dur"], "dur"),
        (["note", "duration (furlongs)"], None),
    ],
)
def test_a_length_whose_unit_is_said_goes_first(names: list[str], first: str | None) -> None:
    found = first_length(names)
    assert (found and found.column) == first


@pytest.mark.parametrize(
    ("name", "cell", "time", "label"),
    [
        ("onset", "1.5", True, False),
        ("time", "04:30:00", False, False),  # a time of day
        ("peak", "0:00:01.5", True, False),
        ("recorded_time", "1.5", False, False),
        ("freq_start", "1000", False, False),
        ("Art", "Zaunkönig", False, True),
        ("code", "17", False, True),
        ("whatever", "17", False, False),
        ("whatever", "2024-05-01", False, False),
        ("site", "north", False, False),
        ("label", "NA", False, False),
    ],
)
def test_what_a_column_that_is_not_read_may_hold(
    name: str,
    cell: str,
    time: bool,  # noqa: FBT001
    label: bool,  # noqa: FBT001
) -> None:
    assert looks_like_time(name, [cell]) == time
    assert looks_like_label(name, [cell]) == label


def test_signs_of_metadata_paths_and_flags() -> None:
    assert is_metadata("Low Freq (Hz)")
    assert is_metadata("column 3")
    assert not is_metadata("wren")
    assert names_a_time("ms")
    assert not names_a_time("s")  # one letter says too little
    assert looks_like_path(["", "x.FLAC"])
    assert not looks_like_path(["flac", ".wav"])
    assert [as_flag(cell) for cell in ("0", "1.0", "TRUE", "2", "")] == [
        False, True, True, None, None
    ]  # fmt: skip
    assert (is_binary("a", []), is_binary("a", ["1"]), is_binary("score", ["1"])) == (
        False, True, False
    )  # fmt: skip
    gaps = [is_nearly_binary("a", cells) for cells in (["", ""], ["1", ""], ["1"])]
    assert gaps == [False, True, False]
    assert [is_number(cells) for cells in ([""], ["1", ""], ["1", "x"], ["-1e3"])] == [
        False, True, False, True
    ]  # fmt: skip


@pytest.mark.parametrize("n_names", [0, 1, 6, 7, 40])
def test_a_message_shows_six_names_and_counts_the_rest(n_names: int) -> None:
    text = shown([f"c{number}" for number in range(n_names)])
    named = re.findall(r"c\d+", text)
    more = re.search(r"and (\d+) more", text)
    assert len(named) + (int(more[1]) if more else 0) == n_names
    assert named == [f"c{number}" for number in itertools.islice(range(n_names), 6)]
