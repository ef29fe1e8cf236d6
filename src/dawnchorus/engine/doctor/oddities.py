"""What is odd about recorders' clocks and schedules: gaps, overlaps, starts in the future."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from dawnchorus.engine.doctor.finding import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.engine.doctor.finding import Finding

OVERLAP_S: Final = 1.0  # clocks and headers are that inexact
GAP_FACTOR: Final = 1.5  # of the usual interval between starts
FEW: Final = 4  # intervals that are too few to be called a schedule
FEW_DAYS: Final = 3  # too few to distinguish a nightly rest from a gap
DAY_S: Final = 86_400


def oddities_of(findings: Sequence[Finding], recorders: Sequence[str]) -> list[str]:
    """What is odd about the clocks and schedules of a folder's recorders, in sentences.

    What two of them do at one time is not odd.

    Recordings that name none, such as damaged ones, are those of the only one there is.
    """
    if len(recorders) < 2:
        return _oddities(findings)
    return [
        f"{recorder or 'of no named recorder'}: {oddity}"
        for recorder in (*recorders, None)
        for oddity in _oddities([each for each in findings if each.recorder == recorder])
    ]


def _oddities(findings: Sequence[Finding]) -> list[str]:
    """What a reader would want to know of a recorder's clock and schedule."""
    spans = sorted(span for finding in findings if (span := finding.span))
    sentences = []
    n_unknown = len(findings) - len(spans)
    if n_unknown and spans:
        sentences.append(f"no start time is known of {n_unknown} of {len(findings)} recordings")
    # the clock's offset is the last six letters, +02:00; a name of a file says none
    zones = {(f.began or "")[19:] for f in findings if f.began and f.began_from != "file name"}
    if len({zone[-6:] for zone in zones}) > 1:
        sentences.append(
            f"the clock's offset changes: {', '.join(sorted(z or 'none' for z in zones))}"
        )
    now = datetime.now()
    if spans and spans[-1][0] > now + timedelta(days=1):
        sentences.append(f"starts in the future: {spans[-1][0].isoformat(' ', 'minutes')}")
    pairs = list(itertools.pairwise(spans))
    n_same = sum(a[0] == b[0] for a, b in pairs)
    if n_same:
        sentences.append(f"{counted(n_same, 'recording')} at the same second as another one")
    n_overlaps = sum(a[0] != b[0] and (a[1] - b[0]).total_seconds() > OVERLAP_S for a, b in pairs)
    if n_overlaps:
        sentences.append(f"{counted(n_overlaps, 'start')} before the recording before it ends")
    return sentences + _schedule(spans)


def _schedule(spans: Sequence[tuple[datetime, datetime]]) -> list[str]:
    """Gaps in a regular schedule; the usual interval between starts is the median one."""
    starts = [start for start, _ in spans]
    intervals = [(b - a).total_seconds() for a, b in itertools.pairwise(starts)]
    if len(intervals) < FEW:
        return []
    usual = max(statistics.median(intervals), 1.0)
    n_days = (starts[-1].date() - starts[0].date()).days + 1
    if n_days < FEW_DAYS or usual > DAY_S / 2:
        gaps = [
            (a[1], b[0])
            for a, b in itertools.pairwise(spans)
            if (b[0] - a[0]).total_seconds() > GAP_FACTOR * usual
        ]
    else:
        gaps = _missed_slots(starts, usual, n_days)
    if not gaps:
        return []
    longest = max(gaps, key=lambda gap: gap[1] - gap[0])
    return [
        f"{counted(len(gaps), 'gap')} in a schedule of one start every {_minutes(usual)}; "
        "the longest from "
        f"{longest[0].isoformat(' ', 'minutes')} to {longest[1].isoformat(' ', 'minutes')}"
    ]


def _missed_slots(
    starts: Sequence[datetime], usual: float, n_days: int
) -> list[tuple[datetime, datetime]]:
    """Spans in which a recorder did not start, though on most days it does at that time.

    A recorder that rests at night has no gap every night.
    """
    midnight = datetime.combine(starts[0].date(), datetime.min.time())
    per_day = max(1, round(DAY_S / usual))
    slot_s = DAY_S / per_day
    heard = {int((start - midnight).total_seconds() // slot_s) for start in starts}
    days_with = Counter(slot % per_day for slot in heard)
    expected = {slot for slot, days in days_with.items() if days > n_days / 2}
    first, last = min(heard), max(heard)
    missed = [
        slot
        for slot in range(first, last + 1)
        # starts drift: the slot beside it is as good
        if slot % per_day in expected and not heard & {slot - 1, slot, slot + 1}
    ]
    gaps: list[tuple[datetime, datetime]] = []
    for slot in missed:
        start = midnight + timedelta(seconds=slot * slot_s)
        stop = start + timedelta(seconds=slot_s)
        if gaps and not any(gaps[-1][1] <= began < start for began in starts):
            gaps[-1] = (gaps[-1][0], stop)  # nothing was recorded between the two
        else:
            gaps.append((start, stop))
    return gaps


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
