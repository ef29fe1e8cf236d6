"""`embed`: recordings to a store of embeddings, going on where an earlier run was stopped."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dawnchorus.engine.drive import Work, drive
from dawnchorus.engine.encode import (
    DEFAULT_MODEL,
    BatchEncoder,
    model_identity,
    own_choices,
    ready_model,
)
from dawnchorus.engine.header import make_header
from dawnchorus.engine.options import embed_config, read_settings
from dawnchorus.engine.pipeline import Encoded, Event
from dawnchorus.engine.plan import (
    common_root,
    find_recordings,
    in_shard,
)
from dawnchorus.engine.read import Broken, Ended, Job, Skipped, Source, stat_job
from dawnchorus.engine.report import RunReport, Tally
from dawnchorus.engine.select import labels_of, sigmoid
from dawnchorus.engine.workers import batch_size, n_workers
from dawnchorus.errors import RunInterruptedError
from dawnchorus.interrupt import stop_on_signals
from dawnchorus.places import as_place, relative_name
from dawnchorus.store.schema import RecordingRow, recording_id
from dawnchorus.store.write import StoreWriter, WindowRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dawnchorus.configs import EmbedConfig
    from dawnchorus.engine.plan import Scan
    from dawnchorus.engine.report import Progress
    from dawnchorus.models.encoder import Encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedReport(RunReport):
    """What a run of `embed` did, and the store it wrote to."""

    store: Path


def embed(
    recordings: str | Path | Sequence[str | Path],
    *,
    store: str | Path,
    model: str | Path | Encoder = DEFAULT_MODEL,
    config: EmbedConfig | None = None,
    audio_root: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,  # Any: keywords, checked by EmbedConfig
) -> EmbedReport:
    """Embed every window of every recording into a store.

    The same call again goes on: recordings that are in the store are skipped, those that failed
    are tried again. A bad recording never ends the run; it is listed with its reason. Several runs
    may write one store: each recording is done by one of them.

    Args:
        recordings: files and folders; folders are walked. A ``.csv`` is a list of recordings:
            ``path``, ``start_time`` if known, and columns to carry along, such as a site.
        store: folder of the store, made if it is not there.
        model: a model's name, file or folder, or a loaded encoder.
        config: all options at once.
        audio_root: the folder that the store's paths are relative to, where it has moved since.
        progress: called with the number of bytes to read and a label; gives a context manager of a
            function that takes the bytes done.
        options: `EmbedConfig`'s fields, and ``window_s`` and ``hop_s``; they win over ``config``.

    Raises:
        UsageError: An option is wrong, or there is nothing to read.
        WeightsError: The model's outputs cannot be right.
        StoreError: The store is of other settings or damaged, or the disk refuses.
        RunInterruptedError: Ctrl-C or SIGTERM; what was finished is in the store.
    """
    config = embed_config(config, options)
    scan = find_recordings(recordings)
    with ready_model(model, config) as encoder:
        settings = read_settings(encoder, config)
        if config.predict:
            labels_of(encoder)
        pooling, layers = own_choices(encoder, config)
        count = n_workers(encoder, config.workers)
        batches = BatchEncoder(encoder, pooling=pooling, layers=layers, n_workers=count)
        root = common_root(recordings if audio_root is None else audio_root)
        header = make_header(encoder, config, dim=batches.check(settings.window), audio_root=root)
        tally = Tally(scan, encoder.sample_rate)
        with StoreWriter(as_place(store), header) as writer, stop_on_signals() as stop:
            run = _Run(writer, as_place(writer.header.audio_root) if audio_root is None else root)
            jobs = run.plan(scan, config.shard)
            size = batch_size(encoder, config.batch_size)
            encode = batches.vectors_and_logits if config.predict else batches.vectors
            work = Work(jobs, settings, encode, size, count, "embedding")
            seconds = drive(work, tally, run.take, progress=progress, stop=stop)
            run.commit()
        if stop.is_set() and not tally.is_complete:
            raise RunInterruptedError(
                f"stopped: {tally.n_ended} of {scan.n_recordings} recordings done; what was "
                f"finished is in {store}, and the same command goes on from there"
            )
        return EmbedReport(
            **tally.fields([*batches.notes, *_advice(writer, config)]),
            model=encoder.name,
            device=model_identity(encoder).device,
            n_workers=count,
            seconds={**seconds, **batches.seconds, "write": run.write_s},
            store=as_place(store),
        )


def _advice(writer: StoreWriter, config: EmbedConfig) -> list[str]:
    if writer.excludes_others or config.shard:
        return []
    return [
        "this store lies where there are no locks: several runs at once would do the same "
        "recordings (the store shows each once); give each run a --shard of its own"
    ]


@dataclass(slots=True)
class _Run:
    """Takes the events of the pipeline to the store."""

    writer: StoreWriter
    audio_root: Path
    write_s: float = 0.0

    def plan(self, scan: Scan, shard: tuple[int, int] | None) -> Iterator[Job]:
        """A job for every recording of this shard; called by the thread that reads."""
        root = self.audio_root
        for path, carried in scan.entries():
            name = relative_name(path, root)
            identity = recording_id(name)
            if in_shard(identity, shard):
                job = Job(
                    recording_id=identity,
                    path=path,
                    name=name,
                    size=None,
                    modified_ns=None,
                    carried=carried,
                )
                yield self._claimed(stat_job(job))

    def _claimed(self, job: Job) -> Job:
        if not self.writer.claim(job.recording_id):
            return replace(job, skip="another run is doing them")
        return self._left(job) or replace(job, skip="")

    def _left(self, job: Job) -> Job | None:
        """The job as far as it is still to do, None if there is nothing left of it."""
        known = self.writer.known(job.recording_id)
        if known is None or known.status == "failed" or known.file_size != job.size:
            return job
        if known.lost:
            return job
        # web servers need not give a date
        same_date = known.modified_ns == job.modified_ns is not None
        if known.status == "partial":
            first = self.writer.resume(job.recording_id) if same_date else 0
            return replace(job, first_window=first)
        return None if same_date else replace(job, known_hash=known.content_hash)

    def take(self, event: Event) -> None:
        """Store what an event brings."""
        before = time.perf_counter()
        self._write(event)
        self.write_s += time.perf_counter() - before

    def _write(self, event: Event) -> None:
        if isinstance(event, Encoded):
            dim, has_scores = self.writer.header.dim, self.writer.header.labels is not None
            rows = WindowRows(
                window=event.window,
                start_sample=event.start_sample,
                valid_samples=event.valid_samples,
                flags=event.flags,
                vectors=event.values[:, :dim],
                scores=sigmoid(event.values[:, dim:]) if has_scores else None,
            )
            self.writer.add(_opened_row(event.source), rows)
        elif isinstance(event, Ended):
            self.writer.finish(_done_row(event))
        elif isinstance(event, Broken):
            self.writer.fail(_failed_row(event))
        elif isinstance(event, Skipped):
            if not event.why:  # else another run holds it
                self.writer.give_up(event.job.recording_id)
        else:
            self.writer.flush_if_due()

    def commit(self) -> None:
        """Commit what is still in memory."""
        before = time.perf_counter()
        self.writer.flush()
        self.write_s += time.perf_counter() - before


def _opened_row(source: Source) -> RecordingRow:
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
        carried=job.carried,
    )


def _done_row(event: Ended) -> RecordingRow:
    return replace(
        _opened_row(event.source),
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


def _failed_row(event: Broken) -> RecordingRow:
    return RecordingRow(
        recording_id=event.job.recording_id,
        path=event.job.name,
        status="failed",
        file_size=event.job.size,
        modified_ns=event.job.modified_ns,
        reason=event.reason,
        message=event.message,
        carried=event.job.carried,
        ended=datetime.now(UTC),
    )
