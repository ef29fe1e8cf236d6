"""Clips a second that the loader delivers, by 1, 2 and N workers, from FLAC, Opus, MP3 and shards.

The sounds are made by the script: recordings of half a minute, of which crops of 10 s are drawn at
random. Beside the rate stands what Python's lock costs: the rate with sound that need not be read.

    python benchmarks/loader.py --workers 1 2 4
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import soundfile  # noqa: TID251  makes recordings, reads none

from dawnchorus.audio.resample import resample
from dawnchorus.clips.folders import manifest_of_folder
from dawnchorus.clips.manifest import read_manifest
from dawnchorus.clips.parallel import n_threads
from dawnchorus.clips.sounds import FileSounds
from dawnchorus.configs import AugmentConfig, BucketConfig, DataConfig
from dawnchorus.feed.batches import BatchSource
from dawnchorus.feed.loader import Loader
from dawnchorus.feed.shards import pack_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Manifest
    from dawnchorus.clips.sounds import Sounds

RATE: Final = 16_000
LENGTH_S, CROP_S = 30.0, 10.0
BATCH: Final = 32
PLAIN: Final = AugmentConfig(mix={"probability": 0.0}, noise={"probability": 0.0})
KINDS: Final = {  # suffix, rate, format, subtype
    "FLAC 16 kHz": ("flac", RATE, "FLAC", "PCM_16"),
    "FLAC 48 kHz": ("flac", 48_000, "FLAC", "PCM_16"),
    "Opus 48 kHz": ("opus", 48_000, "OGG", "OPUS"),
    "MP3 44.1 kHz": ("mp3", 44_100, "MP3", "MPEG_LAYER_III"),
}


class Nothing:
    """Sound that costs nothing to read."""

    sample_rate = RATE

    def __init__(self) -> None:
        """A second of it is as good as another."""
        self._samples = np.zeros(round(LENGTH_S * RATE), np.float32)

    def read(self, _path: str, _start: int, n_samples: int) -> NDArray[np.float32]:
        """Zeros."""
        return self._samples[:n_samples]


def make(folder: Path, n_files: int, kind: tuple[str, int, str, str]) -> Manifest:
    """Write recordings of one kind: noise with chirps, so that codecs have something to do."""
    suffix, rate, container, subtype = kind
    folder.mkdir(parents=True)
    for number in range(n_files):
        rng = np.random.default_rng(number)
        time_s = np.arange(round(LENGTH_S * RATE)) / RATE
        tone = 0.2 * np.sin(2 * np.pi * (1000 + 150 * time_s) * time_s)
        samples = (tone + 0.02 * rng.standard_normal(len(time_s))).astype(np.float32)
        other = resample(samples, RATE, rate)
        path = folder / f"{number}.{suffix}"
        soundfile.write(path, other, rate, format=container, subtype=subtype)
    return manifest_of_folder(folder, label_from="none").manifest


def rate_of(manifest: Manifest, sounds: Sounds, workers: int, n_batches: int) -> float:
    """Clips a second."""
    source = BatchSource(
        manifest,
        sounds,
        [],
        data=DataConfig(root=str(manifest.folder)),
        buckets=[BucketConfig(crop_s=CROP_S, batch_size=BATCH)],
        augment=PLAIN,
        seed=0,
    )
    with Loader(source, workers=workers) as loader:
        # as many as are drawn ahead must not count as delivered at once
        for step in range(loader.ahead + 1):
            loader.draw(step)
        started = time.perf_counter()
        for step in range(loader.ahead + 1, loader.ahead + 1 + n_batches):
            loader.draw(step)
        return n_batches * BATCH / (time.perf_counter() - started)


def cases(folder: Path, n_files: int) -> Iterator[tuple[str, Manifest, Sounds]]:
    """Every kind of sound."""
    manifest = None
    for name, kind in KINDS.items():
        manifest = make(folder / name.replace(" ", "_"), n_files, kind)
        yield name, manifest, FileSounds(manifest.folder, RATE)
        if kind[0] == "mp3":
            packed = read_manifest(pack_manifest(manifest, folder / "shards").index, ["shard"])
            yield "shards of it", packed, FileSounds(packed.folder, RATE)
    if manifest is not None:
        yield "(nothing to read)", manifest, Nothing()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=24)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, n_threads()])
    options = parser.parse_args()
    workers = sorted(set(options.workers))
    print(f"crops of {CROP_S:g} s from {LENGTH_S:g} s, {n_threads()} cores")
    print("clips a second by workers")
    print(f"{'':20}" + "".join(f"{n:>10}" for n in workers))
    with tempfile.TemporaryDirectory() as folder:
        for name, manifest, sounds in cases(Path(folder), options.files):
            rates = [rate_of(manifest, sounds, n, options.batches) for n in workers]
            print(f"{name:20}" + "".join(f"{rate:10.0f}" for rate in rates), flush=True)


if __name__ == "__main__":
    main()
