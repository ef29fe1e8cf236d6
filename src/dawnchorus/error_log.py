"""Tracebacks of errors that nobody foresaw, in a file beside what the run makes.

Such an error is the failure of one recording and the run goes on, so its traceback must not be lost
and has no place on the terminal. One file serves the process; the threads of a run share it.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import gettempdir
from traceback import format_exception
from typing import TYPE_CHECKING, Final

from dawnchorus.filename_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX: Final = ".faults.log"
MOST: Final = 100  # tracebacks of a run; the same fault in every recording needs no more
REPORT_TO: Final = "https://github.com/dawnchorus/dawnchorus/issues"

_lock = threading.Lock()
_chosen: Path | None = None
_n_written = 0


@contextmanager
def faults_beside(output: object) -> Iterator[None]:
    """Keep tracebacks beside an output on this machine; elsewhere than in `fault_log`'s default.

    Args:
        output: a file or folder that need not be there yet; None or a place behind a URL: the
            folder for temporary files.
    """
    global _chosen, _n_written
    before, n_before = _chosen, _n_written
    is_local = isinstance(output, str | Path) and "://" not in str(output)
    _chosen, _n_written = (Path(f"{Path(str(output))}{SUFFIX}") if is_local else None), 0
    try:
        yield
    finally:
        _chosen, _n_written = before, n_before


def fault_log() -> Path:
    """Where tracebacks go."""
    return _chosen or Path(gettempdir()) / f"dawnchorus-{os.getpid()}{SUFFIX}"


def log_fault(named: object, error: BaseException) -> Path | None:
    """Write a traceback down; returns where, None if that cannot be done or there were too many."""
    global _n_written  # noqa: PLW0603  see above
    path = fault_log()
    head = f"{datetime.now(UTC).isoformat(timespec='seconds')} dawnchorus {version('dawnchorus')}"
    text = printable(f"{head}\n{named}\n{''.join(format_exception(error))}\n")
    with _lock:
        if _n_written >= MOST:
            return None
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(text)
        except (OSError, ValueError):
            return None  # the sentence about the recording has to do
        _n_written += 1
    return path


def please_report() -> str:
    """What the user is asked for after such an error."""
    log = fault_log()
    kept = f" and {log}" if log.exists() else ""
    return f"this is a fault of dawnchorus, please report it with this line{kept}: {REPORT_TO}"
