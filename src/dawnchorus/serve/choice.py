"""Which windows pass a list's filters, how many of a recording, and in what order they stand."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.errors import UsageError
from dawnchorus.serve.library import DAY_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.serve.bodies import Filters
    from dawnchorus.serve.library import Library
    from dawnchorus.serve.live import LiveAnnotations

    Rows = NDArray[np.int64]
    Flags = NDArray[np.bool_]

EPOCH: Final = date(1970, 1, 1)


def passing(library: Library, live: LiveAnnotations, filters: Filters, label: str | None) -> Flags:
    """Which windows of the archive pass, ``(n_windows,)``.

    The same windows as of the command line's ``--where site=``, ``--dates`` and ``--time-of-day``.

    Raises:
        UsageError: A date or time is not of its form.
    """
    of_recording = _recordings(library, filters)
    keep = (
        np.ones(library.archive.n_windows, bool)
        if of_recording.all()
        else of_recording[library.owner]
    )
    if filters.dates or filters.time_of_day:
        rows = np.flatnonzero(keep)
        keep[rows] = _by_clock(library.clock(rows), filters)
    if filters.judged != "all":
        judged = np.zeros(len(keep), bool)
        judged[live.judged_windows(label)] = True
        keep &= judged if filters.judged == "judged" else ~judged
    return keep


def _recordings(library: Library, filters: Filters) -> Flags:
    """Which recordings pass all that is asked of recordings."""
    keep = np.ones(len(library.facts), bool)
    if filters.sites:
        names, codes = library.sites
        keep &= np.isin(codes, [at for at, name in enumerate(names) if name in filters.sites])
    if filters.recording:
        keep &= np.array([one.recording_id == filters.recording for one in library.facts], bool)
    if filters.text:
        keep &= library.text_matches(filters.text)
    return keep


def _by_clock(clock: NDArray[np.float64], filters: Filters) -> Flags:
    """Which moments pass; one that is not known passes no filter on times."""
    known = np.isfinite(clock)
    seconds = np.where(known, clock, 0.0)
    keep = known
    if filters.dates:
        first, last = (_day(text) for text in _two(filters.dates, "dates"))
        if first > last:
            raise UsageError(f"dates {filters.dates}: the first is after the last")
        day = np.floor(seconds / DAY_S)
        keep = keep & (day >= first) & (day <= last)
    if filters.time_of_day:
        begin, end = (_second(text) for text in _two(filters.time_of_day, "time of day"))
        of_day = np.mod(seconds, DAY_S)
        # a span may run over midnight
        inside = (of_day >= begin) & (of_day < end)
        keep = keep & (inside if begin <= end else (of_day >= begin) | (of_day < end))
    return keep


def _two(text: str, what: str) -> tuple[str, str]:
    for sign in ("..", "/", "-"):
        first, found, second = text.partition(sign)
        if found and second and not (sign == "-" and what == "dates"):
            return first.strip(), second.strip()
    if what == "dates":
        return text.strip(), text.strip()
    raise UsageError(f"{what} {text!r}: need two times, such as 04:00-07:00")


def _day(text: str) -> int:
    try:
        return (date.fromisoformat(text) - EPOCH).days
    except ValueError as error:
        raise UsageError(f"dates {text!r}: need a day such as 2025-05-31") from error


def _second(text: str) -> float:
    try:
        at = time.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"time {text!r}: need a time of day such as 04:30") from error
    return (datetime.combine(EPOCH, at) - datetime.combine(EPOCH, time())).total_seconds()


def limited(owners: NDArray[np.int32], per_recording: int | None) -> Rows:
    """Places of the first few of each recording, in the order that they stand.

    Args:
        owners: the recording of each row of a list, the best first.
        per_recording: how many; None: all.
    """
    if per_recording is None or not len(owners):
        return np.arange(len(owners))
    order = np.argsort(owners, kind="stable")
    grouped = owners[order]
    starts = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]])
    lengths = np.diff(np.r_[starts, len(grouped)])
    rank = np.arange(len(grouped)) - np.repeat(starts, lengths)
    return np.sort(order[rank < per_recording])


def best(scores: NDArray[np.floating], rows: Rows, k: int) -> Rows:
    """The rows of the ``k`` highest scores, highest first, ties by row; nan comes last."""
    values = np.nan_to_num(scores[rows].astype(np.float64), nan=-np.inf)
    if k < len(rows):
        # all that tie with the last one stay, so that the choice does not depend on chance
        cut = np.partition(values, len(values) - k)[len(values) - k]
        kept = values >= cut
        rows, values = rows[kept], values[kept]
    return rows[np.lexsort((rows, -values))][:k]
