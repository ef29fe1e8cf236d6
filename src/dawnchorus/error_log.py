"""Tracebacks of unexpected errors, in a file beside what the run makes.

Such an error is the failure of one recording and the run continues, so its traceback must not be
lost, and it does not belong on the terminal. The process has one such file, which the threads of a
run share.
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
from dawnchorus.publication import where_to_report

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX: Final = ".faults.log"
MAX_TRACEBACKS: Final = 100  # of a run; the same error in every recording needs no more

_lock = threading.Lock()
_path: Path | None = None
_n_written = 0


@contextmanager
def log_errors_beside(output: object) -> Iterator[None]:
    """Keep tracebacks beside an output on this machine, while this is open.

    Args:
        output: a file or folder that need not be there yet. With None or a URL, they go to the
            folder for temporary files.
    """
    global _path, _n_written
    before = _path, _n_written
    is_local = isinstance(output, str | Path) and "://" not in str(output)
    _path, _n_written = (Path(f"{Path(str(output))}{SUFFIX}") if is_local else None), 0
    try:
        yield
    finally:
        _path, _n_written = before


def error_log_path() -> Path:
    """Where tracebacks go."""
    return _path or Path(gettempdir()) / f"dawnchorus-{os.getpid()}{SUFFIX}"


def log_error(name: object, error: BaseException) -> Path | None:
    """Write a traceback of what happened to ``name``; returns where.

    None: it cannot be written, or there are `MAX_TRACEBACKS` already.
    """
    global _n_written  # noqa: PLW0603  one log per process, as said above
    path = error_log_path()
    head = f"{datetime.now(UTC).isoformat(timespec='seconds')} dawnchorus {version('dawnchorus')}"
    text = printable(f"{head}\n{name}\n{''.join(format_exception(error))}\n")
    with _lock:
        if _n_written >= MAX_TRACEBACKS:
            return None
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(text)
        except (OSError, ValueError):
            return None  # the message about the recording has to do
        _n_written += 1
    return path


def report_request() -> str:
    """What the user is asked to do after such an error."""
    log = error_log_path()
    also = f" and {log}" if log.exists() else ""
    return (
        f"this is a fault of dawnchorus, please report it with this line{also} {where_to_report()}"
    )
