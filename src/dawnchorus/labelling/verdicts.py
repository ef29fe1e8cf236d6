"""Verdicts on windows that were drawn at random: of which windows, and what they say.

Only rows whose purpose is ``estimate`` are looked at. A row is of a window if it has the id under
which the window was drawn (somebody may have moved its edges to the call), or the window's span.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.annotations.annotation_row import NO_LABEL
from dawnchorus.annotations.window_labels import ABSENT, PRESENT, TOLERANCE_S, UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from dawnchorus.annotations.annotation_row import AnnotationRow

    Rows = NDArray[np.int64]

NOT_THERE: Final = -1


class WindowIndex:
    """Finds windows of an archive by recording."""

    def __init__(self, windows: pa.Table) -> None:
        """Sort the windows by recording; ``window``, ``start_s`` and ``stop_s`` are needed too."""
        ids = windows["recording_id"].combine_chunks().dictionary_encode()
        codes = ids.indices.to_numpy()
        self._code = {name: code for code, name in enumerate(ids.dictionary.to_pylist())}
        self._order = np.argsort(codes, kind="stable")
        self._bounds = np.searchsorted(codes[self._order], np.arange(len(self._code) + 1))
        self._windows = {n: windows[n].to_numpy() for n in ("window", "start_s", "stop_s")}

    def of_recording(self, recording_id: str) -> Rows:
        """Rows of its windows; none if it is not in the archive."""
        code = self._code.get(recording_id)
        if code is None:
            return np.empty(0, np.int64)
        return self._order[self._bounds[code] : self._bounds[code + 1]].astype(np.int64)

    def by_number(self, places: Sequence[tuple[str, int]]) -> Rows:
        """The row of each recording and number of a window; -1 where it is not in the archive."""
        found = []
        for recording_id, number in places:
            rows = self.of_recording(recording_id)
            match = rows[self._windows["window"][rows] == number]
            found.append(int(match[0]) if len(match) else NOT_THERE)
        return np.array(found, np.int64)

    def by_span(self, row: AnnotationRow) -> int:
        """The row of the window that has the span of an annotation; -1 if none has."""
        rows = self.of_recording(row.recording_id)
        if row.end_s is None or not len(rows):
            return NOT_THERE
        starts, stops = self._windows["start_s"][rows], self._windows["stop_s"][rows]
        same = (abs(starts - row.start_s) < TOLERANCE_S) & (abs(stops - row.end_s) < TOLERANCE_S)
        return int(rows[same][0]) if same.any() else NOT_THERE


def verdicts(
    index: WindowIndex, rows: Iterable[AnnotationRow], drawn: Mapping[str, int], foreign: set[str]
) -> dict[int, int]:
    """What was said of each window that was drawn and judged.

    Args:
        index: of the windows.
        rows: that count, of the label or of none at all; only those for an estimate are used.
        drawn: id under which a window was drawn to its row.
        foreign: ids of windows that were drawn by other scores; they are left out.

    Returns:
        Row of a window to 1 (present), 0 (absent) or -1: somebody is unsure, or people contradict
        each other.
    """
    said: dict[int, set[int]] = defaultdict(set)
    for row in rows:
        if row.purpose != "estimate" or row.state is None or row.id in foreign:
            continue
        at = drawn.get(row.id, NOT_THERE)
        at = index.by_span(row) if at == NOT_THERE else at
        if at != NOT_THERE:
            said[at].add(_verdict(row))
    return {at: values.pop() if len(values) == 1 else UNLABELLED for at, values in said.items()}


def suggested(index: WindowIndex, rows: Iterable[AnnotationRow]) -> set[int]:
    """Windows for which an estimate was asked already, judged or not."""
    found = {index.by_span(row) for row in rows if row.purpose == "estimate"}
    return found - {NOT_THERE}


def _verdict(row: AnnotationRow) -> int:
    if row.label == NO_LABEL:  # that nothing is heard, or that it is not so, or unsure
        return ABSENT if row.state == "present" else UNLABELLED
    return {"present": PRESENT, "absent": ABSENT}.get(row.state or "", UNLABELLED)


def strata_of(windows: pa.Table, by: Sequence[str]) -> tuple[Rows, list[tuple[str, ...]]]:
    """The stratum of each window, and the values of the columns of each stratum, in their order.

    Args:
        windows: have the columns that ``by`` names.
        by: columns of text; a missing value is ``unknown``.
    """
    columns: list[Any] = [
        pc.fill_null(windows[name].cast(pa.string()), "unknown").combine_chunks() for name in by
    ]
    codes = np.zeros(len(windows), np.int64)
    names: list[list[str]] = []
    for column in columns:
        values, code = np.unique(column.to_numpy(zero_copy_only=False), return_inverse=True)
        codes = codes * len(values) + code
        names.append([str(value) for value in values])
    used, strata = np.unique(codes, return_inverse=True)
    places = np.unravel_index(used, [len(one) for one in names])
    keys = [
        tuple(names[n][int(place[at])] for n, place in enumerate(places)) for at in range(len(used))
    ]
    return strata.astype(np.int64), keys
