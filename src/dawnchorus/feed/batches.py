"""Batches for training: each row a pure function of seed, step and its number in the batch.

So a resumed run sees what an uninterrupted one saw, and any number of processes together see what
one would have. A clip goes to the shortest bucket that holds it; longer clips are cropped at
random. Waveform augmentation happens here, in a clip's order: speed, gain, mixing, noise.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dawnchorus.audio.frontend import FRAME_SAMPLES
from dawnchorus.audio.resample import resample
from dawnchorus.clips.manifest import FILE
from dawnchorus.feed.crop_labels import CropLabels, targets_of
from dawnchorus.feed.draws import BATCH, CLIP, MIX, NOISE, BucketOrder, generator, rows_of_part
from dawnchorus.feed.noise import NoisePool, add_noise
from dawnchorus.feed.sampling import fill_buckets
from dawnchorus.feed.vocabulary import as_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.clips.manifest import Clip
    from dawnchorus.clips.sounds import Sounds
    from dawnchorus.configs import AugmentConfig, BucketConfig, DataConfig
    from dawnchorus.feed.teacher import Teacher
    from dawnchorus.feed.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One training batch or an equal part of it, on the CPU.

    Attributes:
        ids: clip of each row.
        waveforms: ``(batch, samples)`` float32, zero-padded at the end to the bucket's length.
        lengths: ``(batch,)`` samples that hold sound.
        targets: ``(batch, labels)`` of 0 and 1, all vocabularies side by side.
        teacher_embedding: ``(batch, dim)``, teacher_logits: ``(batch, classes)``; None without a
            teacher.
        has_teacher: ``(batch,)`` bool; False also for mixed clips.
        patch_keep: share of patches that the encoder sees.
        step: which step it is for; whatever else is drawn at random follows from the seed, this
            and the row's number in the whole batch.
        first_row: number of row 0 in the whole batch.
    """

    ids: list[str]
    waveforms: Tensor
    lengths: Tensor
    targets: Tensor
    teacher_embedding: Tensor | None
    teacher_logits: Tensor | None
    has_teacher: Tensor
    patch_keep: float
    step: int
    first_row: int

    def pinned(self) -> Batch:
        """The same in memory that a GPU copies from by itself, while everybody goes on."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                values[name] = value.pin_memory()
        return Batch(**values)


@dataclass(frozen=True, slots=True)
class _Span:
    """Of a clip, what reading it needs; all of a `Clip` takes five times as long to look up."""

    id: str
    path: str
    start_s: float
    stop_s: float

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return self.stop_s - self.start_s


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    samples: NDArray[np.float32]
    target: NDArray[np.float32]
    soft: tuple[NDArray[np.float32], NDArray[np.float32]] | None


class BatchSource:
    """Draws the batch of any step; safe to share between threads."""

    def __init__(
        self,
        clips: Sequence[Clip],
        sounds: Sounds,
        vocabularies: Sequence[Vocabulary],
        *,
        data: DataConfig,
        buckets: Sequence[BucketConfig],
        augment: AugmentConfig,
        seed: int,
        teacher: Teacher | None = None,
    ) -> None:
        """Sort the clips into buckets.

        Args:
            clips: what to train on; a manifest of millions is as good as a list.
            sounds: where they are read.
            vocabularies: labels of the targets; none: targets are ``(batch, 0)``.
            data: how clips are drawn.
            buckets: lengths of crops, rising.
            augment: what is done to waveforms.
            seed: of every choice.
            teacher: soft targets.

        Raises:
            TaskError: A bucket holds no clip, or a clip's length is not known.
            UsageError: Some buckets have a weight and others have none.
        """
        self.sounds = sounds
        self.buckets = tuple(buckets)
        self.augment = augment
        self.seed = seed
        self.teacher = teacher
        self.vocabularies = vocabularies
        # as columns: a list of a million clips would take gigabytes
        self.manifest = as_manifest(clips)
        self._ids, self._paths = (
            self.manifest.table[name].combine_chunks() for name in ("id", "path")
        )
        self._start_s, self._stop_s = map(self.manifest.seconds, ("start_s", "stop_s"))
        self.noise = NoisePool.of(data, self.manifest, sounds)
        self._labels = CropLabels(self.manifest, vocabularies, data.strong_sources)
        # a teacher knows files, a manifest clips of them
        self._file_ids = (
            {clip.path: clip.id for clip in self.manifest.where(level=FILE)} if teacher else {}
        )
        self._rows = fill_buckets(self.manifest, self.buckets, data, seed)
        self._order = BucketOrder([bucket.steps for bucket in self._rows], seed)

    def draw(
        self,
        step: int,
        part: int = 0,
        n_parts: int = 1,
        *,
        each: Callable[[Callable[[int], _Row], Iterable[int]], Iterable[_Row]] = map,
    ) -> Batch:
        """The augmented batch of a step, or one of its equal parts.

        Args:
            step: counted from 0.
            part: which part, from 0.
            n_parts: how many parts make up the whole batch; joined in order, they are it.
            each: calls a function for each row, such as a pool's ``map``.

        Raises:
            UsageError: The batch cannot be cut so.
            AudioError: A clip cannot be read.
        """
        number, before = self._order.at(step)
        bucket = self.buckets[number]
        rows = rows_of_part(bucket.batch_size, part, n_parts)
        # rows of this batch before they are mixed
        plain: dict[int, _Row] = {}  # a row may be asked for again, as another's partner

        def read(row: int) -> _Row:
            if row not in plain:
                plain[row] = self._row(step, row, number, before * bucket.batch_size + row)
            return plain[row]

        size = bucket.batch_size

        def augmented(row: int) -> _Row:
            return self._noisy(self._mixed(read, step, row, size), step, row)

        # in a pool these run side by side; the result is the same
        drawn = list(each(augmented, rows))
        return self._collate(drawn, bucket, step=step, first_row=rows.start)

    def fixed(self, clips: Sequence[Clip], crop_s: float) -> Batch:
        """The beginnings of given clips with their own labels, unaugmented: for validation."""
        rows = [
            self._crop(clip, crop_s, 0.0, targets_of(clip, self.vocabularies)) for clip in clips
        ]
        longest_s = max(len(row.samples) for row in rows) / self.sounds.sample_rate
        bucket = self.buckets[0].model_copy(update={"crop_s": longest_s, "patch_keep": 1.0})
        return self._collate(rows, bucket, step=0, first_row=0)

    def _row(self, step: int, row: int, bucket: int, number: int) -> _Row:
        """A row before it is mixed: clip, crop and gain; ``number``: of the bucket's draws."""
        # a generator for each purpose: a change of the noise must not change which clip is drawn
        rng = generator(self.seed, step, row, CLIP)
        chance, along = rng.random(2).tolist()
        gain_db = rng.uniform(-self.augment.gain_db, self.augment.gain_db)
        is_changed = rng.random() < self.augment.speed.probability
        speed = rng.uniform(*self.augment.speed.factor) if is_changed else 1.0
        held = self._rows[bucket]
        place = int(held.rows[held.order.at(number, chance)])
        crop = self._crop(self._span(place), self.buckets[bucket].crop_s, along, place, speed)
        if not gain_db:
            return crop
        return replace(crop, samples=crop.samples * np.float32(10 ** (gain_db / 20)))

    def _span(self, place: int) -> _Span:
        """Where a row of the manifest lies."""
        ends = float(self._start_s[place]), float(self._stop_s[place])
        return _Span(self._ids[place].as_py(), self._paths[place].as_py(), *ends)

    def _crop(
        self,
        clip: Clip | _Span,
        crop_s: float,
        along: float,
        truth: int | NDArray[np.float32],
        speed: float = 1.0,
    ) -> _Row:
        """A crop ``along`` (0: beginning, 1: end) the clip; ``truth``: its row, or its target.

        As fast as ``speed`` says, it is ``crop_s`` long all the same: more or less sound is read.
        """
        rate = self.sounds.sample_rate
        crop_s *= speed
        # a clip that is shorter than the crop is taken whole
        start_s = clip.start_s + along * max(clip.duration_s - crop_s, 0.0)
        stop_s = min(start_s + crop_s, clip.stop_s)
        start = round(start_s * rate)
        samples = self.sounds.read(clip.path, start, max(round(stop_s * rate) - start, 1))
        if isinstance(truth, int):
            truth = self._labels.target(truth, start_s, stop_s)
        file_id = self._file_ids.get(clip.path)
        # None where the teacher says nothing of this part of the file
        soft = self.teacher.at(file_id, start_s, stop_s) if self.teacher and file_id else None
        # rounded twice it may be a sample longer than the crop
        samples = resample(samples, round(speed * rate), rate)[: round(crop_s / speed * rate)]
        return _Row(clip.id, samples, truth, soft)

    def _mixed(self, read: Callable[[int], _Row], step: int, row: int, size: int) -> _Row:
        """The row, mixed with another of the ``size`` of its batch where the dice say so."""
        mix = self.augment.mix
        own = read(row)
        if size < 2 or not mix.probability:
            return own
        # also drawn where nothing is mixed, so that the row does not depend on the others
        rng = generator(self.seed, step, row, MIX)
        if mix.per == "clip":
            chosen = rng.random() < mix.probability
        else:
            whole = generator(self.seed, step, 0, BATCH)  # the same for each row of the batch
            chosen = whole.random() < mix.probability and whole.integers(size) == row
        if not chosen:
            return own
        # any row of the batch but itself
        other = read(int(row + 1 + rng.integers(size - 1)) % size)
        share = rng.uniform(*mix.share) if mix.beta is None else rng.beta(mix.beta, mix.beta)
        # a mixture is as long as the longer of the two; the shorter stands at its beginning
        samples = np.zeros(max(len(own.samples), len(other.samples)), np.float32)
        np.multiply(own.samples, np.float32(share), out=samples[: len(own.samples)])
        samples[: len(other.samples)] += np.float32(1 - share) * other.samples
        return _Row(own.id, samples, np.maximum(own.target, other.target), None)

    def _noisy(self, row: _Row, step: int, number: int) -> _Row:
        noise = self.augment.noise
        if not self.noise.clips or not noise.probability:
            return row
        rng = generator(self.seed, step, number, NOISE)
        if rng.random() >= noise.probability or not len(row.samples):
            return row
        snr_db = float(rng.uniform(*noise.snr_db))
        piece = self.noise.piece(len(row.samples), rng)
        return replace(row, samples=add_noise(row.samples, piece, snr_db))

    def _collate(
        self, rows: Sequence[_Row], bucket: BucketConfig, *, step: int, first_row: int
    ) -> Batch:
        # as wide as the bucket whatever the rows hold: a part must not depend on the others
        width = max(round(bucket.crop_s * self.sounds.sample_rate), FRAME_SAMPLES)
        waveforms = np.zeros((len(rows), width), np.float32)
        for line, row in zip(waveforms, rows, strict=True):
            line[: len(row.samples)] = row.samples
        # rows without soft targets are zeros that ``has_teacher`` leaves out of the loss
        embedding = logits = None
        if self.teacher is not None:
            nothing = (
                np.zeros(self.teacher.dim, np.float32),
                np.zeros(self.teacher.n_logits, np.float32),
            )
            soft = [nothing if row.soft is None else row.soft for row in rows]
            embedding = torch.from_numpy(np.stack([pair[0] for pair in soft]))
            logits = torch.from_numpy(np.stack([pair[1] for pair in soft]))
        return Batch(
            ids=[row.id for row in rows],
            waveforms=torch.from_numpy(waveforms),
            lengths=torch.tensor([max(len(row.samples), FRAME_SAMPLES) for row in rows]),
            targets=torch.from_numpy(np.stack([row.target for row in rows])),
            teacher_embedding=embedding,
            teacher_logits=logits,
            has_teacher=torch.tensor([row.soft is not None for row in rows]),
            patch_keep=bucket.patch_keep,
            step=step,
            first_row=first_row,
        )
