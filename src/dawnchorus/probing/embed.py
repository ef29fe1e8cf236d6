"""Labelled clips to features of a probe: by an encoder and its cache, or out of a store."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.clips.manifest import moved
from dawnchorus.configs import EmbedConfig, WindowConfig
from dawnchorus.embedding.cache import encoding
from dawnchorus.embedding.encode import PieceEncoder, vectors_or_nan
from dawnchorus.embedding.features import ClipFeatures, clip_features
from dawnchorus.embedding.pieces import PieceRule
from dawnchorus.engine.encoding.batches import BatchEncoder
from dawnchorus.engine.encoding.model import model_identity, ready_model
from dawnchorus.engine.encoding.workers import batch_size, n_workers
from dawnchorus.engine.options import read_settings
from dawnchorus.errors import TaskError
from dawnchorus.failures import Failure
from dawnchorus.probes.features import Features
from dawnchorus.probes.fitted import EncoderMark
from dawnchorus.probing.background import usual_length_s
from dawnchorus.probing.store_root import store_root
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.store.read import Store

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Clip
    from dawnchorus.configs import ProbeRunConfig, Readout
    from dawnchorus.models.encoder import Encoder
    from dawnchorus.probing.labels import LabelledClips
    from dawnchorus.progress import Progress

    Rows = NDArray[np.int64]
    Seconds = NDArray[np.float64]

# Share of the shorter one of clip and stored window, from which on the clip's labels hold for the
# window: a call that lies half in a window can be heard there.
OVERLAP: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedClips(ClipFeatures):
    """Embedded windows of clips, and what the embeddings are of.

    Attributes:
        encoder: which made them.
        readout: what they were pooled from.
        window_s: how long a window is.
    """

    encoder: EncoderMark
    readout: Readout
    window_s: float

    def items(self, clips: LabelledClips, chosen: NDArray[np.bool_]) -> Features:
        """Windows of chosen clips, each with the labels and the group of its clip.

        Args:
            clips: those that were embedded.
            chosen: ``(clips,)``.
        """
        rows = np.flatnonzero(chosen[self.clip])
        clip = self.clip[rows]  # (windows,)
        return Features(x=self.vectors[rows], y=clips.truth[clip], group=clips.group[clip])


def embed_clips(
    clips: LabelledClips,
    model: str | Path | Encoder,
    config: ProbeRunConfig,
    *,
    store: str | Path | None = None,
    cache: Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> EmbeddedClips:
    """Windows of clips: out of a store where one is named, otherwise of an encoder or its cache.

    Args:
        clips: what to encode.
        model: a model's name, file or folder, or a loaded encoder.
        config: window, readout, device, precision, workers.
        store: an embedding store; nothing is encoded then.
        cache: folder to keep embeddings in, None: nowhere.
        progress: gets a stage that counts clips.

    Raises:
        TaskError: Not one clip can be read, or the store has no window of them.
    """
    if store is not None:
        return from_store(clips, Store(store))
    embedding = EmbedConfig(
        readout=config.readout,
        device=config.device,
        precision=config.precision,
        backend=config.backend,
        workers=config.workers,
    )
    # a model that is named is loaded here; a loaded one is lent, and then as it was
    with ready_model(model, embedding) as encoder:
        windows = WindowConfig(window_s=config.window_s or _usual_window_s(clips, encoder))
        settings = read_settings(encoder, embedding.model_copy(update={"windows": windows}))
        window_s = settings.window / encoder.sample_rate
        rule = PieceRule(window_s=window_s, sample_rate=encoder.sample_rate)
        count = n_workers(encoder, config.workers)
        batches = BatchEncoder(encoder, readout=config.readout, n_workers=count)
        mark = EncoderMark.of(encoder)
        features = clip_features(
            clips.manifest,
            PieceEncoder(
                name=encoder.name,
                encode=vectors_or_nan(batches.vectors, batches.check(rule.window)),
                rule=rule,
                # as much sound in a batch as whole windows would be; short clips go more at once
                most_samples=batch_size(encoder, None) * rule.window,
                n_workers=count,
            ),
            encoding(
                encoder,
                mark.weights_sha256 or "",
                readout=str(batches.readout),
                # what was chosen: vectors of another precision must not be taken for these
                precision=model_identity(encoder).precision,
                rule=rule,
            ),
            # a foreign encoder that does not name its weights may change without a sign
            cache=cache if mark.weights_sha256 else None,
            progress=progress,
        )
    parts = {field.name: getattr(features, field.name) for field in fields(features)}
    return EmbeddedClips(**parts, encoder=mark, readout=batches.readout, window_s=window_s)


def _usual_window_s(clips: LabelledClips, encoder: Encoder) -> float:
    """Long enough for nine in ten clips, at most the model's own."""
    lengths_s = clips.manifest.seconds("stop_s") - clips.manifest.seconds("start_s")
    return usual_length_s(lengths_s[np.isfinite(lengths_s)], encoder.window_s)


def from_store(clips: LabelledClips, store: Store) -> EmbeddedClips:
    """Windows of a store: those that share half of themselves, or of the clip, with a clip.

    Raises:
        TaskError: The store does not have one window of these clips.
    """
    header = store.header
    vectors, table = store.read(["path", "start_sample", "valid_samples"])
    recordings = store.recordings()
    files = dict.fromkeys(clips.manifest.locate(clip.path) for clip in clips.manifest)
    root = store_root(header.audio_root, recordings, files)
    start_s = table["start_sample"].to_numpy() / header.sample_rate
    length_s = table["valid_samples"].to_numpy() / header.sample_rate
    rows_of, hash_of = _rows_by_path(table["path"]), _hash_by_path(recordings)
    rows: list[Rows] = []
    contents: list[str] = []
    failures: list[Failure] = []
    # paths of the manifest, made relative to the folder that the store's are relative to
    stored_paths = [clip.path for clip in moved(clips.manifest, root)]
    for clip, path in zip(clips.manifest, stored_paths, strict=True):
        of_file = rows_of.get(path, np.zeros(0, np.int64))
        of_clip = of_file[_overlap(clip, start_s[of_file], length_s[of_file])]
        rows.append(of_clip)
        if len(of_clip):
            contents.append(f"{hash_of[path]}:{clip.start_s:.4f}-{clip.stop_s:.4f}")
        else:
            contents.append("")
            message = f"{clip.path}: the store has no window of this clip"
            failures.append(Failure(clip.id, "not-stored", message))
    if len(failures) == len(clips):
        raise TaskError(
            f"{store.path}: has no window of the {len(clips)} clips; their paths are taken to be "
            f"relative to {clips.manifest.folder}, the store's to {root}"
        )
    return EmbeddedClips(
        vectors=vectors[np.concatenate(rows)],
        clip=np.repeat(np.arange(len(clips)), [len(of_clip) for of_clip in rows]),
        content=tuple(contents),
        n_cached=len(clips) - len(failures),
        failures=tuple(failures),
        encoder=EncoderMark(header.model, header.weights_sha256),
        readout=header.readout,
        window_s=header.window_s,
    )


def _overlap(clip: Clip, start_s: Seconds, length_s: Seconds) -> NDArray[np.bool_]:
    """Which windows of its recording a clip's labels hold for."""
    stop_s = np.inf if np.isnan(clip.stop_s) else clip.stop_s  # nan: to the end
    shared_s = np.minimum(start_s + length_s, stop_s) - np.maximum(start_s, clip.start_s)
    shorter_s = np.minimum(length_s, stop_s - clip.start_s)
    return np.asarray((shared_s >= OVERLAP * shorter_s) & (shared_s > 0))


def _rows_by_path(paths: pa.ChunkedArray) -> dict[str, Rows]:
    """Rows of each recording; a store has millions, so they are sorted once, not searched."""
    if not len(paths):
        return {}
    encoded = pc.dictionary_encode(paths.combine_chunks())
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(1, len(encoded.dictionary)))
    return dict(zip(encoded.dictionary.to_pylist(), np.split(order, bounds), strict=True))


def _hash_by_path(recordings: pa.Table) -> dict[str, str]:
    """SHA-256 of each recording, empty where the store does not know it."""
    columns = (recordings[name].to_pylist() for name in ("path", "content_hash"))
    return {
        path: (content or "").removeprefix("sha256:")
        for path, content in zip(*columns, strict=True)
    }
