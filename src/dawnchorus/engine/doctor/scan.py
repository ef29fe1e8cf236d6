"""`doctor`: what is in a folder of recordings and what is wrong with it, without a model."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.decode.read import open_recording
from dawnchorus.audio.decode.unexpected import recording_errors
from dawnchorus.audio.metadata import read_metadata
from dawnchorus.engine.recordings.find import as_paths, common_root, find_recordings
from dawnchorus.errors import AudioError, DependencyError
from dawnchorus.filename_text import printable
from dawnchorus.local_time import local_start, parse_zone, zone_kind, zone_warnings
from dawnchorus.paths import local_copy, relative_name
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.store.files import write_whole
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo
    from pathlib import Path

    from dawnchorus.engine.recordings.find import Inputs
    from dawnchorus.progress import Progress

OK: Final = "ok"
OVERLAP_S: Final = 1.0  # clocks and headers are that inexact
GAP_FACTOR: Final = 1.5  # of the usual interval between starts
FEW: Final = 4  # intervals that make no schedule to speak of
FEW_DAYS: Final = 3  # too few to tell a rest from a gap
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One recording.

    Attributes:
        path: relative to the folder that holds everything named.
        folder: the part of it before the name.
        verdict: ``ok``, or one word of the table in `dawnchorus.audio.decode`; ``message``
            is the sentence.
        readable: some of its sound can be had.
        began: its start as it was written, None if nothing says it; ``began_from`` is where.
        local_start: the same in local time.
        latitude, longitude: of the recorder in degrees, as it wrote them itself.
        temperature_int_c, temperature_ext_c: inside and outside of the recorder.
    """

    path: str
    folder: str
    recorder: str | None
    n_bytes: int
    rate: int | None
    channels: int | None
    duration_s: float
    verdict: str
    message: str
    readable: bool
    began: str | None
    began_from: str | None
    local_start: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    temperature_int_c: float | None = None
    temperature_ext_c: float | None = None

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """From when to when, in local time."""
        if self.local_start is None:
            return None
        start = datetime.fromisoformat(self.local_start).replace(tzinfo=None)
        return start, start + timedelta(seconds=self.duration_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSummary:
    """One folder; ``oddities`` are sentences about clocks and schedules, recorder by recorder."""

    folder: str
    recorder: str
    n_recordings: int
    hours: float
    rates: tuple[int, ...]
    first: str
    last: str
    verdicts: dict[str, int]
    oddities: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """Everything that was found; ``deep`` tells that every file was decoded to its end.

    ``clocks`` says which times the local ones are, and ``clock_warnings`` what is mixed or missing.
    ``unread`` names folders that could not be looked into, with the reason.
    """

    root: Path
    deep: bool
    clocks: str
    clock_warnings: tuple[str, ...]
    findings: tuple[Finding, ...]
    folders: tuple[FolderSummary, ...]
    unread: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Nothing is wrong with any recording, and every folder was looked into."""
        return not self.unread and all(finding.verdict == OK for finding in self.findings)

    @property
    def verdicts(self) -> dict[str, int]:
        """How many recordings have each verdict, the most common first."""
        return dict(Counter(finding.verdict for finding in self.findings).most_common())

    @property
    def hours(self) -> float:
        """Of sound that can be read."""
        return sum(finding.duration_s for finding in self.findings) / 3600


def doctor(
    recordings: Inputs,
    *,
    deep: bool = False,
    time_zone: str | None = None,
    progress: Progress = NO_PROGRESS,
) -> DoctorReport:
    """Look at every recording's header, or with ``deep`` at all of its sound.

    Args:
        recordings: files and folders.
        deep: decode every file to its end.
        time_zone: IANA name or offset, for recordings that say UTC or no zone; an offset that a
            recording gives itself is kept.
        progress: as in `embed`.

    Raises:
        UsageError: There is nothing to look at, or no such time zone.
    """
    zone = None if time_zone is None else parse_zone(time_zone)
    recordings = as_paths(recordings)
    scan = find_recordings(recordings)
    root = common_root(recordings)
    findings = []
    advance = progress.start("looking", scan.n_bytes, "bytes")
    for path in scan.paths():
        finding = _in_zone(_examined(path, relative_name(path, root), deep=deep), zone)
        findings.append(finding)
        advance(finding.n_bytes)
    groups: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.folder].append(finding)
    folders = tuple(_summary(*group) for group in sorted(groups.items()))
    kinds = Counter(zone_kind(found.began, zone) for found in findings if found.began)
    named = f"; in {time_zone} for recordings that say UTC or no zone" if time_zone else ""
    return DoctorReport(
        root=root,
        deep=deep,
        clocks=f"Times are local, by each recorder's own clock{named}.",
        clock_warnings=tuple(zone_warnings(kinds)),
        findings=tuple(findings),
        folders=folders,
        unread=tuple(printable(text) for text in dict.fromkeys(scan.unlisted)),
    )


def _in_zone(finding: Finding, zone: tzinfo | None) -> Finding:
    if finding.began is None:
        return finding
    return replace(finding, local_start=local_start(finding.began, zone).isoformat())


def _examined(path: Path, name: str, *, deep: bool) -> Finding:
    try:
        with recording_errors(path), local_copy(path) as file:
            return examine(file, name, deep=deep)
    except AudioError as error:
        return Finding(
            path=name,
            folder=name.rpartition("/")[0] or ".",
            recorder=None,
            n_bytes=0,
            rate=None,
            channels=None,
            duration_s=0.0,
            verdict=error.reason,
            message=str(error),
            readable=False,
            began=None,
            began_from=None,
        )


def examine(path: Path, name: str, *, deep: bool = False) -> Finding:
    """Look at one recording; whatever is wrong with it is in the finding."""
    metadata = read_metadata(path)
    rate = channels = None
    duration_s, message, verdict, readable = 0.0, "", OK, True
    try:
        with open_recording(path) as recording:
            rate, channels = recording.info.sample_rate, recording.info.n_channels
            # a header that claims more than there is does not make it sound
            n_samples = recording.info.n_samples
            if deep or n_samples is None or recording.damage:
                n_samples = sum(len(block) for block in recording.blocks())
            duration_s = n_samples / rate
            if recording.verdict:
                verdict, _, message = recording.verdict.partition(": ")
            elif recording.levels.n_nonfinite:
                verdict = "non-finite"
                message = f"{recording.levels.n_nonfinite} samples are no numbers that sound can be"
    except AudioError as error:
        verdict, message, readable = error.reason, str(error), False
    except DependencyError as error:
        verdict, message, readable = "dependency", str(error), False
    message = message.removeprefix(printable(f"{path}: "))
    return Finding(
        path=name,
        folder=name.rpartition("/")[0] or ".",
        recorder=metadata.recorder,
        n_bytes=_size(path),
        rate=rate,
        channels=channels,
        duration_s=duration_s,
        verdict=verdict,
        message=message,
        readable=readable,
        began=metadata.start.time if metadata.start else None,
        began_from=metadata.start.source if metadata.start else None,
        latitude=metadata.latitude,
        longitude=metadata.longitude,
        temperature_int_c=metadata.temperature_int_c,
        temperature_ext_c=metadata.temperature_ext_c,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _summary(folder: str, findings: Sequence[Finding]) -> FolderSummary:
    recorders = sorted({finding.recorder for finding in findings if finding.recorder})
    spans = sorted(span for finding in findings if (span := finding.span))
    return FolderSummary(
        folder=folder,
        recorder=", ".join(recorders),
        n_recordings=len(findings),
        hours=sum(finding.duration_s for finding in findings) / 3600,
        rates=tuple(sorted({finding.rate for finding in findings if finding.rate})),
        first=spans[0][0].isoformat(" ", "minutes") if spans else "",
        last=spans[-1][1].isoformat(" ", "minutes") if spans else "",
        verdicts=dict(Counter(f.verdict for f in findings if f.verdict != OK).most_common()),
        oddities=tuple(_of_each(findings, recorders)),
    )


def _of_each(findings: Sequence[Finding], recorders: Sequence[str]) -> list[str]:
    """Oddities of a folder's recorders; what two of them do at one time is not odd.

    Recordings that name none, such as damaged ones, are those of the only one there is.
    """
    if len(recorders) < 2:
        return _oddities(findings)
    return [
        f"{recorder or 'of no named recorder'}: {oddity}"
        for recorder in (*recorders, None)
        for oddity in _oddities([found for found in findings if found.recorder == recorder])
    ]


def _oddities(findings: Sequence[Finding]) -> list[str]:
    """What a reader would want to know of a recorder's clock and schedule."""
    spans = sorted(span for finding in findings if (span := finding.span))
    said = []
    n_unknown = len(findings) - len(spans)
    if n_unknown and spans:
        said.append(f"{n_unknown} recordings have no start time, {len(spans)} have one")
    zones = {(f.began or "")[19:] for f in findings if f.began and f.began_from != "file name"}
    if len({zone[-6:] for zone in zones}) > 1:
        said.append(f"the clock's offset changes: {', '.join(sorted(z or 'none' for z in zones))}")
    now = datetime.now()
    if spans and spans[-1][0] > now + timedelta(days=1):
        said.append(f"starts in the future: {spans[-1][0].isoformat(' ', 'minutes')}")
    pairs = list(itertools.pairwise(spans))
    n_same = sum(a[0] == b[0] for a, b in pairs)
    if n_same:
        said.append(f"{n_same} recordings start at the same second as another one")
    n_overlaps = sum(a[0] != b[0] and (a[1] - b[0]).total_seconds() > OVERLAP_S for a, b in pairs)
    if n_overlaps:
        said.append(f"{n_overlaps} recordings start before the one before them ends")
    return said + _schedule(spans)


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
        f"{len(gaps)} gaps in a schedule of one start every {_minutes(usual)}; the longest from "
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


def write_findings(report: DoctorReport, path: Path, *, spreadsheet_safe: bool = False) -> None:
    """One line a recording, as CSV; ``spreadsheet_safe`` as in `CsvWriter`.

    Raises:
        StoreError: The file cannot be written.
    """
    names = [field.name for field in fields(Finding)]
    rows = ([getattr(finding, name) for name in names] for finding in report.findings)
    write_whole(path, csv_text(names, rows, spreadsheet_safe=spreadsheet_safe).encode())
