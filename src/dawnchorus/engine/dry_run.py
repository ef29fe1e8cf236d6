"""What a run of `embed` or `predict` would be: nothing is written, a few batches are tried."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.audio.windows import n_windows as count_windows
from dawnchorus.engine.detections.from_store import store_in
from dawnchorus.engine.detections.naming import classifier_for, model_for, open_probe, windows_for
from dawnchorus.engine.detections.thresholds import make_rule
from dawnchorus.engine.doctor.scan import OK, examine
from dawnchorus.engine.embed import batch_encoder
from dawnchorus.engine.encoding.model import DEFAULT_MODEL, model_identity, ready_model
from dawnchorus.engine.encoding.workers import batch_size, n_workers, one_core_each
from dawnchorus.engine.options import embed_config, read_settings
from dawnchorus.engine.pipeline.events import EncodedWindows
from dawnchorus.engine.pipeline.read import StageClock
from dawnchorus.engine.pipeline.stream import run_windows
from dawnchorus.engine.predict import configs_of
from dawnchorus.engine.recordings.find import as_paths, find_recordings, in_shard, root_of
from dawnchorus.engine.recordings.jobs import job_for, with_file_facts
from dawnchorus.engine.store_rows import make_header
from dawnchorus.errors import StoreError, UsageError
from dawnchorus.failures import Failure
from dawnchorus.paths import as_path, is_remote
from dawnchorus.probes.calibration import sigmoid
from dawnchorus.store.read import Store
from dawnchorus.store.schema import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from dawnchorus.configs import EmbedConfig, PredictConfig
    from dawnchorus.engine.pipeline.read import ReadSettings
    from dawnchorus.engine.pipeline.stream import Encode
    from dawnchorus.engine.recordings.find import Inputs, Scan
    from dawnchorus.engine.recordings.jobs import RecordingJob
    from dawnchorus.models.encoder import Encoder
    from dawnchorus.probes.fitted import FittedProbe

TRIED_S: Final = 10.0  # by the clock, at most
TRIED_BATCHES: Final = 4  # of each worker, at most
TRIED_RECORDINGS: Final = 64
WINDOW_BYTES: Final = 40  # of a stored window without its vector: ids, positions, flags
ROW_BYTES: Final = 160  # of a detection in CSV, the largest of the formats but Raven's


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a run would be.

    Attributes:
        n_found: recordings, of this shard.
        n_there: those whose results are in the store already.
        refused: those that cannot be read, or not to their end, with the reason.
        n_remote: those behind a URL, which were not fetched to look at them.
        hours, n_windows: of sound that would be read.
        seconds: it would take, at the rate of the batches that were tried; None: none could be.
        windows_per_s: that rate.
        written_mb: it would write, about.
        free_mb: on the disk it would be written to; None: it is no disk.
    """

    model: str
    device: str
    n_workers: int
    n_found: int
    n_there: int
    refused: tuple[Failure, ...]
    n_remote: int
    hours: float
    n_windows: int
    windows_per_s: float | None
    written_mb: float
    free_mb: float | None

    @property
    def seconds(self) -> float | None:
        """How long it would take, without loading the model."""
        return None if not self.windows_per_s else self.n_windows / self.windows_per_s

    @property
    def fits(self) -> bool:
        """Whether what would be written has room."""
        return self.free_mb is None or self.written_mb < self.free_mb


def embed_dry_run(
    recordings: Inputs,
    *,
    store: str | Path,
    model: str | Path | Encoder = DEFAULT_MODEL,
    config: EmbedConfig | None = None,
    audio_root: str | Path | None = None,
    **options: Any,  # Any: keywords, checked by EmbedConfig
) -> DryRun:
    """What `embed` with the same arguments would do.

    Raises:
        UsageError: It would be refused.
        WeightsError: The model's outputs cannot be right.
        StoreError: The store is of other settings.
    """
    config, place = embed_config(config, options), as_path(store)
    named = as_paths(recordings)
    with ready_model(model, config) as encoder:
        settings, count = read_settings(encoder, config), n_workers(encoder, config.workers)
        batches = batch_encoder(encoder, config, count)
        root = root_of(named, audio_root)
        header = make_header(encoder, config, dim=batches.check(settings.window), audio_root=root)
        there: frozenset[str] = frozenset()
        if (place / HEADER_NAME).is_file():
            old = Store(place)
            differences = old.header.differences(header)
            if differences:
                raise StoreError(f"{place}: a store of other settings: {'; '.join(differences)}")
            root, there = as_path(audio_root or old.header.audio_root), _done(old)
        encode = batches.vectors_and_logits if config.predict else batches.vectors
        plan = _Plan(find_recordings(named), root, config, settings, there)
        plan.look()
        rate, _ = _tried(plan, encode, batch_size(encoder, config.batch_size), count)
        vector = header.dim * (2 if config.dtype == "float16" else 4)
        scores = 2 * len(header.labels or ())
        n_bytes = plan.n_windows * (vector + scores + WINDOW_BYTES)
        return plan.report(encoder, count, rate, n_bytes, place)


def predict_dry_run(
    recordings: Inputs,
    *,
    output: str | Path | None = None,
    model: str | Path | Encoder | None = None,
    probe: str | Path | FittedProbe | None = None,
    config: EmbedConfig | None = None,
    selection: PredictConfig | None = None,
    **options: Any,  # Any: keywords, checked by EmbedConfig and PredictConfig
) -> DryRun:
    """What `predict` with the same arguments would do.

    Raises:
        UsageError: It would be refused, or a store was named: its scores are read in seconds.
        WeightsError: The model's outputs cannot be right.
    """
    held = None if probe is None else open_probe(probe)
    config, selection, _ = configs_of(config, selection, options, held)
    named = as_paths(recordings)
    if store_in(named) is not None:
        raise UsageError("a dry run is for recordings; the scores of a store are there already")
    config = windows_for(held, config)
    with ready_model(model_for(held, model), config) as encoder:
        settings, count = read_settings(encoder, config), n_workers(encoder, config.workers)
        naming = classifier_for(encoder, held, count)
        rule, _ = make_rule(selection, naming.labels, naming.facts)
        naming.check(settings.window)
        root = root_of(named, selection.audio_root)
        plan = _Plan(find_recordings(named), root, config, settings, frozenset())
        plan.look()
        rate, values = _tried(plan, naming.logits, batch_size(encoder, config.batch_size), count)
        n_rows = sum(len(rule.choose(sigmoid(batch))[0]) for batch in values)
        n_tried = sum(map(len, values)) or 1
        n_bytes = plan.n_windows * n_rows // n_tried * ROW_BYTES
        return plan.report(encoder, count, rate, n_bytes, Path(output or "."))


def _done(store: Store) -> frozenset[str]:
    rows = store.recordings().select(["path", "status"]).to_pylist()
    return frozenset(row["path"] for row in rows if row["status"] == "done")


class _Plan:
    """Looks at the header of every recording that is still to do."""

    def __init__(
        self,
        scan: Scan,
        root: Path,
        config: EmbedConfig,
        settings: ReadSettings,
        there: frozenset[str],
    ) -> None:
        self._scan, self._root, self._config, self.settings = scan, root, config, settings
        self._there = there
        self.jobs: list[RecordingJob] = []  # the first readable ones, to try
        self.n_found = self.n_there = self.n_remote = self.n_windows = 0
        self.duration_s = 0.0
        self.refused: list[Failure] = []

    def look(self) -> None:
        """At all of them."""
        for path, carried in self._scan.entries():
            job = job_for(path, carried, self._root, self._config)
            if not in_shard(job.recording_id, self._config.shard):
                continue
            self.n_found += 1
            if job.name in self._there:
                self.n_there += 1
            elif is_remote(path):
                self.n_remote += 1
            else:
                self._look_at(job)

    def _look_at(self, job: RecordingJob) -> None:
        finding = examine(job.path, job.name)
        if finding.verdict != OK:
            self.refused.append(Failure(job.name, finding.verdict, finding.message))
        if not finding.duration_s:
            return
        if len(self.jobs) < TRIED_RECORDINGS:
            self.jobs.append(with_file_facts(job))
        n_samples = round(finding.duration_s * self.settings.sample_rate)
        self.n_windows += count_windows(n_samples, self.settings.window, self.settings.hop)
        self.duration_s += finding.duration_s

    def report(
        self, encoder: Encoder, count: int, rate: float | None, n_bytes: int, target: Path
    ) -> DryRun:
        """All of it."""
        return DryRun(
            model=encoder.name,
            device=model_identity(encoder).device,
            n_workers=count,
            n_found=self.n_found,
            n_there=self.n_there,
            refused=tuple(self.refused),
            n_remote=self.n_remote,
            hours=self.duration_s / 3600,
            n_windows=self.n_windows,
            windows_per_s=rate,
            written_mb=n_bytes / 1e6,
            free_mb=_free_mb(target),
        )


def _tried(
    plan: _Plan, encode: Encode, size: int, count: int, clock: Callable[[], float] = time.monotonic
) -> tuple[float | None, list[NDArray[np.float32]]]:
    """Windows a second of the first batches, the very first aside, and what they gave."""
    stop, values = threading.Event(), []
    started, first, n_after = clock(), None, 0
    with one_core_each(count):
        for event in run_windows(
            plan.jobs,
            plan.settings,
            encode,
            batch_size=size,
            n_workers=count,
            clock=StageClock(),
            stop=stop,
        ):
            if not isinstance(event, EncodedWindows):
                continue
            values.append(event.values)
            if first is None:
                first = clock()
            else:
                n_after += len(event.window)
            if clock() - started > TRIED_S or len(values) >= TRIED_BATCHES * count:
                stop.set()
    if first is None:
        return None, values
    if not n_after:
        return sum(map(len, values)) / max(clock() - started, 1e-6), values
    return n_after / max(clock() - first, 1e-6), values


def _free_mb(target: Path) -> float | None:
    """On the disk that a file or folder would lie on, None for object storage."""
    if is_remote(target):
        return None
    above = (target.absolute(), *target.absolute().parents)
    there = next(folder for folder in above if folder.exists())
    return shutil.disk_usage(there).free / 1e6
