"""Open a recording, or read a clip of it: the door to the decoders.

The first bytes of a file decide its format, not its name. libsndfile reads what it knows; PyAV, an
extra, reads M4A, AAC, WMA, WebM and AMR. See `dawnchorus.audio.decode` for the reasons of errors.
"""

from __future__ import annotations

import stat
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.audio.decode.libsndfile import open_with_libsndfile
from dawnchorus.audio.decode.pyav import demuxer_for, open_with_pyav
from dawnchorus.audio.decode.recording import Channel, Recording, RecordingInfo, no_sound
from dawnchorus.audio.decode.tags import SoundSpan, sound_span
from dawnchorus.audio.decode.unexpected import recording_errors
from dawnchorus.audio.resample import resample
from dawnchorus.audio.windows import to_samples
from dawnchorus.errors import AudioError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# What counts as a recording in a folder. It says nothing of how a file is decoded.
_SNDFILE_SUFFIXES = "wav wave flac ogg oga opus mp3 aif aiff aifc w64 rf64 caf au"
_AV_SUFFIXES = "m4a aac mp4 wma webm mka amr 3gp"
AUDIO_SUFFIXES: Final = frozenset(
    f".{suffix}" for suffix in f"{_SNDFILE_SUFFIXES} {_AV_SUFFIXES}".split()
)
LOWEST_HZ, HIGHEST_HZ = 1_000, 500_000  # hydrophones for great whales; bat detectors


@contextmanager
def open_recording(path: str | Path, *, channel: Channel = "mean") -> Iterator[Recording]:
    """Open a recording for reading in blocks.

    Args:
        path: a file in any format that soundfile or PyAV reads.
        channel: ``mean`` of all channels, or the index of one, from 0.

    Raises:
        AudioError: The file cannot be read; ``reason`` is one word of the package's table.
        UsageError: There is no such channel.
        DependencyError: The format needs PyAV.
    """
    path = Path(path)
    with ExitStack() as stack:
        with recording_errors(path):
            span = _sound_of(path)
            demuxer = demuxer_for(span.head)
            opened = stack.enter_context(
                open_with_libsndfile(path, span)
                if demuxer is None
                else open_with_pyav(path, demuxer)
            )
            _check_info(opened.info, channel)
        yield Recording(opened.info, opened.chunks, channel, opened.damage)


def read_info(path: str | Path) -> RecordingInfo:
    """What the header of a file says, without decoding its sound.

    Raises:
        AudioError: As `open_recording`.
    """
    with open_recording(path) as recording:
        return recording.info


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
        stop_s: where it stops; None or a time past the end: the end of the recording.
        sample_rate: rate to resample to, as if the clip were all there is; None for the file's own.
        channel: as in `open_recording`.

    Raises:
        AudioError: The file cannot be read, is damaged inside the clip, or holds nothing between
            start and stop. Damage behind the clip is not noticed.
        UsageError: Unless ``0 <= start_s < stop_s``.
    """
    if start_s < 0 or (stop_s is not None and stop_s <= start_s):
        raise UsageError(f"{path}: need 0 <= start_s < stop_s, got {start_s} and {stop_s}")
    with open_recording(path, channel=channel) as recording:
        rate = recording.info.sample_rate
        start = to_samples(start_s, rate)
        wanted = None if stop_s is None else to_samples(stop_s, rate) - start
        samples = _first_samples(recording.blocks(start_sample=start), wanted)
        if _is_damaged_inside(recording, start, len(samples), wanted):
            raise AudioError(f"{path}: {recording.damage}", reason="damaged")
    if not len(samples):
        end = "its end" if stop_s is None else f"{stop_s:g} s"
        raise AudioError(f"{path}: nothing between {start_s:g} s and {end}", reason="empty")
    return samples if sample_rate is None else resample(samples, rate, sample_rate)


def _first_samples(
    blocks: Iterator[NDArray[np.float32]], wanted: int | None
) -> NDArray[np.float32]:
    pieces: list[NDArray[np.float32]] = []
    n_samples = 0
    # No block more than needed: the next one may lie in a damaged stretch.
    while wanted is None or n_samples < wanted:
        block = next(blocks, None)
        if block is None:
            break
        pieces.append(block)
        n_samples += len(block)
    return np.concatenate([np.zeros(0, np.float32), *pieces])[:wanted]


def _is_damaged_inside(
    recording: Recording, start: int, n_samples: int, wanted: int | None
) -> bool:
    """Whether damage that was met lies in the clip, not in the rest of its last block."""
    if not recording.has_damaged_sound:
        return False
    if recording.gaps:
        return recording.gaps[0][0] - start < n_samples
    return wanted is None or n_samples < wanted  # decoding stopped, too early for the clip


def _sound_of(path: Path) -> SoundSpan:
    """Where the sound of a file lies between its tags, and its first bytes."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"{path}: is a folder, need a file", reason="folder")
        if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
            raise AudioError(f"{path}: is a pipe or device, need a file", reason="not-a-file")
        span = sound_span(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError(f"{path}: no such file", reason="missing") from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be opened: {error.strerror}", reason="denied") from error
    except ValueError as error:  # a NUL in the name
        raise AudioError(
            f"{path!r}: no file can have this name: {error}", reason="missing"
        ) from error
    if not span.head:
        raise AudioError(f"{path}: the file is empty (0 bytes)", reason="empty")
    return span


def _check_info(info: RecordingInfo, channel: Channel) -> None:
    if not LOWEST_HZ <= info.sample_rate <= HIGHEST_HZ:
        raise AudioError(
            f"{info.path}: sampled at {info.sample_rate} Hz; need {LOWEST_HZ} to {HIGHEST_HZ} Hz",
            reason="rate",
        )
    if channel != "mean" and not 0 <= channel < info.n_channels:
        raise UsageError(
            f"{info.path}: channel {channel} was requested, the recording has {info.n_channels}, "
            f"counted from 0; use --channel mean for all"
        )
    if info.n_samples == 0:
        raise no_sound(info)
