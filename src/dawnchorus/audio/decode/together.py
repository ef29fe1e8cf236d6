"""Many threads at once, or one alone: for what a C library keeps once for the whole process."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Gate:
    """Lets in many, or one alone. Whoever waits to be alone lets no more in before."""

    def __init__(self) -> None:
        """Nobody is inside."""
        self._changed = threading.Condition()
        self._n_inside = self._n_wait_alone = 0
        self._is_taken = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """Inside with others."""
        with self._changed:
            while self._is_taken or self._n_wait_alone:
                self._changed.wait()
            self._n_inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside without others."""
        with self._changed:
            self._n_wait_alone += 1
            while self._is_taken or self._n_inside:
                self._changed.wait()
            self._n_wait_alone -= 1
            self._is_taken = True
        try:
            yield
        finally:
            with self._changed:
                self._is_taken = False
                self._changed.notify_all()
