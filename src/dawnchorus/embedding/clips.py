"""Clips of files into the cache: what is missing is read, encoded and written, chunk by chunk.

A chunk is some minutes of sound, and what was made of it is written before the next one begins, so
that a run that was killed resumes at the next chunk. Chunks and batches depend on the clips alone:
an interrupted run gives the same values as an uninterrupted one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from dawnchorus.clips.manifest import resolve
from dawnchorus.embedding.content import content_key
from dawnchorus.embedding.sounds import read_clips, span_of
from dawnchorus.errors import AudioError, RunInterruptedError
from dawnchorus.failures import Failure
from dawnchorus.progress import NO_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from threading import Event

    import numpy as np
    from numpy.typing import NDArray

    from dawnchorus.embedding.cache import PieceCache
    from dawnchorus.embedding.content import ClipSpan, FileHashes
    from dawnchorus.embedding.encode import PieceEncoder
    from dawnchorus.embedding.pieces import PieceRule
    from dawnchorus.progress import Progress

    Sounds = list[NDArray[np.float32] | AudioError]

CHUNK_S: Final = 600.0  # of sound in memory
CHUNK_CLIPS: Final = 512
UNKNOWN_S: Final = 10.0  # what a clip to the end of its file counts as, before it is read


def contents_of(
    folder: Path, clips: Sequence[ClipSpan], hashes: FileHashes
) -> tuple[list[str], dict[str, Failure]]:
    """Content of each clip, empty where its file cannot be read; and why, by the clip's id."""
    contents, failures = [], {}
    for clip in clips:
        try:
            contents.append(content_key(hashes.of(resolve(folder, clip.path)), clip))
        except (OSError, ValueError) as error:
            contents.append("")
            message = f"{clip.path}: cannot be read: {error}"
            failures[clip.id] = Failure(clip.id, "missing", message)
    hashes.save()
    return contents, failures


def embed_missing(
    folder: Path,
    clips: Mapping[str, ClipSpan],
    caches: Sequence[PieceCache],
    encoder: PieceEncoder,
    *,
    stop: Event | None = None,
    label: str = "embedding",
    progress: Progress = NO_PROGRESS,
) -> dict[str, AudioError]:
    """Encode the clips that one of the caches lacks, and put them into all of them.

    Args:
        folder: where the clips' relative paths start.
        clips: by their content, from `contents_of`.
        caches: one for each output of the encoder.
        encoder: what encodes, and how clips are cut for it.
        stop: when set, the run ends after the chunk that is being encoded.
        label: of the progress stage.
        progress: gets a stage that counts clips.

    Returns:
        Contents whose sound cannot be read, or of which the encoder makes no numbers, and why.

    Raises:
        TaskError: The cache cannot be written.
        RunInterruptedError: ``stop`` was set; finished chunks are kept.
    """
    # chunks of all clips, not of those that are missing, so that batches never depend on what was
    # interrupted where
    chunks = [
        chunk
        for chunk in _chunks(clips, encoder.rule)
        if any(content not in cache for content in chunk for cache in caches)
    ]
    advance = progress.start(label, len(clips), "clips")
    advance(len(clips) - sum(map(len, chunks)))
    failed: dict[str, AudioError] = {}
    for chunk, sounds in _read_ahead(folder, clips, chunks, encoder.rule):
        if stop is not None and stop.is_set():
            raise RunInterruptedError("interrupted; the same command resumes from here")
        failed |= _embed_chunk(chunk, sounds, caches, encoder)
        advance(len(chunk))
    return failed


def _embed_chunk(
    chunk: Sequence[str], sounds: Sounds, caches: Sequence[PieceCache], encoder: PieceEncoder
) -> dict[str, AudioError]:
    failed = {c: s for c, s in zip(chunk, sounds, strict=True) if isinstance(s, AudioError)}
    read = {c: s for c, s in zip(chunk, sounds, strict=True) if not isinstance(s, AudioError)}
    for content, values in zip(read, encoder.encode_clips(list(read.values())), strict=True):
        if not all(one.finite for one in values):
            failed[content] = AudioError(encoder.no_numbers, reason="not-encoded")
            continue
        for cache, one in zip(caches, values, strict=True):
            cache.add(content, one)
    for cache in caches:
        cache.flush()
    return failed


def _chunks(clips: Mapping[str, ClipSpan], rule: PieceRule) -> list[list[str]]:
    """Contents of clips that are read and encoded together: those of one file, where they fit."""
    order = sorted(clips, key=lambda c: (clips[c].path, clips[c].start_s, clips[c].id))
    chunks: list[list[str]] = []
    seconds = 0.0
    for content in order:
        start_s, stop_s = span_of(clips[content], rule.longest_s)
        clip_s = UNKNOWN_S if stop_s is None else stop_s - start_s
        if not chunks or seconds + clip_s > CHUNK_S or len(chunks[-1]) >= CHUNK_CLIPS:
            chunks.append([])
            seconds = 0.0
        chunks[-1].append(content)
        seconds += clip_s
    return chunks


def _read_ahead(
    folder: Path, clips: Mapping[str, ClipSpan], chunks: Sequence[list[str]], rule: PieceRule
) -> Iterator[tuple[list[str], Sounds]]:
    """Sound of each chunk; the next one is read while one is encoded."""

    def read(chunk: Sequence[str]) -> Sounds:
        wanted = [clips[content] for content in chunk]
        return read_clips(folder, wanted, rule.sample_rate, rule.longest_s)

    # one chunk ahead, not more: each holds ten minutes of samples
    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(read, chunk) for chunk in chunks[:1]]
        for number, chunk in enumerate(chunks):
            sounds = ahead.pop().result()
            ahead = [pool.submit(read, after) for after in chunks[number + 1 : number + 2]]
            yield chunk, sounds
