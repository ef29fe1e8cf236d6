"""How commands talk: data to stdout, talk to stderr, progress only where someone watches."""

from __future__ import annotations

import json
import sys
import time
import warnings
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.cli.streams import tell, visible
from dawnchorus.errors import DawnChorusWarning
from dawnchorus.progress import NO_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dawnchorus.progress import Progress

MEGABYTE: Final = 1_000_000
LINE_EVERY_S: Final = 10.0  # without a terminal: one line of progress now and then


def say(text: str, *, end: str = "\n") -> None:
    """Talk to the user, on stderr."""
    tell(visible(text), end=end)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Say what a result has to be read with as one line each; other warnings as Python has them."""
    usual = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        *rest: Any,
        **more: Any,
    ) -> None:
        if issubclass(category, DawnChorusWarning):
            say(f"warning: {message}")
        else:
            usual(message, category, filename, lineno, *rest, **more)

    with warnings.catch_warnings():
        # Python shows a warning once for each line of code, and ours differ in their text
        warnings.simplefilter("always", DawnChorusWarning)
        warnings.showwarning = show
        yield


def print_json(value: Any) -> None:
    """Data for a program, on stdout; paths become text."""
    print(json.dumps(value, indent=1, default=str))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Data for a reader, on stdout, in columns as wide as they need."""
    for line in table_lines(headings, rows):
        print(line)


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """The lines of such a table."""
    cells = [[_in_a_cell(str(cell)) for cell in row] for row in [headings, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _in_a_cell(text: str) -> str:
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


class TerminalProgress:
    """How far a job is, on stderr: a bar on a terminal, elsewhere a plain line now and then.

    One stage is shown at a time; the next one takes its place. It follows
    `dawnchorus.progress.Progress`. Functions get one from `watched`, which closes the last bar.
    """

    def __init__(self) -> None:
        """Nothing is shown before the first stage."""
        self._bar: _Bar | None = None

    def start(self, label: str, total: int | None = None, unit: str = "") -> Callable[[int], None]:
        """Begin a stage; gives the function to call with each advance."""
        self.close()
        stage = Stage(label, total, unit)
        # a log file, a job's output or a pipe: bars would fill it with escape codes
        if not sys.stderr.isatty():
            return _lines(stage)
        self._bar = _Bar(stage)
        return self._bar.advance

    def message(self, text: str) -> None:
        """A line of its own; rich keeps a bar below it."""
        say(text)

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None


@contextmanager
def watched(*, quiet: bool = False) -> Iterator[Progress]:
    """The progress of a command, to hand to the function that does the work."""
    if quiet:
        yield NO_PROGRESS
        return
    progress = TerminalProgress()
    try:
        yield progress
    finally:
        progress.close()


class Stage:
    """The count of one stage, and its words for a reader; several threads may count."""

    def __init__(self, label: str, total: int | None, unit: str) -> None:
        """Begin at zero, now."""
        self.label = label
        self.total = total
        self.done = 0
        self._unit = unit
        self._started = time.monotonic()
        self._lock = Lock()  # ``+=`` of two threads may lose one of the two

    def add(self, n: int) -> None:
        """Count some more."""
        with self._lock:
            self.done += n

    def text(self) -> str:
        """How much is done of how much, such as ``12 of 40 clips, 3.1 a second, 9 s left``."""
        scale, unit = (MEGABYTE, "MB") if self._unit == "bytes" else (1, self._unit)
        total = "" if self.total is None else f" of {-(-self.total // scale):,}"
        # of the whole stage: the rate of the last second jumps with every large file
        rate = self.done / max(time.monotonic() - self._started, 1e-9)
        left = (
            "" if not self.total or not rate else f", {(self.total - self.done) / rate:.0f} s left"
        )
        count = f"{self.done // scale:,}{total} {unit}".rstrip()
        return f"{count}, {rate / scale:.1f} a second{left}"


class _Bar:
    def __init__(self, stage: Stage) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        # markup is off: a label may hold brackets, which rich would read as a style
        text = TextColumn("{task.fields[text]}", markup=False)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), text)
        self._stage = stage
        self._shown = RichProgress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._shown.add_task(stage.label, total=stage.total, text=stage.text())
        self._shown.start()

    def advance(self, n: int) -> None:
        self._stage.add(n)
        self._shown.update(self._task, completed=self._stage.done, text=self._stage.text())

    def close(self) -> None:
        self._shown.stop()


def _lines(stage: Stage) -> Callable[[int], None]:
    last = time.monotonic()  # nothing at once: short stages need no line

    def advance(n: int) -> None:
        nonlocal last
        stage.add(n)
        now = time.monotonic()
        if now - last >= LINE_EVERY_S:
            last = now
            say(f"{stage.label}: {stage.text()}")

    return advance
