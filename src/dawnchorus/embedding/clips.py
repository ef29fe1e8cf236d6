"""Embeddings of labelled clips, each computed once and kept for the next fit.

Clips longer than a window are cut by the rule of `dawnchorus.embedding.pieces`, and each piece is
an item, because `predict` names windows; a last piece shorter than a quarter of a window joins the
one before it, by length. What was computed lies in a cache: a folder for each model, read-out and
window, in it parts of many windows. A clip is found by the SHA-256 of its file and its span, so a
file that changed is encoded anew and one that moved is not.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dawnchorus.audio.resample import RESAMPLER
from dawnchorus.clips.sounds import FileSounds
from dawnchorus.embedding.pieces import cut_clip, without_short_end
from dawnchorus.engine.encoding.canary import WindowsError
from dawnchorus.engine.encoding.workers import batch_size, one_core_each
from dawnchorus.errors import AudioError, TaskError
from dawnchorus.paths import local_copy, sha256_of_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.clips.manifest import Clip, Manifest
    from dawnchorus.engine.encoding.batches import BatchEncoder
    from dawnchorus.engine.pipeline.read import ReadSettings
    from dawnchorus.models.encoder import Encoder

    Vectors = NDArray[np.float32]
    Piece = tuple[int, NDArray[np.float32], int]  # clip, samples, how many of them are sound
    Encoded = tuple[int, Vectors, int]  # clip, vector, samples of sound

FORMAT: Final = 2  # 1 left out a last piece shorter than a quarter of a window
NO_NUMBERS: Final = "makes no numbers of its sound; look at it with: dawnchorus doctor --deep"
PART_WINDOWS: Final = 2048  # a part is written after so many, so that little is lost


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFeatures:
    """Embedded windows of clips.

    Attributes:
        vectors: ``(windows, dim)`` float32.
        clip: ``(windows,)``, which clip each is of.
        content: ``(clips,)`` SHA-256 and span of each clip, empty where it could not be read.
        n_cached: clips that were in the cache.
        bad: what could not be read: path, verdict and message.
    """

    vectors: Vectors
    clip: NDArray[np.int64]
    content: tuple[str, ...]
    n_cached: int
    bad: tuple[tuple[str, str, str], ...] = ()


def cache_folder() -> Path:
    """Where embeddings of clips are kept: ``DAWNCHORUS_CACHE``, else the user's cache folder."""
    named = os.environ.get("DAWNCHORUS_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dawnchorus"


def clip_features(
    manifest: Manifest,
    encoder: Encoder,
    batches: BatchEncoder,
    settings: ReadSettings,
    *,
    mark: Mapping[str, object],
    cache: Path | None,
    progress: Callable[[int], None] = lambda _n: None,
) -> ClipFeatures:
    """Embed every clip, from the cache where it is there.

    Args:
        manifest: the clips.
        encoder: for how many windows go at once.
        batches: windows to vectors.
        settings: window, hop and rate.
        mark: what a vector depends on beside those: weights, readout.
        cache: a folder, None: nothing is kept.
        progress: called with 1 for each clip.

    Raises:
        TaskError: Not one clip can be read.
    """
    kept = _Cache.open(cache, mark, settings)
    clips = list(manifest)
    content, bad = _contents(manifest, clips)
    missing = [n for n, key in enumerate(content) if key and key not in kept.vectors]
    n_cached = sum(bool(key) for key in content) - len(missing)
    progress(len(clips) - len(missing))
    todo = list({content[n]: n for n in missing}.values())  # the same sound once
    pieces = _pieces(manifest, [(n, clips[n]) for n in todo], settings, bad, progress)
    for number, vectors in _encoded(pieces, encoder, batches, settings.window):
        if vectors is None:
            clip = clips[number]
            bad.append((clip.id, "not-encoded", f"{clip.path}: {encoder.name} {NO_NUMBERS}"))
        else:
            kept.add(content[number], vectors)
    kept.flush()
    broken = {path for path, _, _ in bad}
    found = [
        kept.vectors.get(key) if key and clip.id not in broken else None
        for key, clip in zip(content, clips, strict=True)
    ]
    held = [n for n, vectors in enumerate(found) if vectors is not None]
    if not held:
        raise TaskError(f"{manifest.named}: none of {len(clips)} clips can be read: {bad[0][2]}")
    return ClipFeatures(
        vectors=np.concatenate([v for v in found if v is not None]),
        clip=np.repeat(held, [len(v) for v in found if v is not None]),
        content=tuple(content),
        n_cached=n_cached,
        bad=tuple(bad),
    )


def _contents(
    manifest: Manifest, clips: Sequence[Clip]
) -> tuple[list[str], list[tuple[str, str, str]]]:
    """Key of each clip, and what is not there."""
    sums: dict[str, str] = {}
    bad, keys = [], []
    for clip in clips:
        if clip.path not in sums:
            try:
                with local_copy(manifest.locate(clip.path)) as file:
                    if not file.is_file():  # to open a pipe would be to wait for ever
                        raise FileNotFoundError("no such file")
                    sums[clip.path] = sha256_of_file(file)
            except (OSError, ValueError) as error:
                sums[clip.path] = ""
                bad.append((clip.id, "missing", f"{clip.path}: cannot be read: {error}"))
        whole = sums[clip.path]
        keys.append(f"{whole}:{clip.start_s:.4f}-{clip.stop_s:.4f}" if whole else "")
    return keys, bad


def _pieces(
    manifest: Manifest,
    wanted: Sequence[tuple[int, Clip]],
    settings: ReadSettings,
    bad: list[tuple[str, str, str]],
    progress: Callable[[int], None],
) -> Iterator[Piece]:
    sounds = FileSounds(manifest.folder, settings.sample_rate)
    rate = settings.sample_rate
    for number, clip in wanted:
        progress(1)
        start = round(clip.start_s * rate)
        try:
            if np.isnan(clip.stop_s):
                samples = sounds.read_whole(clip.path)[start:]
            else:
                samples = sounds.read(clip.path, start, max(round(clip.stop_s * rate) - start, 1))
        except AudioError as error:
            bad.append((clip.id, error.reason, str(error)))
            continue
        if not len(samples):
            bad.append((clip.id, "empty", f"{clip.path}: nothing from {clip.start_s:g} s on"))
            continue
        for piece in cut_clip(samples, settings.window):
            yield number, np.pad(piece, (0, settings.window - len(piece))), len(piece)


def _encoded(
    pieces: Iterator[Piece], encoder: Encoder, batches: BatchEncoder, window: int
) -> Iterator[tuple[int, Vectors | None]]:
    """Vectors of one clip after the other, encoded by as many workers as there are.

    None for a clip of whose sound the model makes no numbers.
    """
    in_order = _one_by_one(pieces, batches, batch_size(encoder, None))
    for number, group in groupby(in_order, key=itemgetter(0)):
        _, vectors, n_valid = zip(*group, strict=True)
        if not all(np.isfinite(vector).all() for vector in vectors):
            yield number, None
            continue
        yield number, without_short_end(np.stack(vectors), n_valid, window)


def _one_by_one(pieces: Iterator[Piece], batches: BatchEncoder, size: int) -> Iterator[Encoded]:
    ahead: deque[tuple[list[Piece], Future[Vectors]]] = deque()
    with one_core_each(batches.n_workers), ThreadPoolExecutor(batches.n_workers) as pool:
        while batch := list(islice(pieces, size)):
            waveforms = torch.from_numpy(np.stack([samples for _, samples, _ in batch]))
            lengths = torch.tensor([n_valid for _, _, n_valid in batch])
            ahead.append((batch, pool.submit(_vectors, batches, waveforms, lengths)))
            if len(ahead) > batches.n_workers:
                yield from _results(*ahead.popleft())
        while ahead:
            yield from _results(*ahead.popleft())


def _vectors(batches: BatchEncoder, waveforms: Tensor, lengths: Tensor) -> Vectors:
    """Vectors of windows; those of which the model makes no numbers are NaN."""
    try:
        return batches.vectors(waveforms, lengths)
    except WindowsError as error:
        good = np.setdiff1d(np.arange(len(waveforms)), error.rows)
    if not len(good):
        return np.full((len(waveforms), 1), np.nan, np.float32)
    some = _vectors(batches, waveforms[good], lengths[good])
    vectors = np.full((len(waveforms), some.shape[1]), np.nan, np.float32)
    vectors[good] = some
    return vectors


def _results(batch: list[Piece], encoded: Future[Vectors]) -> Iterator[Encoded]:
    for (number, _, n_valid), vector in zip(batch, encoded.result(), strict=True):
        yield number, vector, n_valid


@dataclass(slots=True)
class _Cache:
    """Vectors of clips by content; what is new is written in parts, each whole or not at all."""

    folder: Path | None
    vectors: dict[str, Vectors] = field(default_factory=dict)
    _new: dict[str, Vectors] = field(default_factory=dict)

    @classmethod
    def open(cls, cache: Path | None, mark: Mapping[str, object], settings: ReadSettings) -> _Cache:
        """Read what is kept for this model, read-out and window; damaged parts are passed over."""
        if cache is None:
            return cls(None)
        facts = {
            **mark,
            "format": FORMAT,
            "rate": settings.sample_rate,
            "window": settings.window,
            "hop": settings.hop,
            "channel": settings.channel,
            "resampler": RESAMPLER,
        }
        text = json.dumps(facts, sort_keys=True, default=str)
        made = cls(cache / "clips" / hashlib.sha256(text.encode()).hexdigest()[:16])
        for part in sorted(made.folder.glob("*.safetensors")) if made.folder else ():
            made.vectors |= _read_part(part)
        return made

    def add(self, key: str, vectors: Vectors) -> None:
        """Keep the windows of a clip."""
        self.vectors[key] = self._new[key] = vectors
        if sum(map(len, self._new.values())) >= PART_WINDOWS:
            self.flush()

    def flush(self) -> None:
        """Write what is new.

        Raises:
            TaskError: The folder cannot be written.
        """
        if self.folder is None or not self._new:
            return
        keys, arrays = list(self._new), list(self._new.values())
        told = {"keys": json.dumps(keys), "counts": json.dumps([len(a) for a in arrays])}
        unfinished = self.folder / f".{uuid.uuid4().hex}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(save({"vectors": np.concatenate(arrays)}, told))
            unfinished.rename(self.folder / f"{unfinished.name[1:]}.safetensors")
        except (OSError, SafetensorError) as error:
            raise TaskError(
                f"{self.folder}: embeddings cannot be kept: {error}; name another cache folder, "
                "or none"
            ) from error
        self._new = {}


def _read_part(part: Path) -> dict[str, Vectors]:
    try:
        with safe_open(part, framework="numpy") as file:
            told, vectors = file.metadata(), file.get_tensor("vectors")
    except (OSError, SafetensorError):
        return {}  # its clips are encoded anew
    ends = np.cumsum(json.loads(told["counts"]))[:-1]
    return dict(zip(json.loads(told["keys"]), np.split(vectors, ends), strict=True))
