"""How commands show how far they are: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from dawnchorus.cli import output
from dawnchorus.progress import NO_PROGRESS, Progress


class Clock:
    """Time that stands still until it is told to pass."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(output.time, "monotonic", clock)
    return clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_a_line_comes_now_and_then(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with output.watched() as progress:
        advance = progress.start("packing", 40, "files")
        for _ in range(20):
            clock.now += 1.0
            advance(1)
    assert capsys.readouterr().err.splitlines() == [
        "packing: 10 of 40 files, 1.0 a second, 30 s left",
        "packing: 20 of 40 files, 1.0 a second, 20 s left",
    ]


def test_bytes_are_shown_in_megabytes(clock: Clock) -> None:
    stage = output.Stage("reading", 30_000_000, "bytes")
    clock.now += 2.0
    stage.add(10_000_000)
    assert stage.text() == "10 of 30 MB, 5.0 a second, 4 s left"


def test_an_unknown_total_has_no_time_left(clock: Clock) -> None:
    stage = output.Stage("reading headers", None, "files")
    clock.now += 2.0
    stage.add(1_000)
    assert stage.text() == "1,000 files, 500.0 a second"


def test_several_threads_may_count() -> None:
    stage = output.Stage("encoding", 8_000, "clips")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(stage.add, [1] * 8_000))
    assert stage.done == 8_000


def test_a_terminal_shows_one_stage_at_a_time_and_is_left_clean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    with output.watched() as progress:
        first = progress.start("reading [1/2]", 3, "clips")
        first(3)
        second = progress.start("fitting", None, "folds")
        second(1)
        first(1)  # a late thread of a stage that is over
        progress.message("2 clips are too short and were left out.")
    shown = terminal.getvalue()
    for text in ("reading [1/2]", "3 of 3 clips", "fitting", "2 clips are too short"):
        assert text in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is hidden still"


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with output.watched(quiet=True) as progress:
        progress.start("packing", 2)(2)
        progress.message("2 clips are too short.")
    assert progress is NO_PROGRESS
    assert capsys.readouterr().err == ""


def test_a_bar_is_closed_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")

    def work(progress: Progress) -> None:
        progress.start("packing", 2)(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), output.watched() as progress:
        work(progress)
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l")


def test_a_name_in_a_table_stays_in_its_cell(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(["path", "n"], [["two\nlines\x1b[2J.wav", 1], ["tab\t\u202egpj.wav", 2]])
    assert capsys.readouterr().out.splitlines() == [
        "path                   n",
        "two\\nlines\\x1b[2J.wav  1",
        "tab\\t\\u202egpj.wav     2",
    ]


def test_a_message_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("a\rb\x1b]0;c\x07\x9b2J é 🐦:\n\tnext")
    assert capsys.readouterr().err == "a\\rb\\x1b]0;c\\x07\\x9b2J é 🐦:\n\tnext\n"
