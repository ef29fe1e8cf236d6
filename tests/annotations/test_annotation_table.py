"""The annotation table: nothing lost, nothing rewritten, several people, what is refused."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dawnchorus.annotations.annotation_row import (
    FIELDS,
    ROW_SCHEMA,
    AnnotationRow,
    annotation_id,
    default_author,
)
from dawnchorus.annotations.annotation_table import (
    HEADER,
    LOCK,
    PARTS,
    AnnotationTable,
    annotations_beside,
    changed,
    new_row,
)
from dawnchorus.errors import StoreError, UsageError
from dawnchorus.store import locks
from dawnchorus.store.locks import one_writer
from dawnchorus.store.schema import recording_id

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def row(start_s=0.0, label="wren", author="ann", **columns):
    columns = {"at": NOON, **columns}
    return new_row("site/a.wav", start_s, start_s + 2.0, label, author=author, **columns)


@pytest.fixture
def table(tmp_path: Path) -> AnnotationTable:
    return AnnotationTable(tmp_path / "x.annotations", create=True)


def test_rows_come_back_as_they_were_added(table: AnnotationTable) -> None:
    full = row(
        low_hz=100.5,
        high_hz=8000.25,
        channel=1,
        state="unsure",
        source="suggested",
        purpose="estimate",
        model="eat",
        score=0.1,
        note="rain, thunder",
        extra=(("Z", "1"), ("A", 'say "x"\n')),
    )
    whole = new_row("b.wav", 0, None, "robin", author="ann")
    table.append([full])
    table.append([whole])
    again = AnnotationTable(table.folder)
    assert again.rows() == [full, whole]
    assert again.history() == [full, whole]
    assert again.table().schema == ROW_SCHEMA
    assert again.table().to_pylist()[0]["extra"] == '{"Z": "1", "A": "say \\"x\\"\\n"}'


def test_an_append_adds_a_file_and_changes_none(table: AnnotationTable) -> None:
    def files() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in (table.folder / PARTS).iterdir()}

    table.append([row()])
    before = files()
    table.append([changed(row(), state="absent", author="ann")])
    table.append([])
    after = files()
    assert len(after) == 2
    assert {name: after[name] for name in before} == before
    assert sorted(after)[0] == next(iter(before))
    assert pq.read_table(table.folder / PARTS).num_rows == 2


def test_the_last_row_of_an_id_by_one_author_counts(table: AnnotationTable) -> None:
    first = row()
    by_other = replace(first, author="bob", state="absent")
    table.append([first, by_other])
    table.append([replace(first, state="unsure", at=NOON + timedelta(seconds=1))])
    assert {(one.author, one.state) for one in table.rows()} == {
        ("ann", "unsure"),
        ("bob", "absent"),
    }
    assert len(table.history()) == 3


def test_time_decides_before_the_order_and_the_order_where_times_are_alike(
    table: AnnotationTable,
) -> None:
    table.append([row(state="absent", at=NOON + timedelta(hours=1))])
    table.append([row(state="present")])  # said before, merged after
    assert [one.state for one in table.rows()] == ["absent"]
    table.append([row(state="unsure", at=NOON + timedelta(hours=1))])
    assert [one.state for one in table.rows()] == ["unsure"]


def test_a_change_is_later_even_if_the_clock_was_set_back() -> None:
    ahead = row(at=datetime.now(UTC) + timedelta(days=1))
    after = changed(ahead, state="absent", author="bob")
    assert after.at == ahead.at + timedelta(microseconds=1)
    assert (after.id, after.author, after.source) == (ahead.id, "bob", "hand")


def test_a_suggestion_counts_until_somebody_judges_it(table: AnnotationTable) -> None:
    one, two = (row(start, state=None, source="suggested", author="eat") for start in (0, 5))
    table.append([one, two])
    table.append([changed(one, state="present", author="ann")])
    assert [each.id for each in table.rows(state="suggested")] == [two.id]
    assert [each.id for each in table.rows(state="present")] == [one.id]
    assert len(table.rows()) == 2


def test_rows_are_filtered_by_every_column_that_is_named(table: AnnotationTable) -> None:
    rows = [
        row(0),
        row(5, label="robin"),
        row(10, state="absent", author="bob"),
        row(15, purpose="estimate"),
        row(20, source="imported"),
    ]
    table.append(rows)
    assert table.rows(label="robin") == [rows[1]]
    assert table.rows(state="absent") == table.rows(author="bob") == [rows[2]]
    assert table.rows(purpose="estimate") == [rows[3]]
    assert table.rows(label="wren", source="imported") == [rows[4]]
    assert table.rows(label="wren", author="nobody") == []


def test_people_who_contradict_each_other_are_listed(table: AnnotationTable) -> None:
    present, absent = row(), row(1.0, state="absent", author="bob")
    # beside it, other label, unsure, other recording: no contradiction
    others = [
        row(3.01, state="absent", author="cem"),
        row(0, label="robin", state="absent", author="bob"),
        row(0.5, state="unsure", author="dan"),
        new_row("site/b.wav", 0, 2, "wren", state="absent", author="bob"),
    ]
    table.append([present, absent, *others])
    assert table.conflicts() == [(present, absent)]
    table.append([changed(absent, state="present", author="bob")])
    assert table.conflicts() == []


def test_spans_to_the_end_of_a_recording_contradict_each_other(table: AnnotationTable) -> None:
    present = new_row("a.wav", 0, None, "wren", author="ann")
    absent = new_row("a.wav", 30, None, "wren", author="bob", state="absent")
    table.append([present, absent])
    assert table.conflicts() == [(present, absent)]


def test_rows_of_another_writer_are_seen_at_the_next_look(table: AnnotationTable) -> None:
    table.append([row()])
    assert len(table.rows()) == 1
    AnnotationTable(table.folder).append([row(5)])
    assert len(table.rows()) == 2


def test_many_threads_lose_nothing(table: AnnotationTable) -> None:
    def judge(author: str) -> None:
        own = AnnotationTable(table.folder, create=True)
        for n in range(5):
            own.append([row(10.0 * n, author=author)])

    threads = [threading.Thread(target=judge, args=(f"author {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(table.rows()) == 20
    numbers = [file.name[:15] for file in (table.folder / PARTS).glob("*.parquet")]
    assert len(set(numbers)) == 20  # none had the number of another


def test_a_writer_who_does_not_end_is_named(table: AnnotationTable) -> None:
    lock = table.folder / LOCK
    with (
        one_writer(lock),
        pytest.raises(StoreError, match="another program has been writing here"),
        one_writer(lock, wait_s=0),
    ):
        pass
    with one_writer(lock, wait_s=0):  # given up at the end
        pass


def test_a_disk_without_locks_is_written_all_the_same(
    table: AnnotationTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> bool:
        raise OSError(next(iter(locks.NO_LOCKS)), "no locks")

    monkeypatch.setattr(locks, "_lock", no_locks)
    table.append([row()])
    assert len(table.rows()) == 1


def test_what_a_killed_writer_left_is_removed_and_never_read(table: AnnotationTable) -> None:
    left = table.folder / PARTS / ".part-0000000001abc.parquet.12345678.beside"
    left.write_bytes(b"PAR1 half")
    assert table.rows() == []
    table.append([row()])
    assert not left.exists()
    assert len(table.rows()) == 1


def test_a_damaged_part_is_an_error_not_fewer_labels(table: AnnotationTable) -> None:
    table.append([row()])
    part = next((table.folder / PARTS).glob("*.parquet"))
    content = part.read_bytes()
    part.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match=r"damaged part .*Take the part back from a backup"):
        AnnotationTable(table.folder).rows()


def test_a_part_with_other_columns_is_refused(table: AnnotationTable) -> None:
    table.append([row()])
    part = next((table.folder / PARTS).glob("*.parquet"))
    pq.write_table(pq.read_table(part).drop_columns("state"), part)
    with pytest.raises(StoreError, match="need a column 'state' of type string"):
        AnnotationTable(table.folder).rows()


def test_a_folder_that_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"not an annotation table.*label import"):
        AnnotationTable(tmp_path / "none")
    table = AnnotationTable(tmp_path / "new", create=True)
    (table.folder / HEADER).write_text(json.dumps({"format_version": 99}))
    with pytest.raises(StoreError, match="format 99, this version reads 1"):
        AnnotationTable(table.folder, create=True)


def test_annotations_lie_beside_their_store() -> None:
    assert annotations_beside("data/x.store") == Path("data/x.annotations")
    assert annotations_beside("data/x") == Path("data/x.annotations")


def test_an_id_is_of_what_is_annotated_not_of_who_says_what() -> None:
    one = row()
    assert row(author="bob", state="absent", note="no").id == one.id
    assert one.recording_id == recording_id("site/a.wav")
    others = [row(0.001), row(label="robin"), row(low_hz=5.0), row(channel=0), row(repeat=2)]
    assert len({one.id, *(other.id for other in others)}) == 6
    assert annotation_id({name: getattr(one, name) for name in FIELDS}) == one.id


def test_times_count_in_microseconds() -> None:
    rough = new_row("a.wav", 0.1 + 0.2, 1.23456789, "wren", author="ann", low_hz=1 / 3)
    assert (rough.start_s, rough.end_s, rough.low_hz) == (0.3, 1.234568, 0.333)


def test_the_author_is_the_one_of_the_environment_or_the_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DAWNCHORUS_AUTHOR", " Ann B ")
    assert default_author() == "Ann B"
    assert new_row("a.wav", 0, 1, "wren").author == "Ann B"
    monkeypatch.setenv("DAWNCHORUS_AUTHOR", "")
    monkeypatch.setenv("LOGNAME", "bird")
    assert default_author() == "bird"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"end_s": 0.0}, "need 0 <= start < end"),
        ({"start_s": -1.0}, "need 0 <= start < end"),
        ({"start_s": float("nan")}, "start_s is nan"),
        ({"high_hz": float("inf")}, "high_hz is inf"),
        ({"low_hz": 5.0, "high_hz": 4.0}, "need 0 <= low <= high"),
        ({"channel": -1}, "need one from 0"),
        ({"state": "maybe"}, "state is 'maybe'"),
        ({"purpose": "test"}, "purpose is 'test'"),
        ({"source": "web"}, "source is 'web'"),
        ({"label": "a\tb"}, "see plain_label"),
        ({"author": " "}, "must not be empty"),
        ({"at": datetime(2026, 1, 1)}, "need a time with its zone"),
    ],
)
def test_what_cannot_be_true_is_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(row(), **columns)


def test_rows_of_a_damaged_table_are_refused() -> None:
    values = row().to_dict()
    with pytest.raises(UsageError, match="without author"):
        AnnotationRow.from_dict({**values, "author": None})
    for extra, message in (("{", "not JSON"), ("[1]", "an object of texts")):
        with pytest.raises(UsageError, match=message):
            AnnotationRow.from_dict({**values, "extra": extra})


WRITER = """
import sys
from dawnchorus.annotations.annotation_table import AnnotationTable, new_row
table = AnnotationTable(sys.argv[1], create=True)
for n in range(100000):
    table.append([new_row("a.wav", 10 * n + k, 10 * n + k + 1, "wren", author=sys.argv[2])
                  for k in range(5)])
    print(n, flush=True)
"""


@pytest.mark.long
def test_killed_at_any_moment_nothing_is_lost(tmp_path: Path) -> None:
    folder, n_promised = tmp_path / "x.annotations", 0
    for kill in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), f"author {kill}"],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for _ in range(1 + 3 * kill):  # at another moment each time
                assert process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
            # what it printed before it died was promised too
            n_promised += 1 + 3 * kill + len(process.stdout.readlines())
        rows = AnnotationTable(folder).rows()
        # an append is whole; at most the one that was not yet reported may be there beside
        assert len(rows) % 5 == 0
        assert 5 * n_promised <= len(rows) <= 5 * (n_promised + kill + 1)


@pytest.mark.parametrize("name", ["night.wav", "desktop.txt"])
def test_no_table_is_made_among_other_things(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(StoreError, match=f"holds other things, such as '{name}'"):
        AnnotationTable(tmp_path, create=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_table_is_made_in_an_empty_folder_and_beside_what_systems_leave(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").write_bytes(b"")
    (tmp_path / PARTS).mkdir()  # of a writer that was killed before the header was written
    AnnotationTable(tmp_path, create=True).append([row()])
    assert len(AnnotationTable(tmp_path).rows()) == 1


@pytest.mark.parametrize("create", [True, False])
def test_a_store_in_the_place_of_its_table_is_named_as_one(tmp_path: Path, *, create: bool) -> None:
    (tmp_path / "x.store").mkdir()
    (tmp_path / "x.store" / "store.json").write_text("{}")
    with pytest.raises(StoreError, match=r"is a store, whose annotations are .*x\.annotations$"):
        AnnotationTable(tmp_path / "x.store", create=create)
    assert len(list((tmp_path / "x.store").iterdir())) == 1
