"""From scores of windows to rows in a file, whether a model has just made them or a store has them.

`predict` from recordings and `predict` from a store both go through `DetectionWriter`, so that one
rule, one set of columns and one report hold for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from dawnchorus.engine.detections.label_counts import LabelCounter
from dawnchorus.engine.detections.recording_columns import RecordingColumns
from dawnchorus.engine.detections.segments import Segments, open_segments
from dawnchorus.engine.detections.thresholds import describe_rule, make_rule
from dawnchorus.engine.exports.detection_table import (
    DETECTION_SCHEMA,
    RecordingDetections,
    window_rows,
)
from dawnchorus.engine.exports.output import open_output
from dawnchorus.local_time import parse_zone
from dawnchorus.models.label_facts import levels_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.configs import PredictConfig
    from dawnchorus.models.label_facts import LabelFacts
    from dawnchorus.store.schema import RecordingRow


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionRequest:
    """Which detections are wanted, and where they go.

    Attributes:
        output: a file or folder; None: memory.
        overwrite: replace what is there.
        selection: which scores become rows, and how rows are written.
        root: the folder of the recordings.
    """

    output: str | Path | None
    overwrite: bool
    selection: PredictConfig
    root: Path


@dataclass(frozen=True, slots=True)
class ScoredLabels:
    """What the columns of scores are of: labels, and what a model's card says of them."""

    labels: Sequence[str]
    facts: LabelFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredWindows:
    """Some windows of a recording; positions in samples at the model's rate.

    Attributes:
        window, start_sample, valid_samples: ``(n,)`` integers.
        silent: ``(n,)`` bool, True for a window without any signal.
        scores: ``(n, labels)``, probabilities.
        unfamiliar: ``(n,)`` bool, True for sound unlike all of the model's training; None: unknown.
    """

    window: NDArray[np.int64]
    start_sample: NDArray[np.int64]
    valid_samples: NDArray[np.int64]
    silent: NDArray[np.bool_]
    scores: NDArray[np.float32]
    unfamiliar: NDArray[np.bool_] | None = None

    @property
    def nameless(self) -> NDArray[np.bool_]:
        """Which of them give no rows, whatever their scores."""
        return self.silent if self.unfamiliar is None else self.silent | self.unfamiliar


@dataclass(frozen=True, slots=True)
class _ChosenRows:
    """Windows of a batch, and the rows chosen from them: indices ``(rows,)`` and ranks."""

    windows: ScoredWindows
    window: NDArray[np.int64]
    label: NDArray[np.int64]
    rank: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _HighestScore:
    """The highest score of a run among the wanted labels, whether it became a row or not."""

    score: float
    label: str
    name: str
    start_s: float


class DetectionWriter:
    """Takes scores batch by batch and writes a recording's rows when it has ended.

    A context manager; left without `finish`, no output stays.
    """

    def __init__(
        self,
        request: DetectionRequest,
        scored: ScoredLabels,
        *,
        model_rate: int,
        columns: Sequence[str],
    ) -> None:
        """Open the output.

        Args:
            request: what is wanted.
            scored: what the scores are of.
            model_rate: at which windows are positioned.
            columns: names of the user's columns.

        Raises:
            UsageError: No label of the request is known, or the output cannot be made.
        """
        selection = request.selection
        self._request = request
        self._scored = scored
        self._model_rate = model_rate
        self._rule, self.unknown_labels = make_rule(selection, scored.labels, scored.facts)
        self._levels = levels_of(scored.labels, scored.facts)
        self._columns = RecordingColumns(
            tuple(columns), request.root if selection.absolute_paths else None
        )
        self._output = open_output(
            request.output,
            format_name=selection.format,
            root=request.root,
            overwrite=request.overwrite,
            schema=self._columns.schema,
            spreadsheet_safe=selection.spreadsheet_safe,
        )
        self._segments: Segments | None = None
        # Rows, not scores: ten thousand labels a window would not fit for a recording of a week.
        self._waiting: list[_ChosenRows] = []  # of the recording at hand
        # For the report alone; nothing of this decides what becomes a row.
        self._counter = LabelCounter()
        self._highest: _HighestScore | None = None
        self._n_rows = 0
        self._n_silent = 0
        self._n_unfamiliar: int | None = None  # no window of which it is known
        self._without_detection: list[str] = []

    def __enter__(self) -> Self:
        """Use it.

        Raises:
            UsageError: Segments were asked for and cannot be put beside the output.
        """
        self._output.__enter__()
        try:
            self._segments = open_segments(
                self._request.output, self._request.selection, overwrite=self._request.overwrite
            )
        except BaseException:
            self._output.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Remove what was not finished."""
        self._output.__exit__(*error)

    def add(self, windows: ScoredWindows, name: str) -> None:
        """Choose rows from some windows of the recording ``name``; they wait for its end."""
        window, label, rank = self._rule.choose(windows.scores, windows.nameless)
        self._n_silent += int(windows.silent.sum())
        if windows.unfamiliar is not None:
            unfamiliar = int((windows.unfamiliar & ~windows.silent).sum())
            self._n_unfamiliar = (self._n_unfamiliar or 0) + unfamiliar
        self._note_highest(windows, name)
        self._waiting.append(_ChosenRows(windows, window, label, rank))

    def _note_highest(self, windows: ScoredWindows, name: str) -> None:
        wanted = windows.scores[:, self._rule.columns]  # (n, wanted labels)
        if windows.unfamiliar is not None:
            wanted = np.where(windows.unfamiliar[:, None], -1, wanted)  # no threshold kept it out
        # a recording of no whole frame, or a rule that wants no label
        if not wanted.size:
            return
        # flat index of an (n, wanted) array to its two indices
        window, column = np.unravel_index(int(wanted.argmax()), wanted.shape)
        score = float(wanted[window, column])
        if score >= 0 and (self._highest is None or score > self._highest.score):
            label = self._scored.labels[int(self._rule.columns[column])]
            start_s = float(windows.start_sample[window]) / self._model_rate
            self._highest = _HighestScore(score, label, name, start_s)

    def drop(self) -> None:
        """Forget the rows that wait: their recording has failed."""
        self._waiting.clear()

    def end(self, row: RecordingRow, path: Path) -> None:
        """Write the rows of a recording that has ended, and whose scores were added.

        Args:
            row: what is known of the recording.
            path: where it lies.

        Raises:
            DawnChorusError: The disk refuses.
        """
        rate = row.rate or self._model_rate  # a row of another program need not say it
        # concat_tables needs one table at least
        rows = [DETECTION_SCHEMA.empty_table()]
        rows += [self._table(chosen, row, rate) for chosen in self._waiting]
        self._waiting.clear()
        table = self._columns.fill(
            self._rule.merged(pa.concat_tables(rows)),
            row.recorded_at,
            row.carried,
            None if row.time_zone is None else parse_zone(row.time_zone),
        )
        detections = RecordingDetections(
            path=path,
            duration_s=row.duration_s or 0.0,
            # neither the recording nor the model reaches higher than half its rate
            highest_hz=min(rate, self._model_rate) / 2,
            table=table,
        )
        self._output.write(detections)
        if self._segments:
            self._segments.add(detections)
        self._counter.add(table)
        self._n_rows += len(table)
        if not len(table):
            self._without_detection.append(row.path)

    def _table(self, chosen: _ChosenRows, row: RecordingRow, rate: int) -> pa.Table:
        windows = chosen.windows
        return window_rows(
            self._columns.path(row.path),
            rate=rate,
            n_samples=row.n_samples or 0,
            model_rate=self._model_rate,
            columns={
                "window": windows.window[chosen.window],
                "start_sample": windows.start_sample[chosen.window],
                "valid_samples": windows.valid_samples[chosen.window],
                "label": [self._scored.labels[index] for index in chosen.label],
                "level": [self._levels[index] for index in chosen.label],
                "probability": windows.scores[chosen.window, chosen.label],
                "rank": chosen.rank,
            },
        )

    def keep_partial(self) -> Path | None:
        """Keep the rows of a stopped run's finished recordings; None: they were in memory."""
        return self._output.keep_partial()

    def finish(self) -> list[str]:
        """Put the output in its place and cut the segments; returns warnings.

        Raises:
            DawnChorusError: The disk refuses.
        """
        self._output.close()
        silent = f"{self._n_silent} windows hold no signal at all, and give no rows"
        return [
            *([silent] if self._n_silent else []),
            *self._columns.warnings(),
            *(self._segments.cut() if self._segments else []),
        ]

    def report(self) -> dict[str, Any]:
        """What a `PredictReport` needs to know of the rows."""
        selection, output = self._request.selection, self._request.output
        return {
            "audio_root": None if selection.absolute_paths else self._request.root,
            "label_counts": self._counter.counts(),
            "output": None if output is None else Path(output),
            "table": self._output.table(),
            "n_rows": self._n_rows,
            "segments": self._segments.folder if self._segments else None,
            "without_detection": tuple(self._without_detection),
            "unknown_labels": self.unknown_labels,
            "empty_because": None if self._n_rows else self._why_empty(),
            "n_unfamiliar": self._n_unfamiliar,
        }

    def _why_empty(self) -> str:
        highest = self._highest
        if highest is None and self._n_unfamiliar:
            return "no detection: no window sounds like what the model was trained on"
        if highest is None:
            return "no detection: no recording could be read"
        return (
            f"no detection: the highest probability was {highest.score:.3f}, for {highest.label} "
            f"in {highest.name} at {highest.start_s:g} s; "
            f"{describe_rule(self._request.selection, self._scored.facts)}"
        )
