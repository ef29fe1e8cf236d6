"""What `embed` writes into a store: its header, and rows of recordings and windows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.resample import RESAMPLER
from dawnchorus.engine.encoding.model import model_identity
from dawnchorus.models.encoder import facts_of
from dawnchorus.paths import stored_name
from dawnchorus.probes.calibration import sigmoid
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.schema import RecordingRow, StoreHeader

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.engine.encoding.embedder import Embedder
    from dawnchorus.engine.pipeline.events import (
        EncodedWindows,
        FailedRecording,
        FinishedRecording,
        OpenedRecording,
    )

# whose versions may change a vector in its last digits
PACKAGES: Final = ("dawnchorus", "torch", "numpy", "soundfile", "soxr", "pyarrow")


def make_header(embedder: Embedder, *, audio_root: Path) -> StoreHeader:
    """The header that a store of this encoder and these options has."""
    model, config, settings = embedder.encoder, embedder.config, embedder.settings
    identity = model_identity(model)
    return StoreHeader(
        model=model.name,
        weights_sha256=identity.weights_sha256,
        labels_sha256=identity.labels_sha256,
        licence=identity.licence,
        sample_rate=settings.sample_rate,
        # back from samples: 0.333 s may not be a whole number of them
        window_s=settings.window / settings.sample_rate,
        hop_s=settings.hop / settings.sample_rate,
        window_samples=settings.window,
        hop_samples=settings.hop,
        channel=settings.channel,
        resampler=RESAMPLER,
        precision=identity.precision,
        backend=identity.backend,
        normalization=facts_of(model).normalization,
        readout=embedder.batches.readout,
        dim=embedder.dim,
        dtype=config.dtype,
        labels=tuple(model.labels or ()) if config.predict else None,
        audio_root=stored_name(audio_root),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={package: version(package) for package in PACKAGES},
    )


def window_rows(event: EncodedWindows, header: StoreHeader) -> WindowRows:
    """Encoded windows; behind the vector their values hold logits, where the store keeps scores."""
    # values are (n, dim) or (n, dim + classes)
    scores = None if header.labels is None else sigmoid(event.values[:, header.dim :])
    return WindowRows(
        window=event.window,
        start_sample=event.start_sample,
        valid_samples=event.valid_samples,
        flags=event.flags,
        vectors=event.values[:, : header.dim],
        scores=scores,
    )


def opened_row(opened: OpenedRecording) -> RecordingRow:
    """A recording that is being read: some of its windows have come."""
    job = opened.job
    return RecordingRow(
        recording_id=job.recording_id,
        path=job.name,
        status="partial",
        content_hash=opened.content_hash,
        file_size=job.size,
        modified_ns=job.modified_ns,
        rate=opened.rate,
        channels=opened.channels,
        started=opened.started,
        recorded_at=None if opened.began is None else opened.began.time,
        recorded_from=None if opened.began is None else opened.began.source,
        time_zone=job.time_zone,
        recorder_latitude=opened.around.latitude,
        recorder_longitude=opened.around.longitude,
        recorder_temperature_int_c=opened.around.temperature_int_c,
        recorder_temperature_ext_c=opened.around.temperature_ext_c,
        carried=job.carried,
    )


def done_row(event: FinishedRecording) -> RecordingRow:
    """A recording that was read to its end."""
    return replace(
        opened_row(event.recording),
        status="done",
        n_samples=event.n_samples,
        duration_s=event.n_samples / event.recording.rate,
        n_nonfinite=event.n_nonfinite,
        reason=event.verdict,
        message=event.damage,
        gaps=event.gaps,
        n_windows=event.n_windows,
        ended=datetime.now(UTC),
    )


def failed_row(event: FailedRecording) -> RecordingRow:
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
