"""Judging: every judgement is kept, what is taken back is gone, and a session goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dawnchorus.annotations.annotation_row import AnnotationRow, new_row
from dawnchorus.annotations.annotation_table import AnnotationTable, changed
from dawnchorus.errors import UsageError
from dawnchorus.labelling.judging import Judging, judged_by
from dawnchorus.labelling.suggestions import asked_of


def suggestions(n: int, **more: object) -> list[AnnotationRow]:
    given: dict[str, object] = {
        "state": None, "source": "suggested", "author": "maker", "model": "m", "score": 0.5, **more
    }  # fmt: skip
    return [new_row("a.wav", float(at), at + 1.0, "wren", **given) for at in range(n)]


@pytest.fixture
def table(tmp_path: Path) -> AnnotationTable:
    return AnnotationTable(tmp_path / "x.annotations", create=True)


def states(table: AnnotationTable, author: str = "ann") -> dict[float, str | None]:
    return {row.start_s: row.state for row in table.rows(author=author) if row.state}


def test_a_judgement_is_the_suggestion_with_a_state(table: AnnotationTable) -> None:
    rows = [*suggestions(1, purpose="estimate"), *suggestions(2)[1:]]
    table.append(rows)
    judging = Judging(table, rows, "ann")
    assert judging.current == rows[0]
    judging.judge("present")
    judging.judge("unsure")
    assert judging.current is None
    said = AnnotationTable(table.folder).rows()
    assert [(r.state, r.source, r.purpose, r.author) for r in said] == [
        ("present", "hand", "estimate", "ann"), ("unsure", "hand", "train", "ann")
    ]  # fmt: skip
    assert [(r.id, r.model, r.score, r.start_s) for r in said] == [
        (r.id, "m", 0.5, r.start_s) for r in rows
    ]
    assert judging.counts == {"present": 1, "unsure": 1}
    with pytest.raises(UsageError, match="nothing is left"):
        judging.judge("absent")


def test_it_goes_on_where_it_stopped(table: AnnotationTable) -> None:
    rows = suggestions(4)
    table.append(rows)
    first = Judging(table, rows, "ann")
    first.judge("absent")
    first.skip()
    first.judge("present")
    second = Judging(AnnotationTable(table.folder), rows, "ann")
    assert (second.n_reviewed, second.n_left) == (2, 2)
    assert second.current == rows[1]  # it was skipped
    assert second.undo() is None  # what another session said stays
    assert Judging(table, rows, "bob").current == rows[0]  # of a file, everybody judges all


def test_what_is_taken_back_was_not_judged(table: AnnotationTable) -> None:
    rows = suggestions(3)
    table.append(rows)
    judging = Judging(table, rows, "ann")
    judging.judge("present")
    judging.judge("absent")
    assert judging.undo() == rows[1]
    assert states(AnnotationTable(table.folder)) == {0.0: "present"}
    assert [row.start_s for row in table.rows(state="suggested")] == [1.0, 2.0]
    assert (judging.n_reviewed, judging.current) == (1, rows[1])
    judging.judge("unsure")
    assert states(table) == {0.0: "present", 1.0: "unsure"}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(["present", "absent", "unsure", "skip", "undo"]), max_size=14))
def test_any_order_of_keys_is_what_the_table_says(tmp_path: Path, keys: list[str]) -> None:
    folder = tmp_path / f"{len(list(tmp_path.iterdir()))}.annotations"
    table, rows = AnnotationTable(folder, create=True), suggestions(4)
    judging, said, at = Judging(table, rows, "ann"), {}, 0
    for key in keys:
        if key == "undo":
            at = max(at - 1, 0)
            said.pop(float(at), None)
            judging.undo()
        elif at < len(rows):
            if key == "skip":
                judging.skip()
            else:
                said[float(at)] = key
                judging.judge(key)  # type: ignore[arg-type]
            at += 1
    assert states(AnnotationTable(folder)) == said
    assert (judging.n_reviewed, judging.states) == (
        len(said), {rows[int(place)].id: state for place, state in said.items()}
    )  # fmt: skip


def test_a_function_can_judge(table: AnnotationTable) -> None:
    rows = suggestions(5)
    answers = {0.0: "present", 1.0: None, 2.0: "absent", 3.0: None, 4.0: "unsure"}
    judging = Judging(table, rows, "ann")
    judged_by(lambda row: answers[row.start_s])(judging)  # type: ignore[arg-type,return-value]
    assert states(table) == {place: state for place, state in answers.items() if state}


def test_a_table_asks_for_what_nobody_or_i_have_judged(table: AnnotationTable) -> None:
    rows = [*suggestions(3), *suggestions(5, purpose="estimate")[3:]]
    other = new_row("a.wav", 9.0, 10.0, "fox", state=None, source="suggested", author="maker")
    table.append([*rows, other])
    table.append([changed(rows[0], state="absent", author="bob")])
    table.append([changed(rows[1], state="absent", author="ann")])
    assert asked_of(table, "ann", "wren") == rows[1:]
    assert asked_of(table, "bob", "wren") == [rows[0], *rows[2:]]
    assert asked_of(table, "ann") == [*rows[1:], other]
    assert asked_of(table, "ann", purpose="estimate") == rows[3:]


# Judges six suggestions; each time another child does it, which kills itself at a later moment of
# writing, and says beforehand what was saved.
KILLS = """
import os, signal, sys
from pathlib import Path
from dawnchorus.annotations.annotation_table import AnnotationTable
from dawnchorus.labelling.judging import Judging
from dawnchorus.store import files

def counted(original):
    def call(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)
    return call

def judge(folder, said):
    os.fsync, Path.replace, files.sync_folder = map(
        counted, (os.fsync, Path.replace, files.sync_folder))
    table = AnnotationTable(folder)
    judging = Judging(table, [row for row in table.history() if row.state is None], "ann")
    while judging.current:
        judging.judge("present")
        os.write(said, b"x")

n_saved, kill_at, n_kills = 0, 1, 0
while True:
    left = kill_at
    ours, childs = os.pipe()
    child = os.fork()
    if not child:
        judge(sys.argv[1], childs)
        os._exit(0)
    os.close(childs)
    n_kills += os.waitpid(child, 0)[1] != 0
    n_saved += len(os.read(ours, 100))
    os.close(ours)
    rows = [row for row in AnnotationTable(sys.argv[1]).rows() if row.state]
    assert n_saved <= len(rows) <= n_saved + 1, (n_saved, len(rows))
    n_saved = len(rows)  # one that was on the disk before it could be said
    assert [row.start_s for row in rows] == list(map(float, range(len(rows))))
    if n_saved == 6:
        break
    kill_at = kill_at % 5 + 1
print(n_kills)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills children")
def test_nothing_is_lost_whenever_it_is_killed(table: AnnotationTable) -> None:
    table.append(suggestions(6))
    program = [sys.executable, "-c", KILLS, str(table.folder)]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4
