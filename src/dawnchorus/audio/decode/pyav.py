"""Recordings that FFmpeg decodes, through PyAV: M4A, AAC, WMA, WebM, AMR, as of phones."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.audio.decode.recording import (
    LostSamples,
    OpenedFile,
    RecordingInfo,
    check_complete,
    decoding_stopped,
    not_sound,
)
from dawnchorus.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.audio.decode.recording import Chunk

# An edit list and whole frames make the durations in MP4 that inexact.
DURATION_SLACK_S: Final = 0.1
# FFmpeg's name of a format by its first four bytes: ASF (WMA), EBML (WebM), AMR
MAGIC: Final = {b"\x30\x26\xb2\x75": "asf", b"\x1a\x45\xdf\xa3": "matroska", b"#!AM": "amr"}


def demuxer_for(head: bytes) -> str | None:
    """FFmpeg's name for a format that libsndfile lacks, None for all others.

    Naming it keeps FFmpeg from guessing, which could take a text for a playlist and go to the
    network.
    """
    if head[4:8] == b"ftyp":  # MP4 begins with the size of this box
        return "mov"
    # ADTS: 12 bits of sync, then two of layer that are always 0; in MP3 they never are
    if head[0] == 0xFF and len(head) > 1 and head[1] & 0xF6 == 0xF0:
        return "aac"
    return MAGIC.get(head[:4])


@contextmanager
def open_with_pyav(path: Path, demuxer: str) -> Iterator[OpenedFile]:
    """Open a recording of a format that `demuxer_for` names.

    Raises:
        AudioError: It is not sound.
        DependencyError: PyAV is not installed.
    """
    try:
        import av  # noqa: PLC0415  an extra
    except ImportError as missing:
        raise DependencyError(
            "av", "av", f"{path}: reading M4A, AAC, WMA, WebM or AMR"
        ) from missing
    try:
        container = av.open(str(path), format=demuxer)
    except av.FFmpegError as error:
        raise not_sound(path, error.strerror or str(error)) from error
    with container:
        if not container.streams.audio:
            raise not_sound(path, "a film without sound")
        stream = container.streams.audio[0]
        info = RecordingInfo(
            path=path,
            sample_rate=stream.codec_context.sample_rate,
            n_channels=stream.codec_context.layout.nb_channels,
            n_samples=_stream_samples(stream),
            container=demuxer.upper(),
            encoding=stream.codec_context.name.upper(),
        )
        yield OpenedFile(info, lambda size, start: _chunks(av, container, info, size, start))


def _stream_samples(stream: Any) -> int | None:
    if not stream.duration:
        return None
    n_samples: int = round(stream.duration * stream.time_base * stream.codec_context.sample_rate)
    return n_samples


def _chunks(av: Any, container: Any, info: RecordingInfo, size: int, start: int) -> Iterator[Chunk]:
    """Chunks ``(size, channels)`` and a shorter last one, from sample ``start`` on."""
    to_float, waiting = av.AudioResampler(format="fltp"), av.AudioFifo()
    frames = chain.from_iterable(to_float.resample(frame) for frame in container.decode(audio=0))
    n_read, error = 0, None
    while True:
        wanted = min(max(0, start - n_read), size) or size
        try:
            _decode(frames, info, waiting, wanted)
        except (av.FFmpegError, ValueError) as failure:
            error = failure
        n_there = min(waiting.samples, wanted)
        if n_there:
            chunk = waiting.read(n_there).to_ndarray().T  # (n, channels); a frame is planar
            if n_read >= start:
                yield chunk
            n_read += n_there
        if n_there < wanted:
            break
    if error is None:
        check_complete(info, n_read, _least_samples(info))
    elif n_read <= start:
        raise decoding_stopped(info, n_read, str(error)) from error
    else:
        yield LostSamples(0, str(error))


def _decode(frames: Iterator[Any], info: RecordingInfo, waiting: Any, n_samples: int) -> None:
    """Decode until so many samples wait, or to the end.

    Raises:
        ValueError: The recording changes, and what waits of it is good.
    """
    while waiting.samples < n_samples and (frame := next(frames, None)) is not None:
        if (frame.sample_rate, frame.layout.nb_channels) != (info.sample_rate, info.n_channels):
            raise ValueError("its rate or number of channels changes")
        frame.pts = None  # an edit list makes holes in time, and none in the samples
        waiting.write(frame)


def _least_samples(info: RecordingInfo) -> int | None:
    """Samples that a whole file gives at least; only MP4 counts them, the others estimate."""
    if info.container != "MOV" or not info.n_samples:
        return None
    return info.n_samples - round(DURATION_SLACK_S * info.sample_rate)
