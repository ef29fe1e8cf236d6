"""Embedded clips of a manifest as the items of a probe: an item for each piece of a clip.

Pieces, not clips, because `predict` names windows; a last piece under a quarter of a window joins
the one before it (`dawnchorus.embedding.pool.without_short_end`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dawnchorus.embedding.cache import PieceCache
from dawnchorus.embedding.clips import contents_of, embed_missing
from dawnchorus.embedding.content import FileHashes
from dawnchorus.embedding.pool import without_short_end
from dawnchorus.errors import TaskError
from dawnchorus.failures import Failure
from dawnchorus.progress import NO_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Manifest
    from dawnchorus.embedding.encode import PieceEncoder
    from dawnchorus.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFeatures:
    """Embedded pieces of clips.

    Attributes:
        vectors: ``(pieces, dim)`` float32.
        clip: ``(pieces,)``, which clip each is of.
        content: ``(clips,)`` SHA-256 and span of each clip, empty where it could not be read.
        n_cached: clips that were in the cache.
        failures: clips that are left out, and why.
    """

    vectors: NDArray[np.float32]
    clip: NDArray[np.int64]
    content: tuple[str, ...]
    n_cached: int
    failures: tuple[Failure, ...] = ()


def clip_features(
    manifest: Manifest,
    encoder: PieceEncoder,
    encoding: Mapping[str, Any],
    *,
    cache: Path | None,
    progress: Progress = NO_PROGRESS,
) -> ClipFeatures:
    """Embed every clip, from the cache where it is there.

    Args:
        manifest: the clips.
        encoder: its first output is the embedding.
        encoding: of `dawnchorus.embedding.cache.encoding`: what the embeddings depend on.
        cache: a folder, None: nothing is kept.
        progress: gets a stage that counts clips.

    Raises:
        TaskError: Not one clip can be read, or the cache cannot be written.
    """
    clips = list(manifest)
    pieces = PieceCache(cache, encoding)
    contents, missing = contents_of(manifest.folder, clips, FileHashes(cache))
    by_content = {c: clip for c, clip in zip(contents, clips, strict=True) if c}
    n_cached = sum(content in pieces for content in contents)
    errors = embed_missing(manifest.folder, by_content, [pieces], encoder, progress=progress)
    failures = [
        missing.get(clip.id) or Failure(clip.id, errors[content].reason, str(errors[content]))
        for content, clip in zip(contents, clips, strict=True)
        if not content or content in errors
    ]
    good = [number for number, content in enumerate(contents) if content in pieces]
    if not good:
        why = failures[0].message if failures else "it has none"
        raise TaskError(f"{manifest.named}: none of {len(clips)} clips can be read: {why}")
    window = encoder.rule.window
    items = [
        without_short_end(one.values, one.n_samples, window)
        for one in pieces.load([contents[number] for number in good])
    ]
    return ClipFeatures(
        vectors=np.concatenate(items),
        clip=np.repeat(good, [len(of_clip) for of_clip in items]),
        content=tuple(contents),
        n_cached=n_cached,
        failures=tuple(failures),
    )
