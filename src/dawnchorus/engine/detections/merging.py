"""Windows that follow each other become one detection."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

EDGE_S = 1e-6  # two windows that touch are not apart by a rounding of their times


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRule:
    """How windows become detections.

    Attributes:
        thresholds: label to the probability that at least one window must reach; the windows given
            reach the lower one, down to which a detection continues (hysteresis).
        gap_s: windows of one detection are at most so far apart.
        min_length_s: shorter detections are dropped.
    """

    thresholds: Mapping[str, float]
    gap_s: float = 0.0
    min_length_s: float = 0.0


def merge_windows(rows: pa.Table, merging: MergeRule) -> pa.Table:
    """Detections out of one recording's window rows.

    A detection has the first window's start, the last one's stop, the number of its windows and
    their highest probability; ``window`` and ``rank`` are those of that window.

    Args:
        rows: columns of `DETECTION_SCHEMA`, windows that reach the lower threshold, in any order.
        merging: the rule.

    Returns:
        The same columns, by start and label.
    """
    by_label = sorted(rows.to_pylist(), key=lambda row: (row["label"], row["start_s"]))
    detections = [
        detection
        for label, windows in groupby(by_label, key=lambda row: row["label"])
        for detection in _detections(windows, merging.gap_s)
        # in the rows' own precision: 0.9 as float32 is a little less than 0.9
        if detection["probability"] >= np.float32(merging.thresholds[label])
        and detection["stop_s"] - detection["start_s"] >= merging.min_length_s - EDGE_S
    ]
    detections.sort(key=lambda row: (row["start_s"], row["label"]))
    return pa.Table.from_pylist(detections, rows.schema)


def _detections(windows: Iterable[dict[str, Any]], gap_s: float) -> Iterator[dict[str, Any]]:
    """One label's windows by start, joined."""
    current: dict[str, Any] | None = None
    for window in windows:
        if current is None or window["start_s"] - current["stop_s"] > gap_s + EDGE_S:
            if current:
                yield current
            current = dict(window)
            continue
        current["n_windows"] += window["n_windows"]
        for column in ("stop_s", "stop_sample"):
            # windows overlap where the hop is shorter than they are
            current[column] = max(current[column], window[column])
        if window["probability"] > current["probability"]:
            current |= {column: window[column] for column in ("probability", "window", "rank")}
    if current:
        yield current
