"""What a run of `embed` or `predict` would be: nothing is written, a few batches are tried."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.windows import n_windows as count_windows
from dawnchorus.engine.detections.classify import ready_classifier
from dawnchorus.engine.detections.from_store import store_among
from dawnchorus.engine.detections.probe_rules import open_probe
from dawnchorus.engine.detections.thresholds import make_rule
from dawnchorus.engine.doctor.finding import OK
from dawnchorus.engine.doctor.scan import examine
from dawnchorus.engine.encoding.embedder import ready_embedder
from dawnchorus.engine.encoding.model import DEFAULT_MODEL, model_identity
from dawnchorus.engine.encoding.workers import one_core_each
from dawnchorus.engine.options import continuing, embed_config
from dawnchorus.engine.pipeline.events import EncodedWindows
from dawnchorus.engine.pipeline.read import StageClock
from dawnchorus.engine.pipeline.stream import run_windows
from dawnchorus.engine.predict import predict_options
from dawnchorus.engine.recordings.find import as_paths, find_recordings, root_of
from dawnchorus.engine.recordings.jobs import jobs_of, with_file_facts
from dawnchorus.engine.store_rows import make_header
from dawnchorus.errors import StoreError, UsageError
from dawnchorus.failures import Failure
from dawnchorus.paths import as_path, is_remote
from dawnchorus.store.read import Store
from dawnchorus.store.schema import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Unpack

    import numpy as np
    from numpy.typing import NDArray

    from dawnchorus.configs import EmbedConfig, EmbedOptions, PredictConfig, PredictOptions
    from dawnchorus.engine.pipeline.read import ReadSettings
    from dawnchorus.engine.pipeline.run import WindowEncoder
    from dawnchorus.engine.recordings.find import Inputs
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
    precision: str
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
    **options: Unpack[EmbedOptions],
) -> DryRun:
    """What `embed` with the same arguments would do.

    Raises:
        UsageError: It would be refused.
        WeightsError: The model's outputs cannot be right.
        StoreError: The store is of other settings.
    """
    path = as_path(store)
    config = continuing(embed_config(config, options), path)
    paths = as_paths(recordings)
    with ready_embedder(model, config) as embedder:
        root = root_of(paths, audio_root)
        header = make_header(embedder, audio_root=root)
        done: frozenset[str] = frozenset()
        if (path / HEADER_NAME).is_file():
            old = Store(path)
            differences = old.header.differences(header)
            if differences:
                raise StoreError(f"{path}: a store of other settings: {'; '.join(differences)}")
            root, done = as_path(audio_root or old.header.audio_root), _done_names(old)
        survey = _Survey(embedder.settings, done)
        survey.look_at(jobs_of(find_recordings(paths), root, config))
        trial = _try_out(survey, embedder)
        vector = header.dim * (2 if config.dtype == "float16" else 4)
        scores = 2 * len(header.labels or ())  # float16
        n_bytes = survey.n_windows * (vector + scores + WINDOW_BYTES)
        return survey.report(embedder.encoder, trial, n_bytes, path)


def predict_dry_run(
    recordings: Inputs,
    *,
    output: str | Path | None = None,
    model: str | Path | Encoder | None = None,
    probe: str | Path | FittedProbe | None = None,
    config: EmbedConfig | None = None,
    selection: PredictConfig | None = None,
    **options: Unpack[PredictOptions],
) -> DryRun:
    """What `predict` with the same arguments would do.

    Raises:
        UsageError: It would be refused, or a store was named: its scores are read in seconds.
        WeightsError: The model's outputs cannot be right.
    """
    opened = None if probe is None else open_probe(probe)
    chosen = predict_options(config, selection, options, opened)
    paths = as_paths(recordings)
    if store_among(paths) is not None:
        raise UsageError("a dry run is for recordings; the scores of a store are there already")
    wanted = chosen.selection.names_unfamiliar
    with ready_classifier(model, opened, chosen.config, name_unfamiliar=wanted) as classifier:
        scored = classifier.scored
        rule, _ = make_rule(chosen.selection, scored.labels, scored.facts)
        root = root_of(paths, chosen.selection.audio_root)
        survey = _Survey(classifier.settings, frozenset())
        survey.look_at(jobs_of(find_recordings(paths), root, chosen.config))
        trial = _try_out(survey, classifier)
        n_rows = sum(len(rule.choose(*classifier.read(batch))[0]) for batch in trial.values)
        n_tried = sum(map(len, trial.values)) or 1
        n_bytes = survey.n_windows * n_rows // n_tried * ROW_BYTES
        return survey.report(classifier.encoder, trial, n_bytes, Path(output or "."))


def _done_names(store: Store) -> frozenset[str]:
    rows = store.recordings().select(["path", "status"]).to_pylist()
    return frozenset(row["path"] for row in rows if row["status"] == "done")


@dataclass(slots=True)
class _Survey:
    """What the headers of the recordings that are still to do say.

    Attributes:
        settings: how recordings are cut into windows.
        done: names of recordings whose results are there already.
        jobs: the first readable recordings, to try out.
    """

    settings: ReadSettings
    done: frozenset[str]
    jobs: list[RecordingJob] = field(default_factory=list)
    n_found: int = 0
    n_there: int = 0
    n_remote: int = 0
    n_windows: int = 0
    duration_s: float = 0.0
    refused: list[Failure] = field(default_factory=list)

    def look_at(self, jobs: Iterable[RecordingJob]) -> None:
        """Look at the header of each recording."""
        for job in jobs:
            self.n_found += 1
            if job.name in self.done:
                self.n_there += 1
            elif is_remote(job.path):
                self.n_remote += 1
            else:
                self._examine(job)

    def _examine(self, job: RecordingJob) -> None:
        finding = examine(job.path, job.name)
        if finding.verdict != OK:
            self.refused.append(Failure(job.name, finding.verdict, finding.message))
        # nothing of it can be read, so it has no windows
        if not finding.duration_s:
            return
        if len(self.jobs) < TRIED_RECORDINGS:
            self.jobs.append(with_file_facts(job))
        # from the header; resampling may add or take one sample
        n_samples = round(finding.duration_s * self.settings.sample_rate)
        self.n_windows += count_windows(n_samples, self.settings.window, self.settings.hop)
        self.duration_s += finding.duration_s

    def report(self, encoder: Encoder, trial: _Trial, n_bytes: int, target: Path) -> DryRun:
        """What the run would be, with the bytes that it would write to ``target``."""
        identity = model_identity(encoder)
        return DryRun(
            model=encoder.name,
            device=identity.device,
            precision=identity.precision,
            n_workers=trial.n_workers,
            n_found=self.n_found,
            n_there=self.n_there,
            refused=tuple(self.refused),
            n_remote=self.n_remote,
            hours=self.duration_s / 3600,
            n_windows=self.n_windows,
            windows_per_s=trial.windows_per_s,
            written_mb=n_bytes / 1e6,
            free_mb=_free_mb(target),
        )


@dataclass(frozen=True, slots=True)
class _Trial:
    """A few batches that were tried: results, and windows a second; None: nothing could be read."""

    values: Sequence[NDArray[np.float32]]
    windows_per_s: float | None
    n_workers: int


def _try_out(
    survey: _Survey, encoder: WindowEncoder, clock: Callable[[], float] = time.monotonic
) -> _Trial:
    """Encode the first batches; the very first does not count, it warms up."""
    n_workers = encoder.batches.n_workers
    stop = threading.Event()
    values: list[NDArray[np.float32]] = []
    started, first, n_after = clock(), None, 0
    with one_core_each(n_workers):
        for event in run_windows(
            survey.jobs,
            encoder.settings,
            encoder.encode,
            batch_size=encoder.batch_size,
            n_workers=n_workers,
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
            if clock() - started > TRIED_S or len(values) >= TRIED_BATCHES * n_workers:
                stop.set()
    if first is None:
        return _Trial(values, None, n_workers)
    # all windows came in the first batch: its time is all there is to go by
    n, seconds = (
        (n_after, clock() - first) if n_after else (sum(map(len, values)), clock() - started)
    )
    return _Trial(values, n / max(seconds, 1e-6), n_workers)


def _free_mb(target: Path) -> float | None:
    """On the disk that a file or folder would lie on, None for object storage."""
    if is_remote(target):
        return None
    # the folder need not exist yet
    above = (target.absolute(), *target.absolute().parents)
    there = next(folder for folder in above if folder.exists())
    return shutil.disk_usage(there).free / 1e6
