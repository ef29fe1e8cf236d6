"""A progress display for tests: it keeps what it is given, and may do something at each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class WatchedProgress:
    """Records stages, steps and messages; ``on_step`` is called with the units of each step."""

    on_step: Callable[[int], None] = lambda _n: None
    stages: list[tuple[str, int | None, str]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def start(self, label: str, total: int | None = None, unit: str = "") -> Callable[[int], None]:
        self.stages.append((label, total, unit))
        return self._advance

    def _advance(self, n: int) -> None:
        self.steps.append(n)
        self.on_step(n)

    def message(self, text: str) -> None:
        self.messages.append(text)
