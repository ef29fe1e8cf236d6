"""The most probable detections of each label, cut out for somebody to listen to."""

from __future__ import annotations

import csv
import heapq
import io
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.audio.decode.flac import write_flac
from dawnchorus.audio.decode.read import read_audio, read_info
from dawnchorus.engine.exports.file_names import apart, legal
from dawnchorus.errors import AudioError, UsageError
from dawnchorus.paths import local_copy
from dawnchorus.store.files import remove_if_possible, write_whole
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from dawnchorus.configs import PredictConfig
    from dawnchorus.engine.exports.detection_table import RecordingDetections

CONTEXT_S: Final = 1.0  # of sound before and after, for the ear
INDEX: Final = "index.csv"


@dataclass(order=True, slots=True)
class _Candidate:
    probability: float
    order: int  # of two with one probability the earlier one stays
    path: Path = field(compare=False)
    row: dict[str, Any] = field(compare=False)

    @property
    def lead_in_s(self) -> float:
        """Of sound before the detection."""
        return min(CONTEXT_S, float(self.row["start_s"]))


class Segments:
    """Collects candidates during a run; memory grows with labels, not with recordings."""

    def __init__(self, folder: Path, per_label: int, *, spreadsheet_safe: bool = False) -> None:
        """``per_label`` segments at most of each label, into ``folder``."""
        self.folder = folder
        self._per_label = per_label
        self._safe = spreadsheet_safe
        self._best: dict[str, list[_Candidate]] = defaultdict(list)
        self._n_seen = 0

    def add(self, detections: RecordingDetections) -> None:
        """Consider one recording's detections."""
        for row in detections.table.to_pylist():
            self._n_seen += 1
            candidate = _Candidate(row["probability"], -self._n_seen, detections.path, row)
            best = self._best[row["label"]]  # a heap: the least probable one is the first
            if len(best) < self._per_label:
                heapq.heappush(best, candidate)
            else:
                heapq.heappushpop(best, candidate)

    def cut(self) -> list[str]:
        """Cut and write all segments; returns what went wrong, as a warning."""
        problems = self.write()
        return [f"{len(problems)} segments were not cut, such as {problems[0]}"] if problems else []

    def write(self) -> list[str]:
        """Cut and write them, and ``index.csv`` of them; returns what could not be cut.

        Files are ``LABEL/PROBABILITY_RECORDING_STARTs.flac``, one channel at the recording's rate,
        with a second before and after. Where two would have one name, a hash tells them apart.
        """
        # else segments of an earlier threshold would lie between the new ones
        self._remove_earlier()
        problems, lines = [], []
        for name, candidate in self._named():
            try:
                length_s = _cut(self.folder / name, candidate)
            except (AudioError, OSError) as error:
                problems.append(str(error))
            else:
                lines.append(_line(name, candidate, length_s))
        if lines:
            columns = list(dict.fromkeys(column for line in lines for column in line))
            rows = ([line.get(column) for column in columns] for line in lines)
            text = csv_text(columns, rows, spreadsheet_safe=self._safe)
            write_whole(self.folder / INDEX, text.encode())
        return problems

    def _named(self) -> list[tuple[str, _Candidate]]:
        """Each segment's file, by label and falling probability."""
        folders = apart({label: (legal(label), label) for label in self._best})
        named = []
        for label, best in sorted(self._best.items()):
            wanted = {at: _name(candidate) for at, candidate in enumerate(best)}
            names = {at: f"{folders[label]}/{name}.flac" for at, name in apart(wanted).items()}
            falling = sorted(zip(best, range(len(best)), strict=True), reverse=True)
            named += [(names[at], candidate) for candidate, at in falling]
        return named

    def _remove_earlier(self) -> None:
        """What an earlier run cut, as its index says; other files in the folder are the user's."""
        try:
            text = (self.folder / INDEX).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return
        for line in csv.DictReader(io.StringIO(text, newline="")):
            # spreadsheet-safe lines begin with an apostrophe
            inside = PurePosixPath((line.get("file") or "").lstrip("'"))
            if inside.suffix != ".flac" or inside.is_absolute() or ".." in inside.parts:
                continue  # not a line of ours: the index may have been edited
            remove_if_possible(self.folder / inside)
            with suppress(OSError):  # something else lies there
                (self.folder / inside).parent.rmdir()
        remove_if_possible(self.folder / INDEX)


def _name(candidate: _Candidate) -> tuple[str, str]:
    """A segment's name, and what tells it from others of that name."""
    start_s = candidate.row["start_s"]
    whole = f"{candidate.path} {start_s} {candidate.row['stop_s']}"
    behind = f"_{start_s:.2f}s"
    return legal(f"{candidate.probability:.3f}_{candidate.path.stem}", behind=behind), whole


def _cut(target: Path, candidate: _Candidate) -> float:
    """Write one segment; returns its seconds."""
    start_s = candidate.row["start_s"] - candidate.lead_in_s
    # a recording behind a URL is fetched whole; its best segments are few
    with local_copy(candidate.path) as path:
        rate = read_info(path).sample_rate
        samples = read_audio(path, start_s=start_s, stop_s=candidate.row["stop_s"] + CONTEXT_S)
    write_flac(target, samples, rate)
    return len(samples) / rate


def _line(name: str, candidate: _Candidate, length_s: float) -> dict[str, Any]:
    """A line of the index: all that is known of a detection, and where it lies in the segment."""
    row = candidate.row
    start_s = candidate.lead_in_s
    times = {
        "start_in_segment_s": start_s,
        "stop_in_segment_s": min(start_s + row["stop_s"] - row["start_s"], length_s),
        "segment_s": length_s,
    }
    known = {"label": row["label"], "probability": row["probability"], **row}
    line = {"file": name, "review": "", **known, **times}
    return {k: f"{v:.6f}" if isinstance(v, float) else v for k, v in line.items()}


def open_segments(
    output: str | Path | None, selection: PredictConfig, *, overwrite: bool
) -> Segments | None:
    """Segments beside an output, None when they were not asked for.

    Raises:
        UsageError: There is no output to put them beside, or segments of another run are there.
    """
    if selection.segments is None:
        return None
    if output is None:
        raise UsageError("segments need an output, beside which they are put")
    path = Path(output)
    folder = path.with_name(f"{path.stem}.segments")
    if folder.exists() and not overwrite:
        raise UsageError(f"{folder}: exists already; choose another output, or say --overwrite")
    return Segments(folder, selection.segments, spreadsheet_safe=selection.spreadsheet_safe)
