"""Decoded sound of a small data set, held in memory as 16-bit samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow.compute as pc

from dawnchorus.clips.parallel import in_threads, n_threads
from dawnchorus.clips.sounds import FileSounds
from dawnchorus.errors import AudioError, UsageError
from dawnchorus.machine import free_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import Literal

    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Manifest
    from dawnchorus.clips.sounds import Sounds

INT16_SCALE: Final = 32767.0
BYTES_A_SAMPLE: Final = 2


class SoundCache:
    """Every file decoded once: an hour at 16 kHz takes 115 MB."""

    def __init__(self, root: Path, sample_rate: int) -> None:
        """``root``: the folder that paths are relative to."""
        self.root = root
        self.sample_rate = sample_rate
        self._sounds: dict[str, NDArray[np.int16]] = {}

    def load(self, paths: Iterable[str], threads: int = 0) -> None:
        """Decode files that are not held yet; a file that cannot be read is an error."""
        missing = [path for path in dict.fromkeys(paths) if path not in self._sounds]
        decoded = in_threads(self._decode, missing, threads)
        self._sounds.update(zip(missing, decoded, strict=True))

    def _decode(self, path: str) -> NDArray[np.int16]:
        samples = FileSounds(self.root, self.sample_rate).read_whole(path)
        # half the memory of float32, with an error of half a step in 65,536
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


def decoded_bytes(manifest: Manifest, sample_rate: int) -> int:
    """What `SoundCache` takes for a manifest's files, as far as its clips reach into them."""
    # a file is decoded to its end; its longest clip is what is known of that
    ends = manifest.table.group_by("path").aggregate([("stop_s", "max")])["stop_s_max"]
    return round((pc.sum(ends).as_py() or 0.0) * sample_rate) * BYTES_A_SAMPLE


def open_sounds(
    manifest: Manifest,
    how: Literal["memory", "files"],
    sample_rate: int,
    *,
    n_processes: int = 1,
    free_bytes: Callable[[], int] = free_memory,
) -> Sounds:
    """Where the clips of a manifest are read: decoded into memory now, or file by file later.

    Args:
        manifest: whose files.
        how: into memory, or from files.
        sample_rate: of the sound that is given out.
        n_processes: processes on this machine, each of which holds all of it.
        free_bytes: the memory that there is.

    Raises:
        UsageError: Into memory, and there is not as much.
        AudioError: Into memory, and a file cannot be read.
    """
    if how == "files":
        return FileSounds(manifest.folder, sample_rate)
    check_memory(manifest, sample_rate, n_processes=n_processes, free=free_bytes())
    sounds = SoundCache(manifest.folder, sample_rate)
    sounds.load(pc.unique(manifest.table["path"]).to_pylist(), n_threads(n_processes=n_processes))
    return sounds


def check_memory(manifest: Manifest, sample_rate: int, *, n_processes: int, free: int) -> None:
    """Refuse to decode into memory what it cannot hold; the system would end the run midway.

    Raises:
        UsageError: It does not fit into ``free`` bytes.
    """
    needed = decoded_bytes(manifest, sample_rate) * n_processes
    if needed > free:
        each = f" in each of {n_processes} processes" if n_processes > 1 else ""
        raise UsageError(
            f"{manifest.named}: its sounds take {needed / 2**20:,.0f} MB decoded into memory{each}"
            f", {free / 2**20:,.0f} MB are free; set data.sounds: files, or pack them with "
            "dawnchorus data pack"
        )
