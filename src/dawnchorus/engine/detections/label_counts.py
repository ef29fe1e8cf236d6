"""What was found in a run, label by label, for a reader."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class LabelCount:
    """One label: its level, how many rows and recordings have it, and its highest probability."""

    label: str
    level: str
    n_detections: int
    n_recordings: int
    highest: float


@dataclass(slots=True)
class LabelCounter:
    """Counts recording by recording; memory grows with labels."""

    _found: dict[str, LabelCount] = field(default_factory=dict)

    def take(self, table: pa.Table) -> None:
        """Count one recording's detections."""
        here: dict[str, tuple[str, int, float]] = {}
        columns = (table[name].to_pylist() for name in ("label", "level", "probability"))
        for label, level, probability in zip(*columns, strict=True):
            _, n, highest = here.get(label, (level, 0, 0.0))
            here[label] = (level or "", n + 1, max(highest, probability))
        for label, (level, n, highest) in here.items():
            old = self._found.get(label, LabelCount(label, level, 0, 0, 0.0))
            self._found[label] = LabelCount(
                label,
                level,
                old.n_detections + n,
                old.n_recordings + 1,
                max(old.highest, highest),
            )

    def found(self) -> tuple[LabelCount, ...]:
        """Labels by falling number of detections."""
        order = sorted(self._found.values(), key=lambda f: (-f.n_detections, -f.highest, f.label))
        return tuple(order)
