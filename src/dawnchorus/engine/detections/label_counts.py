"""How often each label was detected in a run, for the reader of its report."""

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
    """Counts recording by recording; memory grows with the number of labels alone."""

    _counts: dict[str, LabelCount] = field(default_factory=dict)

    def add(self, table: pa.Table) -> None:
        """Count one recording's detections."""
        if not len(table):
            return
        # a label has one level, so this is a row a label
        here = table.group_by(["label", "level"]).aggregate(
            [("probability", "count"), ("probability", "max")]
        )
        for row in here.to_pylist():
            label = row["label"]
            old = self._counts.get(label, LabelCount(label, row["level"] or "", 0, 0, 0.0))
            self._counts[label] = LabelCount(
                label,
                old.level,
                old.n_detections + row["probability_count"],
                old.n_recordings + 1,
                max(old.highest, row["probability_max"]),
            )

    def counts(self) -> tuple[LabelCount, ...]:
        """Labels by falling number of detections."""
        order = sorted(self._counts.values(), key=lambda c: (-c.n_detections, -c.highest, c.label))
        return tuple(order)
