"""`predict`: recordings to a table of what was heard, window by window."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from dawnchorus.configs import PredictConfig
from dawnchorus.engine.detections.from_store import predict_from_store, store_in
from dawnchorus.engine.detections.label_counts import LabelCounter
from dawnchorus.engine.detections.naming import (
    classifier_for,
    is_demonstration,
    model_for,
    open_probe,
    rule_for,
    silent_labels,
    windows_for,
)
from dawnchorus.engine.detections.recording_columns import RecordingColumns
from dawnchorus.engine.detections.segments import Segments, cut_segments, open_segments
from dawnchorus.engine.detections.thresholds import DetectionRule, asked, make_rule
from dawnchorus.engine.encoding.model import model_identity, ready_model
from dawnchorus.engine.encoding.workers import batch_size, n_workers
from dawnchorus.engine.exports.formats import (
    DETECTION_SCHEMA,
    Collect,
    Export,
    ExportFile,
    ExportFolder,
    RecordingDetections,
    open_export,
    window_rows,
)
from dawnchorus.engine.options import embed_config, read_settings
from dawnchorus.engine.pipeline.events import (
    EncodedWindows,
    FailedRecording,
    FinishedRecording,
    RunEvent,
)
from dawnchorus.engine.pipeline.flags import SILENT
from dawnchorus.engine.pipeline.run import WindowRun, run_recordings
from dawnchorus.engine.recordings.find import as_paths, find_recordings, in_shard, root_of
from dawnchorus.engine.recordings.jobs import RecordingJob, columns_of, job_for, with_file_facts
from dawnchorus.engine.report import PredictReport, Tally
from dawnchorus.error_log import log_errors_beside
from dawnchorus.errors import RunInterruptedError, UsageError
from dawnchorus.interrupt import stop_on_signals
from dawnchorus.local_time import parse_zone
from dawnchorus.models.label_facts import levels_of
from dawnchorus.paths import absolute, as_path, from_stored_name
from dawnchorus.probes.calibration import sigmoid
from dawnchorus.progress import NO_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dawnchorus.configs import EmbedConfig
    from dawnchorus.engine.recordings.find import Inputs, Scan
    from dawnchorus.models.encoder import Encoder
    from dawnchorus.models.label_facts import LabelFacts
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.progress import Progress
    from dawnchorus.store.read import Store

FOR_STORES: Final = ("time_zone", "site_from")  # what is said of recordings, not done to them
NOT_FOR_PREDICT: Final = (
    "readout", "pooling", "layers", "dtype", "content_hash", "predict",
)  # fmt: skip


def predict(
    recordings: Inputs,
    *,
    output: str | Path | None = None,
    model: str | Path | Encoder | None = None,
    probe: str | Path | FittedProbe | None = None,
    config: EmbedConfig | None = None,
    selection: PredictConfig | None = None,
    overwrite: bool = False,
    progress: Progress = NO_PROGRESS,
    **options: Any,  # Any: keywords, checked by EmbedConfig and PredictConfig
) -> PredictReport:
    """Name what is heard in every window of every recording.

    Args:
        recordings: files and folders; folders are walked. Or one store that was made with
            ``predict``, or with a probe any of its encoder: then nothing is read or encoded anew.
        output: ``.csv``, ``.parquet``, ``.jsonl``, or ``.txt`` for a Raven selection table; with
            ``format`` also a folder with a table for each recording. None: rows in the report.
        model: a model's name, file or folder, or a loaded encoder; it must have a classifier, or
            be the one that the probe was fitted on. None: the probe's, else the shipped one.
        probe: a probe's folder, or a probe: it names what is heard instead of the classifier, in
            windows as long as those it was fitted on, from its own thresholds on.
        config: windows, batch size, device, precision and channel at once.
        selection: which probabilities become rows, at once.
        overwrite: replace an output that exists.
        progress: as in `embed`.
        options: fields of the two configs, and ``window_s`` and ``hop_s``. Without ``top_k`` and
            thresholds a label is named where its score reaches what the model's card says of it, or
            0.5 where no card does.

    Raises:
        UsageError: An option is wrong, the model has no classifier, or there is nothing to read.
        WeightsError: The model's outputs cannot be right.
        RunInterruptedError: Ctrl-C or SIGTERM; the rows of finished recordings are in a file marked
            partial.
    """
    held = None if probe is None else open_probe(probe)
    config, selection, silent = configs_of(config, selection, options, held)
    recordings = as_paths(recordings)
    store = store_in(recordings)
    if store is not None:
        _refuse_for_store(store, model, config)
        root = (
            absolute(as_path(selection.audio_root))
            if selection.audio_root
            else from_stored_name(store.header.audio_root)
        )
        report = predict_from_store(
            store, root, output, config, selection, probe=held, overwrite=overwrite
        )
        return replace(report, warnings=(*report.warnings, *silent))
    scan = find_recordings(recordings)
    config = windows_for(held, config)
    with ready_model(model_for(held, model), config) as encoder, log_errors_beside(output):
        count = n_workers(encoder, config.workers)
        naming = classifier_for(encoder, held, count)
        rule, unknown = make_rule(selection, naming.labels, naming.facts)
        settings = read_settings(encoder, config)
        naming.check(settings.window)
        tally = Tally(scan, encoder.sample_rate)
        root = root_of(recordings, selection.audio_root)
        columns = RecordingColumns(
            columns_of(scan, config), root if selection.absolute_paths else None
        )
        with (
            open_export(
                output,
                kind=selection.format,
                root=root,
                overwrite=overwrite,
                schema=columns.schema,
                spreadsheet_safe=selection.spreadsheet_safe,
            ) as export,
            stop_on_signals() as stop,
        ):
            segments = open_segments(output, selection, overwrite=overwrite)
            run = _Run(
                export,
                rule,
                naming.labels,
                settings.sample_rate,
                columns,
                segments,
                levels=levels_of(naming.labels, naming.facts),
            )
            jobs = _plan(scan, root, config)
            size = batch_size(encoder, config.batch_size)
            work = WindowRun(jobs, settings, naming.logits, size, count)
            advance = progress.start("predicting", scan.n_bytes, "bytes")
            seconds = run_recordings(work, tally, run.take, advance=advance, stop=stop)
            if stop.is_set() and not tally.is_complete:
                raise RunInterruptedError(_stopped(export, tally))
            export.close()
            notes = [
                *silent,
                *run.notes(),
                *naming.batches.notes,
                *columns.warnings(),
                *cut_segments(segments),
            ]
        return PredictReport(
            **tally.fields(notes),
            model=encoder.name,
            device=model_identity(encoder).device,
            n_workers=count,
            seconds={**seconds, **naming.batches.seconds},
            audio_root=None if selection.absolute_paths else root,
            found=run.found.found(),
            demonstration=held is None and is_demonstration(encoder),
            output=None if output is None else Path(output),
            table=export.table() if isinstance(export, Collect) else None,
            n_rows=run.n_rows,
            segments=segments.folder if segments else None,
            without_detection=tuple(run.without_detection),
            unknown_labels=unknown,
            empty_because=None if run.n_rows else run.why_empty(selection, naming.facts),
        )


def configs_of(
    config: EmbedConfig | None,
    selection: PredictConfig | None,
    options: dict[str, Any],
    probe: FittedProbe | None,
) -> tuple[EmbedConfig, PredictConfig, list[str]]:
    """Keywords shared out to the two configs, with a probe's thresholds, and what is to be said.

    Raises:
        UsageError: A keyword is unknown or a value is nonsense.
    """
    foreign = sorted(set(NOT_FOR_PREDICT) & set(options))
    if foreign:
        raise UsageError(f"predict has no option {foreign[0]!r}; that is for embed")
    own = {name: value for name, value in options.items() if name in PredictConfig.model_fields}
    others = {name: value for name, value in options.items() if name not in own}
    base = {} if selection is None else selection.model_dump(exclude_unset=True)
    chosen = {**base, **own}
    selection = PredictConfig(**rule_for(probe, chosen))
    # nothing is kept that a hash of the recording could be held against
    config = embed_config(config, {**others, "content_hash": False})
    return config, selection, silent_labels(probe, chosen)


def _refuse_for_store(
    store: Store, model: str | Path | Encoder | None, config: EmbedConfig
) -> None:
    """The scores of a store were made long ago: nothing about their making can be chosen now."""
    nothing_chosen = embed_config(None, {"content_hash": False})
    chosen = [
        name
        for name in type(config).model_fields
        if name not in FOR_STORES and getattr(config, name) != getattr(nothing_chosen, name)
    ]
    if model not in (None, store.header.model):
        chosen.append("model")
    if chosen:
        raise UsageError(
            f"{store.path}: its scores are of {store.header.model} and its own windows, so "
            f"{', '.join(chosen)} cannot be chosen; leave it out, or name the recordings"
        )


def _plan(scan: Scan, root: Path, config: EmbedConfig) -> Iterator[RecordingJob]:
    for path, carried in scan.entries():
        job = job_for(path, carried, root, config)
        if in_shard(job.recording_id, config.shard):
            yield with_file_facts(job)


def _stopped(export: Export, tally: Tally) -> str:
    where = (
        f"; their rows are in {export.keep_partial()}"
        if isinstance(export, ExportFile | ExportFolder)
        else ""
    )
    n_found = tally.scan.n_recordings
    return f"stopped: {tally.n_done} of {n_found} recordings done{where}"


@dataclass(slots=True)
class _Heard:
    """Chosen rows of one batch of a recording, and where its windows lie."""

    event: EncodedWindows
    window: NDArray[np.int64]
    label: NDArray[np.int64]
    rank: NDArray[np.int64]
    probability: NDArray[np.float32]


@dataclass(slots=True)
class _Run:
    """Takes the events of the pipeline to the export.

    A recording's rows wait until it has been read to its end: one that breaks off gives none.
    """

    export: Export
    rule: DetectionRule
    labels: Sequence[str]
    model_rate: int
    recording_columns: RecordingColumns
    segments: Segments | None = None
    levels: Sequence[str] = ()
    n_rows: int = 0
    n_silent: int = 0
    found: LabelCounter = field(default_factory=LabelCounter)
    without_detection: list[str] = field(default_factory=list)
    loudest: tuple[float, str, str, float] = (-1.0, "", "", 0.0)
    _heard: list[_Heard] = field(default_factory=list)

    def take(self, event: RunEvent) -> None:
        """Keep or write what an event brings."""
        if isinstance(event, EncodedWindows):
            self._heard.append(self._choose(event))
        elif isinstance(event, FailedRecording):
            self._heard.clear()
        elif isinstance(event, FinishedRecording):
            self._write(event)
            self._heard.clear()

    def _choose(self, event: EncodedWindows) -> _Heard:
        probabilities = sigmoid(event.values)
        silent = (event.flags & SILENT) != 0
        self.n_silent += int(silent.sum())
        window, label, rank = self.rule.choose(probabilities, silent)
        self._note_loudest(event, probabilities[:, self.rule.columns])
        return _Heard(event, window, label, rank, probabilities[window, label])

    def _note_loudest(self, event: EncodedWindows, wanted: NDArray[np.float32]) -> None:
        window, column = np.unravel_index(int(wanted.argmax()), wanted.shape)
        highest = float(wanted[window, column])
        if highest > self.loudest[0]:
            label = self.labels[int(self.rule.columns[column])]
            start_s = float(event.start_sample[window]) / self.model_rate
            self.loudest = (highest, label, event.job.name, start_s)

    def _write(self, event: FinishedRecording) -> None:
        rate = event.recording.rate
        job = event.job
        table = pa.concat_tables(
            [DETECTION_SCHEMA.empty_table(), *(self._rows(heard, event) for heard in self._heard)]
        )
        began = event.recording.began
        table = self.recording_columns.fill(
            self.rule.merged(table),
            None if began is None else began.time,
            job.carried,
            None if job.time_zone is None else parse_zone(job.time_zone),
        )
        self.n_rows += len(table)
        self.found.take(table)
        if not len(table):
            self.without_detection.append(job.name)
        detections = RecordingDetections(
            path=job.path,
            duration_s=event.n_samples / rate,
            highest_hz=min(rate, self.model_rate) / 2,
            table=table,
        )
        self.export.write(detections)
        if self.segments:
            self.segments.take(detections)

    def _rows(self, heard: _Heard, ended: FinishedRecording) -> pa.Table:
        event = heard.event
        return window_rows(
            self.recording_columns.path(ended.job.name),
            rate=ended.recording.rate,
            n_samples=ended.n_samples,
            model_rate=self.model_rate,
            columns={
                "window": event.window[heard.window],
                "start_sample": event.start_sample[heard.window],
                "valid_samples": event.valid_samples[heard.window],
                "label": [self.labels[index] for index in heard.label],
                "level": [self.levels[index] for index in heard.label],
                "probability": heard.probability,
                "rank": heard.rank,
            },
        )

    def notes(self) -> list[str]:
        """What a user may wonder about."""
        if not self.n_silent:
            return []
        return [f"{self.n_silent} windows hold no signal at all, and give no rows"]

    def why_empty(self, selection: PredictConfig, facts: LabelFacts) -> str:
        """Why there is not a single row."""
        highest, label, path, start_s = self.loudest
        if highest < 0:
            return "no detection: no recording could be read"
        return (
            f"no detection: the highest probability was {highest:.3f}, for {label} in {path} at "
            f"{start_s:g} s; {asked(selection, facts)}"
        )
