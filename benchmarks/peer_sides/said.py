"""What a side of `peers.py` says at its end; it knows neither us nor a peer."""

from __future__ import annotations

import json
import resource
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Span = tuple[float, float]


@dataclass(frozen=True)
class Found:
    """What a side has of a recording.

    Attributes:
        spans: start and stop of each row, in seconds, as the side gives them.
        n_bad: rows with values that are no numbers.
        told: what it says is wrong with the recording.
        ends_run: whether a run as the package or the loop has it would end there.
    """

    spans: list[Span]
    n_bad: int = 0
    told: str = ""
    ends_run: bool = False


@dataclass
class Clock:
    """Seconds of the clock and of the cores, of this process and its children."""

    work_s: float = 0.0
    cpu_s: float = 0.0


def cores_s() -> float:
    """Seconds of the cores until now; of children, those that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in both)


@contextmanager
def work_clock() -> Iterator[Clock]:
    """The clock of what happens inside."""
    clock = Clock()
    began, began_cores = time.perf_counter(), cores_s()
    yield clock
    clock.work_s, clock.cpu_s = time.perf_counter() - began, cores_s() - began_cores


def say(start_s: float, clock: Clock, found: Mapping[str, Found]) -> None:
    """Print the last line, which `peers.py` reads.

    Args:
        start_s: seconds until the model was loaded.
        clock: of the work after that.
        found: by name of the recording.
    """
    recordings = {name: asdict(one) for name, one in found.items()}
    said = {"start_s": start_s, "work_s": clock.work_s, "cpu_s": clock.cpu_s}
    print(json.dumps({**said, "found": recordings}))
