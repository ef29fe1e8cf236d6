"""Clips for pretraining, whose labels are not trained on, and a few to look at while it runs."""

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
    few = short_to_long(validation, rows[: config.validation_clips])
    read = clips_to_decode(clips, few)
    source = BatchSource(
        training,
        open_sounds(read, config.data.sounds, SAMPLE_RATE, n_processes=config.devices),
        [],
        data=config.data,
        buckets=config.buckets,
        augment=config.augment,
        seed=config.seed,
    )
    seconds = training.seconds("stop_s") - training.seconds("start_s")
    facts = {
        "clips": len(training),
        "hours": round(float(seconds.sum()) / 3600, 2),
        "validation_clips": len(few),
        "decoded_mb": decoded_bytes(read, SAMPLE_RATE) // 2**20,
    }
    return TrainingData(source=source, validation=few, facts=facts)


def _among(clips: Manifest, column: str, values: tuple[str, ...]) -> np.ndarray:
    return np.isin(texts(clips.table[column]).to_pylist(), values)
