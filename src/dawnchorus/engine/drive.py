"""One loop for `embed` and `predict`: pipeline events to tally, progress and output."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dawnchorus.engine.contain import Contained
from dawnchorus.engine.pipeline import run_windows
from dawnchorus.engine.read import ReadClock
from dawnchorus.engine.report import Meter
from dawnchorus.engine.workers import one_core_each

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from dawnchorus.engine.pipeline import Encode, Event
    from dawnchorus.engine.read import Job, ReadSettings
    from dawnchorus.engine.report import Progress, Tally


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be read, how it is cut, and what each batch of windows goes through."""

    jobs: Iterable[Job]
    settings: ReadSettings
    encode: Encode
    batch_size: int
    n_workers: int
    label: str


def drive(
    work: Work,
    tally: Tally,
    take: Callable[[Event], None],
    *,
    progress: Progress | None,
    stop: threading.Event,
) -> dict[str, float]:
    """Run it all through ``take``; returns the seconds of the reading thread's stages."""
    clock = ReadClock()
    shown = progress(tally.scan.n_bytes, work.label) if progress else nullcontext(_ignore)
    with one_core_each(work.n_workers), shown as advance:
        meter = Meter(advance)
        contained = Contained(take)
        for event in run_windows(
            tally.planning(work.jobs),
            work.settings,
            work.encode,
            batch_size=work.batch_size,
            n_workers=work.n_workers,
            clock=clock,
            stop=stop,
        ):
            taken = contained.take(event)
            if taken is not None:
                tally.take(taken)
                meter.take(taken)
    return clock.seconds


def _ignore(_n_bytes: int) -> None:
    """Nobody watches."""
