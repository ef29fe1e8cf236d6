"""The most probable detections of each label, cut out for somebody to listen to."""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.io import read_audio, read_info, write_flac
from dawnchorus.errors import AudioError, UsageError
from dawnchorus.places import local_copy

if TYPE_CHECKING:
    from dawnchorus.engine.exports import RecordingDetections

CONTEXT_S: Final = 1.0  # of sound before and after, for the ear


@dataclass(order=True, slots=True)
class _Candidate:
    probability: float
    order: int  # of two alike the first one found stays
    path: Path = field(compare=False)
    start_s: float = field(compare=False)
    stop_s: float = field(compare=False)


class Segments:
    """Collects candidates while a run goes on; memory grows with labels, not with recordings."""

    def __init__(self, folder: Path, per_label: int) -> None:
        """``per_label`` segments at most of each label, into ``folder``."""
        self.folder = folder
        self._per_label = per_label
        self._best: dict[str, list[_Candidate]] = defaultdict(list)
        self._n_seen = 0

    def take(self, detections: RecordingDetections) -> None:
        """Consider one recording's detections."""
        for row in detections.table.to_pylist():
            self._n_seen += 1
            candidate = _Candidate(
                row["probability"], -self._n_seen, detections.path, row["start_s"], row["stop_s"]
            )
            best = self._best[row["label"]]
            if len(best) < self._per_label:
                heapq.heappush(best, candidate)
            else:
                heapq.heappushpop(best, candidate)

    def write(self) -> list[str]:
        """Cut and write them; returns what could not be cut.

        Files are ``LABEL/PROBABILITY_RECORDING_STARTs.flac``, one channel at the recording's rate,
        with a second before and after.
        """
        problems = []
        for label, best in sorted(self._best.items()):
            for candidate in sorted(best, reverse=True):
                try:
                    self._cut(self.folder / safe_name(label), candidate)
                except (AudioError, OSError) as error:
                    problems.append(str(error))
        return problems

    def _cut(self, folder: Path, candidate: _Candidate) -> None:
        start_s = max(0.0, candidate.start_s - CONTEXT_S)
        with local_copy(candidate.path) as path:
            rate = read_info(path).sample_rate
            samples = read_audio(path, start_s=start_s, stop_s=candidate.stop_s + CONTEXT_S)
        name = f"{candidate.probability:.3f}_{candidate.path.stem}_{candidate.start_s:.2f}s.flac"
        write_flac(folder / name, samples, rate)


def safe_name(label: str) -> str:
    """A label as the name of a folder on any system."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", label).strip(" .") or "_"


def open_segments(
    output: str | Path | None, per_label: int | None, *, overwrite: bool
) -> Segments | None:
    """Segments beside an output, None when they were not asked for.

    Raises:
        UsageError: There is no output to put them beside, or segments of another run are there.
    """
    if per_label is None:
        return None
    if output is None:
        raise UsageError("segments need an output, beside which they are put")
    path = Path(output)
    folder = path.with_name(f"{path.stem}.segments")
    if folder.exists() and not overwrite:
        raise UsageError(f"{folder}: exists already; choose another output, or say --overwrite")
    return Segments(folder, per_label)


def cut_segments(segments: Segments | None) -> list[str]:
    """Write the segments; returns what went wrong, as a warning."""
    problems = segments.write() if segments else []
    return [f"{len(problems)} segments were not cut, such as {problems[0]}"] if problems else []
