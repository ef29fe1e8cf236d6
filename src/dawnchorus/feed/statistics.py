"""Mean and standard deviation of the log-mel over training clips: a new model's normalisation.

What EAT calls the norm of a data set, with the released models' filterbank: over every band of each
frame that holds sound, of the clips as training sees them: at most so many seconds of each, from a
random place, before any augmentation. Frames of padding are left out. The standard deviation is
that of the whole population.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow.compute as pc
import torch

from dawnchorus.audio.frontend import FRAME_SAMPLES, SAMPLE_RATE, log_mel
from dawnchorus.clips.manifest import texts
from dawnchorus.clips.parallel import in_threads, one_core_each
from dawnchorus.clips.sounds import FileSounds
from dawnchorus.errors import AudioError, TaskError
from dawnchorus.failures import Failure
from dawnchorus.feed.draws import CLIP, generator
from dawnchorus.progress import NO_PROGRESS, Progress

if TYPE_CHECKING:
    from dawnchorus.clips.manifest import Clip, Manifest

SHOWN: Final = 3  # of clips that cannot be read, in the error


@dataclass(frozen=True, slots=True, kw_only=True)
class InputStatistics:
    """The statistics, and how much sound they are of.

    Attributes:
        mean: of the log-mel, natural logarithm of power.
        std: its standard deviation.
        n_clips: measured.
        n_frames: measured.
        hours: of sound measured.
        failures: clips that could not be read, which are left out.
    """

    mean: float
    std: float
    n_clips: int
    n_frames: int
    hours: float
    failures: tuple[Failure, ...]

    @property
    def config_line(self) -> str:
        """As it stands in a config."""
        return f"normalization: [{self.mean:.3f}, {self.std:.3f}]"


def input_statistics(
    manifest: Manifest,
    *,
    n_clips: int | None = 10_000,
    crop_s: float = 10.0,
    seed: int = 0,
    threads: int = 0,
    progress: Progress = NO_PROGRESS,
) -> InputStatistics:
    """Measure clips of a manifest; choose its training rows first.

    Args:
        manifest: the clips.
        n_clips: so many of them, chosen at random; None: all.
        crop_s: most seconds of each.
        seed: of the choice of clips and of where in them.
        threads: clips read at once; 0: one a core.
        progress: counts each clip that was measured.

    Raises:
        TaskError: No clip can be read.
    """
    rows = np.arange(len(manifest))
    if n_clips is not None and n_clips < len(manifest):
        rows = np.sort(np.random.default_rng(seed).permutation(len(manifest))[:n_clips])
    measure = partial(_sums, manifest, FileSounds(manifest.folder, SAMPLE_RATE), crop_s, seed)
    total = np.zeros(3)
    n_samples, failures = 0, []
    advance = progress.start("measuring", len(rows), "clips")
    with one_core_each():
        for sums in in_threads(measure, rows.tolist(), threads):
            advance(1)
            if isinstance(sums, Failure):
                failures.append(sums)
                continue
            total += sums[:3]
            n_samples += int(sums[3])
    n_values = total[0]
    if not n_values:
        shown = "; ".join(message for message in [failure.message for failure in failures[:SHOWN]])
        raise TaskError(f"{manifest.named}: none of {len(rows)} clips can be read: {shown}")
    # sums of squares in float64: log-mel values are of the order of ten, so nothing cancels
    mean = total[1] / n_values
    bands = log_mel(torch.zeros(1, FRAME_SAMPLES)).shape[2]
    return InputStatistics(
        mean=float(mean),
        std=float(np.sqrt(total[2] / n_values - mean**2)),
        n_clips=len(rows) - len(failures),
        n_frames=round(n_values / bands),
        hours=n_samples / SAMPLE_RATE / 3600,
        failures=tuple(failures),
    )


def of_split(manifest: Manifest, split: str) -> Manifest:
    """Clips of a split; those without one count as training; ``all``: every clip.

    Raises:
        TaskError: There is none.
    """
    names = pc.fill_null(texts(manifest.table["split"]), "train")
    chosen = manifest if split == "all" else manifest.filter(pc.equal(names, split))
    if not len(chosen):
        found = sorted(pc.unique(names).to_pylist())
        raise TaskError(f"{manifest.named}: no clip is in split {split!r}; splits: {found}")
    return chosen


def _sums(
    manifest: Manifest, sounds: FileSounds, crop_s: float, seed: int, row: int
) -> np.ndarray | Failure:
    """Count, sum and sum of squares of a clip's log-mel, and its samples; or why there are none."""
    clip: Clip = manifest[row]
    # by row, not in turn: any number of threads measures the same crops
    along = generator(seed, row, 0, CLIP).random()
    room_s = max(clip.duration_s - crop_s, 0.0) if np.isfinite(clip.stop_s) else 0.0
    start = round((clip.start_s + along * room_s) * SAMPLE_RATE)
    longest_s = crop_s if np.isnan(clip.stop_s) else min(crop_s, clip.duration_s)
    try:
        samples = sounds.read(clip.path, start, max(round(longest_s * SAMPLE_RATE), 1))
    except AudioError as error:
        return Failure(clip.path, error.reason, str(error))
    if len(samples) < FRAME_SAMPLES:
        message = f"{clip.path}: {len(samples)} samples, need {FRAME_SAMPLES} for a frame"
        return Failure(clip.path, "too-short", message)
    values = log_mel(torch.from_numpy(samples)[None]).double()
    return np.array([values.numel(), values.sum(), values.square().sum(), len(samples)])
