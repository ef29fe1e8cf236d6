"""Stopping a run: the first signal finishes the batch and commits, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C; a scheduler's warning


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; then the old handlers are back.

    In a thread that is not the main one, where no handler can be set, the event is never set.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def first(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        restore()  # so that the second signal ends the process

    def restore() -> None:
        for number, handler in before.items():
            # None: a handler that was not set from Python
            signal.signal(number, handler or signal.SIG_DFL)

    for number in SIGNALS:
        signal.signal(number, first)
    try:
        yield stop
    finally:
        restore()
