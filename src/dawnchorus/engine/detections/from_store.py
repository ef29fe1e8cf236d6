"""Predictions from the scores that a store holds: nothing is read or encoded anew."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.engine.detections.label_counts import LabelCounter
from dawnchorus.engine.detections.label_names import NOTHING_KNOWN
from dawnchorus.engine.detections.naming import (
    check_store,
    is_stored_demonstration,
    scores_of,
    stored_facts,
)
from dawnchorus.engine.detections.recording_columns import RecordingColumns
from dawnchorus.engine.detections.segments import cut_segments, open_segments
from dawnchorus.engine.detections.thresholds import asked, make_rule
from dawnchorus.engine.exports.formats import Collect, RecordingDetections, open_export, window_rows
from dawnchorus.engine.recordings.jobs import stored_columns, with_site
from dawnchorus.engine.report import PredictReport
from dawnchorus.errors import UsageError
from dawnchorus.local_time import parse_zone
from dawnchorus.models.label_facts import levels_of
from dawnchorus.paths import from_stored_name, is_on_web, remote_errors
from dawnchorus.store.read import Store
from dawnchorus.store.schema import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.configs import EmbedConfig, PredictConfig
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.store.read import StoredRecording


def store_in(named: Sequence[Path]) -> Store | None:
    """The store, if one is all that was named."""
    if len(named) != 1 or is_on_web(named[0]):
        return None
    place = named[0]
    try:
        with remote_errors(place):
            return Store(place) if (place / HEADER_NAME).is_file() else None
    except OSError as error:
        raise UsageError(f"{place}: {error}") from error


def predict_from_store(
    store: Store,
    root: Path,
    output: str | Path | None,
    config: EmbedConfig,
    selection: PredictConfig,
    *,
    probe: FittedProbe | None = None,
    overwrite: bool,
) -> PredictReport:
    """Rows from the scores that a store holds, or from a probe on its vectors.

    Args:
        store: that holds them.
        root: where its recordings lie.
        output: as for `predict`.
        config: its ``time_zone`` counts before that of the store, its ``site_from`` where the store
            has no site.
        selection: which probabilities become rows.
        probe: to name windows by their vectors.
        overwrite: replace an output that exists.
    """
    started = time.perf_counter()
    header = store.header
    if probe is not None:
        check_store(header, probe)
    labels = (header.labels or ()) if probe is None else probe.classes
    facts = stored_facts(header) if probe is None else NOTHING_KNOWN
    rule, unknown = make_rule(selection, labels, facts)
    levels, found = levels_of(labels, facts), LabelCounter()
    columns = RecordingColumns(
        stored_columns(store, config), root if selection.absolute_paths else None
    )
    n_done = n_rows = n_windows = 0
    duration_s, without = 0.0, []
    if selection.segments:
        _check_there(store, root)
    segments = open_segments(output, selection, overwrite=overwrite)
    with open_export(
        output,
        kind=selection.format,
        root=root,
        overwrite=overwrite,
        schema=columns.schema,
        spreadsheet_safe=selection.spreadsheet_safe,
    ) as export:
        for recording in store.each_recording(scores=probe is None):
            row, windows = recording.row, recording.windows
            scores = _scores(recording, probe)
            path = from_stored_name(row.path, root)
            silent = windows["silent"].to_numpy().astype(bool)
            window, label, rank = rule.choose(scores, silent)
            table = window_rows(
                columns.path(row.path),
                rate=row.rate or header.sample_rate,
                n_samples=row.n_samples or 0,
                model_rate=header.sample_rate,
                columns={
                    "window": windows["window"].to_numpy()[window],
                    "start_sample": windows["start_sample"].to_numpy()[window],
                    "valid_samples": windows["valid_samples"].to_numpy()[window],
                    "label": [labels[index] for index in label],
                    "level": [levels[index] for index in label],
                    "probability": scores[window, label],
                    "rank": rank,
                },
            )
            zone = config.time_zone or row.time_zone
            table = columns.fill(
                rule.merged(table),
                row.recorded_at,
                with_site(row.carried, row.path, root, config),
                None if zone is None else parse_zone(zone),
            )
            found.take(table)
            highest_hz = min(row.rate or header.sample_rate, header.sample_rate) / 2
            detections = RecordingDetections(
                path=path,
                duration_s=row.duration_s or 0.0,
                highest_hz=highest_hz,
                table=table,
            )
            export.write(detections)
            if segments:
                segments.take(detections)
            n_done, n_rows, n_windows = n_done + 1, n_rows + len(table), n_windows + len(windows)
            duration_s += row.duration_s or 0.0
            if not len(table):
                without.append(row.path)
        export.close()
    return PredictReport(
        model=header.model,
        device="none: the scores are the store's",
        n_found=n_done,
        n_done=n_done,
        n_skipped=0,
        n_failed=0,
        n_windows=n_windows,
        duration_s=duration_s,
        elapsed_s=time.perf_counter() - started,
        seconds=dict.fromkeys(("read", "resample", "frontend", "encoder"), 0.0),
        n_workers=1,
        failures=(),
        warnings=(*columns.warnings(), *cut_segments(segments)),
        audio_root=None if selection.absolute_paths else root,
        found=found.found(),
        demonstration=probe is None and is_stored_demonstration(header),
        output=None if output is None else Path(output),
        table=export.table() if isinstance(export, Collect) else None,
        n_rows=n_rows,
        segments=segments.folder if segments else None,
        without_detection=tuple(without),
        unknown_labels=unknown,
        empty_because=None if n_rows else f"no detection: {asked(selection, facts)}",
    )


def _check_there(store: Store, root: Path) -> None:
    try:
        with remote_errors(root):
            there = is_on_web(root) or root.exists()
    except OSError as error:
        raise UsageError(f"{root}: {error}") from error
    if not there:
        raise UsageError(
            f"{root}: the recordings of {store.path} are not there, so nothing can be cut out of "
            "them; say where they lie now with --audio-root"
        )


def _scores(recording: StoredRecording, probe: FittedProbe | None) -> NDArray[np.float32]:
    if probe is None:
        return recording.scores
    return scores_of(probe, recording.vectors).astype(np.float32)
