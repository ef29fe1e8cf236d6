"""Answers to questions: single keys where a person sits at a terminal, otherwise lines."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

ENDS: Final = {"", "\x04"}  # a closed stream; Ctrl-D
CTRL_C: Final = "\x03"
# An arrow or function key is several characters, of which some are letters.
SEQUENCE: Final = re.compile("\x1b(?:[\\[O][0-9;]*[~A-Za-z])?")
MOST_BYTES: Final = 64  # of what was typed at once
WAKE_S: Final = 0.5  # how late Ctrl-C may be noticed
WINDOWS_PREFIXES: Final = ("\x00", "\xe0")  # of a key that is no character


def is_watched() -> bool:
    """Whether a person types what this program reads, and sees what it says."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


@contextmanager
def single_keys() -> Iterator[Callable[[], str]]:
    """A function that waits for a key; the terminal is as before afterwards, whatever happens.

    It gives "" at the end of input. Ctrl-C raises KeyboardInterrupt, and so do the signals that
    would end the program without a chance to put the terminal back.
    """
    if sys.platform == "win32":
        yield _windows_key
        return
    import termios
    import tty

    stream = sys.stdin.fileno()
    before = termios.tcgetattr(stream)
    with _signals_interrupt():
        try:
            tty.setcbreak(stream)
            yield _Keys(stream).next
        finally:
            termios.tcsetattr(stream, termios.TCSADRAIN, before)


def next_line() -> str:
    """The next line of standard input that is not blank, stripped; "" at its end."""
    try:
        while sys.stdin is not None and (line := sys.stdin.readline()):
            if line.strip():
                return line.strip()
    except (OSError, ValueError):
        pass  # closed, so that nobody answers; a text that is not UTF-8 is no answer either
    return ""


class _Keys:
    """Keys one by one, of what the terminal gives at once."""

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self._typed: list[str] = []

    def next(self) -> str:
        while not self._typed:
            # a signal that comes just before a call that waits for ever would wait with it
            while not select.select([self._stream], [], [], WAKE_S)[0]:
                pass
            # read past Python's buffer, which would wait for more
            text = os.read(self._stream, MOST_BYTES).decode("utf-8", "replace")
            if not text:
                return ""
            self._typed = list(SEQUENCE.sub("", text))
        key = self._typed.pop(0)
        return "" if key in ENDS else key


if sys.platform == "win32":
    import msvcrt

    def _windows_key() -> str:
        key = msvcrt.getwch()
        while key in WINDOWS_PREFIXES:
            msvcrt.getwch()
            key = msvcrt.getwch()
        if key == CTRL_C:
            raise KeyboardInterrupt
        return "" if key in ENDS else key


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """A closed terminal or a scheduler's warning ends like Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM, signal.SIGHUP] if hasattr(signal, "SIGHUP") else [signal.SIGTERM]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
