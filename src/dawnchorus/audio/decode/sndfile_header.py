"""What libsndfile's log of a header shows: lengths that the file does not hold, sizes that lie.

libsndfile itself reports only the samples that are there. The claim of the header stands in the log
that it writes while it opens a file (`SoundFile.extra_info`), so it is read from there.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.decode.byte_files import ByteSpan
from dawnchorus.audio.decode.sndfile_source import BUFFER_BYTES, SequentialFile
from dawnchorus.audio.decode.wav_samples import plain_samples
from dawnchorus.errors import AudioError

if TYPE_CHECKING:
    from pathlib import Path

    import soundfile

UNKNOWN_SAMPLES: Final = 2**62  # libsndfile's "the header does not say" (SF_COUNT_MAX) is larger
SIZE_LIMIT: Final = 2**32  # of the 32-bit sizes in WAV and AIFF
SIZE_SLACK: Final = 2**20  # bytes of metadata behind the sound that need no explanation
HEADER_ROOM: Final = 1024  # bytes that may be header and metadata of a file without sound
SLIP_S: Final = 0.01  # a few bytes too many in a header are a writer's slip, not lost sound

OUTER_SIZE: Final = re.compile(r"^\s*(?:RIFF|FORM|Riff size)\s*: (\d+)", re.MULTILINE)
# bytes or samples claimed and there, as the readers of WAV and AIFF, of RF64 and of W64 log them
CLAIMS: Final = (
    re.compile(r"(?:data|SSND|Data Size)\s*: (?P<claim>\d+) \(should be (?P<there>\d+)\)"),
    re.compile(r"count (?P<there>\d+) does not match .*'ds64' chunk of (?P<claim>\d+)"),
    re.compile(r"riff : (?P<claim>\d+) \(should be (?P<there>\d+)\)"),
)
SIZE_FAULTS: Final = {
    "oversize-riff": "the header cannot count beyond 4 GiB",
    "header-unpatched": "the header says there is no sound, as when a recorder loses power",
}


def size_fault(path: Path, file: soundfile.SoundFile) -> str | None:
    """The reason why libsndfile would pass over sound without a word; None: the sizes are right."""
    outer = OUTER_SIZE.search(file.extra_info)
    if outer is None:
        return None
    size = path.stat().st_size
    n_beyond = size - int(outer[1])
    if file.format != "RF64" and size > SIZE_LIMIT and n_beyond > SIZE_SLACK:
        return "oversize-riff"
    if file.frames == 0 and n_beyond > HEADER_ROOM:
        return "header-unpatched"
    return None


def open_by_size(path: Path, fault: str) -> tuple[soundfile.SoundFile, str]:
    """Open a WAV whose sizes lie by the size of the file; returns what is to be reported too.

    Raises:
        AudioError: Its samples are compressed, so that their number cannot be told from bytes.
    """
    samples = plain_samples(path)
    if samples is None:
        raise AudioError(
            f"{path}: {SIZE_FAULTS[fault]}, but {path.stat().st_size} bytes are there, and not as "
            "plain samples; repair the header, or convert the file with a tool that ignores its "
            "length",
            reason=fault,
        )
    span = ByteSpan(path.open("rb"), samples.first, samples.n_bytes)
    file = SequentialFile(
        io.BufferedReader(span, BUFFER_BYTES),
        samplerate=samples.sample_rate,
        channels=samples.n_channels,
        subtype=samples.encoding,
        format="RAW",
        endian="LITTLE",
    )
    read_s = file.frames / file.samplerate
    return file, f"{fault}: {SIZE_FAULTS[fault]}; read {read_s:.2f} s by the file's size"


def samples_there(file: soundfile.SoundFile) -> int | None:
    """Samples per channel that the file holds, None where only decoding shows it."""
    n_samples: int = file.frames
    return n_samples if n_samples < UNKNOWN_SAMPLES else None


def claimed_samples(file: soundfile.SoundFile) -> int | None:
    """Samples per channel that the header claims, None where it does not say."""
    n_there = samples_there(file)
    if n_there is None:
        return None
    log = file.extra_info
    claim = next((match for pattern in CLAIMS if (match := pattern.search(log))), None)
    if claim is None or int(claim["there"]) == 0 or _is_placeholder(int(claim["claim"])):
        return n_there
    n_claimed = n_there * int(claim["claim"]) // int(claim["there"])
    return n_claimed if n_claimed - n_there > file.samplerate * SLIP_S else n_there


def _is_placeholder(n_bytes: int) -> bool:
    """Whether a size is what ffmpeg, sox, arecord or GStreamer write when they cannot know it."""
    return 0x7FFF_0000 <= n_bytes <= 0x8000_0100 or 0xFFFF_F000 <= n_bytes <= 0xFFFF_FFFF


def truncated(n_claimed: int, n_there: int, sample_rate: int) -> str:
    """The note for a file that holds fewer samples than its header claims."""
    claimed_s, there_s = n_claimed / sample_rate, n_there / sample_rate
    return f"truncated: the header claims {claimed_s:.2f} s, the file holds {there_s:.2f} s"
