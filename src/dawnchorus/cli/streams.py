"""Standard output and error as a program finds them: closed, full, or in a small code page."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import DawnChorusError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDOUT: Final = 1
STDERR: Final = 2


class OutputError(DawnChorusError):
    """Standard output takes nothing more: its reader is gone (`| head`), or its disk is full."""

    def __init__(self, cause: OSError) -> None:
        """``cause``: as the system has it."""
        super().__init__(f"standard output cannot be written: {cause.strerror or cause}")
        self.reader_gone = isinstance(cause, BrokenPipeError)


def prepare() -> None:
    """Make both streams usable, before anything is opened or said.

    A service or cron job may start us without them. What has no letter in the terminal's code page
    is escaped; a file or program that we write into gets UTF-8, as files of ours have it, unless
    the user chose otherwise.
    """
    _fill_closed()
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()
    _never_refuse_letters()
    if sys.stdout is sys.__stdout__:  # a notebook or a test has put its own there
        sys.stdout = _watched(sys.__stdout__)


def _fill_closed() -> None:
    """Where one of the three is closed, the next file opened would take its number, and our words.

    A new handle gets the lowest free number, so they fill up in order.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _nowhere() -> io.TextIOWrapper:
    return Path(os.devnull).open("w", encoding="utf-8")


def _never_refuse_letters() -> None:
    chosen = bool(os.environ.get("PYTHONIOENCODING"))
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        stream.reconfigure(errors="backslashreplace")
        if not chosen and not stream.isatty():
            stream.reconfigure(encoding="utf-8")


class _Border(io.RawIOBase):
    """Bytes to standard output; what it refuses becomes our error, wherever it was printed from."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw

    def write(self, data: ReadableBuffer, /) -> int | None:
        try:
            return self._raw.write(data)
        except OSError as error:
            abandon(STDOUT)
            raise OutputError(error) from error

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()


def _watched(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    raw = io.BufferedWriter(_Border(io.FileIO(STDOUT, "w", closefd=False)))
    return io.TextIOWrapper(
        raw,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def abandon(number: int) -> None:
    """Let what is left go nowhere; else Python complains when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def tell(text: str, *, end: str = "\n") -> None:
    """To standard error; a run goes on if nobody can hear it any more."""
    try:
        print(text, end=end, file=sys.stderr, flush=True)
    except OSError:
        if sys.stderr is sys.__stderr__:
            abandon(STDERR)
