"""The sound of clips, mono at an encoder's rate, each as if the clip were all there is."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.decode.read import read_audio, read_info
from dawnchorus.audio.resample import resample
from dawnchorus.audio.windows import to_samples
from dawnchorus.clips.manifest import resolve
from dawnchorus.embedding.content import stop_of
from dawnchorus.errors import AudioError
from dawnchorus.paths import local_copy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from dawnchorus.embedding.content import ClipSpan

    Samples = NDArray[np.float32]
    Span = tuple[float, float | None]

BLOCK_S: Final = 120.0  # clips of one file that lie within it are decoded in one go


def span_of(clip: ClipSpan, longest_s: float | None) -> Span:
    """Start and stop of what is heard of a clip; a stop of None is the end of its file."""
    stop_s = stop_of(clip)
    if longest_s is None:
        return clip.start_s, stop_s
    end_s = clip.start_s + longest_s
    return clip.start_s, end_s if stop_s is None else min(stop_s, end_s)


def read_clips(
    folder: Path, clips: Sequence[ClipSpan], sample_rate: int, longest_s: float | None = None
) -> list[Samples | AudioError]:
    """Sound ``(n,)`` of each clip, or why there is none.

    Args:
        folder: where relative paths start.
        clips: in any order; those of one file are best beside each other.
        sample_rate: of the result, Hz.
        longest_s: read no more than this from a clip's start; None: all of it.
    """
    by_path: dict[str, dict[int, Span]] = defaultdict(dict)
    for index, clip in enumerate(clips):
        by_path[clip.path][index] = span_of(clip, longest_s)
    found: dict[int, Samples | AudioError] = {}
    for path, spans in by_path.items():
        location = resolve(folder, path)
        try:
            with local_copy(location) as file:
                found |= _of_file(file, spans, sample_rate)
        except OSError as error:
            failure = AudioError(f"{location}: cannot be fetched: {error}", reason="denied")
            found |= dict.fromkeys(spans, failure)
    return [found[index] for index in range(len(clips))]


def _of_file(
    file: Path, spans: Mapping[int, Span], sample_rate: int
) -> dict[int, Samples | AudioError]:
    first = min(start for start, _ in spans.values())
    stops = [stop for _, stop in spans.values() if stop is not None]
    # a file of a thousand short clips is decoded once; far apart, the silence between costs more
    one_block = 1 < len(spans) == len(stops) and max(stops) - first <= BLOCK_S
    if one_block:
        try:
            return _of_block(file, spans, sample_rate)
        except AudioError:  # which of the clips is it? each gets its own verdict
            pass
    return {index: _of_span(file, span, sample_rate) for index, span in spans.items()}


def _of_span(file: Path, span: Span, sample_rate: int) -> Samples | AudioError:
    try:
        samples = read_audio(file, start_s=span[0], stop_s=span[1], sample_rate=sample_rate)
    except AudioError as error:
        return error
    if not len(samples):
        return AudioError(f"{file}: no sound from {span[0]:g} s on", reason="empty")
    return samples


def _of_block(
    file: Path, spans: Mapping[int, Span], sample_rate: int
) -> dict[int, Samples | AudioError]:
    """Decode once, and resample each clip by itself: its edges must not hear its neighbours."""
    own_rate = read_info(file).sample_rate
    first = min(start for start, _ in spans.values())
    block = read_audio(file, start_s=first, stop_s=max(stop or 0.0 for _, stop in spans.values()))
    origin = to_samples(first, own_rate)
    clips: dict[int, Samples | AudioError] = {}
    for index, (start_s, stop_s) in spans.items():
        stop = to_samples(stop_s or 0.0, own_rate) - origin
        clip = block[to_samples(start_s, own_rate) - origin : stop]
        if not len(clip):
            raise AudioError(f"{file}: no sound from {start_s:g} s on", reason="empty")
        clips[index] = resample(clip, own_rate, sample_rate)
    return clips
