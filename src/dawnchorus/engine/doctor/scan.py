"""`doctor`: what is in a folder of recordings and what is wrong with it, without a model."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from dawnchorus.audio.decode.read import open_recording
from dawnchorus.audio.decode.unexpected import recording_errors
from dawnchorus.audio.metadata import read_metadata
from dawnchorus.engine.doctor.finding import OK, Finding
from dawnchorus.engine.doctor.oddities import oddities_of
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
    """Everything that was found.

    Attributes:
        root: what paths of findings are relative to.
        deep: every file was decoded to its end, not only its header read.
        clocks: which times the local ones are, in a sentence.
        clock_warnings: what is mixed or missing about them.
        findings: a recording each.
        folders: a summary each.
        unread: folders that could not be looked into, with the reason.
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
    kinds = Counter(zone_kind(each.began, zone) for each in findings if each.began)
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
            folder=_folder_of(name),
            verdict=error.reason,
            message=str(error),
            readable=False,
        )


def _folder_of(name: str) -> str:
    return name.rpartition("/")[0] or "."


def examine(path: Path, name: str, *, deep: bool = False) -> Finding:
    """Look at one recording; whatever is wrong with it is in the finding."""
    metadata = read_metadata(path)
    rate = channels = None
    duration_s, message, verdict, readable = 0.0, "", OK, True
    try:
        with open_recording(path) as recording:
            rate, channels = recording.info.sample_rate, recording.info.n_channels
            # where the header claims more than there is, only decoding says how much there is
            n_samples = recording.info.n_samples
            if deep or n_samples is None or recording.damage:
                n_samples = sum(len(block) for block in recording.blocks())
            duration_s = n_samples / rate
            if recording.verdict:
                verdict, _, message = recording.verdict.partition(": ")
            elif recording.levels.n_nonfinite:
                verdict = "non-finite"
                message = (
                    f"{recording.levels.n_nonfinite} samples are not numbers that sound can have"
                )
    except AudioError as error:
        verdict, message, readable = error.reason, str(error), False
    except DependencyError as error:
        verdict, message, readable = "dependency", str(error), False
    # the path is a column of its own
    message = message.removeprefix(printable(f"{path}: "))
    return Finding(
        path=name,
        folder=_folder_of(name),
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
        oddities=tuple(oddities_of(findings, recorders)),
    )


def write_findings(report: DoctorReport, path: Path, *, spreadsheet_safe: bool = False) -> None:
    """One line a recording, as CSV; ``spreadsheet_safe`` as in `CsvWriter`.

    Raises:
        StoreError: The file cannot be written.
    """
    names = [field.name for field in fields(Finding)]
    rows = ([getattr(finding, name) for name in names] for finding in report.findings)
    write_whole(path, csv_text(names, rows, spreadsheet_safe=spreadsheet_safe).encode())
