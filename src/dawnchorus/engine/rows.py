"""What the pipeline found out, as rows of a store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dawnchorus.probes.calibration import sigmoid
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.schema import RecordingRow

if TYPE_CHECKING:
    from dawnchorus.engine.pipeline import Encoded
    from dawnchorus.engine.read import Broken, Ended, Source
    from dawnchorus.store.schema import StoreHeader


def window_rows(event: Encoded, header: StoreHeader) -> WindowRows:
    """Encoded windows; behind the vector their values hold logits, where the store keeps scores."""
    scores = None if header.labels is None else sigmoid(event.values[:, header.dim :])
    return WindowRows(
        window=event.window,
        start_sample=event.start_sample,
        valid_samples=event.valid_samples,
        flags=event.flags,
        vectors=event.values[:, : header.dim],
        scores=scores,
    )


def opened_row(source: Source) -> RecordingRow:
    """A recording of which some windows have come."""
    job = source.job
    return RecordingRow(
        recording_id=job.recording_id,
        path=job.name,
        status="partial",
        content_hash=source.content_hash,
        file_size=job.size,
        modified_ns=job.modified_ns,
        rate=source.rate,
        channels=source.channels,
        started=source.started,
        recorded_at=None if source.began is None else source.began.time,
        recorded_from=None if source.began is None else source.began.source,
        time_zone=job.time_zone,
        recorder_latitude=source.around.latitude,
        recorder_longitude=source.around.longitude,
        recorder_temperature_int_c=source.around.temperature_int_c,
        recorder_temperature_ext_c=source.around.temperature_ext_c,
        carried=job.carried,
    )


def done_row(event: Ended) -> RecordingRow:
    """A recording that was read to its end."""
    return replace(
        opened_row(event.source),
        status="done",
        n_samples=event.n_samples,
        duration_s=event.n_samples / event.source.rate,
        n_nonfinite=event.n_nonfinite,
        reason=None if event.damage is None else event.damage.partition(":")[0],
        message=event.damage,
        gaps=event.gaps,
        n_windows=event.n_windows,
        ended=datetime.now(UTC),
    )


def failed_row(event: Broken) -> RecordingRow:
    """A recording that gives nothing, and why."""
    return RecordingRow(
        recording_id=event.job.recording_id,
        path=event.job.name,
        status="failed",
        file_size=event.job.size,
        modified_ns=event.job.modified_ns,
        reason=event.reason,
        message=event.message,
        time_zone=event.job.time_zone,
        carried=event.job.carried,
        ended=datetime.now(UTC),
    )
