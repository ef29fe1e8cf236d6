"""Where commands print: into a pipe that closes, on a terminal, into a log, where nothing is."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import pytest

from dawnchorus.cli import app, output, streams
from dawnchorus.cli.app import COMMANDS, main
from dawnchorus.errors import DawnChorusWarning
from program_inputs import Call, Inputs

try:
    import pty
except ImportError:  # Windows
    pty = None  # type: ignore[assignment]

Capture = pytest.CaptureFixture[str]

# Every command that prints what it found, on standard output.
PRINTING = [
    Call("predict", "{recordings} -m {model} --top-k 1 -q --device cpu"),
    Call("embed", "{recordings} -m {model} -o {out}/s -q --device cpu --json"),
    Call("doctor", "{recordings} -q"),
    Call("models"),
    Call("describe", "{model}"),
    Call("describe", "{model} --list-labels"),
    Call("verify", "{model}"),
    Call("store info", "{store}"),
    Call("store check", "{store}"),
    Call("data import", "{calls} -o {out}/m.parquet -q"),
    Call("data check", "{manifest} -q"),
    Call("data duplicates", "{manifest} -q"),
    Call("data summary", "{manifest}"),
    Call("data statistics", "{manifest} --json -q"),
    Call("data split", "{manifest} --group-by path -o {out}/m.parquet"),
    Call("data filter", "{manifest} --where labels=owl -o {out}/m.parquet"),
    Call("data pack", "{manifest} -o {out}/shards -q"),
    Call("benchmark tasks"),
]


class Closing(io.RawIOBase):
    """A file that refuses every byte, for one reason."""

    def __init__(self, error: OSError) -> None:
        self._error = error

    def writable(self) -> bool:
        return True

    def write(self, _: object, /) -> int:
        raise self._error


@pytest.mark.parametrize("call", PRINTING, ids=lambda call: f"{call.words} {call.arguments}")
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BrokenPipeError(32, "Broken pipe"), 0, ""),
        (OSError(28, "No space left on device"), 1,
         "dawnchorus: standard output cannot be written: No space left on device\n"),
    ],
    ids=["closed", "full"],
)  # fmt: skip
def test_every_command_that_prints_ends_well_when_nobody_reads(
    error: OSError, code: int, said: str, call: Call, inputs: Inputs, out: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: Capture,
) -> None:  # fmt: skip
    guard = streams._OutputGuard(Closing(error))  # type: ignore[arg-type]
    monkeypatch.setattr(streams, "abandon", lambda _: None)  # ours is not the real one
    held = io.TextIOWrapper(io.BufferedWriter(guard), encoding="utf-8")
    line = call.line(inputs, out)
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", held)
        assert main(line) == code
    assert capsys.readouterr().err == said
    with suppress(streams.OutputError):  # what is in its buffer still
        held.detach()


def test_the_guard_of_standard_output_is_a_stream_like_it(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with io.FileIO(path, "w") as raw:
        guard = streams._OutputGuard(raw)
        assert (guard.write(b"four"), guard.writable()) == (4, True)
        assert (guard.fileno(), guard.isatty()) == (raw.fileno(), False)
    assert path.read_bytes() == b"four"


def test_only_a_reader_that_left_is_no_failure() -> None:
    left = streams.OutputError(BrokenPipeError(32, "Broken pipe"))
    full = streams.OutputError(OSError(28, "No space left on device"))
    nameless = streams.OutputError(OSError("odd"))
    assert [error.reader_gone for error in (left, full, nameless)] == [True, False, False]
    assert str(full) == "standard output cannot be written: No space left on device"
    assert str(nameless) == "standard output cannot be written: odd"
    assert full.exit_code == 1


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_program_without_a_stream_gets_one_that_discards(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, name, None)  # as pythonw and some services have it
    streams.prepare()
    stream = getattr(sys, name)
    assert stream.write("gone") == 4
    assert (stream.name, stream.encoding) == (os.devnull, "utf-8")
    stream.close()


def test_talk_goes_on_where_standard_error_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = io.TextIOWrapper(Closing(OSError(5, "Input/output error")), write_through=True)  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stderr", refusing)
    streams.tell("nobody hears this")
    output.say("nor this", end="")


def test_our_warnings_are_a_line_each_and_others_are_pythons(
    capsys: Capture, recwarn: pytest.WarningsRecorder
) -> None:
    with output.plain_warnings():
        for text in ("first", "second", "first"):
            warnings.warn(text, DawnChorusWarning, stacklevel=1)
        assert capsys.readouterr().err == "warning: first\nwarning: second\nwarning: first\n"
        warnings.simplefilter("always", UserWarning)
        warnings.warn("of another package", UserWarning, stacklevel=1)
    assert "of another package" not in capsys.readouterr().err
    assert [str(told.message) for told in recwarn] == ["of another package"]


@pytest.mark.cli
@pytest.mark.skipif(pty is None, reason="terminals of POSIX")
def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else(inputs: Inputs, out: Path) -> None:
    call = Call("data pack", "{manifest} -o {out}/packed").line(inputs, out)
    ours, theirs = pty.openpty()
    line = [sys.executable, "-m", "dawnchorus", *call]
    screen = b""
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm-256color"}
    ) as run:
        os.close(theirs)
        with suppress(OSError):  # Linux ends a terminal without a program by an error
            while piece := os.read(ours, 65_536):
                screen += piece
        printed, _ = run.communicate(timeout=120)
    os.close(ours)
    assert (run.returncode, b"\x1b" in printed) == (0, False)
    assert b"packed" in printed
    assert b"\x1b[?25l" in screen  # the cursor is hidden, and then it is back
    assert screen.rindex(b"\x1b[?25h") > screen.rindex(b"\x1b[?25l")


# the list of commands


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"], ["help"], ["--help", "--debug"]])
def test_help_lists_every_command_with_what_it_does(arguments: list[str], capsys: Capture) -> None:
    assert main(arguments) == 0
    told = capsys.readouterr()
    listed = dict(re.findall(r"^  (\w+) +([A-Z].*\.)$", told.out, re.MULTILINE))
    assert listed == COMMANDS
    assert told.out == f"{app.usage()}\n"
    assert told.err == ""
    for code in ("0 done", "1 failed", "2 wrong usage", "3 finished but", "130 interrupted"):
        assert code in told.out
    assert max(map(len, told.out.splitlines())) <= 100


@pytest.mark.parametrize("name", ["emebd", "Embed", "", "embed "])
def test_an_unknown_command_is_answered_with_all_that_there_are(name: str, capsys: Capture) -> None:
    assert main([name]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == (
        "",
        f"dawnchorus: no command {name!r}; commands: {', '.join(COMMANDS)}\n",
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_alone_or_with_help_says_how_it_is_called(name: str, capsys: Capture) -> None:
    assert main([name, "--help"]) == 0
    told = capsys.readouterr()
    assert told.out.lstrip().startswith(f"Usage: dawnchorus {name} ")
    assert told.err == ""


@pytest.mark.cli
@pytest.mark.parametrize("line", ["", "--version", "nonsense", "data --help", "predict --help"])
def test_the_program_starts_without_torch_until_it_needs_it(line: str) -> None:
    """Help and mistakes are answered at once; importing torch alone takes seconds."""
    code = (
        "import sys; from dawnchorus.cli.app import main; main(sys.argv[1:]);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *line.split()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "dawnchorus" in loaded
    assert loaded & {"torch", "sklearn", "matplotlib", "soundfile", "huggingface_hub"} == set()
