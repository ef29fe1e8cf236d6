"""`embed` on a Ray cluster: many runs on one store, each of a share of the recordings or a span.

Every worker runs the same pipeline as a single machine and commits by the same rule, so a worker
that is killed loses half a minute: Ray starts its share again, which continues. Recordings and
store have to lie where all machines see them under the same path.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.engine.cluster import imported_ray, ray_cluster
from dawnchorus.engine.embed import EmbedReport, JobPlanner, embed_share, make_store
from dawnchorus.engine.encoding.lanes import first_device
from dawnchorus.engine.encoding.model import DEFAULT_MODEL
from dawnchorus.engine.options import continuing, embed_config
from dawnchorus.engine.recordings.find import as_paths, find_recordings
from dawnchorus.engine.recordings.jobs import job_for, with_file_facts
from dawnchorus.engine.recordings.moved import audio_root_of
from dawnchorus.engine.spans import SpanJoiner, embed_span, may_be_long, spans_of
from dawnchorus.errors import RunInterruptedError, UsageError
from dawnchorus.models.load import resolve_device
from dawnchorus.models.precision import resolve_precision
from dawnchorus.paths import absolute, as_path, as_text
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.store.write import StoreWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from dawnchorus.configs import ComputedPrecision, EmbedConfig, EmbedOptions
    from dawnchorus.engine.cluster import Cluster
    from dawnchorus.engine.recordings.find import Inputs, Scan
    from dawnchorus.engine.recordings.jobs import RecordingJob
    from dawnchorus.engine.spans import SpanDone
    from dawnchorus.progress import Progress
    from dawnchorus.store.schema import StoreHeader

SHARES_PER_WORKER: Final = 4  # so that no worker is left alone with the last long recordings
LOST: Final = (
    "what was finished is in the store. Is there too little memory? Try a smaller --batch-size"
)


def embed_on_ray(
    recordings: Inputs,
    *,
    store: str | Path,
    model: str | Path = DEFAULT_MODEL,
    config: EmbedConfig | None = None,
    audio_root: str | Path | None = None,
    address: str | None = None,
    cpus_per_worker: int = 1,
    progress: Progress = NO_PROGRESS,
    **options: Unpack[EmbedOptions],
) -> EmbedReport:
    """Embed recordings on all machines of a cluster; arguments and result as for `embed`.

    Args:
        recordings: as for `embed`.
        store: as for `embed`.
        model: a name, file or folder that every machine can load.
        config: as for `embed`; with a CUDA device each worker takes one GPU.
        audio_root: as for `embed`.
        address: of the cluster, ``auto`` for the one this machine is part of; None: a cluster of
            this machine alone, for this run.
        cpus_per_worker: cores of each worker.
        progress: as for `embed`.
        options: as for `embed`.

    Raises:
        DependencyError: Ray is not installed.
        UsageError: An option is wrong, there is nothing to read, or no cluster answers.
        DawnChorusError: A share failed, or its worker was killed again and again.
        RunInterruptedError: Ctrl-C; what was finished is in the store.
    """
    imported_ray("embed")  # before the recordings are looked for, which may take minutes
    config = embed_config(config, options)
    if config.shard:
        raise UsageError("--engine ray makes shares itself; --shard is for job arrays")
    started = time.perf_counter()
    named = as_paths(recordings)
    scan = find_recordings(named)
    work = {
        "recordings": [as_text(absolute(item)) for item in named],
        "store": as_text(absolute(as_path(store))),
        "model": str(Path(model).absolute()) if Path(model).exists() else str(model),
        "audio_root": None if audio_root is None else as_text(absolute(as_path(audio_root))),
        "config": config,
    }
    try:
        with ray_cluster(address, config.device, cpus_per_worker=cpus_per_worker) as cluster:
            reports, joiners = _embedded(cluster, scan, work, progress)
    except KeyboardInterrupt as stop:
        raise RunInterruptedError(
            f"stopped: what was finished is in {store}, and the same command continues from there"
        ) from stop
    elapsed_s = time.perf_counter() - started
    return _joined(reports, joiners, as_path(store), cluster.n_workers, elapsed_s)


def _embedded(
    cluster: Cluster, scan: Scan, work: dict[str, Any], progress: Progress
) -> tuple[list[EmbedReport], list[SpanJoiner]]:
    """Reports of all shares, and what joined the spans of long recordings."""
    advance = progress.start("embedding", scan.n_bytes, "bytes")
    work = _in_one_precision(cluster, work)
    with ExitStack() as opened:
        joiners = _long_recordings(cluster, scan, work, opened)
        spans = [(joiner, span) for joiner in joiners for span in joiner.spans]
        long_ids = frozenset(joiner.spans[0].recording_id for joiner in joiners)
        n_shares = max(1, min(scan.n_recordings, SHARES_PER_WORKER * cluster.n_workers))
        # spans first: they are the longest
        tasks = {cluster.start(_embed_span, work, span): joiner for joiner, span in spans}
        shares = [cluster.start(_embed_share, work, long_ids, i, n_shares) for i in range(n_shares)]
        # how far a share is nobody knows; each counts the same when it ends
        each = scan.n_bytes // (len(tasks) + n_shares)
        reports = []
        for task, result in cluster.results([*tasks, *shares], lost=LOST):
            if task in tasks:
                tasks[task].join(result)
            else:
                reports.append(result)
            advance(each)
    return reports, joiners


def _in_one_precision(cluster: Cluster, work: dict[str, Any]) -> dict[str, Any]:
    """The work with ``auto`` decided: machines that differ would each begin a store of their own.

    The machine that answers first decides, unless there is a store already.
    """
    config = continuing(work["config"], as_path(work["store"]))
    if config.precision == "auto":
        [(_, precision)] = cluster.results([cluster.start(_precision, config.device)], lost=LOST)
        config = config.model_copy(update={"precision": precision})
    return {**work, "config": config}


def _precision(device: str) -> ComputedPrecision:
    return resolve_precision("auto", resolve_device(first_device(device)))


def _long_recordings(
    cluster: Cluster, scan: Scan, work: dict[str, Any], opened: ExitStack
) -> list[SpanJoiner]:
    """Recordings that are worth several workers, claimed; the store is open while they are done."""
    long = [entry for entry in scan.entries() if may_be_long(entry[0])]
    if not long or cluster.n_workers < 2:
        return []
    [(_, header)] = cluster.results([cluster.start(_make_store, work)], lost=LOST)
    writer = opened.enter_context(StoreWriter(as_path(work["store"]), header))
    root = audio_root_of(writer, scan, work["audio_root"]).path
    planner = JobPlanner(writer, root, work["config"])
    joiners = []
    for path, carried in long:
        job = with_file_facts(job_for(path, carried, root, work["config"]))
        # not claimed yet: what needs no spans is left to a share
        if not spans_of(job, header, cluster.n_workers):
            continue
        spans = spans_of(planner.claimed(job), header, cluster.n_workers)
        if spans:
            joiners.append(SpanJoiner(writer, spans))
        else:  # another run's, or nearly or wholly there: a share sees to it
            writer.give_up(job.recording_id)
    return joiners


def _make_store(work: dict[str, Any]) -> StoreHeader:
    return make_store(**work)


def _embed_span(work: dict[str, Any], span: RecordingJob) -> SpanDone:
    return embed_span(work["store"], work["model"], work["config"], span)


def _embed_share(
    work: dict[str, Any], excluded_ids: frozenset[str], index: int, n_shares: int
) -> EmbedReport:
    config = work["config"].model_copy(update={"shard": (index, n_shares)})
    return embed_share(**{**work, "config": config}, excluded_ids=excluded_ids)


def _joined(
    reports: Sequence[EmbedReport],
    joiners: Sequence[SpanJoiner],
    store: Path,
    n_workers: int,
    elapsed_s: float,
) -> EmbedReport:
    def total(name: str) -> Any:
        return sum(getattr(report, name) for report in reports)

    failed = [joiner.failure for joiner in joiners if joiner.failure]
    done = [joiner.done for joiner in joiners if joiner.done]
    stages = reports[0].seconds
    return EmbedReport(
        model=reports[0].model,
        device=reports[0].device,
        precision=reports[0].precision,
        n_found=total("n_found") + len(joiners),
        n_done=total("n_done") + len(done),
        n_skipped=total("n_skipped"),
        n_corrected=total("n_corrected"),
        n_failed=total("n_failed") + len(failed),
        n_windows=total("n_windows") + sum(joiner.n_windows for joiner in joiners),
        duration_s=total("duration_s") + sum(row.duration_s or 0.0 for row in done),
        elapsed_s=elapsed_s,
        seconds={stage: sum(report.seconds[stage] for report in reports) for stage in stages},
        n_workers=n_workers,
        failures=(*(failure for report in reports for failure in report.failures), *failed),
        warnings=tuple(dict.fromkeys(text for report in reports for text in report.warnings)),
        store=store,
    )
