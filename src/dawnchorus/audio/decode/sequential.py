"""Reading from the first sample on, where a seek may miss: MP3, Vorbis, Opus, ADPCM.

All that lies before the start is decoded and dropped. A damaged stretch leaves no silence here: the
decoder skips it, and what follows comes too early. Only the end shows what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dawnchorus.audio.decode.mp3_stream import Mp3Stream, mp3_faults
from dawnchorus.audio.decode.ogg import breaks_off
from dawnchorus.audio.decode.recording import (
    DamageNote,
    LostSamples,
    check_complete,
    decoding_stopped,
)
from dawnchorus.audio.decode.sndfile_header import samples_there
from dawnchorus.audio.decode.sndfile_source import UndecodableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dawnchorus.audio.decode.recording import Chunk, RecordingInfo
    from dawnchorus.audio.decode.sndfile_source import SndfileSource


def read_in_sequence(
    source: SndfileSource, info: RecordingInfo, n_samples: int, start: int
) -> Iterator[Chunk]:
    """Chunks of ``n_samples`` at most, from a sample on, then what the end shows to be wrong.

    Raises:
        AudioError: Nothing can be decoded, or the file ends before the length of its header.
    """
    position = 0
    try:
        while len(chunk := source.read(n_samples)):
            position += len(chunk)
            if position > start:
                yield chunk[max(0, start - (position - len(chunk))) :]
    except UndecodableError as damage:
        if not position:
            raise decoding_stopped(info, position, str(damage)) from damage
        yield LostSamples(0, str(damage))
        return
    n_there = samples_there(source.file)
    if isinstance(source.stream, Mp3Stream):
        check_complete(info, position, None)  # its length is an estimate
        notes = [*mp3_faults(source.stream), *_complaints(source)]
    elif info.container == "OGG" and position:
        notes = _ogg_faults(info, position, n_there)
    else:
        check_complete(info, position, n_there)
        return
    yield from map(DamageNote, notes)


def _complaints(source: SndfileSource) -> list[str]:
    few = source.messages()[:3]
    return [f"damaged: errors of the decoder: {', '.join(few)}"] if few else []


def _ogg_faults(info: RecordingInfo, n_read: int, n_there: int | None) -> list[str]:
    if n_there is not None and n_read < n_there:
        lost_s, there_s = ((n_there - n_read) / info.sample_rate, n_there / info.sample_rate)
        return [
            f"damaged: {lost_s:.2f} s of {there_s:.2f} s cannot be decoded; times behind the "
            "damage are too early by what was lost before them"
        ]
    if breaks_off(info.path):
        return ["truncated: the last page of the Ogg stream is missing"]
    return []
