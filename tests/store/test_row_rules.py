"""What a row of a store may say: each rule refuses what breaks it, by name, and nothing else."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.errors import StoreError
from dawnchorus.store.recording_rows import finished, joined, latest_rows, parts_used, rows_of
from dawnchorus.store.row_rules import FIRST_US, LAST_US, NEEDED, check_complete, checked_rows
from dawnchorus.store.schema import (
    RECORDING_SCHEMA,
    STATUSES,
    Part,
    RecordingRow,
    recording_id,
    recording_table,
)

PART = Part("part-0123456789abcdef0123.parquet", "0" * 64)


def right_row(name: str = "a.wav", **more: Any) -> RecordingRow:
    facts: dict[str, Any] = {
        "status": "done", "content_hash": f"sha256:{'a' * 64}", "file_size": 9, "rate": 100,
        "n_samples": 500, "gaps": ((10, 20), (30, 30)), "n_windows": 4, "parts": (PART,),
        "recorded_at": "2024-05-01T04:30:00+02:00", "time_zone": "Europe/Berlin",
        "carried": (("site", "North"),),
    }  # fmt: skip
    return RecordingRow(recording_id=recording_id(name), path=name, **{**facts, **more})


def with_value(column: str, value: Any) -> pa.Table:
    """Three right rows, of which the second has another value."""
    table = recording_table([right_row(name) for name in ("a.wav", "b.wav", "c.wav")])
    at = table.column_names.index(column)
    field = table.schema.field(at)
    values = table[column].to_pylist()
    return table.set_column(at, field, pa.array([values[0], value, values[2]], field.type))


def part(name: object = PART.name, sha256: object = PART.sha256) -> list[dict[str, object]]:
    return [{"name": name, "sha256": sha256}]


def gap(start: object, stop: object) -> list[dict[str, object]]:
    return [{"start_sample": start, "stop_sample": stop}]


def stamp(microseconds: int) -> pa.Scalar:
    return pa.scalar(microseconds, pa.int64()).cast(pa.timestamp("us", tz="UTC"))


FOREIGN_PART = "the name or SHA-256 of an embeddings part"
BROKEN: list[tuple[str, Any, str]] = [
    *((name, None, "a value is missing that every row has") for name in NEEDED),
    ("recording_id", "0" * 15, "a recording_id is not"),
    ("recording_id", "0" * 17, "a recording_id is not"),
    ("recording_id", "A" * 16, "a recording_id is not"),
    ("recording_id", "0" * 16 + "\n", "a recording_id is not"),
    ("path", "", "a path is empty or holds a NUL"),
    ("path", "a\0b.wav", "a path is empty or holds a NUL"),
    ("content_hash", "a" * 64, "a content_hash is not"),
    ("content_hash", f"sha256:{'A' * 64}", "a content_hash is not"),
    ("content_hash", f"sha256:{'a' * 63}", "a content_hash is not"),
    ("content_hash", f"md5:{'a' * 64}", "a content_hash is not"),
    ("status", "finished", "a status is not one of done, partial, failed"),
    ("status", "Done", "a status is not one of"),
    ("status", "", "a status is not one of"),
    *((name, -1, "a count is below 0") for name in ("n_windows", "revision", "n_nonfinite")),
    *((name, -1, "a count is below 0") for name in ("n_samples", "file_size")),
    ("parts", part("../../store.json"), FOREIGN_PART),
    ("parts", part("/etc/passwd"), FOREIGN_PART),
    ("parts", part("part-.parquet"), FOREIGN_PART),
    ("parts", part(f"part-{'a' * 65}.parquet"), FOREIGN_PART),
    ("parts", part(f"{PART.name}\n"), FOREIGN_PART),
    ("parts", part(None), FOREIGN_PART),
    ("parts", part(sha256="0" * 63), FOREIGN_PART),
    ("parts", part(sha256=None), FOREIGN_PART),
    ("parts", [None], FOREIGN_PART),
    ("gaps", gap(20, 10), "a gap ends before it begins"),
    ("gaps", gap(None, 10), "a gap ends before it begins"),
    ("gaps", gap(10, None), "a gap ends before it begins"),
    ("started", stamp(FIRST_US - 1), "a date is beyond the calendar"),
    ("ended", stamp(LAST_US + 1), "a date is beyond the calendar"),
    ("recorded_at", "yesterday", "yesterday"),
    ("recorded_at", "2024-13-01T00:00:00", "month must be in"),
    ("time_zone", "Europe/Atlantis", "Europe/Atlantis"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "value", "said"), BROKEN)
def test_each_rule_refuses_what_breaks_it_with_the_part_and_the_remedy(
    column: str, value: Any, said: str
) -> None:
    with pytest.raises(StoreError) as caught:
        checked_rows(with_value(column, value), "recordings/part-1.parquet")
    message = str(caught.value)
    assert message.startswith("recordings/part-1.parquet: damaged part (")
    assert said in message
    assert message.endswith("run: dawnchorus store check --repair")


ALLOWED: list[tuple[str, Any]] = [
    ("path", "line\nend and tab\t.wav"),
    ("path", "s3://bucket/a b.wav"),
    *((name, None) for name in RECORDING_SCHEMA.names if name not in NEEDED),
    *(("status", status) for status in STATUSES),
    *((name, 0) for name in ("n_windows", "revision", "n_nonfinite", "n_samples", "file_size")),
    ("n_samples", 2**62),
    ("parts", []),
    ("parts", part("part-a.parquet")),
    ("parts", part(f"part-{'Z' * 64}.parquet")),
    ("gaps", []),
    ("gaps", gap(10, 10)),
    ("started", stamp(FIRST_US)),
    ("ended", stamp(LAST_US)),
    ("recorded_at", ""),
    ("recorded_at", "2024-05-01"),
    ("recorded_at", "2024-05-01T04:30:00.123456Z"),
    ("time_zone", "+05:45"),
    ("time_zone", ""),
    ("site", None),
]


@pytest.mark.parametrize(("column", "value"), ALLOWED)
def test_what_breaks_no_rule_comes_through_as_it_is(column: str, value: Any) -> None:
    table = with_value(column, value)
    assert checked_rows(table, "part").equals(table)


@pytest.mark.parametrize("name", NEEDED)
def test_a_column_that_every_row_has_is_asked_for_by_name(name: str) -> None:
    table = recording_table([right_row()])
    with pytest.raises(StoreError, match=f"no column {name}"):
        checked_rows(table.drop_columns([name]), "part")


def test_only_the_columns_that_were_asked_for_are_needed() -> None:
    table = recording_table([right_row()]).select(["path", "status"])
    assert checked_rows(table, "part", ["path", "status"]).equals(table)
    with pytest.raises(StoreError, match="no column revision"):
        checked_rows(table, "part", ["path", "revision"])


def test_columns_of_other_widths_are_ours_again_and_those_that_would_lose_are_refused() -> None:
    table = recording_table([right_row()])
    wide = table.set_column(
        table.column_names.index("n_windows"), "n_windows", table["n_windows"].cast(pa.int64())
    )
    wide = wide.set_column(0, "recording_id", table["recording_id"].cast(pa.large_string()))
    wide = wide.append_column("note", pa.array(["mine"], pa.large_string()))
    checked = checked_rows(wide, "part")
    assert checked.schema.field("n_windows").type == pa.int32()
    assert checked.schema.field("note").type == pa.string()
    assert checked.select(table.column_names).equals(table)
    at = table.column_names.index("n_windows")
    for lossy in (pa.array([4.5]), pa.array([2**31]), pa.array(["four"])):
        with pytest.raises(StoreError, match=r"^part: damaged part \("):
            checked_rows(table.set_column(at, "n_windows", lossy), "part")


def test_columns_that_are_neither_ours_nor_text_are_not_taken() -> None:
    table = recording_table([right_row()])
    more = table.append_column("depth", pa.array([3.5])).append_column("ok", pa.array([True]))
    assert checked_rows(more, "part").equals(table)


# --- one row out of several -----------------------------------------------------------------------

revisions = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.sampled_from(STATUSES)), max_size=12
)


@given(revisions)
def test_the_highest_revision_counts_and_of_equals_the_last(
    said: list[tuple[str, int, Any]],
) -> None:
    rows = [
        right_row(name, status=status, revision=revision, message=str(at))
        for at, (name, revision, status) in enumerate(said)
    ]
    best: dict[str, RecordingRow] = {}
    for row in rows:
        if row.path not in best or row.revision >= best[row.path].revision:
            best[row.path] = row
    latest = rows_of(latest_rows(recording_table(rows)))
    assert {row.path: row for row in latest.values()} == best
    done = finished(latest_rows(recording_table(rows)))["path"].to_pylist()
    assert set(done) == {name for name, row in best.items() if row.status == "done"}


@given(st.lists(st.sets(st.sampled_from(["site", "habitat", "observer"])), max_size=4))
def test_parts_with_any_columns_of_the_user_join_and_none_is_lost(lists: list[set[str]]) -> None:
    rows = [
        right_row(f"{at}.wav", carried=tuple((name, f"{name} {at}") for name in sorted(names)))
        for at, names in enumerate(lists)
    ]
    table = joined([recording_table([row]) for row in rows], "store")
    assert table.column_names[: len(RECORDING_SCHEMA)] == RECORDING_SCHEMA.names
    assert set(table.column_names) == {*RECORDING_SCHEMA.names}.union(*lists)
    back = {row.path: row for row in rows_of(table).values()}
    assert {name: set(row.carried) for name, row in back.items()} == {
        row.path: set(row.carried) for row in rows
    }


def test_parts_that_do_not_fit_together_are_refused_with_the_folder() -> None:
    one = recording_table([right_row()])
    other = one.set_column(one.column_names.index("site"), "site", pa.array([[1]]))
    with pytest.raises(StoreError, match=r"^recordings: parts do not fit together: .*--repair$"):
        joined([one, other], "recordings")


def test_parts_are_known_by_all_that_name_them_and_by_every_seal() -> None:
    other = Part("part-b.parquet", "1" * 64)
    edited = Part(PART.name, "2" * 64)
    rows = {
        row.recording_id: row
        for row in (
            right_row("a.wav", parts=(other, PART)),
            right_row("b.wav", parts=(PART,)),
            right_row("c.wav", parts=(edited,)),
            right_row("d.wav", parts=()),
        )
    }
    uses = parts_used(rows)
    assert list(uses) == sorted([PART.name, other.name])
    assert set(uses[PART.name].paths.values()) == {"a.wav", "b.wav", "c.wav"}
    assert uses[PART.name].seals == {PART.sha256, edited.sha256}
    assert uses[other.name].paths == {recording_id("a.wav"): "a.wav"}
    assert uses[other.name].seals == {other.sha256}


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=3),
    st.sampled_from(STATUSES),
    st.none() | st.datetimes(min_value=datetime(1970, 1, 2)),
)
def test_a_row_is_the_same_from_its_table(
    gaps: list[tuple[int, int]], status: Any, started: datetime | None
) -> None:
    if started is not None:
        started = pa.scalar(started, pa.timestamp("us", tz="UTC")).as_py()
    row = right_row(gaps=tuple(gaps), status=status, started=started, carried=(("carried", "x"),))
    (back,) = rows_of(recording_table([row])).values()
    assert back == row


# --- windows against rows -------------------------------------------------------------------------

# what each recording's parts hold: windows in any order, some twice, some beyond the end
held = st.dictionaries(
    st.sampled_from(["a.wav", "b.wav", "c.wav"]),
    st.tuples(st.integers(0, 3), st.lists(st.integers(-1, 4), max_size=5)),
    min_size=1,
)


@given(held, st.randoms(use_true_random=False))
def test_windows_are_complete_when_each_promised_one_is_there_once(
    recordings: dict[str, tuple[int, list[int]]], random: Any
) -> None:
    rows = recording_table([right_row(n, n_windows=p) for n, (p, _) in recordings.items()])
    pairs = [(recording_id(n), w) for n, (_, ws) in recordings.items() for w in ws]
    random.shuffle(pairs)
    ids = rows["recording_id"].to_pylist()
    owner = np.array([ids.index(identity) for identity, _ in pairs], np.int32)
    window = np.array([window for _, window in pairs], np.int32)
    wrong = [n for n, (p, ws) in recordings.items() if sorted(ws) != list(range(p))]
    if not wrong:
        check_complete(owner, window, rows, "a.store")
        return
    with pytest.raises(StoreError) as caught:
        check_complete(owner, window, rows, "a.store")
    named = str(caught.value).split(": ")
    assert named[0] == "a.store"
    assert named[1] in wrong


@pytest.mark.parametrize("promised", [2**31 - 1, 10**6])
def test_a_promise_of_billions_of_windows_is_refused_without_counting_them(promised: int) -> None:
    rows = recording_table([right_row(n_windows=promised), right_row("b.wav", n_windows=1)])
    owner, window = np.array([0, 1], np.int32), np.zeros(2, np.int32)
    with pytest.raises(StoreError, match=rf"a\.wav: {promised} windows are promised.* hold 1 or"):
        check_complete(owner, window, rows, "a.store")


def test_ids_are_those_of_the_paths_bytes_and_sixteen_digits() -> None:
    # sha256("a.wav"), by another program: printf a.wav | sha256sum
    names = ["a.wav", "A.wav", "a.wav ", "ä.wav", "a\u0308.wav", "caf\udce9.wav", ""]
    ids = [recording_id(name) for name in names]
    assert all(len(identity) == 16 for identity in ids)
    assert ids[0] == "bc30c538c410e224"
    assert all(one != other for one, other in pairwise(sorted(ids)))
    assert pc.all(pc.match_substring_regex(pa.array(ids), r"\A[0-9a-f]{16}\z")).as_py()
