"""How commands talk: data to stdout, talk to stderr, progress only where someone watches."""

from __future__ import annotations

import json
import sys
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.cli.streams import tell
from dawnchorus.errors import DawnChorusWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LINE_EVERY_S: Final = 10.0  # without a terminal: one line of progress now and then


def say(text: str, *, end: str = "\n") -> None:
    """Talk to the user, on stderr."""
    tell(text, end=end)


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
    cells = [[str(cell) for cell in row] for row in [headings, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


@contextmanager
def progress(
    total: int | None, label: str, *, quiet: bool = False, unit: str = ""
) -> Iterator[Callable[[int], None]]:
    """Show how far a job is; gives a function to call with each advance.

    On a terminal a bar with rate and time left, elsewhere a plain line every ten seconds.

    Args:
        total: how much there is to do, None when not known.
        label: what is being done.
        quiet: show nothing.
        unit: of what is counted.
    """
    if quiet:
        yield lambda _n: None
    elif sys.stderr.isatty():
        with _bar(total, label, unit) as advance:
            yield advance
    else:
        yield _lines(total, label, unit)


@contextmanager
def _bar(total: int | None, label: str, unit: str) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TextColumn(unit), Left())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda n: bar.advance(task, n)


def _lines(total: int | None, label: str, unit: str) -> Callable[[int], None]:
    started = last = time.monotonic()
    done = 0

    def advance(n: int) -> None:
        nonlocal last, done
        done += n
        now = time.monotonic()
        if now - last < LINE_EVERY_S:
            return
        last = now
        rate = done / (now - started)
        rest = "" if not total or not rate else f", {(total - done) / rate:.0f} s left"
        of = "" if total is None else f" of {total}"
        say(f"{label}: {done}{of} {unit}, {rate:.1f} a second{rest}")

    return advance
