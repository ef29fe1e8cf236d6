"""`embed`: recordings to a store of embeddings, continuing where an earlier run was stopped."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from dawnchorus.engine.encoding.embedder import ready_embedder
from dawnchorus.engine.encoding.model import DEFAULT_MODEL, model_identity
from dawnchorus.engine.options import continuing, embed_config
from dawnchorus.engine.pipeline.events import (
    EncodedWindows,
    FailedRecording,
    FinishedRecording,
    RunEvent,
    SkippedRecording,
)
from dawnchorus.engine.pipeline.run import run_recordings
from dawnchorus.engine.recordings.corrections import corrected_row, says_something
from dawnchorus.engine.recordings.find import as_paths, find_recordings, root_of
from dawnchorus.engine.recordings.jobs import RecordingJob, jobs_of, with_file_facts
from dawnchorus.engine.recordings.moved import KnownContent, audio_root_of
from dawnchorus.engine.report import RunReport, Tally
from dawnchorus.engine.store_rows import (
    done_row,
    failed_row,
    make_header,
    opened_row,
    window_rows,
)
from dawnchorus.error_log import log_errors_beside
from dawnchorus.errors import RunInterruptedError
from dawnchorus.interrupt import stop_on_signals
from dawnchorus.paths import as_path
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.store.write import StoreWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Unpack

    from dawnchorus.configs import EmbedConfig, EmbedOptions
    from dawnchorus.engine.recordings.find import Inputs, Scan
    from dawnchorus.models.encoder import Encoder
    from dawnchorus.progress import Progress
    from dawnchorus.store.schema import StoreHeader

ANOTHER_RUN: Final = "another run is doing them"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedReport(RunReport):
    """What a run of `embed` did, and the store it wrote to."""

    store: Path


def embed(
    recordings: Inputs,
    *,
    store: str | Path,
    model: str | Path | Encoder = DEFAULT_MODEL,
    config: EmbedConfig | None = None,
    audio_root: str | Path | None = None,
    progress: Progress = NO_PROGRESS,
    **options: Unpack[EmbedOptions],
) -> EmbedReport:
    """Embed every window of every recording into a store.

    The same call again continues: recordings that are in the store are skipped, those that failed
    are tried again. What a list says now of recordings that are done is brought up to date without
    embedding them again, and recordings that are reached by another path are known by their
    content. A bad recording never ends the run; it is listed with its reason. Several runs may
    write one store: each recording is done by one of them. Without a ``precision`` a
    store is continued in its own, whatever this machine would choose.

    Args:
        recordings: files and folders; folders are walked. A ``.csv`` is a list of recordings:
            ``path``, ``start_time`` if known, and columns to carry along, such as a site.
        store: folder of the store, made if it is not there.
        model: a model's name, file or folder, or a loaded encoder.
        config: all options at once.
        audio_root: the folder that the store's paths are relative to, where it has moved since.
        progress: shows how many bytes of recordings are done.
        options: `EmbedConfig`'s fields, and ``window_s`` and ``hop_s``; they win over ``config``.

    Raises:
        UsageError: An option is wrong, or there is nothing to read.
        WeightsError: The model's outputs cannot be right.
        StoreError: The store is of other settings or damaged, or the disk refuses.
        RunInterruptedError: Ctrl-C or SIGTERM; what was finished is in the store.
    """
    return embed_share(
        recordings,
        store=store,
        model=model,
        config=embed_config(config, options),
        audio_root=audio_root,
        progress=progress,
    )


def embed_share(
    recordings: Inputs,
    *,
    store: str | Path,
    model: str | Path | Encoder,
    config: EmbedConfig,
    audio_root: str | Path | None = None,
    progress: Progress = NO_PROGRESS,
    excluded_ids: frozenset[str] = frozenset(),
) -> EmbedReport:
    """`embed`, but for the recordings of ``excluded_ids``, which another worker embeds."""
    # once: a generator would be empty the second time
    recordings = as_paths(recordings)
    scan = find_recordings(recordings)
    config = continuing(config, as_path(store))
    with ready_embedder(model, config) as embedder, log_errors_beside(store):
        encoder, batches = embedder.encoder, embedder.batches
        header = make_header(embedder, audio_root=root_of(recordings, audio_root))
        tally = Tally(scan, encoder.sample_rate)
        # first the signals: from the moment there is a store, Ctrl-C says what becomes of it
        with stop_on_signals() as stop, StoreWriter(as_path(store), header) as writer:
            # may differ from the header's, where the recordings have moved since
            root = audio_root_of(writer, scan, audio_root)
            known = KnownContent(writer, root.path)
            jobs = JobPlanner(writer, root.path, config, excluded_ids).jobs(scan)
            settings = replace(embedder.settings, why_skip=known.why_skip)
            target = _StoreTarget(writer)
            advance = progress.start("embedding", scan.n_bytes, "bytes")
            seconds = run_recordings(
                replace(embedder, settings=settings),
                jobs,
                tally,
                target.write,
                advance=advance,
                stop=stop,
            )
            target.commit()
        if stop.is_set() and not tally.is_complete:
            raise RunInterruptedError(
                f"stopped: {tally.n_ended} of {scan.n_recordings} recordings done; what was "
                f"finished is in {store}, and the same command continues from there"
            )
        remarks = [
            *batches.notes,
            *_advice(writer, config),
            *filter(None, [root.note]),
        ]
        return EmbedReport(
            **tally.fields(remarks),
            model=encoder.name,
            device=batches.device,
            precision=model_identity(encoder).precision,
            n_workers=batches.n_workers,
            n_readers=settings.n_readers,
            seconds={**seconds, **batches.seconds, "write": target.seconds},
            store=as_path(store),
        )


def make_store(
    recordings: Inputs,
    *,
    store: str | Path,
    model: str | Path | Encoder,
    config: EmbedConfig,
    audio_root: str | Path | None = None,
) -> StoreHeader:
    """Make the store that `embed` would write to, or look at the one that is there.

    Raises:
        StoreError: It has other settings, or cannot be written.
    """
    config = continuing(config, as_path(store))
    with ready_embedder(model, config, workers=1) as embedder:
        header = make_header(embedder, audio_root=root_of(as_paths(recordings), audio_root))
    with StoreWriter(as_path(store), header) as writer:
        return writer.header


def _advice(writer: StoreWriter, config: EmbedConfig) -> list[str]:
    if writer.has_locks or config.shard:
        return []
    return [
        "this store lies where there are no locks: several runs at once would do the same "
        "recordings (the store shows each once); give each run a --shard of its own"
    ]


@dataclass(frozen=True, slots=True)
class JobPlanner:
    """What is still to do for each recording; it claims what it gives out.

    Attributes:
        writer: the open store.
        audio_root: what the recordings' lasting names are relative to.
        config: the run's options.
        excluded_ids: recordings that are not this run's.
    """

    writer: StoreWriter
    audio_root: Path
    config: EmbedConfig
    excluded_ids: frozenset[str] = frozenset()

    def jobs(self, scan: Scan) -> Iterator[RecordingJob]:
        """A job for every recording of this shard; called by the thread that reads."""
        for job in jobs_of(scan, self.audio_root, self.config):
            if job.recording_id not in self.excluded_ids:
                yield self.claimed(with_file_facts(job))

    def claimed(self, job: RecordingJob) -> RecordingJob:
        """The job as far as it is still to do, or one that says why there is nothing to do."""
        # a claim ends with its process, so that the work of a killed run is free again
        if not self.writer.claim(job.recording_id):
            return replace(job, skip=ANOTHER_RUN)
        return self._corrected(self._remaining(job) or replace(job, skip=""))

    def _corrected(self, job: RecordingJob) -> RecordingJob:
        """The job with the new row of a recording that is done and of which a list says more."""
        if not (says_something(job) and (job.skip == "" or job.known_hash)):
            return job
        row = self.writer.catalog.row(job.recording_id)
        return job if row is None else replace(job, corrected=corrected_row(row, job))

    def _remaining(self, job: RecordingJob) -> RecordingJob | None:
        """What the store does not have of a recording; None: it has all."""
        known = self.writer.catalog.get(job.recording_id)
        # another size is another recording, whatever its name
        if known is None or known.status == "failed" or known.file_size != job.size:
            return job
        if known.lacks_parts:
            return job
        # web servers need not give a date, and a date that is missing twice is not the same one
        same_date = known.modified_ns == job.modified_ns is not None
        if known.status == "partial":
            first = self.writer.resume(job.recording_id) if same_date else 0
            return replace(job, first_window=first)
        # copied or touched: the bytes decide, when the file is read for its hash
        return None if same_date else replace(job, known_hash=known.content_hash)


@dataclass(slots=True)
class _StoreTarget:
    """Takes the events of a run to the store."""

    writer: StoreWriter
    seconds: float = 0.0

    def write(self, event: RunEvent) -> None:
        """Store what an event brings."""
        before = time.perf_counter()
        self._write(event)
        self.seconds += time.perf_counter() - before

    def _write(self, event: RunEvent) -> None:
        if isinstance(event, EncodedWindows):
            rows = window_rows(event, self.writer.header)
            self.writer.add(opened_row(event.recording), rows)
        elif isinstance(event, FinishedRecording):
            self.writer.finish(done_row(event))
        elif isinstance(event, FailedRecording):
            self.writer.fail(failed_row(event))
        elif isinstance(event, SkippedRecording):
            if event.is_corrected and event.job.corrected:
                self.writer.update_row(event.job.corrected)
            # what another run has claimed is not ours to give up
            elif event.why != ANOTHER_RUN:
                self.writer.give_up(event.job.recording_id)
        else:  # nothing comes at the moment, which is a good one to commit
            self.writer.flush_if_due()

    def commit(self) -> None:
        """Commit what is still in memory."""
        before = time.perf_counter()
        self.writer.flush()
        self.seconds += time.perf_counter() - before
