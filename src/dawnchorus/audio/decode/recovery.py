"""Reading around damage, where a seek is exact: the file is opened again behind each damaged place.

A decoder of libsndfile that met damage gives nothing but errors from then on, so what lies behind
is had only from a new one. Where it may start is found by trying, in steps that grow.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.decode.recording import LostSamples, check_complete, decoding_stopped
from dawnchorus.audio.decode.sndfile_source import UndecodableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dawnchorus.audio.decode.recording import Chunk, RecordingInfo
    from dawnchorus.audio.decode.sndfile_source import SndfileSource

STEP_SAMPLES: Final = 4096  # a frame of FLAC as most encoders write it, the least that damage takes
MAX_GAPS: Final = 2000  # in one recording; each costs a few openings of the file


def read_around_damage(
    source: SndfileSource, info: RecordingInfo, n_samples: int, start: int
) -> Iterator[Chunk]:
    """Chunks of ``n_samples`` at most, from a sample on, and what was lost between them.

    Raises:
        AudioError: Nothing can be decoded, or the file ends before the length of its header.
    """
    stop: int = source.file.frames
    first = position = min(start, stop)
    step, n_gaps = n_samples, 0
    while True:
        cause = None
        try:
            for chunk in source.chunks(position, stop, step):
                position += len(chunk)
                yield chunk
        except UndecodableError as damage:
            cause = str(damage)
        finally:
            source.close()
        if cause is None:
            break
        if step > STEP_SAMPLES:
            step = STEP_SAMPLES  # the chunk that failed may begin with good samples: read those
        else:
            n_lost = _lost_samples(source, position, stop) if n_gaps < MAX_GAPS else 0
            if not n_lost and position == first:
                raise decoding_stopped(info, position, cause)
            if n_gaps == MAX_GAPS:
                cause = f"{cause}, here as in many places before"
            yield LostSamples(n_lost, cause)
            if not n_lost:
                return
            position += n_lost
            step, n_gaps = n_samples, n_gaps + 1
        source = source.reopened()
    if info.container == "FLAC" and first < position < stop:
        # The last frames are gone without a trace: the decoder saw a file that ends well.
        yield LostSamples(0, f"of {stop / info.sample_rate:.2f} s")
        return
    check_complete(info, position, stop)


def _lost_samples(source: SndfileSource, position: int, stop: int) -> int:
    """How many samples are lost from a position on; 0: nothing behind it can be decoded."""
    n_lost = STEP_SAMPLES
    while position + n_lost < stop:
        with closing(source.reopened()) as probe:
            try:
                if len(next(probe.chunks(position + n_lost, stop, STEP_SAMPLES), ())):
                    return n_lost
            except UndecodableError:
                # Growing steps: a damaged hour must not cost thousands of openings.
                n_lost += max(STEP_SAMPLES, n_lost // 4)
                continue
        break
    return 0
