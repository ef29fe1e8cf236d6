"""Which windows of an archive a label holds for, by what people said of spans.

The rule, for one label:

* A span that somebody calls *present* labels a window ``1`` if they share at least half of the
  shorter of the two: a call that lies half in a window can be heard there.
* A span that somebody calls *absent* labels a window ``0`` if it covers at least half of the
  window, unless a present span touches the window at all. So does a span in which *none* of the
  labels is heard.
* Otherwise the window is ``-1``, not labelled. So is one that is both present and absent by these
  rules, whoever said so, and one that is absent but shares half with a span of which somebody is
  *unsure*. Suggestions say nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.annotations.annotation_row import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from dawnchorus.annotations.annotation_row import AnnotationRow

    Seconds = NDArray[np.float64]

SHARE: Final = 0.5  # of the shorter (present, unsure), of the window (absent)
# Spans lie on a grid of a microsecond, windows on one of samples: half a call must stay half.
TOLERANCE_S: Final = 2e-6
PRESENT: Final = 1
ABSENT: Final = 0
UNLABELLED: Final = -1


def window_labels(windows: pa.Table, rows: Iterable[AnnotationRow], label: str) -> NDArray[np.int8]:
    """The label of each window, by the rule of this module.

    Args:
        windows: at least ``recording_id``, ``start_s`` and ``stop_s``, of one or more recordings in
            any order.
        rows: that count, as `AnnotationTable.rows` gives them; of any labels.
        label: the one that is asked for.

    Returns:
        ``(windows,)``: 1 present, 0 absent, -1 not labelled.
    """
    start_s, stop_s = (windows[name].to_numpy() for name in ("start_s", "stop_s"))
    by_recording: dict[str, list[AnnotationRow]] = {}
    for row in rows:
        if row.label in (label, NO_LABEL) and row.state is not None:
            by_recording.setdefault(row.recording_id, []).append(row)
    labels = np.full(len(windows), UNLABELLED, np.int8)
    for recording, places in _places(windows["recording_id"], by_recording).items():
        labels[places] = _of_recording(
            start_s[places], stop_s[places], by_recording[recording], label
        )
    return labels


def _places(recordings: pa.ChunkedArray, wanted: Iterable[str]) -> dict[str, NDArray[np.int64]]:
    """Rows of the windows of each wanted recording; all others are not looked at one by one."""
    names = pa.array(list(wanted), pa.string())
    codes = pc.index_in(recordings.cast(pa.string()), value_set=names).fill_null(-1).to_numpy()
    rows = np.flatnonzero(codes >= 0)
    order = rows[np.argsort(codes[rows], kind="stable")]
    bounds = np.searchsorted(codes[order], np.arange(1, len(names)))
    pieces = np.split(order, bounds) if len(names) else []
    return dict(zip(names.to_pylist(), pieces, strict=True))


def _of_recording(
    start_s: Seconds, stop_s: Seconds, rows: Iterable[AnnotationRow], label: str
) -> NDArray[np.int8]:
    """Labels of windows of one recording, by rows of that recording."""
    present, touched, absent, unsure = np.zeros((4, len(start_s)), bool)
    for row in rows:
        end_s = np.inf if row.end_s is None else row.end_s
        shared_s = np.minimum(stop_s, end_s) - np.maximum(start_s, row.start_s)
        window_s = stop_s - start_s
        is_half = shared_s >= SHARE * np.minimum(window_s, end_s - row.start_s) - TOLERANCE_S
        is_half &= shared_s > TOLERANCE_S
        if row.state == "absent" or (row.label == NO_LABEL and row.state == "present"):
            absent |= shared_s >= SHARE * window_s - TOLERANCE_S
        elif row.label != label:
            continue  # unsure whether anything is heard says nothing of this label
        elif row.state == "present":
            present |= is_half
            touched |= shared_s > TOLERANCE_S
        else:
            unsure |= is_half
    labels = np.full(len(start_s), UNLABELLED, np.int8)
    labels[absent & ~touched & ~unsure] = ABSENT
    labels[present & ~absent] = PRESENT
    return labels
