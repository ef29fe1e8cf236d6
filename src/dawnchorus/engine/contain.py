"""What goes wrong while one recording's results are written is that recording's failure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dawnchorus.audio.decode.unexpected import unforeseen
from dawnchorus.engine.pipeline import Encoded
from dawnchorus.engine.read import Broken, Ended, Skipped
from dawnchorus.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dawnchorus.engine.pipeline import Event
    from dawnchorus.engine.read import Job


@dataclass(slots=True)
class Contained:
    """Gives events to ``write``; what that cannot do with a recording becomes its failure."""

    write: Callable[[Event], None]
    _given_up: set[str] = field(default_factory=set)

    def take(self, event: Event) -> Event | None:
        """The event as it came to pass; None: its recording has failed before.

        Raises:
            DawnChorusError: The run cannot go on.
            OSError: The disk refuses.
        """
        job = job_of(event)
        if job is None:
            self.write(event)
            return event
        if job.recording_id in self._given_up:
            return None
        try:
            with unforeseen(job.path, system_errors=False):
                self.write(event)
        except AudioError as error:
            self._given_up.add(job.recording_id)
            event = Broken(job, error.reason, str(error))
            self.write(event)
        return event


def job_of(event: Event) -> Job | None:
    """The recording that an event is about."""
    if isinstance(event, Encoded | Ended):
        return event.source.job
    return event.job if isinstance(event, Broken | Skipped) else None
