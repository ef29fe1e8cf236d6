"""What a run did: every recording found is done, skipped or failed, and the seconds add up."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.audio.decode.unexpected import INTERNAL
from dawnchorus.audio.levels import ADVICE
from dawnchorus.audio.resample import band_warning
from dawnchorus.engine.pipeline.events import (
    EncodedWindows,
    FailedRecording,
    FinishedRecording,
    SkippedRecording,
)
from dawnchorus.error_log import report_request
from dawnchorus.errors import DawnChorusError, DawnChorusWarning
from dawnchorus.failures import Failure
from dawnchorus.filename_text import is_not_utf8
from dawnchorus.paths import stored_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from dawnchorus.engine.detections.label_counts import LabelCount
    from dawnchorus.engine.pipeline.events import RunEvent
    from dawnchorus.engine.recordings.find import Scan
    from dawnchorus.engine.recordings.jobs import RecordingJob


MAX_LISTED: Final = 1000  # failures held in memory; all of them are in the store


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Counts, times and troubles of a run; ``n_found = n_done + n_skipped + n_failed``.

    Attributes:
        precision: that the model computed in; of a store's scores: that they were computed in.
        n_skipped: recordings whose results were there already.
        n_corrected: of them, those whose columns were brought up to date from a list.
        duration_s: sound that was read to its end in this run.
        elapsed_s: by the clock, without loading the model.
        seconds: per stage, of all threads together: ``n_readers`` of them read, beside the encoder
            in ``n_workers``.
        failures: the first thousand.
        warnings: each once, however many recordings it is true of.
    """

    model: str
    device: str
    precision: str
    n_found: int
    n_done: int
    n_skipped: int
    n_failed: int
    n_windows: int
    duration_s: float
    elapsed_s: float
    seconds: Mapping[str, float]
    n_workers: int
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    n_corrected: int = 0
    n_readers: int = 1

    @property
    def real_time_factor(self) -> float:
        """Seconds of sound a second of the run."""
        return self.duration_s / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def busy(self) -> dict[str, float]:
        """Share of the elapsed time in which each room was at work; the largest was the limit."""
        # rooms work at the same time, so their shares need not add up to 1
        rooms = {
            "reading": (self.seconds["read"] + self.seconds["resample"]) / self.n_readers,
            "encoder": (self.seconds["frontend"] + self.seconds["encoder"]) / self.n_workers,
            "writing": self.seconds.get("write", 0.0),
        }
        return {room: spent / self.elapsed_s for room, spent in rooms.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictReport(RunReport):
    """What a run of `predict` did.

    Attributes:
        audio_root: folder that the paths of the rows are relative to, None: they are whole.
        label_counts: each label that has rows, by falling number of them.
        demonstration: the model is for trying out, not for field work.
        output: the file written, None when ``table`` has the rows.
        segments: the folder of what was cut out, None when that was not asked for.
        without_detection: recordings that were read and gave no row.
        unknown_labels: names of the user's list that the model does not know.
        empty_because: why there is no row, None when there is one.
        probabilities: what the column of that name holds: ``calibrated``, the classifier's scores
            as its card calibrates them; ``sigmoid``, as they are; ``probe``, a probe's.
        n_unfamiliar: windows with sound unlike all of the model's training, in which nothing was
            named; None: nothing is known of that, or it was not asked for.
    """

    audio_root: Path | None
    label_counts: tuple[LabelCount, ...]
    demonstration: bool
    output: Path | None
    table: pa.Table | None
    n_rows: int
    segments: Path | None
    without_detection: tuple[str, ...]
    unknown_labels: tuple[str, ...]
    empty_because: str | None
    probabilities: str = "sigmoid"
    n_unfamiliar: int | None = None

    @property
    def found(self) -> tuple[LabelCount, ...]:
        """The old name of ``label_counts``."""
        warnings.warn("found is called label_counts now", DawnChorusWarning, stacklevel=2)
        return self.label_counts


@dataclass(slots=True)
class Tally:
    """Counts while a run is going on; ``n_found`` counts what was planned so far."""

    scan: Scan
    model_rate: int
    n_found: int = 0
    all_planned: bool = False
    n_failed: int = 0
    n_done: int = 0
    n_skipped: int = 0
    n_corrected: int = 0
    n_windows: int = 0
    duration_s: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    n_internal: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    _started: float = field(default_factory=time.perf_counter)

    def count(self, event: RunEvent) -> None:
        """Count what an event brings."""
        if isinstance(event, EncodedWindows):
            self.n_windows += len(event.window)
        elif isinstance(event, FinishedRecording):
            self._ended(event)
        elif isinstance(event, FailedRecording):
            self.n_failed += 1
            self._note_name(event.job)
            if event.reason == INTERNAL:
                self.n_internal += 1
            # a disk of a million bad files must not fill the memory
            if len(self.failures) < MAX_LISTED:
                path = stored_name(event.job.path)
                self.failures.append(Failure(path, event.reason, event.message))
        elif isinstance(event, SkippedRecording):
            self.n_skipped += 1
            self.n_corrected += event.is_corrected
            if event.why:
                self.notes[event.why] += 1

    def _ended(self, event: FinishedRecording) -> None:
        self.n_done += 1
        self.duration_s += event.n_samples / event.recording.rate
        warning = band_warning(event.recording.rate, self.model_rate)
        if warning:
            self.notes[warning] += 1
        self._note_name(event.job)
        if event.damage:
            verdict = event.verdict
            cut_off = f"damaged, and read as far as they go: {verdict}"
            self.notes[f"{verdict}: {ADVICE[verdict]}" if verdict in ADVICE else cut_off] += 1
        if event.n_nonfinite:
            self.notes[
                "samples that are not numbers (NaN, infinite, beyond 2^31) were taken as silence"
            ] += 1

    def _note_name(self, job: RecordingJob) -> None:
        if is_not_utf8(str(job.path)):
            self.notes[r"names that are not UTF-8: their odd bytes are written as in caf\xe9"] += 1

    def planning(self, jobs: Iterable[RecordingJob]) -> Iterator[RecordingJob]:
        """The same jobs, counted."""
        for job in jobs:
            self.n_found += 1
            yield job
        self.all_planned = True

    @property
    def n_ended(self) -> int:
        """Recordings that are done, skipped or failed."""
        return self.n_done + self.n_skipped + self.n_failed

    @property
    def is_complete(self) -> bool:
        """Every recording has come to an end."""
        return self.all_planned and self.n_ended == self.n_found

    def fields(self, notes: Sequence[str] = ()) -> dict[str, Any]:
        """What `RunReport` needs from here; ``notes`` go to its warnings.

        Raises:
            DawnChorusError: A recording ended neither done nor skipped nor failed.
        """
        if not self.is_complete:
            raise DawnChorusError(
                f"{self.n_found - self.n_ended} of {self.n_found} recordings are unaccounted for; "
                "this is a fault of dawnchorus, please report it"
            )
        return {
            "n_found": self.n_found,
            "n_done": self.n_done,
            "n_skipped": self.n_skipped,
            "n_corrected": self.n_corrected,
            "n_failed": self.n_failed,
            "n_windows": self.n_windows,
            "duration_s": self.duration_s,
            "elapsed_s": time.perf_counter() - self._started,
            "failures": tuple(self.failures),
            "warnings": (*self.warnings(), *notes),
        }

    def warnings(self) -> list[str]:
        """Each warning once, with the number of recordings it holds for."""
        lines = [f"{text} ({n} recordings)" for text, n in self.notes.most_common()]
        if self.scan.n_duplicates:
            lines.append(f"{self.scan.n_duplicates} paths lead to a file that was found already")
        if self.n_internal:
            lines.append(
                f"{self.n_internal} recordings met an unforeseen error; {report_request()}"
            )
        return [*lines, *self.scan.unlisted]
