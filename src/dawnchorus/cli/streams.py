"""Standard output and error as a program gets them: closed, full, or in a small code page."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import DawnChorusError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDOUT: Final = 1
STDERR: Final = 2
# all but tab and line end: a file name must not move the cursor, colour or turn around what follows
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class OutputError(DawnChorusError):
    """Standard output takes nothing more: its reader is gone (`| head`), or its disk is full."""

    def __init__(self, cause: OSError) -> None:
        """``cause``: the error of the system."""
        super().__init__(f"standard output cannot be written: {cause.strerror or cause}")
        # such as `head`, which has read enough: not an error to report
        self.reader_gone = isinstance(cause, BrokenPipeError)


def prepare() -> None:
    """Make both streams usable, before any file is opened or message written.

    A service or cron job may start us without them. A character that the code page of the terminal
    lacks is escaped. A file or program that we write to gets UTF-8, like all our files, unless the
    user chose otherwise.
    """
    _fill_closed()
    if sys.stdout is None:
        sys.stdout = _discarding_stream()
    if sys.stderr is None:
        sys.stderr = _discarding_stream()
    _accept_all_characters()
    if sys.stdout is sys.__stdout__:  # otherwise a notebook or a test has put its own there
        sys.stdout = _guarded(sys.__stdout__)


def _fill_closed() -> None:
    """Open what is closed of 0, 1 and 2: a data file must not get the number of standard output.

    What we print would be written into it. A new handle gets the lowest free number, so the three
    fill up in order.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _discarding_stream() -> io.TextIOWrapper:
    return Path(os.devnull).open("w", encoding="utf-8")


def _accept_all_characters() -> None:
    chosen = bool(os.environ.get("PYTHONIOENCODING"))
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        stream.reconfigure(errors="backslashreplace")
        if not chosen and not stream.isatty():
            stream.reconfigure(encoding="utf-8")


class _OutputGuard(io.RawIOBase):
    """Bytes to standard output; what it refuses becomes our error, wherever it was printed from.

    Without this, a full disk would surface as an OSError in whatever code happened to print.
    """

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


def _guarded(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    raw = io.BufferedWriter(_OutputGuard(io.FileIO(STDOUT, "w", closefd=False)))
    return io.TextIOWrapper(
        raw,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def abandon(number: int) -> None:
    """Discard what is still written to a stream; otherwise Python complains when it ends."""
    discard = os.open(os.devnull, os.O_WRONLY)
    os.dup2(discard, number)
    os.close(discard)


def visible(text: str) -> str:
    """The text with characters that a terminal would obey written out."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def tell(text: str, *, end: str = "\n") -> None:
    """Print to standard error; a run continues even if that is closed."""
    try:
        print(text, end=end, file=sys.stderr, flush=True)
    except OSError:
        if sys.stderr is sys.__stderr__:
            abandon(STDERR)
