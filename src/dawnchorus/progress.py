"""How far a job is, told to whoever watches: a terminal, a notebook, a log, nobody.

A function that takes a while has a keyword ``progress`` and opens a stage for each part of it::

    advance = progress.start("reading clips", len(clips), "clips")
    for clip in clips:
        ...
        advance(1)

The terminal's bars are in ``cli/output``. The log of a training run is another thing: it is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    Advance = Callable[[int], None]


class Progress(Protocol):
    """Who is told how far a job is."""

    def start(self, label: str, total: int | None = None, unit: str = "") -> Advance:
        """Begin a stage.

        Args:
            label: what is being done, such as ``reading clips``.
            total: how many units there are, None if nobody knows.
            unit: what is counted, such as ``clips`` or ``bytes``.

        Returns:
            A function to call with the number of units done since its last call; it may be called
            from any thread, and not at all.
        """
        ...

    def message(self, text: str) -> None:
        """Report something worth a line, in a full sentence."""
        ...


class _NoProgress:
    def start(self, label: str, total: int | None = None, unit: str = "") -> Advance:
        del label, total, unit
        return lambda _n: None

    def message(self, text: str) -> None:
        del text


NO_PROGRESS: Final[Progress] = _NoProgress()
