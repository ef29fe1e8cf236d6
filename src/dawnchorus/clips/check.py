"""Every file of a manifest decoded to its end: what is bad, and how long each really is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.audio.frontend import FRAME_SAMPLES, SAMPLE_RATE
from dawnchorus.clips.manifest import with_column
from dawnchorus.clips.measure import OK, Measurement, measure
from dawnchorus.clips.parallel import in_threads
from dawnchorus.progress import NO_PROGRESS, Progress
from dawnchorus.store.files import write_whole
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dawnchorus.clips.manifest import Clip, Manifest

BEYOND_END, TOO_SHORT, SHORTENED = "beyond-end", "too-short", "shortened"
# Verdicts of files that hold less sound than they promise, but good sound: their clips are kept.
HARMLESS: Final = frozenset({OK, SHORTENED, "truncated", "header-unpatched", "oversize-riff"})
SLACK_S: Final = 0.05  # by which a clip may pass the end: tables round, codecs pad
SHORTEST_S: Final = FRAME_SAMPLES / SAMPLE_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFinding:
    """One clip: ``verdict`` is ``ok`` or what is wrong with it or its file, in a word."""

    id: str
    path: str
    verdict: str
    message: str
    duration_s: float
    sample_rate: int
    n_channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """A verdict for each clip; ``kept`` is the manifest without bad clips, its lengths measured."""

    n_files: int
    hours: float
    findings: tuple[ClipFinding, ...]
    kept: Manifest

    @property
    def verdicts(self) -> dict[str, int]:
        """How many clips have each verdict, ``ok`` among them."""
        return dict(Counter(finding.verdict for finding in self.findings).most_common())

    @property
    def bad(self) -> list[ClipFinding]:
        """Clips that are not in ``kept``."""
        return [finding for finding in self.findings if finding.verdict not in HARMLESS]


def check_manifest(
    manifest: Manifest, *, threads: int = 0, progress: Progress = NO_PROGRESS
) -> CheckReport:
    """Decode each file once and hold its clips against the sound that there is.

    Args:
        manifest: the clips.
        threads: files decoded at once; 0: one a core.
        progress: counts each file that was decoded.
    """
    paths = pc.unique(manifest.table["path"]).to_pylist()
    advance = progress.start("checking", len(paths), "files")
    measured: dict[str, Measurement] = {}
    look = partial(measure, manifest.folder, deep=True)
    for path, measurement in zip(paths, in_threads(look, paths, threads), strict=True):
        measured[path] = measurement
        advance(1)
    findings = tuple(_finding(clip, measured[clip.path]) for clip in manifest)
    return CheckReport(
        n_files=len(paths),
        hours=sum(measurement.duration_s for measurement in measured.values()) / 3600,
        findings=findings,
        kept=_kept(manifest, findings),
    )


def write_report(report: CheckReport, path: Path) -> None:
    """Write a CSV with a line for each clip, the bad ones first."""
    names = [field.name for field in fields(ClipFinding)]
    findings = sorted(report.findings, key=lambda f: (f.verdict in HARMLESS, f.verdict == OK))
    rows = ([getattr(finding, name) for name in names] for finding in findings)
    write_whole(path, csv_text(names, rows).encode())


def _finding(clip: Clip, measured: Measurement) -> ClipFinding:
    verdict, message = measured.verdict, measured.message
    if measured.readable and verdict in HARMLESS:
        stop_s = measured.duration_s if np.isnan(clip.stop_s) else clip.stop_s
        where = f"{clip.path}: {clip.start_s:g} to {stop_s:g} s, the file holds "
        where += f"{measured.duration_s:.3f} s"
        if clip.start_s >= measured.duration_s:
            verdict, message = BEYOND_END, where
        elif min(stop_s, measured.duration_s) - clip.start_s < SHORTEST_S:
            verdict, message = TOO_SHORT, where
        elif stop_s > measured.duration_s + SLACK_S and verdict == OK:
            verdict, message = SHORTENED, where
    return ClipFinding(
        id=clip.id,
        path=clip.path,
        verdict=verdict,
        message=message,
        duration_s=round(measured.duration_s, 6),
        sample_rate=measured.sample_rate,
        n_channels=measured.n_channels,
    )


def _kept(manifest: Manifest, findings: Sequence[ClipFinding]) -> Manifest:
    duration_s = np.array([finding.duration_s for finding in findings], np.float64)
    stop_s = np.fmin(manifest.seconds("stop_s"), duration_s)
    columns = {
        "stop_s": pa.array(stop_s),
        "duration_s": pa.array(duration_s),
        "sample_rate": pa.array([finding.sample_rate for finding in findings], pa.int64()),
    }
    # columns that the manifest had are replaced by what was measured
    table = manifest.table
    for name, column in columns.items():
        table = with_column(table, name, column)
    good = np.array([finding.verdict in HARMLESS for finding in findings], bool)
    return manifest.with_table(table).filter(good)
