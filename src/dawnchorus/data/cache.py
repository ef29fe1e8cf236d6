"""Decoded sound of a small data set, held in memory as 16-bit samples."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from dawnchorus.data.sounds import FileSounds
from dawnchorus.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Literal

    from numpy.typing import NDArray

    from dawnchorus.data.manifest import Manifest
    from dawnchorus.data.sounds import Sounds

INT16_SCALE = 32767.0


class SoundCache:
    """Every file decoded once: an hour at 16 kHz takes 115 MB."""

    def __init__(self, root: Path, sample_rate: int) -> None:
        """``root``: the folder that paths are relative to."""
        self.root = root
        self.sample_rate = sample_rate
        self._sounds: dict[str, NDArray[np.int16]] = {}

    def load(self, paths: Iterable[str], n_threads: int = 2) -> None:
        """Decode files that are not held yet; a file that cannot be read is an error."""
        missing = [path for path in dict.fromkeys(paths) if path not in self._sounds]
        with ThreadPoolExecutor(n_threads) as pool:
            self._sounds.update(zip(missing, pool.map(self._decode, missing), strict=True))

    def _decode(self, path: str) -> NDArray[np.int16]:
        samples = FileSounds(self.root, self.sample_rate).read_whole(path)
        whole: NDArray[np.int16] = np.rint(np.clip(samples, -1, 1) * INT16_SCALE).astype(np.int16)
        return whole

    def duration_s(self, path: str) -> float:
        """Length of a file that is held."""
        return len(self._sounds[path]) / self.sample_rate

    def read(self, path: str, start_sample: int, n_samples: int) -> NDArray[np.float32]:
        """Samples of a file that is held, float32; fewer at its end.

        Raises:
            AudioError: The file is not held, or ends before ``start_sample``.
        """
        if path not in self._sounds:
            raise AudioError(f"{self.root / path}: was not loaded", reason="missing")
        piece = self._sounds[path][start_sample : start_sample + n_samples]
        if not len(piece):
            raise AudioError(
                f"{path}: nothing after its end at {self.duration_s(path):g} s", reason="empty"
            )
        return piece.astype(np.float32) / np.float32(INT16_SCALE)


def open_sounds(
    manifest: Manifest, how: Literal["memory", "files"], sample_rate: int, n_threads: int = 2
) -> Sounds:
    """Where the clips of a manifest are read: decoded into memory now, or file by file later.

    Raises:
        AudioError: Into memory, and a file cannot be read.
    """
    if how == "files":
        return FileSounds(manifest.folder, sample_rate)
    sounds = SoundCache(manifest.folder, sample_rate)
    sounds.load(pc.unique(manifest.table["path"]).to_pylist(), n_threads)
    return sounds
