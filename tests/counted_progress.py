"""A `Progress` that remembers its stages, and does something at each advance if it is asked to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Stage:
    """One stage: what it was begun with, and how much was done."""

    label: str
    total: int | None
    unit: str
    done: int = 0


@dataclass
class CountedProgress:
    """Stages in order; ``each`` is called with every advance."""

    each: Callable[[int], object] = lambda _n: None
    stages: list[Stage] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def start(self, label: str, total: int | None = None, unit: str = "") -> Callable[[int], None]:
        """As `dawnchorus.progress.Progress`."""
        stage = Stage(label, total, unit)
        self.stages.append(stage)

        def advance(n: int) -> None:
            stage.done += n
            self.each(n)

        return advance

    def message(self, text: str) -> None:
        """As `dawnchorus.progress.Progress`."""
        self.messages.append(text)
