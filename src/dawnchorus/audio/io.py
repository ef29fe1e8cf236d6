"""The only decoder: recordings as mono float32 blocks at their own rate.

soundfile reads what libsndfile knows; PyAV, an extra, reads the rest (M4A, AAC, WMA). The content decides
the format, not the file's name.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import soundfile

from dawnchorus.audio.resample import resample
from dawnchorus.errors import AudioError, DependencyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

Channel = Literal["mean"] | int

AUDIO_SUFFIXES: Final = frozenset(
    ".wav .wave .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .w64 .rf64 .caf .au .m4a .aac .mp4 .wma".split()
)
LOWEST_HZ, HIGHEST_HZ = 8_000, 500_000
CLAIM: Final = re.compile(r"^ *(?:RIFF|FORM|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.M)
UNKNOWN_SIZE: Final = 0x7FFF_0000
BLOCK_SAMPLES: Final = 1 << 17  # a channel; 0.5 MB of float32


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingInfo:
    """What a file says of itself.

    Attributes:
        path: the file.
        sample_rate: Hz.
        n_channels: 1 for mono.
        n_samples: per channel as the header claims, None when it does not say; the sound decides.
        container: such as ``WAV``.
        encoding: such as ``PCM_16``.
    """

    path: Path
    sample_rate: int
    n_channels: int
    n_samples: int | None
    container: str
    encoding: str


@dataclass
class Recording:
    """An open file.

    Attributes:
        info: what the file says of itself.
        damage: what is wrong with a file whose sound is read all the same, such as ``truncated: ...``.
        n_nonfinite: samples that were not numbers and became 0, counted while reading.
    """

    info: RecordingInfo
    _chunks: Callable[[int], Iterator[NDArray[np.float32]]]
    _channel: Channel
    damage: str | None = None
    n_nonfinite: int = field(default=0)

    def blocks(self, block_samples: int = BLOCK_SAMPLES) -> Iterator[NDArray[np.float32]]:
        """Mono blocks ``(n,)`` in order, nominally within [-1, 1].

        Raises:
            AudioError: The file breaks off or cannot be decoded further.
        """
        for chunk in self._chunks(block_samples):
            mono = chunk.mean(axis=1) if self._channel == "mean" else chunk[:, self._channel]
            finite = np.isfinite(mono)
            if not finite.all():
                # NaN would spread through the resampler into every later sample
                self.n_nonfinite += int((~finite).sum())
                mono = np.where(finite, mono, 0.0)
            yield np.ascontiguousarray(mono, np.float32)


def read_info(path: str | Path) -> RecordingInfo:
    """What the file says of itself, without decoding it.

    Raises:
        AudioError: As `open_recording`.
    """
    with open_recording(path) as recording:
        return recording.info


@contextmanager
def open_recording(path: str | Path, *, channel: Channel = "mean") -> Iterator[Recording]:
    """Open a recording for reading in blocks.

    Args:
        path: a file in any format that soundfile or PyAV reads.
        channel: ``mean`` of all channels, or the index of one.

    Raises:
        AudioError: The file is missing, empty, not sound, or of a rate outside 8 kHz to 500 kHz;
            ``reason`` is one word for it.
        UsageError: There is no such channel.
        DependencyError: The format needs PyAV.
    """
    path = Path(path)
    _check_file(path)
    try:
        file = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        with _open_with_av(path, error, channel) as recording:
            yield recording
        return
    with file:
        info = RecordingInfo(
            path=path,
            sample_rate=file.samplerate,
            n_channels=file.channels,
            # libsndfile's word for "the header does not say"
            n_samples=file.frames if 0 <= file.frames < 2**62 else None,
            container=file.format,
            encoding=file.subtype,
        )
        _check_info(info, channel)
        yield Recording(
            info,
            lambda size: _soundfile_chunks(file, info, size),
            channel,
            damage=_shortfall(file.extra_info),
        )


def read_audio(
    path: str | Path,
    *,
    start_s: float = 0.0,
    stop_s: float | None = None,
    sample_rate: int | None = None,
    channel: Channel = "mean",
) -> NDArray[np.float32]:
    """Read a clip whole, ``(n,)`` mono; for clips, not for long recordings.

    Args:
        path: the file.
        start_s: where the clip starts, in seconds.
        stop_s: where it stops, None for the end of the file.
        sample_rate: rate to resample to, None for the file's own.
        channel: as in `open_recording`.

    Raises:
        AudioError: The file cannot be read, or holds nothing between start and stop.
    """
    with open_recording(path, channel=channel) as recording:
        rate = recording.info.sample_rate
        start = round(start_s * rate)
        stop = None if stop_s is None else round(stop_s * rate)
        pieces, position = [], 0
        for block in recording.blocks():
            begin, end = max(start - position, 0), len(block)
            if stop is not None:
                end = min(end, stop - position)
            if begin < end:
                pieces.append(block[begin:end])
            position += len(block)
            if stop is not None and position >= stop:
                break
    if not pieces:
        raise AudioError(
            f"{path}: nothing between {start_s:g} s and {stop_s or position / rate:g} s; "
            f"the file holds {position / rate:g} s",
            reason="empty",
        )
    samples = np.concatenate(pieces)
    return samples if sample_rate is None else resample(samples, rate, sample_rate)


def _check_file(path: Path) -> None:
    if not path.exists():
        raise AudioError(f"{path}: no such file", reason="missing")
    if path.is_dir():
        raise AudioError(f"{path}: is a folder, need a file", reason="folder")
    try:
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        raise AudioError(f"{path}: cannot be opened: {error.strerror}", reason="denied") from error
    if size == 0:
        raise AudioError(f"{path}: the file is empty (0 bytes)", reason="empty")


def _check_info(info: RecordingInfo, channel: Channel) -> None:
    if not LOWEST_HZ <= info.sample_rate <= HIGHEST_HZ:
        raise AudioError(
            f"{info.path}: {info.sample_rate} Hz; need {LOWEST_HZ} to {HIGHEST_HZ} Hz",
            reason="rate",
        )
    if channel != "mean" and not 0 <= channel < info.n_channels:
        raise UsageError(
            f"{info.path}: channel {channel} was asked for, the recording has {info.n_channels}, "
            f"counted from 0; use --channel mean for all"
        )
    if info.n_samples == 0:
        raise AudioError(f"{info.path}: a header and no sound", reason="empty")


def _soundfile_chunks(
    file: soundfile.SoundFile, info: RecordingInfo, size: int
) -> Iterator[NDArray[np.float32]]:
    done = 0
    while True:
        try:
            chunk = file.read(size, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioError(
                f"{info.path}: decoding stopped at {done / info.sample_rate:.1f} s: "
                f"{error.error_string}",
                reason="damaged",
            ) from error
        if not len(chunk):
            break
        done += len(chunk)
        yield chunk
    if done == 0:
        raise AudioError(f"{info.path}: a header and no sound", reason="empty")


def _shortfall(parser_log: str) -> str | None:
    """Whether the header promises more than the file holds; libsndfile only notes it in its log."""
    for claimed, there in CLAIM.findall(parser_log):
        # recorders that stream leave 0 or the largest value there: no promise, so nothing is missing
        if int(there) < int(claimed) < UNKNOWN_SIZE:
            return f"truncated: the header claims {claimed} bytes, the file holds {there}"
    return None


@contextmanager
def _open_with_av(
    path: Path, cause: soundfile.LibsndfileError, channel: Channel
) -> Iterator[Recording]:
    try:
        import av  # noqa: PLC0415  an extra
    except ImportError as missing:
        if path.suffix.lower() in {".m4a", ".aac", ".mp4", ".wma"}:
            raise DependencyError("av", "av", f"{path}: reading {path.suffix}") from missing
        raise _not_sound(path, cause) from cause
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise _not_sound(path, cause) from error
    with container:
        if not container.streams.audio:
            raise _not_sound(path, cause)
        stream = container.streams.audio[0]
        n_samples = None
        if stream.duration and stream.time_base:
            n_samples = round(stream.duration * stream.time_base * stream.rate)
        info = RecordingInfo(
            path=path,
            sample_rate=stream.rate,
            n_channels=stream.codec_context.channels,
            n_samples=n_samples,
            container=container.format.name.upper(),
            encoding=stream.codec_context.name.upper(),
        )
        _check_info(info, channel)
        yield Recording(info, lambda _size: _av_chunks(av, container, info), channel)


def _not_sound(path: Path, cause: soundfile.LibsndfileError) -> AudioError:
    return AudioError(
        f"{path}: not a sound file that can be read ({cause.error_string.rstrip('.')}); "
        f"{path.stat().st_size} bytes",
        reason="unreadable",
    )


def _av_chunks(av: Any, container: Any, info: RecordingInfo) -> Iterator[NDArray[np.float32]]:
    planar = av.AudioResampler(format="fltp")
    done = 0
    try:
        for frame in container.decode(audio=0):
            for even in planar.resample(frame):
                chunk = even.to_ndarray().T
                done += len(chunk)
                yield chunk
    except av.FFmpegError as error:
        raise AudioError(
            f"{info.path}: decoding stopped at {done / info.sample_rate:.1f} s: {error}",
            reason="damaged",
        ) from error
    if done == 0:
        raise AudioError(f"{info.path}: a header and no sound", reason="empty")
