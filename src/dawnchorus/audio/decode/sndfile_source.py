"""A recording opened with libsndfile, which can be opened again behind damage."""

from __future__ import annotations

import io
import os
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import soundfile

from dawnchorus.audio.decode.byte_files import ByteSpan
from dawnchorus.audio.decode.messages import decoder_messages
from dawnchorus.audio.decode.mp3_stream import Mp3Stream
from dawnchorus.audio.decode.packed_samples import PackedReader, is_packed
from dawnchorus.audio.decode.together import Gate
from dawnchorus.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.audio.decode.tags import SoundSpan

BUFFER_BYTES: Final = 1 << 18  # each read of ours costs a call from C into Python
# encodings that 16 bits hold exactly, with the float of their last bit
SIXTEEN_BITS: Final = {"PCM_16": np.float32(1 / 2**15)}
SYSTEM_ERROR: Final = 2  # SF_ERR_SYSTEM, libsndfile's code for a disk that fails
AGAIN_SAMPLES: Final = 1 << 14  # so long do others wait
MP3_SYNC: Final = 0xFF  # the first byte of a frame


_opening = Gate()


class SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file in which soundfile does not seek after each read.

    That seek fails for FLAC streams of unknown length and for DWVW, and slows small blocks of MP3.
    """

    def seekable(self) -> bool:
        """Never, as far as soundfile knows; `seek` works all the same."""
        return False


class UndecodableError(Exception):
    """The decoder gave up; after that it gives only errors, so the file must be opened again."""


class SndfileSource:
    """A file that libsndfile decodes; an error makes it useless, and `reopened` begins again.

    Attributes:
        stream: what is read in place of the whole file, if there are tags around the sound or it is
            an MP3; None for the file itself.
    """

    def __init__(self, path: Path, span: SoundSpan, *, alone: bool = False) -> None:
        """Open ``path``, whose sound lies in ``span``; ``alone``: while no other MP3 is decoded.

        Raises:
            soundfile.LibsndfileError: It is not a sound file.
            OSError: It cannot be read.
        """
        self.path, self.span = path, span
        self._messages: dict[str, None] = {}
        self._is_alone, self._is_sure = alone, True
        self._at = 0
        self._packed: PackedReader | None = None
        try:
            with _opening.together():
                self._open()
        except soundfile.LibsndfileError:
            # libsndfile keeps the cause of a failed opening once for all threads
            with _opening.alone():
                self._open()

    def _open(self) -> None:
        self.stream = self._stream()
        if self.stream is None:
            # As bytes, since soundfile refuses names that are not UTF-8; Windows has none of them.
            target: Any = self.path if os.name == "nt" else os.fsencode(self.path)
        else:
            target = io.BufferedReader(self.stream, BUFFER_BYTES)
        try:
            with self._listening():
                self.file = SequentialFile(target)
        except BaseException:
            self._close_stream()
            raise

    def _stream(self) -> ByteSpan | Mp3Stream | None:
        first, n_bytes = self.span.first, self.span.n_bytes
        if self.span.head[0] == MP3_SYNC or self.path.suffix.lower() == ".mp3":
            stream = Mp3Stream(self.path.open("rb"), first, n_bytes)
            if stream.first_frame is not None:
                return stream
            stream.close()
        if first or n_bytes < self.path.stat().st_size:
            return ByteSpan(self.path.open("rb"), first, n_bytes)
        return None

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Only mpg123 prints."""
        if not isinstance(self.stream, Mp3Stream):
            yield
            return
        with decoder_messages(alone=self._is_alone) as heard:
            yield
        self._messages |= dict.fromkeys(heard.messages)
        self._is_sure &= heard.is_sure

    def messages(self) -> list[str]:
        """Complaints that the decoder printed so far, without repetitions.

        Where another thread's decoder may have printed some of them, all is decoded again.
        """
        if not self._is_sure:
            with closing(SndfileSource(self.path, self.span, alone=True)) as again:
                with suppress(UndecodableError):
                    while len(again.read(AGAIN_SAMPLES)):
                        pass
                self._messages, self._is_sure = again._messages, True
        return list(self._messages)

    def reopened(self) -> SndfileSource:
        """The same file from its beginning."""
        return SndfileSource(self.path, self.span)

    def read(self, n_samples: int) -> NDArray[np.float32]:
        """The next samples ``(n, channels)``; none at the end.

        Raises:
            UndecodableError: There is damage here.
            AudioError, OSError: The disk failed.
        """
        with self._decoding(), self._listening():
            chunk = self._decoded(n_samples)
        if self.stream is not None and self.stream.error is not None:
            raise self.stream.error
        self._at += len(chunk)
        return chunk

    def _decoded(self, n_samples: int) -> NDArray[np.float32]:
        if self._packed is None and is_packed(self.file):
            self._packed = PackedReader(self.file)
        if self._packed is not None:
            return self._packed.read(n_samples)
        if self.file.subtype not in SIXTEEN_BITS:
            floats: NDArray[np.float32] = self.file.read(n_samples, "float32", always_2d=True)
            return floats
        # libsndfile needs several times as long to make the same floats of integers
        whole = self.file.read(n_samples, dtype="int16", always_2d=True)
        samples: NDArray[np.float32]
        samples = np.multiply(whole, SIXTEEN_BITS[self.file.subtype], dtype=np.float32)
        return samples

    def chunks(self, start: int, stop: int, n_samples: int) -> Iterator[NDArray[np.float32]]:
        """Chunks from one sample to another, for encodings that seek to the exact sample.

        The decoder never sees what lies behind the last sample, such as a tag.
        """
        if start != self._at:
            with self._decoding():
                self._at = self.file.seek(start)
        while self._at < stop and len(chunk := self.read(min(n_samples, stop - self._at))):
            yield chunk

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        try:
            yield
        except soundfile.LibsndfileError as error:
            if error.code == SYSTEM_ERROR:
                text = f"{self.path}: {error.error_string}"
                raise AudioError(text, reason="input-output") from error
            cause = error.error_string.removeprefix("Error : ").rstrip(".")
            raise UndecodableError(cause) from error

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        self._close_stream()

    def _close_stream(self) -> None:
        if self.stream is not None:
            self.stream.close()
