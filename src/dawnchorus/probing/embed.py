"""Labelled clips to features of a probe: by an encoder, or out of a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from dawnchorus.clips.manifest import moved
from dawnchorus.configs import EmbedConfig, WindowConfig
from dawnchorus.embedding.cache import encoding
from dawnchorus.embedding.encode import PieceEncoder, vectors_or_nan
from dawnchorus.embedding.features import ClipFeatures, clip_features
from dawnchorus.embedding.pieces import PieceRule
from dawnchorus.engine.encoding.batches import BatchEncoder
from dawnchorus.engine.encoding.model import ready_model
from dawnchorus.engine.encoding.workers import batch_size, n_workers
from dawnchorus.engine.options import read_settings
from dawnchorus.errors import TaskError
from dawnchorus.failures import Failure
from dawnchorus.probes.features import Features
from dawnchorus.probes.fitted import EncoderMark
from dawnchorus.probing.store_root import store_root

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Manifest
    from dawnchorus.configs import ProbeRunConfig, Readout
    from dawnchorus.models.encoder import Encoder
    from dawnchorus.probing.labels import LabelledClips
    from dawnchorus.store.read import Store

OVERLAP = 0.5  # of the shorter of clip and stored window, from which the clip's labels hold for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Embedded clips, and what the embeddings are of."""

    windows: ClipFeatures
    encoder: EncoderMark
    readout: Readout
    window_s: float

    def features(self, clips: LabelledClips, chosen: NDArray[np.bool_]) -> Features:
        """Windows of chosen clips, each with the labels and the group of its clip."""
        rows = np.flatnonzero(chosen[self.windows.clip])
        of = self.windows.clip[rows]
        return Features(x=self.windows.vectors[rows], y=clips.truth[of], group=clips.group[of])


def embed_clips(
    clips: LabelledClips,
    model: str | Path | Encoder,
    config: ProbeRunConfig,
    *,
    cache: Path | None,
    progress: Callable[[int], None] = lambda _n: None,
) -> Embedded:
    """Encode clips in windows, or take them from the cache.

    Args:
        clips: what to encode.
        model: a model's name, file or folder, or a loaded encoder.
        config: window, readout, device, precision, workers.
        cache: folder to keep embeddings in, None: nowhere.
        progress: called with 1 for each clip.
    """
    embedding = EmbedConfig(
        readout=config.readout,
        device=config.device,
        precision=config.precision,
        workers=config.workers,
    )
    with ready_model(model, embedding) as encoder:
        windows = WindowConfig(window_s=config.window_s or usual_window_s(clips, encoder))
        embedding = embedding.model_copy(update={"windows": windows})
        window_s = read_settings(encoder, embedding).window / encoder.sample_rate
        rule = PieceRule(window_s=window_s, sample_rate=encoder.sample_rate)
        count = n_workers(encoder, config.workers)
        batches = BatchEncoder(encoder, readout=config.readout, n_workers=count)
        mark = EncoderMark.of(encoder)
        found = clip_features(
            clips.manifest,
            PieceEncoder(
                name=encoder.name,
                encode=vectors_or_nan(batches.vectors, batches.check(rule.window)),
                rule=rule,
                most_samples=batch_size(encoder, None) * rule.window,
                n_workers=count,
            ),
            encoding(
                encoder,
                mark.weights_sha256 or "",
                readout=str(batches.readout),
                precision=config.precision,
                rule=rule,
            ),
            # a foreign encoder that does not name its weights may change without a sign
            cache=cache if mark.weights_sha256 else None,
            progress=_OneStage(progress),
        )
    return Embedded(windows=found, encoder=mark, readout=batches.readout, window_s=window_s)


class _OneStage:
    """A callable as `Progress`."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance

    def start(self, label: str, total: int | None = None, unit: str = "") -> Callable[[int], None]:
        del label, total, unit
        return self._advance

    def message(self, text: str) -> None:
        del text


def usual_window_s(clips: LabelledClips, encoder: Encoder) -> float:
    """As long as nine in ten clips, in tenths of a second, but no longer than the model's own."""
    lengths_s = clips.manifest.seconds("stop_s") - clips.manifest.seconds("start_s")
    lengths_s = lengths_s[np.isfinite(lengths_s)]
    if not len(lengths_s):
        return encoder.window_s
    usual_s = np.ceil(10 * float(np.quantile(lengths_s, 0.9)) - 1e-6) / 10
    return float(min(max(usual_s, 0.1), encoder.window_s))


def from_store(clips: LabelledClips, store: Store) -> Embedded:
    """Windows of a store: those that share half of themselves, or of the clip, with a clip.

    Raises:
        TaskError: The store has not one window of these clips.
    """
    header = store.header
    columns = ["path", "start_sample", "valid_samples"]
    vectors, table = store.read(columns)
    recordings = store.recordings()
    files = dict.fromkeys(clips.manifest.locate(clip.path) for clip in clips.manifest)
    root = store_root(header.audio_root, recordings, files)
    rows_of = _rows_by_path(moved(clips.manifest, root), table)
    content = dict(
        zip(recordings["path"].to_pylist(), recordings["content_hash"].to_pylist(), strict=True)
    )
    start_s = table["start_sample"].to_numpy() / header.sample_rate
    length_s = table["valid_samples"].to_numpy() / header.sample_rate
    picked, owner, keys = [], [], []
    failures: list[Failure] = []
    for number, (clip, (path, rows)) in enumerate(zip(clips.manifest, rows_of, strict=True)):
        stop_s = np.inf if np.isnan(clip.stop_s) else clip.stop_s
        shared = np.minimum(start_s[rows] + length_s[rows], stop_s)
        shared = shared - np.maximum(start_s[rows], clip.start_s)
        shorter = np.minimum(length_s[rows], stop_s - clip.start_s)
        mine = rows[(shared >= OVERLAP * shorter) & (shared > 0)]
        digest = (content.get(path) or "").removeprefix("sha256:")
        keys.append(f"{digest}:{clip.start_s:.4f}-{clip.stop_s:.4f}" if len(mine) else "")
        if not len(mine):
            message = f"{clip.path}: the store has no window of this clip"
            failures.append(Failure(clip.id, "not-stored", message))
        picked.append(mine)
        owner.append(np.full(len(mine), number))
    rows = np.concatenate(picked)
    if not len(rows):
        raise TaskError(
            f"{store.path}: has no window of the {len(clips)} clips; their paths are taken to be "
            f"relative to {clips.manifest.folder}, the store's to {root}"
        )
    return Embedded(
        windows=ClipFeatures(
            vectors=vectors[rows],
            clip=np.concatenate(owner),
            content=tuple(keys),
            n_cached=len(clips) - len(failures),
            failures=tuple(failures),
        ),
        encoder=EncoderMark(header.model, header.weights_sha256),
        readout=header.readout,
        window_s=header.window_s,
    )


def _rows_by_path(manifest: Manifest, table: object) -> list[tuple[str, NDArray[np.int64]]]:
    paths = table["path"]  # type: ignore[index]
    encoded = pc.dictionary_encode(paths.combine_chunks())
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    place = {path: k for k, path in enumerate(encoded.dictionary.to_pylist())}
    nothing = np.zeros(0, np.int64)
    return [
        (
            clip.path,
            order[bounds[place[clip.path]] : bounds[place[clip.path] + 1]]
            if clip.path in place
            else nothing,
        )
        for clip in manifest
    ]
