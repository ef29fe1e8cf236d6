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
internal          an error that nobody foresaw; its cause is kept
================= =======================================================================

What was recorded is worth having, so the four before the last are errors only where no sound can be
had: WAVs with a wrong size are read by the file's size, a file that breaks off as far as it goes,
and behind damage reading is tried again; the gap is silence, and marked. `Recording.damage` then
begins with the reason. Sound that decodes and still cannot be right is the matter of
`dawnchorus.audio.levels`.

The module is long because foreign decoders are called nowhere else: first what is common, then
libsndfile, then PyAV.
"""

from __future__ import annotations

import io
import os
import re
import stat
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, TypeAlias

import numpy as np
import soundfile

from dawnchorus.audio.decode.messages import overheard
from dawnchorus.audio.decode.mp3 import Mp3Stream
from dawnchorus.audio.decode.ogg import breaks_off
from dawnchorus.audio.decode.tags import SoundSpan, sound_span
from dawnchorus.audio.decode.unexpected import unforeseen
from dawnchorus.audio.decode.wav_header import Span, sound_layout
from dawnchorus.audio.levels import Levels
from dawnchorus.audio.resample import resample
from dawnchorus.audio.windows import to_samples
from dawnchorus.errors import AudioError, DependencyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    _Chunk: TypeAlias = "NDArray[np.float32] | Gap | Remark"

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
_MOST_GAPS: Final = 2000  # of one recording; each costs a few openings of the file
_FEW_REMARKS: Final = 3  # in words; the rest is counted
_FEW_CHANNELS: Final = 8  # of more, a block has fewer samples
_MP3_SLACK: Final = 0.99  # of what an MP3 promises; encoders count a frame more or less
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
        header_damage: the part of `damage` that is known before the sound is read. The rest of it,
            like all of the following, is complete after the last block.
        gaps: spans ``(start, stop)`` of samples that could not be decoded and became 0.
        levels: account of absurd samples, which became 0, and of absurd levels, in the channels
            asked for.
        is_broken: decoding met damage.
    """

    info: RecordingInfo
    _chunks: Callable[[int, int], Iterator[_Chunk]]
    _channel: Channel
    header_damage: str | None = None
    gaps: list[tuple[int, int]] = field(default_factory=list, init=False)
    levels: Levels = field(default_factory=Levels, init=False)
    is_broken: bool = field(default=False, init=False)
    _remarks: list[str] = field(default_factory=list, init=False)
    _n_read: int = field(default=0, init=False)
    _started: bool = field(default=False, init=False)

    @property
    def damage(self) -> str | None:
        """What is wrong with a file whose sound is read all the same.

        Such as ``truncated: ...``; the first word is one of the reasons.
        """
        known = [self.header_damage] if self.header_damage else []
        more = len(self._remarks) - _FEW_REMARKS
        rest = [f"{more} more like these; in all {self._lost_s():.2f} s are lost"] * (more > 0)
        return "; ".join([*known, *self._remarks[:_FEW_REMARKS], *rest]) or None

    @property
    def verdict(self) -> str | None:
        """`damage`, or what its samples say against it, see `dawnchorus.audio.levels`."""
        return self.damage or self.levels.remark(self._n_read)

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
        for chunk in self._contained(block_samples, start_sample):
            if isinstance(chunk, Remark):
                self._remarks.append(chunk.text)
            elif isinstance(chunk, Gap):
                self._note(chunk, position)
                yield from _silence(chunk.n_samples, block_samples)
                position += chunk.n_samples
            else:
                used = chunk if self._channel == "mean" else chunk[:, [self._channel]]
                used = self.levels.checked(used, position)
                mono = _mean_of_channels(used)
                if used.shape[1] > 1:
                    self.levels.averaged(used, mono, position)
                position += len(chunk)
                self._n_read += len(chunk)
                yield mono

    def _contained(self, block_samples: int, start_sample: int) -> Iterator[_Chunk]:
        """Chunks, whose errors are all ours."""
        chunks = self._chunks(block_samples, start_sample)
        while True:
            with unforeseen(self.info.path):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    def _note(self, gap: Gap, position: int) -> None:
        at_s = position / self.info.sample_rate
        damage = f"damaged: at {at_s:.2f} s {gap.n_samples / self.info.sample_rate:.2f} s are lost"
        if not gap.n_samples:
            damage = f"damaged: decoding stopped after {at_s:.2f} s"
        self._remarks.append(f"{damage} ({gap.why})")
        self.is_broken = True
        if gap.n_samples:
            self.gaps.append((position, position + gap.n_samples))

    def _lost_s(self) -> float:
        return sum(stop - start for start, stop in self.gaps) / self.info.sample_rate


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples that cannot be decoded; 0 of them: there is nothing more."""

    n_samples: int
    why: str


@dataclass(frozen=True, slots=True)
class Remark:
    """What reading to the end brought out, though sound came all the time."""

    text: str


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
    with ExitStack() as stack:
        with unforeseen(path):
            span = _sound_of(path)
            demuxer = _demuxer(span.head)
            opened = _open_soundfile(path, span) if demuxer is None else _open_av(path, demuxer)
            info, chunks, damage = stack.enter_context(opened)
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
        samples = _take(recording.blocks(start_sample=start), wanted)
        behind = bool(recording.gaps) and recording.gaps[0][0] - start >= len(samples)
        short = wanted is None or len(samples) < wanted
        if recording.is_broken and not behind and (recording.gaps or short):
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
    except ValueError as error:
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
    RecordingInfo,
    "Callable[[int, int], Iterator[_Chunk]]",
    "str | None",
]


# --- libsndfile -----------------------------------------------------------------------------------


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file in which soundfile does not seek after each read.

    That seek fails for FLAC streams of unknown length and for DWVW, and slows small blocks of MP3.
    """

    def seekable(self) -> bool:
        return False


class _Undecodable(Exception):  # noqa: N818  not an error: reading tries again behind the damage
    """The decoder gave up; after that it gives only errors."""


class _Sound:
    """A recording opened with libsndfile, which errors make useless; `again` opens it anew.

    Attributes:
        raw: what is read in place of the whole file, if tags lie around the sound or it is an MP3.
        said: complaints that the decoder printed, without repetitions.
    """

    def __init__(self, path: Path, span: SoundSpan) -> None:
        self.path, self.span = path, span
        self.said: dict[str, None] = {}
        self.raw = self._raw()
        self._at = 0
        if self.raw is None:
            # as bytes, since soundfile refuses names that are not UTF-8; Windows has only such
            target: Any = path if os.name == "nt" else os.fsencode(path)
        else:
            target = io.BufferedReader(self.raw, _BUFFER)
        try:
            with self._listening():
                self.file = _SequentialFile(target)
        except BaseException:
            self._close_raw()
            raise

    def _raw(self) -> Span | Mp3Stream | None:
        first, n_bytes = self.span.first, self.span.n_bytes
        if self.span.head[0] == 0xFF or self.path.suffix.lower() == ".mp3":
            stream = Mp3Stream(self.path.open("rb"), first, n_bytes)
            if stream.kind is not None:
                return stream
            stream.close()
        if first or n_bytes < self.path.stat().st_size:
            return Span(self.path.open("rb"), first, n_bytes)
        return None

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Only mpg123 talks; listening to it keeps other MP3s waiting."""
        if not isinstance(self.raw, Mp3Stream):
            yield
            return
        with overheard() as said:
            yield
        self.said |= dict.fromkeys(said)

    def again(self) -> _Sound:
        """The same opened once more, from its beginning."""
        return _Sound(self.path, self.span)

    def read(self, size: int) -> NDArray[np.float32]:
        """The next samples ``(n, channels)``; none at the end."""
        with self._decoding(), self._listening():
            chunk: NDArray[np.float32] = self.file.read(size, dtype="float32", always_2d=True)
        if self.raw is not None and self.raw.error is not None:
            raise self.raw.error
        self._at += len(chunk)
        return chunk

    def chunks(self, start: int, stop: int, size: int) -> Iterator[NDArray[np.float32]]:
        """Samples from one position to another, for encodings that seek to the exact sample.

        No decoder sees what lies behind the last sample, such as a tag.
        """
        if start != self._at:
            with self._decoding():
                self._at = self.file.seek(start)
        while self._at < stop and len(chunk := self.read(min(size, stop - self._at))):
            yield chunk

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        try:
            yield
        except soundfile.LibsndfileError as error:
            if error.code == _SYSTEM_ERROR:
                why = f"{self.path}: {error.error_string}"
                raise AudioError(why, reason="input-output") from error
            raise _Undecodable(error.error_string.removeprefix("Error : ").rstrip(".")) from error

    def close(self) -> None:
        self.file.close()
        self._close_raw()

    def _close_raw(self) -> None:
        if self.raw is not None:
            self.raw.close()


@contextmanager
def _open_soundfile(path: Path, span: SoundSpan) -> Iterator[_Opened]:
    if path.suffix.lower() == ".raw":
        raise _not_sound(path, "a .raw file has no header to give its rate; convert it to WAV")
    try:
        sound = _Sound(path, span)
    except soundfile.LibsndfileError as error:
        raise _not_sound(path, error.error_string) from error
    with closing(sound):
        if sound.file.format == "RAW":  # libsndfile's guess from the name alone, for .au and .vox
            raise _not_sound(path, "no known header")
        container = sound.file.format
        miscount = _miscount(path, sound.file) if sound.raw is None else None
        damage = None
        if miscount:
            sound.close()
            sound.file, damage = _open_by_size(path, miscount)
        claimed = _claimed_samples(sound.file)
        if isinstance(sound.raw, Mp3Stream) and (sound.raw.is_longer or not sound.raw.promise):
            claimed = None
        info = RecordingInfo(
            path=path,
            sample_rate=sound.file.samplerate,
            n_channels=sound.file.channels,
            n_samples=claimed,
            container=container,
            encoding=sound.file.subtype,
        )
        if claimed is not None and claimed > sound.file.frames:
            damage = _truncated(claimed, sound.file.frames, sound.file.samplerate)
        if isinstance(sound.raw, Mp3Stream):
            damage = _missing_bytes(sound.raw, span.n_bytes)
        yield info, lambda size, start: _soundfile_chunks(sound, info, size, start), damage


def _truncated(claimed: int, n_there: int, rate: int) -> str:
    return (
        f"truncated: the header claims {claimed / rate:.2f} s, the file holds {n_there / rate:.2f} "
        "s"
    )


def _missing_bytes(stream: Mp3Stream, n_bytes: int) -> str | None:
    """What an MP3's first frame says of the file's size, where that is not so."""
    promised = stream.promise.n_bytes if stream.promise else None
    if promised is None or n_bytes > promised * _MP3_SLACK:
        return None
    return (
        f"truncated: the header promises {promised} bytes, the file holds {n_bytes}, which is "
        f"{n_bytes / promised:.0%} of the sound"
    )


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
    sound: _Sound, info: RecordingInfo, size: int, start: int
) -> Iterator[_Chunk]:
    size = max(1, size * _FEW_CHANNELS // max(_FEW_CHANNELS, info.n_channels))
    exact = info.encoding.startswith(_EXACT_SEEK) and sound.file.frames < _UNKNOWN_FRAMES
    read = _around_damage if exact else _in_sequence
    yield from read(sound, info, size, start)


def _around_damage(sound: _Sound, info: RecordingInfo, size: int, start: int) -> Iterator[_Chunk]:
    """Chunks of a file that is opened anew behind each damage."""
    stop: int = sound.file.frames
    first = position = min(start, stop)
    step, n_gaps = size, 0
    while True:
        why = None
        try:
            for chunk in sound.chunks(position, stop, step):
                position += len(chunk)
                yield chunk
        except _Undecodable as damage:
            why = str(damage)
        finally:
            sound.close()
        if why is None:
            break
        if step > _PROBE_SAMPLES:
            step = _PROBE_SAMPLES  # the block that failed may begin with good samples
        else:
            lost = _damaged_samples(sound, position, stop) if n_gaps < _MOST_GAPS else 0
            if not lost and position == first:
                raise _stopped(info, position, why)
            yield Gap(lost, why if n_gaps < _MOST_GAPS else f"{why}, here as in many places before")
            if not lost:
                return
            position += lost
            step, n_gaps = size, n_gaps + 1
        sound = sound.again()
    if info.container == "FLAC" and first < position < stop:
        yield Gap(0, f"of {stop / info.sample_rate:.2f} s")  # a frame is gone without a trace
        return
    _check_whole(info, position, stop)


def _damaged_samples(sound: _Sound, position: int, stop: int) -> int:
    """How many samples are lost from a position on; 0: nothing behind it can be decoded."""
    lost = _PROBE_SAMPLES
    while position + lost < stop:
        with closing(sound.again()) as probe:
            try:
                if len(next(probe.chunks(position + lost, stop, _PROBE_SAMPLES), ())):
                    return lost
            except _Undecodable:
                lost += max(_PROBE_SAMPLES, lost // 4)
                continue
        break
    return 0


def _in_sequence(sound: _Sound, info: RecordingInfo, size: int, start: int) -> Iterator[_Chunk]:
    """Chunks of an encoding in which a seek may miss: all that is before the start is decoded."""
    position = 0
    try:
        while len(chunk := sound.read(size)):
            position += len(chunk)
            if position > start:
                yield chunk[max(0, start - (position - len(chunk))) :]
    except _Undecodable as damage:
        if not position:
            raise _stopped(info, position, str(damage)) from damage
        yield Gap(0, str(damage))
        return
    if isinstance(sound.raw, Mp3Stream):
        _check_whole(info, position, None)
        yield from _mp3_remarks(sound.raw, list(sound.said))
        return
    known = sound.file.frames if sound.file.frames < _UNKNOWN_FRAMES else None
    if info.container == "OGG" and position:
        yield from _ogg_remarks(info, position, known)
        return
    _check_whole(info, position, known)


def _mp3_remarks(stream: Mp3Stream, said: Sequence[str]) -> Iterator[Remark]:
    """What walking the frames and decoding them brought out."""
    kind, promised = stream.kind, stream.promise.n_frames if stream.promise else None
    if kind is None:
        return
    frame_s = kind.n_samples / kind.rate
    if promised and stream.n_frames < promised * _MP3_SLACK - 1 and not stream.n_holes:
        n_samples = kind.n_samples
        yield Remark(_truncated(promised * n_samples, stream.n_frames * n_samples, kind.rate))
    elif stream.is_cut and not promised:
        yield Remark(
            f"truncated: breaks off inside a frame, after {stream.n_frames * frame_s:.2f} s"
        )
    if stream.n_holes:
        yield Remark(
            f"damaged: {stream.n_lost} bytes in {stream.n_holes} places are no MP3; about "
            f"{stream.lost_s:.2f} s are missing there, and later times are so much too early"
        )
    if said:
        yield Remark(f"damaged: errors of the decoder: {', '.join(said[:3])}")


def _ogg_remarks(info: RecordingInfo, n_read: int, n_there: int | None) -> Iterator[Remark]:
    if n_there is not None and n_read < n_there:
        lost_s = (n_there - n_read) / info.sample_rate
        yield Remark(
            f"damaged: {lost_s:.2f} s of {n_there / info.sample_rate:.2f} s cannot be decoded; "
            "times behind the damage are too early by what was lost before them"
        )
    elif breaks_off(info.path):
        yield Remark("truncated: the last page of the Ogg stream is missing")


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
) -> Iterator[_Chunk]:
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
