"""Samples of 24 bits, three bytes each, as floats: what libsndfile takes three times as long for.

The bytes come through libsndfile (``sf_read_raw``), which knows where the samples begin and end.
Four samples are twelve bytes, so every fourth sample lies on a whole number of 32-bit words: read
as such, one byte early, the sample is its upper 24 bits. No byte is moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import soundfile

if TYPE_CHECKING:
    from numpy.typing import NDArray

# in these containers the lowest byte comes first, unless the file says otherwise
LITTLE_ENDIAN: Final = frozenset({"WAV", "WAVEX", "W64", "RF64", "RAW"})
N_BYTES: Final = 3  # of a sample
GROUP: Final = 4  # samples, after which the place in a word repeats
LAST_BIT: Final = np.float32(2.0**-31)  # of the word in which a sample is the upper 24 bits
NOT_OURS: Final = np.int32(~0xFF)  # masks the byte of the sample before


def is_packed(file: soundfile.SoundFile) -> bool:
    """Whether `PackedReader` reads this file."""
    # sf_read_raw is no part of soundfile's interface, so a version of it may lack it
    return (
        file.subtype == "PCM_24"
        and file.format in LITTLE_ENDIAN
        and file.endian != "BIG"
        and hasattr(getattr(soundfile, "_snd", None), "sf_read_raw")
    )


class PackedReader:
    """Reads the samples of one file for which `is_packed` holds; it keeps two buffers."""

    def __init__(self, file: soundfile.SoundFile) -> None:
        """Read from where the file stands."""
        self._file = file
        self._bytes = np.zeros(0, np.uint8)
        self._words = np.zeros(0, np.int32)

    def read(self, n_samples: int) -> NDArray[np.float32]:
        """The next samples ``(n, channels)``, bit for bit as libsndfile gives them.

        Raises:
            soundfile.LibsndfileError: They cannot be read.
        """
        n_channels = self._file.channels
        n_numbers = self._fill(n_samples * n_channels)
        n_groups = -(-n_numbers // GROUP)
        for place in range(GROUP):
            words = np.ndarray(
                (n_groups,), "<i4", self._bytes.data, N_BYTES * place, (N_BYTES * GROUP,)
            )
            np.bitwise_and(words, NOT_OURS, out=self._words[place : n_groups * GROUP : GROUP])
        found = np.multiply(self._words[:n_numbers], LAST_BIT, dtype=np.float32)
        return found.reshape(-1, n_channels)

    def _fill(self, n_numbers: int) -> int:
        """Fill the buffer with so many samples of all channels; returns how many there were."""
        room = n_numbers + GROUP
        if len(self._words) < room:
            # one byte before the first sample, and some behind the last
            self._bytes = np.zeros(1 + N_BYTES * room, np.uint8)
            self._words = np.zeros(room, np.int32)
        target = soundfile._ffi.cast("void *", self._bytes[1:].ctypes.data)
        n_read: int = soundfile._snd.sf_read_raw(
            self._file._file,
            target,
            N_BYTES * n_numbers,
        )
        code: int = self._file._errorcode
        if code:
            raise soundfile.LibsndfileError(code)
        return n_read // N_BYTES
