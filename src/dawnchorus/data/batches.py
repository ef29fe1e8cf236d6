"""Batches for training: a pure function of seed and step, so that a resumed run sees the same.

A clip goes to the shortest bucket that holds it; longer clips are cropped at random. Waveform
augmentation happens here, in the clip's order: gain, mixing, noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from dawnchorus.audio.augment import mix_at_snr, mix_pairs
from dawnchorus.audio.frontend import FRAME_SAMPLES
from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.configs import BucketConfig, TrainConfig
    from dawnchorus.data.cache import SoundCache
    from dawnchorus.data.manifest import Clip
    from dawnchorus.data.teacher import Teacher
    from dawnchorus.data.vocabulary import Vocabulary

# A weak label reaches a crop that shares at least this part of the shorter of the two.
LABEL_OVERLAP = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One training batch, on the CPU.

    Attributes:
        ids: clip of each row.
        waveforms: ``(batch, samples)`` float32, zero-padded at the end.
        lengths: ``(batch,)`` samples that hold sound.
        targets: ``(batch, labels)`` of 0 and 1, all vocabularies side by side.
        teacher_embedding: ``(batch, dim)``, teacher_logits: ``(batch, classes)``; None without a
            teacher.
        has_teacher: ``(batch,)`` bool; False also for mixed clips.
        patch_keep: share of patches that the encoder sees.
        rng: generator for what follows (masks on features).
    """

    ids: list[str]
    waveforms: Tensor
    lengths: Tensor
    targets: Tensor
    teacher_embedding: Tensor | None
    teacher_logits: Tensor | None
    has_teacher: Tensor
    patch_keep: float
    rng: np.random.Generator


class BatchSource:
    """Draws the batch of any step from clips in memory."""

    def __init__(
        self,
        clips: Sequence[Clip],
        sounds: SoundCache,
        vocabularies: Sequence[Vocabulary],
        config: TrainConfig,
        teacher: Teacher | None = None,
    ) -> None:
        """Sort the clips into buckets.

        Raises:
            TaskError: A bucket holds no clip.
        """
        self.sounds = sounds
        self.config = config
        self.teacher = teacher
        self.vocabularies = vocabularies
        self.noise = sorted({c.path for c in clips if c.dataset in config.data.noise_sources})
        self._file_ids = {clip.path: clip.id for clip in clips if clip.level == "file"}
        self._weak = _weak_labels(clips, config.data.strong_sources)
        clips = [
            clip
            for clip in clips
            if not (clip.level == "file" and clip.dataset in config.data.strong_sources)
        ]
        self._buckets = [
            _fill(bucket, lower, clips, config)
            for bucket, lower in zip(
                config.buckets, [0.0, *(b.crop_s for b in config.buckets)], strict=False
            )
        ]
        weights = np.array([bucket.weight for bucket in config.buckets])
        self._shares = weights / weights.sum()

    def draw(self, step: int) -> Batch:
        """The augmented batch of a step."""
        rng = np.random.default_rng([self.config.seed, step])
        number = int(rng.choice(len(self._buckets), p=self._shares))
        bucket, (clips, shares) = self.config.buckets[number], self._buckets[number]
        chosen = rng.choice(len(clips), size=bucket.batch_size, p=shares)
        rows = [self._row(clips[i], bucket.crop_s, rng) for i in chosen]
        batch = self._collate([clips[i].id for i in chosen], rows, bucket, rng)
        return self._augment(batch, rng)

    def fixed(self, clips: Sequence[Clip], crop_s: float) -> Batch:
        """The beginnings of given clips, without augmentation: for validation."""
        bucket = self.config.buckets[0].model_copy(update={"crop_s": crop_s, "patch_keep": 1.0})
        rows = [self._row(clip, crop_s, None) for clip in clips]
        return self._collate(
            [clip.id for clip in clips], rows, bucket, np.random.default_rng(self.config.seed)
        )

    def _row(
        self, clip: Clip, crop_s: float, rng: np.random.Generator | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[NDArray[np.float32], ...] | None]:
        rate = self.sounds.sample_rate
        room = max(clip.duration_s - crop_s, 0.0)
        start_s = clip.start_s + (0.0 if rng is None else float(rng.uniform(0, 1)) * room)
        stop_s = min(start_s + crop_s, clip.stop_s)
        start = round(start_s * rate)
        samples = self.sounds.read(clip.path, start, round(stop_s * rate) - start)
        labels = set(clip.labels)
        for from_s, to_s, names in self._weak.get(clip.path, ()):
            shared = min(stop_s, to_s) - max(start_s, from_s)
            if shared >= LABEL_OVERLAP * min(stop_s - start_s, to_s - from_s):
                labels |= set(names)
        target = np.concatenate([vocabulary.encode(labels) for vocabulary in self.vocabularies])
        file_id = self._file_ids.get(clip.path)
        soft = self.teacher.at(file_id, start_s, stop_s) if self.teacher and file_id else None
        return samples, target, soft

    def _collate(
        self,
        ids: list[str],
        rows: Sequence[
            tuple[NDArray[np.float32], NDArray[np.float32], tuple[NDArray[np.float32], ...] | None]
        ],
        bucket: BucketConfig,
        rng: np.random.Generator,
    ) -> Batch:
        lengths = np.array([max(len(samples), FRAME_SAMPLES) for samples, _, _ in rows])
        waveforms = np.zeros((len(rows), int(lengths.max())), np.float32)
        for line, (samples, _, _) in zip(waveforms, rows, strict=True):
            line[: len(samples)] = samples
        embedding = logits = None
        if self.teacher is not None:
            nothing = (
                np.zeros(self.teacher.dim, np.float32),
                np.zeros(self.teacher.n_logits, np.float32),
            )
            soft = [nothing if found is None else found for _, _, found in rows]
            embedding = torch.from_numpy(np.stack([pair[0] for pair in soft]))
            logits = torch.from_numpy(np.stack([pair[1] for pair in soft]))
        return Batch(
            ids=ids,
            waveforms=torch.from_numpy(waveforms),
            lengths=torch.from_numpy(lengths),
            targets=torch.from_numpy(np.stack([target for _, target, _ in rows])),
            teacher_embedding=embedding,
            teacher_logits=logits,
            has_teacher=torch.tensor([found is not None for _, _, found in rows]),
            patch_keep=bucket.patch_keep,
            rng=rng,
        )

    def _augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        size = len(batch.ids)
        config = self.config
        gain_db = rng.uniform(-config.gain_db, config.gain_db, size).astype(np.float32)
        waveforms = batch.waveforms * torch.from_numpy(10 ** (gain_db / 20))[:, None]
        mixed = rng.random(size) < (config.mix_probability if config.mixing == "paper" else 0.0)
        partner = rng.permutation(size)
        share = rng.uniform(0.3, 0.7, size)
        waveforms, targets = mix_pairs(waveforms, batch.targets, mixed, partner, share)
        other = torch.from_numpy(partner)
        longer = torch.maximum(batch.lengths, batch.lengths[other])
        lengths = torch.where(torch.from_numpy(mixed), longer, batch.lengths)
        if self.noise and config.noise.probability:
            noisy = np.flatnonzero(rng.random(size) < config.noise.probability)
            for row in noisy:
                held = int(lengths[row])
                noise = torch.from_numpy(self._noise(held, rng))
                snr_db = float(rng.uniform(*config.noise.snr_db))
                waveforms[row, :held] = mix_at_snr(waveforms[row, :held], noise, snr_db)
        return Batch(
            ids=batch.ids,
            waveforms=waveforms,
            lengths=lengths,
            targets=targets,
            teacher_embedding=batch.teacher_embedding,
            teacher_logits=batch.teacher_logits,
            has_teacher=batch.has_teacher & ~torch.from_numpy(mixed),
            patch_keep=batch.patch_keep,
            rng=rng,
        )

    def _noise(self, n_samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
        path = self.noise[int(rng.integers(len(self.noise)))]
        length = round(self.sounds.duration_s(path) * self.sounds.sample_rate)
        start = int(rng.integers(0, max(length - n_samples, 0) + 1))
        piece = self.sounds.read(path, start, n_samples)
        return np.resize(piece, n_samples)  # tiled when the noise is shorter than the clip


def _weak_labels(
    clips: Sequence[Clip], strong_sources: Sequence[str]
) -> dict[str, list[tuple[float, float, tuple[str, ...]]]]:
    """Labels of whole files and of single-label windows, which hold for any crop within them.

    Sources with exact annotation are left out: there a file's label says nothing of a part of it.
    """
    weak: dict[str, list[tuple[float, float, tuple[str, ...]]]] = {}
    for clip in clips:
        if clip.dataset in strong_sources or clip.kind == "calltype" or not clip.labels:
            continue
        weak.setdefault(clip.path, []).append((clip.start_s, clip.stop_s, clip.labels))
    return weak


def _fill(
    bucket: BucketConfig, lower_s: float, clips: Sequence[Clip], config: TrainConfig
) -> tuple[list[Clip], NDArray[np.float64]]:
    last = bucket is config.buckets[-1]
    held = [c for c in clips if c.duration_s > lower_s and (last or c.duration_s <= bucket.crop_s)]
    if not held:
        raise TaskError(f"buckets: no clip is between {lower_s:g} s and {bucket.crop_s:g} s long")
    weights = np.array([config.data.source_weights.get(clip.dataset, 1.0) for clip in held])
    if weights.sum() <= 0:
        raise TaskError(f"source_weights leave no clip for the bucket of {bucket.crop_s:g} s")
    return held, weights / weights.sum()
