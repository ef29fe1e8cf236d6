"""Clips for pretraining, without their labels, and a few to validate on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.audio.frontend import SAMPLE_RATE
from dawnchorus.clips.manifest import read_manifest, resolve, texts
from dawnchorus.errors import TaskError
from dawnchorus.feed.batches import BatchSource
from dawnchorus.feed.cache import decoded_bytes, open_sounds
from dawnchorus.paths import as_path
from dawnchorus.recipes.training_data import TrainingData, clips_to_decode, short_to_long

if TYPE_CHECKING:
    from dawnchorus.clips.manifest import Manifest
    from dawnchorus.configs import PretrainConfig


def open_data(config: PretrainConfig) -> TrainingData:
    """Read the manifest and make ready what pretraining needs; test clips are not touched.

    Raises:
        TaskError: There is nothing to train on.
    """
    root = as_path(config.data.root)
    clips = read_manifest(resolve(root, config.data.manifest))
    clips = clips.filter(
        _among(clips, "level", config.levels) & ~_among(clips, "dataset", config.leave_out)
    )
    training, validation = clips.where(split="train"), clips.where(split="val")
    if not len(training):
        raise TaskError(
            f"{clips.named}: no clip to train on; need split train, level "
            f"{' or '.join(config.levels)} (levels) and a dataset not among "
            f"{list(config.leave_out)} (leave_out)"
        )
    rows = np.random.default_rng(config.seed).permutation(len(validation))
    validated = short_to_long(validation, rows[: config.validation_clips])
    decoded = clips_to_decode(clips, validated)
    source = BatchSource(
        training,
        open_sounds(decoded, config.data.sounds, SAMPLE_RATE, n_processes=config.devices),
        [],  # no vocabulary: targets are empty
        data=config.data,
        buckets=config.buckets,
        augment=config.augment,
        seed=config.seed,
    )
    seconds = training.seconds("stop_s") - training.seconds("start_s")
    facts = {
        "clips": len(training),
        "hours": round(float(seconds.sum()) / 3600, 2),
        "validation_clips": len(validated),
        "decoded_mb": decoded_bytes(decoded, SAMPLE_RATE) // 2**20,
    }
    return TrainingData(source=source, validation=validated, facts=facts)


def _among(clips: Manifest, column: str, values: tuple[str, ...]) -> np.ndarray:
    return np.isin(texts(clips.table[column]).to_pylist(), values)
