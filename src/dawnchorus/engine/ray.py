"""`embed` on a Ray cluster: many runs on one store, each of a share of the recordings.

Every worker runs the same pipeline as a single machine and commits by the same rule, so a worker
that is killed loses half a minute: Ray starts its share again, which goes on. Recordings and store
have to lie where all machines see them under the same path.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.engine.embed import EmbedReport, embed
from dawnchorus.engine.encode import DEFAULT_MODEL
from dawnchorus.engine.options import embed_config
from dawnchorus.engine.plan import common_root, find_recordings
from dawnchorus.errors import DawnchorusError, DependencyError, RunInterruptedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.configs import EmbedConfig
    from dawnchorus.engine.report import Progress

SHARES_PER_WORKER: Final = 4  # so that no worker is left alone with the last long recordings
RETRIES: Final = 10  # of a share whose worker was killed


def embed_on_ray(
    recordings: str | Path | Sequence[str | Path],
    *,
    store: str | Path,
    model: str | Path = DEFAULT_MODEL,
    config: EmbedConfig | None = None,
    audio_root: str | Path | None = None,
    address: str | None = None,
    cpus_per_worker: int = 1,
    progress: Progress | None = None,
    **options: Any,  # Any: keywords, checked by EmbedConfig
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
        DawnchorusError: A share failed, or its worker was killed again and again.
        RunInterruptedError: Ctrl-C; what was finished is in the store.
    """
    try:
        import ray as ray_module  # noqa: PLC0415  an extra, and heavy
    except ImportError as missing:
        raise DependencyError("ray", "ray", "embed --engine ray") from missing
    ray: Any = ray_module  # it has types for half of what it does
    config = embed_config(config, options)
    if config.shard:
        raise UsageError("--engine ray makes shares itself; --shard is for job arrays")
    started = time.perf_counter()
    named = [recordings] if isinstance(recordings, str | Path) else list(recordings)
    scan = find_recordings(named)
    arguments = {
        "recordings": [Path(item).absolute() for item in named],
        "store": Path(store).absolute(),
        "model": Path(model).absolute() if Path(model).exists() else model,
        "audio_root": common_root(named if audio_root is None else audio_root),
    }
    own_cluster = not ray.is_initialized()
    if own_cluster:
        try:
            ray.init(address=address, log_to_driver=False, include_dashboard=False)
        except (ConnectionError, ValueError) as error:
            raise UsageError(f"no Ray cluster at {address}: {error}") from error
    try:
        n_workers = max(1, int(ray.cluster_resources().get("CPU", 1)) // cpus_per_worker)
        n_shares = max(1, min(scan.n_recordings, SHARES_PER_WORKER * n_workers))
        share = ray.remote(
            num_cpus=cpus_per_worker,
            num_gpus=1 if config.device.startswith("cuda") else 0,
            max_retries=RETRIES,
        )(_embed_share)
        tasks = [
            share.remote(arguments, config.model_copy(update={"shard": (index, n_shares)}))
            for index in range(n_shares)
        ]
        shown = progress(scan.n_bytes, "embedding") if progress else nullcontext(lambda _n: None)
        with shown as advance:
            reports = _gather(ray, tasks, lambda: advance(scan.n_bytes // n_shares))
    except KeyboardInterrupt as stop:
        raise RunInterruptedError(
            f"stopped: what was finished is in {store}, and the same command goes on from there"
        ) from stop
    finally:
        if own_cluster:
            ray.shutdown()
    return _joined(reports, Path(store), n_workers, time.perf_counter() - started)


def _embed_share(arguments: dict[str, Any], config: EmbedConfig) -> EmbedReport:
    return embed(**arguments, config=config)


def _gather(ray: Any, tasks: list[Any], each: Any) -> list[EmbedReport]:
    reports: list[EmbedReport] = []
    while tasks:
        ended, tasks = ray.wait(tasks)
        try:
            reports += ray.get(ended)
        except ray.exceptions.RayTaskError as error:
            for task in tasks:
                ray.cancel(task)
            if isinstance(error.cause, DawnchorusError):
                raise error.cause from error
            raise
        except ray.exceptions.RayError as error:
            raise DawnchorusError(
                f"a worker was killed {RETRIES + 1} times ({error}); what was finished is in the "
                "store. Is there too little memory? Try a smaller --batch-size"
            ) from error
        each()
    return reports


def _joined(
    reports: Sequence[EmbedReport], store: Path, n_workers: int, elapsed_s: float
) -> EmbedReport:
    def total(name: str) -> Any:
        return sum(getattr(report, name) for report in reports)

    stages = reports[0].seconds
    return EmbedReport(
        model=reports[0].model,
        device=reports[0].device,
        n_found=total("n_found"),
        n_done=total("n_done"),
        n_skipped=total("n_skipped"),
        n_failed=total("n_failed"),
        n_windows=total("n_windows"),
        duration_s=total("duration_s"),
        elapsed_s=elapsed_s,
        seconds={stage: sum(report.seconds[stage] for report in reports) for stage in stages},
        n_workers=n_workers,
        failures=tuple(failure for report in reports for failure in report.failures),
        warnings=tuple(dict.fromkeys(text for report in reports for text in report.warnings)),
        store=store,
    )
