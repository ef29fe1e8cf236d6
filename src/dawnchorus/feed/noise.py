"""Noise to add to training clips: pieces of the recordings of a pool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.clips.folders import manifest_of_folder
from dawnchorus.clips.manifest import read_manifest, resolve
from dawnchorus.clips.sounds import FileSounds
from dawnchorus.errors import TaskError
from dawnchorus.paths import as_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Clip, Manifest
    from dawnchorus.clips.sounds import Sounds
    from dawnchorus.configs import DataConfig

TRAINED_ON = ("", "train")  # splits whose clips may be heard in training

TINY_POWER: Final = 1e-8  # keeps silent noise from dividing by zero; the constant of AVES2


@dataclass(frozen=True, slots=True)
class NoisePool:
    """Clips that are noise, each with where its sound is read; empty: nothing is added."""

    clips: tuple[tuple[Clip, Sounds], ...]

    @classmethod
    def of(cls, data: DataConfig, manifest: Manifest, sounds: Sounds) -> NoisePool:
        """The pool that a config names: datasets of the training clips, and one of its own.

        Clips of a validation or test split are never taken.

        Raises:
            TaskError: A pool that is named holds nothing.
        """
        found: list[tuple[Clip, Sounds]] = []
        for dataset in data.noise_sources:
            clips = _longest_of_each_file(manifest.where(dataset=dataset))
            if not clips:
                raise TaskError(f"noise_sources: no training clip is of dataset {dataset!r}")
            found += [(clip, sounds) for clip in clips]
        if data.noise_pool is not None:
            found += _own_pool(resolve(as_path(data.root), data.noise_pool), sounds.sample_rate)
        return cls(tuple(found))

    def piece(self, n_samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """A random piece of a random clip, tiled where the clip is shorter."""
        clip, sounds = self.clips[int(rng.integers(len(self.clips)))]
        rate = sounds.sample_rate
        first, length = round(clip.start_s * rate), round(clip.duration_s * rate)
        # anywhere that the piece fits; a clip that is shorter is repeated
        start = first + int(rng.integers(0, max(length - n_samples, 0) + 1))
        return np.resize(sounds.read(clip.path, start, min(n_samples, length)), n_samples)


def add_noise(
    signal: NDArray[np.float32], noise: NDArray[np.float32], snr_db: float
) -> NDArray[np.float32]:
    """Add noise to a clip at a signal-to-noise ratio, ``(n,)`` both.

    Silence stays silent, and silent noise adds nothing. The sum is not renormalised. In numpy: many
    threads add noise at once, and each of torch's operations would take several more. Source: the
    training code of AVES2.
    """
    # decibels of power
    ratio = 10 ** (snr_db / 10)
    signal_power, noise_power = (float(np.square(part).mean()) for part in (signal, noise))
    scale = np.sqrt(signal_power / (noise_power * ratio + TINY_POWER))
    return signal + np.float32(scale) * noise


def _own_pool(place: Path, sample_rate: int) -> list[tuple[Clip, Sounds]]:
    if PurePosixPath(place.name).suffix == ".parquet":
        manifest = read_manifest(place, ["shard"])
    else:
        manifest = manifest_of_folder(place).manifest
    sounds = FileSounds(manifest.folder, sample_rate)
    clips = _longest_of_each_file(manifest)
    if not clips:
        raise TaskError(f"noise_pool: {place} holds no sound that may be used in training")
    return [(clip, sounds) for clip in clips]


def _longest_of_each_file(clips: Iterable[Clip]) -> list[Clip]:
    """The longest clip of each file, in the order of their paths."""
    longest: dict[str, Clip] = {}
    for clip in clips:
        held = longest.get(clip.path)
        longer = held is None or clip.duration_s > held.duration_s
        if clip.split in TRAINED_ON and longer:
            longest[clip.path] = clip
    return [longest[path] for path in sorted(longest)]
