"""``dawnchorus label judge``: keys on a terminal, lines without one, and what is left behind."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.annotations.annotation_row import new_row
from dawnchorus.annotations.annotation_table import AnnotationTable, changed
from dawnchorus.cli import keys
from dawnchorus.cli.app import main
from dawnchorus.cli.judged_clips import JudgedClips, clock_text, place_line
from planted_store import plant

try:
    import pty
    import termios
except ImportError:  # Windows
    pty = termios = None  # type: ignore[assignment]

Capture = pytest.CaptureFixture[str]
on_a_terminal = pytest.mark.skipif(pty is None, reason="needs a pseudo-terminal")


def suggest(n: int, **more: object) -> list:
    given = {"state": None, "source": "suggested", "author": "maker", "score": 0.5, **more}
    return [new_row("a.wav", float(at), at + 1.0, "wren", **given) for at in range(n)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of one recording with four suggestions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAWNCHORUS_AUTHOR", "ann")
    (tmp_path / "sound").mkdir()
    noise = 0.1 * np.random.default_rng(0).normal(size=16_000 * 8)
    soundfile.write("sound/a.wav", noise, 16_000)
    plant(tmp_path / "x.store", {"a.wav": [0] * 8}, audio_root=str(tmp_path / "sound"))
    AnnotationTable("x.annotations", create=True).append(suggest(4))
    return tmp_path


def judge(text: str, *arguments: str, code: int = 0) -> None:
    stdin = sys.stdin
    sys.stdin = io.StringIO(text)
    try:
        assert main(["label", "judge", *arguments]) == code
    finally:
        sys.stdin = stdin


def states(author: str = "ann") -> dict[float, str | None]:
    rows = AnnotationTable("x.annotations").rows(author=author)
    return {row.start_s: row.state for row in rows if row.state}


@pytest.mark.usefixtures("folder")
def test_lines_are_answers_and_the_rest_waits(capsys: Capture) -> None:
    judge("y\n\nabsent\nz\nu\nq\nn\n", "x.store", "--label", "wren")
    assert states() == {0.0: "present", 1.0: "unsure"}
    said = capsys.readouterr()
    assert "reviewed 2 of 4: 1 present, 0 absent, 1 unsure; 2 left" in said.out
    assert "wren?  reviewed 1 of 4\n  a.wav  1.00-2.00 s  2026-05-01 04:00:01+02:00" in said.err
    assert "score 0.500\n  0:00 |-------########-----" in said.err
    judge("n\ns\n", "x.annotations", "--json", "-q")
    said = capsys.readouterr()
    assert json.loads(said.out) == {
        "annotations": "x.annotations", "n_suggestions": 4, "n_reviewed": 3, "present": 1,
        "unsure": 1, "absent": 1,
    }  # fmt: skip
    assert said.err == ""
    judge("y", "x.annotations", "-q")
    assert states() == {0.0: "present", 1.0: "unsure", 2.0: "absent", 3.0: "present"}
    judge("y\n", "x.annotations")
    assert "reviewed 4 of 4" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_a_line_that_is_no_answer_stops_before_anything_is_said_of_it(capsys: Capture) -> None:
    judge("y\nmaybe\nn\n", "x.store", code=2)
    assert "'maybe' is no answer; need y, n, u, s, z or q" in capsys.readouterr().err
    assert states() == {0.0: "present"}


@pytest.mark.usefixtures("folder")
def test_a_file_is_judged_into_a_new_table_under_a_name(capsys: Capture) -> None:
    Path("found.csv").write_text("path,start_s,stop_s,score\na.wav,0,1,0.5\na.wav,5,6,0.4\n")
    given = ("found.csv", "--label", "owl", "--annotations", "y.annotations", "--author", "bob")
    judge("y\nn\n", *given)
    rows = AnnotationTable("y.annotations").rows()
    assert [(r.label, r.state, r.author, r.score) for r in rows] == [
        ("owl", "present", "bob", 0.5), ("owl", "absent", "bob", 0.4)
    ]  # fmt: skip
    judge("", *given)
    assert "reviewed 2 of 2: 1 present, 1 absent, 0 unsure; 0 left" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_a_purpose_can_be_asked_for_and_is_kept() -> None:
    drawn = new_row(
        "a.wav", 6, 7, "wren", state=None, source="suggested", purpose="estimate", author="maker"
    )
    AnnotationTable("x.annotations").append([drawn])
    judge("y\ny\n", "x.store", "--purpose", "estimate")
    assert states() == {6.0: "present"}
    (row,) = AnnotationTable("x.annotations").rows(state="present")
    assert (row.id, row.purpose) == (drawn.id, "estimate")


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["gone.csv", "--annotations", "x.annotations", "--label", "owl"], "gone.csv", 1),
        (["found.csv"], "Name the folder: --annotations", 2),
        (["x.store", "--label", "owl"], "no suggestion of 'owl' to judge; make some with", 2),
        (["gone.annotations"], "not an annotation table", 1),
        (["x.store", "--purpose", "fun"], "--purpose 'fun'; known: train, estimate", 2),
        (["x.store", "--context", "-1"], "--context -1: need 0 seconds or more", 2),
    ],
    ids=range(6),
)
@pytest.mark.usefixtures("folder")
def test_what_is_wrong_is_said(arguments: list[str], said: str, code: int, capsys: Capture) -> None:
    Path("found.csv").write_text("path,start_s,stop_s\na.wav,0,1\n")
    judge("y\n", *arguments, code=code)
    assert said in capsys.readouterr().err
    assert states() == {}


@pytest.mark.parametrize(
    ("span", "line"),
    [
        ((0.0, 1.0), "0:00 |#---------| 0:10"),
        ((9.99, None), "0:00 |---------#| 0:10"),
        ((2.0, 5.0), "0:00 |--###-----| 0:10"),
        ((2.01, 2.02), "0:00 |--#-------| 0:10"),
        ((20.0, 30.0), "0:00 |---------#| 0:10"),
    ],
)
def test_the_line_shows_where_a_span_lies(span: tuple[float, float | None], line: str) -> None:
    assert place_line(*span, 10.0, width=10) == line


def test_clocks_have_hours_where_there_are_some() -> None:
    assert [clock_text(s) for s in (5, 65.4, 3599.6, 3725)] == [
        "0:05",
        "1:05",
        "1:00:00",
        "1:02:05",
    ]


def test_a_clip_is_cut_where_it_lies_with_what_is_around_it(folder: Path) -> None:
    whole, _ = soundfile.read("sound/a.wav")
    clips = JudgedClips(folder / "sound", None)
    rows = suggest(8)
    for row, context_s, first, last in ((rows[0], 0, 0, 1), (rows[0], 2, 0, 3), (rows[7], 1, 6, 8)):
        samples, rate = clips.samples(row, context_s)
        assert rate == 16_000
        np.testing.assert_allclose(samples, whole[first * rate : last * rate], atol=1e-4)
    assert clips.local_time(rows[0]) == ""
    assert clips.line(rows[0]).endswith("| 0:08")  # the file says how long it is


class Terminal:
    """The real program on a terminal of its own, which is 100 columns wide."""

    def __init__(self, *arguments: str, path: str) -> None:
        self.text = ""
        self.pid, self.handle = pty.fork()
        if not self.pid:
            os.environ["PATH"] = path
            program = [sys.executable, "-m", "dawnchorus", "label", "judge", *arguments]
            os.execv(sys.executable, program)  # noqa: S606

    def wait_for(self, text: str, n: int = 1) -> None:
        while self.text.count(text) < n:
            assert self.read(), self.text

    def read(self, within_s: float = 60.0) -> bool:
        assert select.select([self.handle], [], [], within_s)[0], self.text
        try:
            got = os.read(self.handle, 4096)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.text += got.decode()
        return bool(got)

    def type(self, key: str) -> None:
        os.write(self.handle, key.encode())

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.handle)[3] & termios.ECHO)

    def end(self) -> int:
        while self.read():
            pass
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def terminal(folder: Path) -> Iterator[Callable[..., Terminal]]:
    begun: list[Terminal] = []

    def begin(*arguments: str, player: str | None = None) -> Terminal:
        programs = folder / "bin"
        programs.mkdir(exist_ok=True)
        if player is not None:
            (programs / "aplay").write_text(f"#!/bin/sh\n{player}\n")
            (programs / "aplay").chmod(0o755)
        begun.append(Terminal(*arguments, path=f"{programs}"))
        return begun[-1]

    yield begin
    for one in begun:
        os.close(one.handle)


@on_a_terminal
@pytest.mark.long
def test_keys_judge_while_it_plays_and_ctrl_c_leaves_the_terminal_as_it_was(
    terminal: Callable[..., Terminal], folder: Path
) -> None:
    program = terminal("x.store", player=f'echo "$2" >> {folder}/played\nexec /bin/sleep 60')
    program.wait_for("? help: ")
    assert not program.echoes()
    for n, key in enumerate(("y", "n", "z", "u", "s"), 2):
        program.type(key)
        program.wait_for("? help: ", n)
    program.type("\x1b[A")  # an arrow is no answer
    program.type("r")
    program.type("?")
    program.wait_for("the next session goes on here")
    program.type("\x03")
    program.wait_for("everything that was judged is saved")
    assert program.end() == 130
    assert program.echoes()
    assert states() == {0.0: "present", 1.0: "unsure"}
    played = Path("played").read_text().splitlines()
    assert [Path(line).name for line in played] == [
        f"a_{at}.00s.wav" for at in (0, 1, 2, 1, 2, 3, 3)
    ]
    assert not Path(played[0]).parent.exists()


@on_a_terminal
@pytest.mark.long
def test_without_a_player_it_says_where_the_sound_is(terminal: Callable[..., Terminal]) -> None:
    Path("sound/a.wav").rename("sound/b.wav")
    rows = [changed(row, path="b.wav", recording_id="r", id=f"b{at}", author="maker",
                    source="suggested") for at, row in enumerate(suggest(1))]  # fmt: skip
    AnnotationTable("x.annotations").append(rows)
    program = terminal("x.store")
    program.wait_for("no program that plays sound was found")
    program.wait_for("cannot be heard: ")
    for n in range(2, 6):
        program.type("s")
        program.wait_for("? help: ", n)
    program.wait_for("the sound is in ")
    program.type("n")
    assert program.end() == 3  # four clips of the recording that is gone
    assert "not heard: " in program.text
    assert AnnotationTable("x.annotations").rows(author="ann", state="absent")[0].path == "b.wav"


@on_a_terminal
@pytest.mark.long
def test_a_signal_leaves_the_terminal_as_it_was(terminal: Callable[..., Terminal]) -> None:
    program = terminal("x.store", "--no-sound")
    program.wait_for("? help: ")
    os.kill(program.pid, signal.SIGTERM)
    assert program.end() == 130
    assert program.echoes()


def test_keys_that_come_at_once_come_one_by_one() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"yn\x04")
    given = keys._Keys(ours)
    assert [given.next(), given.next(), given.next()] == ["y", "n", ""]
    os.write(theirs, b"\x1b[By\x1b[15~\x1bn")  # down, F5, escape
    assert [given.next(), given.next()] == ["y", "n"]
    os.close(theirs)
    assert given.next() == ""
    os.close(ours)
