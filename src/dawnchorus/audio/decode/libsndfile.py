"""Recordings that libsndfile decodes: WAV, FLAC, MP3, Ogg, AIFF and their like."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

import soundfile

from dawnchorus.audio.decode.mp3_stream import Mp3Stream, missing_bytes
from dawnchorus.audio.decode.recording import OpenedFile, RecordingInfo, not_sound
from dawnchorus.audio.decode.recovery import read_around_damage
from dawnchorus.audio.decode.sequential import read_in_sequence
from dawnchorus.audio.decode.sndfile_header import (
    claimed_samples,
    open_by_size,
    samples_there,
    size_fault,
    truncated,
)
from dawnchorus.audio.decode.sndfile_source import SndfileSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.audio.decode.recording import Chunk
    from dawnchorus.audio.decode.tags import SoundSpan

# Encodings in which a seek lands on the exact sample. Vorbis, Opus, MP3 and ADPCM are decoded from
# the start instead: libsndfile 1.2.2 lands a Vorbis seek on the wrong sample now and then.
EXACT_SEEK: Final = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")
FEW_CHANNELS: Final = 8  # with more of them, a chunk has fewer samples, so memory stays the same


@contextmanager
def open_with_libsndfile(path: Path, span: SoundSpan) -> Iterator[OpenedFile]:
    """Open a recording whose sound lies in a span of the file.

    Raises:
        AudioError: It is not a sound file, or its sizes lie and its samples are compressed.
    """
    if path.suffix.lower() == ".raw":
        raise not_sound(path, "a .raw file has no header to give its rate; convert it to WAV")
    try:
        source = SndfileSource(path, span)
    except soundfile.LibsndfileError as error:
        raise not_sound(path, error.error_string) from error
    with closing(source):
        if source.file.format == "RAW":  # libsndfile's guess from a name such as .au or .vox alone
            raise not_sound(path, "no known header")
        container, damage = source.file.format, None
        fault = size_fault(path, source.file) if source.stream is None else None
        if fault:
            source.close()
            source.file, damage = open_by_size(path, fault)
        info = RecordingInfo(
            path=path,
            sample_rate=source.file.samplerate,
            n_channels=source.file.channels,
            n_samples=_expected_samples(source),
            container=container,
            encoding=source.file.subtype,
        )
        damage = _header_damage(source, info) or damage

        def chunks(n_samples: int, start: int) -> Iterator[Chunk]:
            n_samples = max(1, n_samples * FEW_CHANNELS // max(FEW_CHANNELS, info.n_channels))
            is_exact = info.encoding.startswith(EXACT_SEEK)
            if is_exact and samples_there(source.file) is not None:
                return read_around_damage(source, info, n_samples, start)
            return read_in_sequence(source, info, n_samples, start)

        yield OpenedFile(info, chunks, damage)


def _expected_samples(source: SndfileSource) -> int | None:
    claimed = claimed_samples(source.file)
    if not isinstance(source.stream, Mp3Stream):
        return claimed
    # Without a declared length, libsndfile guesses it from the size of the first frame.
    is_known = source.stream.declared and not source.stream.is_longer_than_declared
    return claimed if is_known else None


def _header_damage(source: SndfileSource, info: RecordingInfo) -> str | None:
    if isinstance(source.stream, Mp3Stream):
        return missing_bytes(source.stream, source.span.n_bytes)
    n_there = source.file.frames
    if info.n_samples is not None and info.n_samples > n_there:
        return truncated(info.n_samples, n_there, info.sample_rate)
    return None
