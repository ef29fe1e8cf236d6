"""How fast a run goes: clips a second, share of the time spent waiting for data, time left."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dawnchorus.training.devices import peak_memory_mb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


class SpeedMeter:
    """Counts since the last report; the clock is given, so that tests need not wait."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds."""
        self.clock = clock
        self._begin()

    def _begin(self) -> None:
        self._since = self.clock()
        self._steps = self._clips = 0
        self._waited = self._aside = 0.0

    def waiting(self) -> AbstractContextManager[None]:
        """Time within counts as waiting for data."""
        return self._timed("_waited")

    def aside(self) -> AbstractContextManager[None]:
        """Time within, as for validation, does not count in the rate of training."""
        return self._timed("_aside")

    @contextmanager
    def _timed(self, kind: str) -> Iterator[None]:
        started = self.clock()
        try:
            yield
        finally:
            setattr(self, kind, getattr(self, kind) + self.clock() - started)

    def count(self, n_clips: int) -> None:
        """One more step, of so many clips."""
        self._steps += 1
        self._clips += n_clips

    def report(self, steps_left: int) -> dict[str, Any]:
        """Rates since the last report, memory, and seconds left at this rate."""
        # validation and checkpoints would make a run look slow whenever they happen
        spent = max(self.clock() - self._since - self._aside, 1e-9)
        rates = {
            "clips_per_s": round(self._clips / spent, 1),
            "data_wait": round(self._waited / spent, 3),
            "left_s": round(steps_left * spent / max(self._steps, 1)),
            "memory_mb": peak_memory_mb(),
        }
        self._begin()
        return rates
