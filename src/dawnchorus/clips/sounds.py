"""Where the sound of clips is read: a stretch of a file at one rate, mono.

Training asks for a `Sounds`. `SoundCache` holds small data sets decoded in memory, `FileSounds`
reads stretches of files, of files behind URLs, and of the members of shards that ``dawnchorus data
pack`` wrote. A member is written as a path such as ``train-000003.tar#1536+182344``: the file, the
first byte in it, and how many there are.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final, Protocol, cast

from dawnchorus.audio.decode.byte_files import ByteSpan
from dawnchorus.audio.decode.flac import read_flac
from dawnchorus.audio.decode.read import read_audio
from dawnchorus.clips.manifest import resolve
from dawnchorus.errors import AudioError
from dawnchorus.paths import fetch_bytes, is_remote, local_copy

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    import numpy as np
    from numpy.typing import NDArray

# shard, "#", first byte, "+", number of bytes; "#" does not occur in names of shards
_MEMBER: Final = re.compile(r"(?P<shard>.+\.tar)#(?P<first>\d+)\+(?P<size>\d+)$")
_BUFFER: Final = 1 << 16


class Sounds(Protocol):
    """Gives stretches of files as mono samples at one rate."""

    sample_rate: int

    def read(self, path: str, start_sample: int, n_samples: int) -> NDArray[np.float32]:
        """Samples ``(n,)`` of a file; fewer where it ends.

        Args:
            path: as in the manifest.
            start_sample: where to start, counted at ``sample_rate``.
            n_samples: how many, at least 1.

        Raises:
            AudioError: It cannot be read there, or ends before ``start_sample``.
        """
        ...


class FileSounds:
    """Reads stretches of files when they are asked for; safe to share between threads.

    Formats that seek to the exact sample (WAV, FLAC, AIFF) are decoded only where they are read,
    others from their beginning. A file behind a URL is fetched whole, a member of a shard alone.
    """

    def __init__(self, folder: Path, sample_rate: int) -> None:
        """``folder``: where relative paths start."""
        self.folder = folder
        self.sample_rate = sample_rate

    def read(self, path: str, start_sample: int, n_samples: int) -> NDArray[np.float32]:
        """As `Sounds.read`; a stretch is resampled as if it were all there is."""
        return self._read(path, start_sample, n_samples)

    def read_whole(self, path: str) -> NDArray[np.float32]:
        """All samples of a file."""
        return self._read(path, 0, None)

    def _read(self, path: str, start_sample: int, n_samples: int | None) -> NDArray[np.float32]:
        member = member_of(path)
        if member is None:
            return self._of_file(resolve(self.folder, path), start_sample, n_samples)
        shard, first, size = member
        with open_member(resolve(self.folder, shard), first, size) as file:
            samples, rate = read_flac(file, path, start_sample=start_sample, n_samples=n_samples)
        if rate == self.sample_rate:
            return samples
        raise AudioError(
            f"{path}: packed at {rate} Hz, need {self.sample_rate} Hz; pack it again",
            reason="rate",
        )

    def _of_file(
        self, place: Path, start_sample: int, n_samples: int | None
    ) -> NDArray[np.float32]:
        rate = self.sample_rate
        # a sample more than is asked for, since other rates do not meet ours evenly
        stop_s = None if n_samples is None else (start_sample + n_samples + 1) / rate
        try:
            with local_copy(place) as file:
                samples = read_audio(
                    file, start_s=start_sample / rate, stop_s=stop_s, sample_rate=rate
                )
        except OSError as error:
            raise AudioError(f"{place}: cannot be fetched: {error}", reason="denied") from error
        return samples[:n_samples]


def member_of(path: str) -> tuple[str, int, int] | None:
    """Shard, first byte and size of a member of a shard; None for a file of its own."""
    found = _MEMBER.fullmatch(path)
    return (found["shard"], int(found["first"]), int(found["size"])) if found else None


def member_path(shard: str, first: int, size: int) -> str:
    """The path of a member of a shard."""
    return f"{shard}#{first}+{size}"


def open_member(shard: Path, first: int, size: int) -> BinaryIO:
    """A member of a shard as a file of its own; behind a URL only its bytes are fetched.

    Raises:
        AudioError: The shard cannot be opened, or is too short.
    """
    try:
        if is_remote(shard):
            return io.BytesIO(fetch_bytes(shard, first, size))
        return cast("BinaryIO", io.BufferedReader(ByteSpan(shard.open("rb"), first, size), _BUFFER))
    except FileNotFoundError as error:
        raise AudioError(f"{shard}: no such shard", reason="missing") from error
    except OSError as error:
        raise AudioError(f"{shard}: cannot be read: {error}", reason="input-output") from error
