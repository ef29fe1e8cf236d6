"""The only decoder: recordings as mono float32 blocks at their own rate.

soundfile reads what libsndfile knows; PyAV, an extra, reads M4A, AAC, WMA, WebM and AMR. The first
bytes decide the format, not the file's name. A recording that cannot be read, or not to its end, is
an `AudioError` whose ``reason`` is one of:

================= =======================================================================
missing           no such file
denied            the file may not be opened, or the disk does not answer
folder            a folder
not-a-file        a pipe or a device
empty             no bytes, or a header and no sound, or nothing in the span asked for
unreadable        not sound, headerless sound, or sound of a kind that no decoder here knows
rate              outside 8 kHz to 500 kHz
input-output      the disk failed while it was read, or gave less than was there before
header-unpatched  sound behind a header that says there is none: the recorder lost power
oversize-riff     more than 4 GiB behind a header that cannot count so far
truncated         the header promises more than the file holds
damaged           decoding stopped in the middle
================= =======================================================================

What was recorded is worth having, so the last four are errors only where no sound can be had: WAVs
with a wrong size are read by the file's size, a file that breaks off as far as it goes, and behind
damage reading is tried again; the gap is silence, and marked. `Recording.damage` then begins with
the reason.

The module is long because foreign decoders are called nowhere else: first what is common, then
libsndfile, then PyAV.
"""

from __future__ import annotations

import io
import os
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal

import numpy as np
import soundfile

from dawnchorus.audio.resample import resample
from dawnchorus.audio.wavsize import Span, sound_layout
from dawnchorus.audio.windows import to_samples
from dawnchorus.errors import AudioError, DependencyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

Channel = Literal["mean"] | int

_SNDFILE_SUFFIXES = "wav wave flac ogg oga opus mp3 aif aiff aifc w64 rf64 caf au"
_AV_SUFFIXES = "m4a aac mp4 wma webm mka amr 3gp"
AUDIO_SUFFIXES: Final = frozenset(
    f".{suffix}" for suffix in f"{_SNDFILE_SUFFIXES} {_AV_SUFFIXES}".split()
)
LOWEST_HZ, HIGHEST_HZ = 1_000, 500_000  # hydrophones for great whales; bat detectors
BLOCK_SAMPLES: Final = 1 << 17  # per channel; 0.5 MB of float32

# Where a seek lands on the exact sample. Vorbis, Opus, MP3 and ADPCM are decoded from the start
# instead: libsndfile 1.2.2 lands a Vorbis seek on the wrong sample now and then.
_EXACT_SEEK: Final = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")
_UNKNOWN_FRAMES: Final = 2**62  # libsndfile's word for "the header does not say" is larger
_SIZE_LIMIT: Final = 2**32  # of the 32-bit sizes in WAV and AIFF
_SIZE_SLACK: Final = 2**20  # bytes of metadata behind the sound that nobody need explain
_HEADER_ROOM: Final = 1024  # bytes that may be header and metadata of a file without sound
_SYSTEM_ERROR: Final = 2  # libsndfile's code for a disk that fails
_PROBE_SAMPLES: Final = 4096  # a block of FLAC, the least that damage takes
_BUFFER: Final = 1 << 18
_AV_SLACK_S: Final = 0.1  # an edit list and whole frames make MP4 durations that inexact


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingInfo:
    """What a file says of itself.

    Attributes:
        path: the file.
        sample_rate: Hz.
        n_channels: 1 for mono.
        n_samples: per channel as the header claims, None when it does not say. MP3, AAC and WMA
            headers only estimate, so count what was read.
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
    """An open file, to be read once.

    Attributes:
        info: what its header says.
        damage: what is wrong with a file whose sound is read all the same, such as
            ``truncated: ...``; the first word is one of the reasons. Complete after the last block.
        gaps: spans ``(start, stop)`` of samples that could not be decoded and became 0.
        n_nonfinite: samples read so far that were NaN or infinite and became 0, in the channels
            asked for; ``nonfinite`` has a span around those of each block.
    """

    info: RecordingInfo
    _chunks: Callable[[int, int], Iterator[NDArray[np.float32] | Gap]]
    _channel: Channel
    damage: str | None = None
    gaps: list[tuple[int, int]] = field(default_factory=list, init=False)
    n_nonfinite: int = field(default=0, init=False)
    nonfinite: list[tuple[int, int]] = field(default_factory=list, init=False)
    _started: bool = field(default=False, init=False)

    def blocks(
        self, block_samples: int = BLOCK_SAMPLES, *, start_sample: int = 0
    ) -> Iterator[NDArray[np.float32]]:
        """Mono blocks ``(n,)`` in order, nominally within [-1, 1]; memory holds one block.

        Args:
            block_samples: longest block.
            start_sample: where to start, in the recording's own samples.

        Raises:
            AudioError: Nothing can be decoded, or the disk fails; what came before is good.
            UsageError: The recording was read before.
        """
        if self._started:
            raise UsageError(f"{self.info.path}: was read already; open it again to read it again")
        self._started = True
        position = start_sample
        for chunk in self._chunks(block_samples, start_sample):
            if isinstance(chunk, Gap):
                self._note(chunk, position)
                yield from _silence(chunk.n_samples, block_samples)
                position += chunk.n_samples
                continue
            used = chunk if self._channel == "mean" else chunk[:, [self._channel]]
            finite = np.isfinite(used)
            if not finite.all():
                # NaN would spread through the resampler into every later sample
                self.n_nonfinite += used.size - int(np.count_nonzero(finite))
                where = np.flatnonzero(~finite.all(axis=1))
                self.nonfinite.append((position + int(where[0]), position + int(where[-1]) + 1))
                used = np.where(finite, used, 0.0)
            position += len(chunk)
            yield _mean_of_channels(used)

    def _note(self, gap: Gap, position: int) -> None:
        at_s = position / self.info.sample_rate
        damage = f"damaged: at {at_s:.2f} s {gap.n_samples / self.info.sample_rate:.2f} s are lost"
        if not gap.n_samples:
            damage = f"damaged: decoding stopped after {at_s:.2f} s"
        damage = f"{damage} ({gap.why})"
        self.damage = damage if self.damage is None else f"{self.damage}; {damage}"
        if gap.n_samples:
            self.gaps.append((position, position + gap.n_samples))


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples that cannot be decoded; 0 of them: there is nothing more."""

    n_samples: int
    why: str


def _silence(n_samples: int, block_samples: int) -> Iterator[NDArray[np.float32]]:
    for start in range(0, n_samples, block_samples):
        yield np.zeros(min(block_samples, n_samples - start), np.float32)


def _mean_of_channels(chunk: NDArray[np.float32]) -> NDArray[np.float32]:
    if chunk.shape[1] == 1:
        return np.ascontiguousarray(chunk[:, 0])
    mono: NDArray[np.float32] = chunk.mean(axis=1, dtype=np.float64).astype(np.float32)
    return mono


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
        channel: ``mean`` of all channels, or the index of one, from 0.

    Raises:
        AudioError: The file cannot be read; ``reason`` is one word of the module's table.
        UsageError: There is no such channel.
        DependencyError: The format needs PyAV.
    """
    path = Path(path)
    demuxer = _demuxer(_first_bytes(path))
    opened = _open_soundfile(path) if demuxer is None else _open_av(path, demuxer)
    with opened as (info, chunks, damage):
        _check_info(info, channel)
        yield Recording(info, chunks, channel, damage)


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
        before = recording.damage
        samples = _take(recording.blocks(start_sample=start), wanted)
        behind = bool(recording.gaps) and recording.gaps[0][0] - start >= len(samples)
        short = wanted is None or len(samples) < wanted
        if recording.damage != before and not behind and (recording.gaps or short):
            raise AudioError(f"{path}: {recording.damage}", reason="damaged")
    if not len(samples):
        end = "its end" if stop_s is None else f"{stop_s:g} s"
        raise AudioError(f"{path}: nothing between {start_s:g} s and {end}", reason="empty")
    return samples if sample_rate is None else resample(samples, rate, sample_rate)


def write_flac(path: Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    """Write a clip ``(n,)`` as 16-bit FLAC, its folder too; what is beyond full scale is clipped.

    Raises:
        AudioError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.clip(samples, -1.0, 1.0), sample_rate, "PCM_16", format="FLAC")
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"{path}: cannot be written: {error}", reason="denied") from error


def encode_flac(samples: NDArray[np.float32], sample_rate: int) -> bytes:
    """A clip ``(n,)`` as a 16-bit FLAC in memory; what is beyond full scale is clipped."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1.0, 1.0), sample_rate, "PCM_16", format="FLAC")
    return file.getvalue()


def read_flac(
    file: BinaryIO, named: str, *, start_sample: int = 0, n_samples: int | None = None
) -> tuple[NDArray[np.float32], int]:
    """Read some samples of a mono FLAC that need not be a file of its own.

    Args:
        file: a seekable stream that holds the FLAC and no more.
        named: what errors call it.
        start_sample: where to start; what lies before is not decoded.
        n_samples: how many to read, None for all; fewer come at the end.

    Returns:
        ``(n,)`` samples and their rate.

    Raises:
        AudioError: It is no such FLAC, is damaged there, or ends before ``start_sample``.
    """
    try:
        with soundfile.SoundFile(file) as sound:
            if sound.format != "FLAC" or sound.channels != 1:
                raise _not_sound(Path(named), "need a FLAC of one channel")
            if start_sample >= sound.frames:
                end_s = sound.frames / sound.samplerate
                raise AudioError(f"{named}: nothing after its end at {end_s:g} s", reason="empty")
            sound.seek(start_sample)
            samples: NDArray[np.float32] = sound.read(
                -1 if n_samples is None else n_samples, dtype="float32"
            )
            return samples, sound.samplerate
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{named}: {error.error_string}", reason="damaged") from error


def _take(blocks: Iterator[NDArray[np.float32]], wanted: int | None) -> NDArray[np.float32]:
    pieces: list[NDArray[np.float32]] = []
    n = 0
    while wanted is None or n < wanted:
        block = next(blocks, None)
        if block is None:
            break
        pieces.append(block)
        n += len(block)
    return np.concatenate([np.zeros(0, np.float32), *pieces])[:wanted]


def _first_bytes(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"{path}: is a folder, need a file", reason="folder")
        if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
            raise AudioError(f"{path}: is a pipe or device, need a file", reason="not-a-file")
        with path.open("rb") as file:
            head = file.read(16)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError(f"{path}: no such file", reason="missing") from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be opened: {error.strerror}", reason="denied") from error
    if not head:
        raise AudioError(f"{path}: the file is empty (0 bytes)", reason="empty")
    return head


def _check_info(info: RecordingInfo, channel: Channel) -> None:
    if not LOWEST_HZ <= info.sample_rate <= HIGHEST_HZ:
        raise AudioError(
            f"{info.path}: sampled at {info.sample_rate} Hz; need {LOWEST_HZ} to {HIGHEST_HZ} Hz",
            reason="rate",
        )
    if channel != "mean" and not 0 <= channel < info.n_channels:
        raise UsageError(
            f"{info.path}: channel {channel} was asked for, the recording has {info.n_channels}, "
            f"counted from 0; use --channel mean for all"
        )
    if info.n_samples == 0:
        raise _no_sound(info)


def _check_whole(info: RecordingInfo, n_read: int, n_there: int | None) -> None:
    if n_read == 0:
        raise _no_sound(info)
    if n_there is not None and n_read < n_there:
        raise AudioError(
            f"{info.path}: breaks off at {n_read / info.sample_rate:.2f} s of "
            f"{n_there / info.sample_rate:.2f} s; was it cut off while it was read?",
            reason="input-output",
        )


def _no_sound(info: RecordingInfo) -> AudioError:
    return AudioError(f"{info.path}: a header and no sound", reason="empty")


def _stopped(info: RecordingInfo, n_read: int, why: str) -> AudioError:
    at_s = n_read / info.sample_rate
    return AudioError(f"{info.path}: decoding stopped after {at_s:.1f} s: {why}", reason="damaged")


# What both decoders give: the header, chunks (block_samples, start_sample), and what is damaged.
_Opened = tuple[
    RecordingInfo, "Callable[[int, int], Iterator[NDArray[np.float32] | Gap]]", str | None
]


# --- libsndfile -----------------------------------------------------------------------------------


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file in which soundfile does not seek after each read.

    That seek fails for FLAC streams of unknown length and for DWVW, and slows small blocks of MP3.
    """

    def seekable(self) -> bool:
        return False


def _sequential(path: Path) -> soundfile.SoundFile:
    # as bytes, since soundfile refuses names that are not UTF-8; Windows has only such names
    return _SequentialFile(path if os.name == "nt" else os.fsencode(path))


@contextmanager
def _open_soundfile(path: Path) -> Iterator[_Opened]:
    if path.suffix.lower() == ".raw":
        raise _not_sound(path, "a .raw file has no header to give its rate; convert it to WAV")
    try:
        file = _sequential(path)
    except soundfile.LibsndfileError as error:
        raise _not_sound(path, error.error_string) from error
    damage = None
    if file.format == "RAW":  # libsndfile's guess from the name alone, for .au and .vox
        file.close()
        raise _not_sound(path, "no known header")
    miscount = _miscount(path, file)
    container = file.format
    if miscount:
        file.close()
        file, damage = _open_by_size(path, miscount)
    with file:
        claimed = _claimed_samples(file)
        info = RecordingInfo(
            path=path,
            sample_rate=file.samplerate,
            n_channels=file.channels,
            n_samples=claimed,
            container=container,
            encoding=file.subtype,
        )
        if claimed is not None and claimed > file.frames:
            damage = (
                f"truncated: the header claims {claimed / file.samplerate:.2f} s, the file holds "
                f"{file.frames / file.samplerate:.2f} s"
            )
        yield info, lambda size, start: _soundfile_chunks(file, info, size, start), damage


def _not_sound(path: Path, why: str) -> AudioError:
    return AudioError(
        f"{path}: not a sound file that can be read: {why.rstrip('.')}", reason="unreadable"
    )


def _miscount(path: Path, file: soundfile.SoundFile) -> str | None:
    """The reason why libsndfile would pass over sound without a word: wrong sizes in the header."""
    outer = re.search(r"^\s*(?:RIFF|FORM|Riff size)\s*: (\d+)", file.extra_info, re.MULTILINE)
    if outer is None:
        return None
    size = path.stat().st_size
    beyond = size - int(outer[1])
    if file.format != "RF64" and size > _SIZE_LIMIT and beyond > _SIZE_SLACK:
        return "oversize-riff"
    if file.frames == 0 and beyond > _HEADER_ROOM:
        return "header-unpatched"
    return None


def _open_by_size(path: Path, reason: str) -> tuple[soundfile.SoundFile, str]:
    """Open a WAV by the file's size, and say so."""
    layout = sound_layout(path)
    said = {
        "oversize-riff": "the header cannot count beyond 4 GiB",
        "header-unpatched": "the header says there is no sound, as when a recorder loses power",
    }[reason]
    size = path.stat().st_size
    if layout is None:
        raise AudioError(
            f"{path}: {said}, but {size} bytes are there, and not as plain samples; repair the "
            "header, or convert the file with a tool that ignores its length",
            reason=reason,
        )
    file = _SequentialFile(
        io.BufferedReader(Span(path.open("rb"), layout.first, layout.n_bytes), _BUFFER),
        samplerate=layout.sample_rate,
        channels=layout.n_channels,
        subtype=layout.subtype,
        format="RAW",
        endian="LITTLE",
    )
    return file, f"{reason}: {said}; read {file.frames / file.samplerate:.2f} s by the file's size"


def _claimed_samples(file: soundfile.SoundFile) -> int | None:
    """Samples per channel that the header claims; libsndfile itself tells only what is there."""
    held: int = file.frames
    if held >= _UNKNOWN_FRAMES:
        return None
    log = file.extra_info
    found = (
        re.search(r"(?:data|SSND|Data Size)\s*: (?P<claim>\d+) \(should be (?P<held>\d+)\)", log)
        or re.search(r"count (?P<held>\d+) does not match .*'ds64' chunk of (?P<claim>\d+)", log)
        or re.search(r"riff : (?P<claim>\d+) \(should be (?P<held>\d+)\)", log)
    )
    if found is None or int(found["held"]) == 0 or _is_placeholder(int(found["claim"])):
        return held
    claimed = held * int(found["claim"]) // int(found["held"])
    # a few bytes too many are a writer's slip, not lost sound
    return claimed if claimed - held > file.samplerate // 100 else held


def _is_placeholder(n_bytes: int) -> bool:
    """Whether a size is what ffmpeg, sox, arecord or GStreamer write when they cannot know it."""
    return 0x7FFF_0000 <= n_bytes <= 0x8000_0100 or 0xFFFF_F000 <= n_bytes <= 0xFFFF_FFFF


def _soundfile_chunks(
    file: soundfile.SoundFile, info: RecordingInfo, size: int, start: int
) -> Iterator[NDArray[np.float32] | Gap]:
    exact = info.encoding.startswith(_EXACT_SEEK) and file.frames < _UNKNOWN_FRAMES
    position = file.seek(min(start, file.frames)) if exact else 0
    skip = 0 if exact else start
    while True:
        try:
            chunk = file.read(size, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            if error.code == _SYSTEM_ERROR:
                why = f"{info.path}: {error.error_string}"
                raise AudioError(why, reason="input-output") from error
            good, lost = _around_damage(info.path, position) if exact else ([], 0)
            if not position and not good:
                raise _stopped(info, position, error.error_string) from error
            yield from good
            yield Gap(lost, error.error_string.removeprefix("Error : ").rstrip("."))
            position += sum(map(len, good)) + lost
            if lost:
                with _sequential(info.path) as rest:  # after an error a decoder gives only errors
                    rest.seek(position)
                    yield from _soundfile_chunks(rest, info, size, position)
            return
        if not len(chunk):
            break
        position += len(chunk)
        if position > skip:
            yield chunk[max(0, skip - (position - len(chunk))) :]
    known = file.frames < _UNKNOWN_FRAMES and not info.encoding.startswith("MPEG")  # that estimates
    _check_whole(info, position, file.frames if known else None)


def _around_damage(path: Path, position: int) -> tuple[list[NDArray[np.float32]], int]:
    """What can be decoded from a position on, and how many samples are lost behind it.

    0 lost: nothing behind it can be decoded.
    """
    good: list[NDArray[np.float32]] = []
    while len(piece := _read_at(path, position)):
        good.append(piece)
        position += len(piece)
    with _sequential(path) as file:
        n_samples = file.frames
    lost = _PROBE_SAMPLES
    while position + lost < n_samples:
        if len(_read_at(path, position + lost)):
            return good, lost
        lost += max(_PROBE_SAMPLES, lost // 4)
    return good, 0


def _read_at(path: Path, position: int) -> NDArray[np.float32]:
    """A few samples from a position on, none if they cannot be decoded."""
    with _sequential(path) as file:
        try:
            file.seek(position)
            piece: NDArray[np.float32] = file.read(_PROBE_SAMPLES, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            return np.zeros((0, file.channels), np.float32)
    return piece


# --- PyAV -----------------------------------------------------------------------------------------


def _demuxer(head: bytes) -> str | None:
    """FFmpeg's name for a format that libsndfile lacks, None for all others.

    Naming it keeps FFmpeg from guessing, which could take a text for a playlist and go to the
    network.
    """
    if head[4:8] == b"ftyp":
        return "mov"
    if head[0] == 0xFF and len(head) > 1 and head[1] & 0xF6 == 0xF0:
        return "aac"
    magic = {b"\x30\x26\xb2\x75": "asf", b"\x1a\x45\xdf\xa3": "matroska", b"#!AM": "amr"}
    return magic.get(head[:4])


@contextmanager
def _open_av(path: Path, demuxer: str) -> Iterator[_Opened]:
    try:
        import av  # noqa: PLC0415  an extra
    except ImportError as missing:
        raise DependencyError(
            "av", "av", f"{path}: reading M4A, AAC, WMA, WebM or AMR"
        ) from missing
    try:
        container = av.open(str(path), format=demuxer)
    except av.FFmpegError as error:
        raise _not_sound(path, error.strerror or str(error)) from error
    with container:
        if not container.streams.audio:
            raise _not_sound(path, "a film without sound")
        stream = container.streams.audio[0]
        info = RecordingInfo(
            path=path,
            sample_rate=stream.codec_context.sample_rate,
            n_channels=stream.codec_context.layout.nb_channels,
            n_samples=_stream_samples(stream),
            container=demuxer.upper(),
            encoding=stream.codec_context.name.upper(),
        )
        yield info, lambda size, start: _av_chunks(av, container, info, size, start), None


def _stream_samples(stream: Any) -> int | None:
    if not stream.duration:
        return None
    n_samples: int = round(stream.duration * stream.time_base * stream.codec_context.sample_rate)
    return n_samples


def _av_chunks(
    av: Any, container: Any, info: RecordingInfo, size: int, start: int
) -> Iterator[NDArray[np.float32] | Gap]:
    position = 0
    held = np.zeros((0, info.n_channels), np.float32)
    to_float = av.AudioResampler(format="fltp")
    frames = chain.from_iterable(to_float.resample(frame) for frame in container.decode(audio=0))
    try:
        for frame in frames:
            piece = frame.to_ndarray().T
            if frame.sample_rate != info.sample_rate or piece.shape[1] != info.n_channels:
                raise ValueError("its rate or number of channels changes")
            position += len(piece)
            # frames hold about 1000 samples; a block of many costs less per sample downstream
            held = np.concatenate([held, piece[max(0, len(piece) - max(0, position - start)) :]])
            while len(held) >= size:
                yield held[:size]
                held = held[size:]
    except (av.FFmpegError, ValueError) as error:
        if position <= start:
            raise _stopped(info, position, str(error)) from error
        if len(held):
            yield held
        yield Gap(0, str(error))
        return
    if len(held):
        yield held
    known = info.container == "MOV" and info.n_samples is not None  # the others only estimate
    slack = round(_AV_SLACK_S * info.sample_rate)
    _check_whole(info, position, info.n_samples - slack if known and info.n_samples else None)
