"""`predict`: recordings, or a store of their scores, to a table of what was heard where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.configs import PredictConfig
from dawnchorus.engine.detections.classify import ready_classifier
from dawnchorus.engine.detections.from_store import predict_from_store, store_among
from dawnchorus.engine.detections.probe_rules import open_probe, rule_for, silent_labels
from dawnchorus.engine.detections.writer import (
    DetectionRequest,
    DetectionWriter,
    ScoredWindows,
)
from dawnchorus.engine.encoding.model import model_identity
from dawnchorus.engine.options import embed_config
from dawnchorus.engine.pipeline.events import EncodedWindows, FailedRecording, FinishedRecording
from dawnchorus.engine.pipeline.flags import SILENT
from dawnchorus.engine.pipeline.run import run_recordings
from dawnchorus.engine.recordings.find import as_paths, find_recordings, root_of
from dawnchorus.engine.recordings.jobs import columns_of, jobs_of, with_file_facts
from dawnchorus.engine.report import PredictReport, Tally
from dawnchorus.engine.store_rows import done_row
from dawnchorus.error_log import log_errors_beside
from dawnchorus.errors import RunInterruptedError, UsageError
from dawnchorus.interrupt import stop_on_signals
from dawnchorus.paths import absolute, as_path, from_stored_name
from dawnchorus.progress import NO_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Unpack

    from dawnchorus.configs import EmbedConfig, PredictOptions
    from dawnchorus.engine.detections.classify import WindowClassifier
    from dawnchorus.engine.pipeline.events import RunEvent
    from dawnchorus.engine.recordings.find import Inputs
    from dawnchorus.models.encoder import Encoder
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.progress import Progress
    from dawnchorus.store.read import Store

FOR_STORES: Final = ("time_zone", "site_from")  # said of recordings, not done to them
NOT_FOR_PREDICT: Final = frozenset(
    {"readout", "pooling", "layers", "dtype", "content_hash", "predict"}
)


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
    **options: Unpack[PredictOptions],
) -> PredictReport:
    """Name what is heard in every window of every recording.

    Args:
        recordings: files and folders; folders are walked. Or one store that was made with
            ``predict``, or with a probe any of its encoder: then nothing is read or encoded again.
        output: ``.csv``, ``.parquet``, ``.jsonl``, or ``.txt`` for a Raven selection table; with
            ``format`` also a folder with a table for each recording. None: rows in the report.
        model: a model's name, file or folder, or a loaded encoder; it must have a classifier, or
            be the one that the probe was fitted on. None: the probe's, or the shipped one.
        probe: a probe's folder, or a probe: it names what is heard instead of the classifier, in
            windows as long as those it was fitted on, from its own thresholds on.
        config: windows, batch size, device, precision and channel at once.
        selection: which probabilities become rows, at once.
        overwrite: replace an output that exists.
        progress: shows how many bytes of recordings are done.
        options: fields of the two configs, and ``window_s`` and ``hop_s``. Without ``top_k`` and
            thresholds a label is named where its score reaches what the model's card says of it, or
            0.5 where no card does.

    Raises:
        UsageError: An option is wrong, the model has no classifier, or there is nothing to read.
        WeightsError: The model's outputs cannot be right.
        RunInterruptedError: Ctrl-C or SIGTERM; the rows of finished recordings are in a file marked
            partial.
    """
    opened = None if probe is None else open_probe(probe)
    chosen = predict_options(config, selection, options, opened)
    if output is None and chosen.selection.format not in {None, "csv"}:
        # rows in the report have no format, and the command prints them as CSV
        raise UsageError(f"format {chosen.selection.format}: needs an output (-o), such as a file")
    paths = as_paths(recordings)
    store = store_among(paths)
    if store is not None:
        _refuse_for_store(store, model, chosen.config)
        root = _root_of_store(store, chosen.selection)
    else:
        root = root_of(paths, chosen.selection.audio_root)
    request = DetectionRequest(
        output=output, overwrite=overwrite, selection=chosen.selection, root=root
    )
    if store is not None:
        report = predict_from_store(store, request, chosen.config, opened)
    else:
        report = _predict_recordings(
            paths, request, chosen.config, model=model, probe=opened, progress=progress
        )
    return replace(report, warnings=(*report.warnings, *chosen.warnings))


def _predict_recordings(
    paths: Sequence[Path],
    request: DetectionRequest,
    config: EmbedConfig,
    *,
    model: str | Path | Encoder | None,
    probe: FittedProbe | None,
    progress: Progress,
) -> PredictReport:
    scan = find_recordings(paths)
    wanted = request.selection.names_unfamiliar
    with (
        ready_classifier(model, probe, config, name_unfamiliar=wanted) as classifier,
        log_errors_beside(request.output),
    ):
        encoder, batches = classifier.encoder, classifier.batches
        tally = Tally(scan, encoder.sample_rate)
        jobs = map(with_file_facts, jobs_of(scan, request.root, config))
        with (
            stop_on_signals() as stop,  # first, so that there is no partial file without a word
            DetectionWriter(
                request,
                classifier.scored,
                model_rate=encoder.sample_rate,
                columns=columns_of(scan, config),
            ) as writer,
        ):
            advance = progress.start("predicting", scan.n_bytes, "bytes")
            seconds = run_recordings(
                classifier,
                jobs,
                tally,
                partial(_write_event, writer, classifier),
                advance=advance,
                stop=stop,
            )
            # a signal after the last recording stops nothing
            if stop.is_set() and not tally.is_complete:
                raise RunInterruptedError(_stopped(writer, tally))
            warnings = [*writer.finish(), *batches.notes]
        return PredictReport(
            **tally.fields(warnings),
            **writer.report(),
            model=encoder.name,
            device=batches.device,
            precision=model_identity(encoder).precision,
            n_workers=batches.n_workers,
            n_readers=classifier.settings.n_readers,
            seconds={**seconds, **batches.seconds},
            demonstration=classifier.is_demonstration,
            probabilities=classifier.probabilities,
        )


@dataclass(frozen=True, slots=True)
class ChosenOptions:
    """What a user chose, as the two configs, and what is to be mentioned of it."""

    config: EmbedConfig
    selection: PredictConfig
    warnings: tuple[str, ...]


def predict_options(
    config: EmbedConfig | None,
    selection: PredictConfig | None,
    options: Mapping[str, Any],  # Any: checked by the configs
    probe: FittedProbe | None,
) -> ChosenOptions:
    """Keywords distributed to the two configs, with a probe's thresholds.

    Raises:
        UsageError: A keyword is unknown or a value is nonsense.
    """
    for_embed = sorted(NOT_FOR_PREDICT & set(options))
    if for_embed:
        raise UsageError(f"predict has no option {for_embed[0]!r}; that is for embed")
    selecting = {
        name: value for name, value in options.items() if name in PredictConfig.model_fields
    }
    encoding = {name: value for name, value in options.items() if name not in selecting}
    # unset fields stay unset, so that a probe's thresholds fill them
    base = {} if selection is None else selection.model_dump(exclude_unset=True)
    chosen = {**base, **selecting}
    return ChosenOptions(
        # no store is written that a hash of the recording could be compared with
        config=embed_config(config, {**encoding, "content_hash": False}),
        selection=PredictConfig(**rule_for(probe, chosen)),
        warnings=tuple(silent_labels(probe, chosen)),
    )


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
    # naming the store's own model chooses nothing
    if model not in (None, store.header.model):
        chosen.append("model")
    if chosen:
        raise UsageError(
            f"{store.path}: its scores are of {store.header.model} and its own windows, so "
            f"{', '.join(chosen)} cannot be chosen; leave it out, or name the recordings"
        )


def _root_of_store(store: Store, selection: PredictConfig) -> Path:
    if selection.audio_root:
        return absolute(as_path(selection.audio_root))
    return from_stored_name(store.header.audio_root)


def _stopped(writer: DetectionWriter, tally: Tally) -> str:
    partial = writer.keep_partial()
    where = "" if partial is None else f"; their rows are in {partial}"
    return f"stopped: {tally.n_done} of {tally.scan.n_recordings} recordings done{where}"


def _write_event(writer: DetectionWriter, classifier: WindowClassifier, event: RunEvent) -> None:
    """Choose rows from windows; they wait until their recording has been read to its end.

    One that breaks off gives none.
    """
    if isinstance(event, EncodedWindows):
        probabilities, unfamiliar = classifier.read(event.values)
        windows = ScoredWindows(
            window=event.window,
            start_sample=event.start_sample,
            valid_samples=event.valid_samples,
            silent=(event.flags & SILENT) != 0,
            scores=probabilities,
            unfamiliar=unfamiliar,
        )
        writer.add(windows, event.job.name)
    elif isinstance(event, FailedRecording):
        writer.drop()
    elif isinstance(event, FinishedRecording):
        writer.end(done_row(event), event.job.path)
