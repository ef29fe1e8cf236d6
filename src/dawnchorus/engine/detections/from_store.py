"""Detections from the scores that a store holds: nothing is read or encoded again."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dawnchorus.engine.detections.classify import StoredClassifier
from dawnchorus.engine.detections.probe_rules import check_store
from dawnchorus.engine.detections.writer import DetectionWriter, ScoredWindows
from dawnchorus.engine.recordings.jobs import stored_columns, with_site
from dawnchorus.engine.report import PredictReport
from dawnchorus.errors import UsageError
from dawnchorus.paths import from_stored_name, is_on_web, remote_errors
from dawnchorus.store.read import Store
from dawnchorus.store.schema import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dawnchorus.configs import EmbedConfig
    from dawnchorus.engine.detections.writer import DetectionRequest
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.store.read import StoredRecording


def store_among(inputs: Sequence[Path]) -> Store | None:
    """The store, if one is all that was named."""
    # a web server is not asked for a store.json beside every recording
    if len(inputs) != 1 or is_on_web(inputs[0]):
        return None
    path = inputs[0]
    try:
        with remote_errors(path):
            return Store(path) if (path / HEADER_NAME).is_file() else None
    except OSError as error:
        raise UsageError(f"{path}: {error}") from error


def predict_from_store(
    store: Store, request: DetectionRequest, config: EmbedConfig, probe: FittedProbe | None
) -> PredictReport:
    """Rows from the scores that a store holds, or from a probe on its vectors.

    Args:
        store: that holds them.
        request: what is wanted; its root is where the recordings lie.
        config: its ``time_zone`` counts before that of the store, its ``site_from`` where the store
            has no site.
        probe: to name windows by their vectors.

    Raises:
        UsageError: The probe reads other vectors, no label is known, or there are no recordings to
            cut segments from.
        WeightsError: The probe is of another encoder.
    """
    started = time.perf_counter()
    if probe is not None:
        check_store(store.header, probe)
    if request.selection.segments:
        _check_recordings_there(store, request.root)
    classifier = StoredClassifier.of(
        store.header, probe, name_unfamiliar=request.selection.names_unfamiliar
    )
    n_recordings = n_windows = 0
    duration_s = 0.0
    with DetectionWriter(
        request,
        classifier.scored,
        model_rate=store.header.sample_rate,
        columns=stored_columns(store, config),
    ) as writer:
        for recording in store.each_recording(scores=probe is None):
            row = recording.row
            row = replace(
                row,
                time_zone=config.time_zone or row.time_zone,
                carried=with_site(row.carried, row.path, request.root, config),
            )
            writer.add(_windows(recording, classifier), row.path)
            writer.end(row, from_stored_name(row.path, request.root))
            n_recordings += 1
            n_windows += len(recording.windows)
            duration_s += row.duration_s or 0.0
        warnings = writer.finish()
    return PredictReport(
        **writer.report(),
        model=store.header.model,
        # nothing ran on a device, but the report has the field
        device="none: the scores are the store's",
        precision=store.header.precision,
        n_found=n_recordings,
        n_done=n_recordings,
        n_skipped=0,
        n_failed=0,
        n_windows=n_windows,
        duration_s=duration_s,
        elapsed_s=time.perf_counter() - started,
        # zeros: the shares of the elapsed time are then zero as well
        seconds=dict.fromkeys(("read", "resample", "frontend", "encoder"), 0.0),
        n_workers=1,
        failures=(),
        warnings=tuple(warnings),
        demonstration=classifier.is_demonstration,
        probabilities=classifier.probabilities,
    )


def _windows(recording: StoredRecording, classifier: StoredClassifier) -> ScoredWindows:
    windows = recording.windows
    return ScoredWindows(
        window=windows["window"].to_numpy(),
        start_sample=windows["start_sample"].to_numpy(),
        valid_samples=windows["valid_samples"].to_numpy(),
        silent=windows["silent"].to_numpy().astype(bool),
        scores=classifier.scores(recording),
        unfamiliar=classifier.unfamiliar(recording),
    )


def _check_recordings_there(store: Store, root: Path) -> None:
    try:
        with remote_errors(root):
            is_there = is_on_web(root) or root.exists()
    except OSError as error:
        raise UsageError(f"{root}: {error}") from error
    if not is_there:
        raise UsageError(
            f"{root}: the recordings of {store.path} are not there, so nothing can be cut out of "
            "them; say where they lie now with --audio-root"
        )
