"""A dry run of pretraining or post-training: what it would be, whether it fits, and two steps.

Sizes are worked out on torch's meta device and reported first; only a run that fits is started.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import torch

from dawnchorus.audio.frontend import FRAME_HOP_SAMPLES, SAMPLE_RATE
from dawnchorus.models.eat_config import RELEASED_FRAMES
from dawnchorus.recipes.run import open_loader, trainable_of
from dawnchorus.training import devices
from dawnchorus.training.estimate import MB, check_fits, plan_run, saved_bytes, try_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dawnchorus.configs import BucketConfig, TrainConfig
    from dawnchorus.feed.batches import Batch
    from dawnchorus.recipes.run import ConfigT, RunKind
    from dawnchorus.training.trainable import Trainable

PADDED_S: Final = RELEASED_FRAMES * FRAME_HOP_SAMPLES / SAMPLE_RATE


def plan_and_try(
    kind: RunKind[ConfigT],
    config: ConfigT | str | Path,
    *,
    show: Callable[[Mapping[str, Any]], None],
) -> dict[str, Any]:
    """Report what a run would be, refuse what cannot fit, then train two steps; nothing stays.

    Args:
        kind: of the run.
        config: its config, or the YAML file.
        show: called in the first process with each section, or sections, as soon as it is known.

    Returns:
        All sections in the first process; in the others only what they tried.

    Raises:
        UsageError: The run needs more memory than there is; no other process was started.
    """
    config = kind.read(config)
    plan = _plan(kind, config, show) if devices.is_first() else {}
    fabric = devices.launch(config)
    data = kind.open_data(config)
    with open_loader(data.source, config) as loader:
        trainable = trainable_of(kind.make(config, data, None), loader.draw)
        tried = try_steps(trainable, config, fabric=fabric)
    if devices.is_first():
        show({"tried": tried})
    return {**plan, "tried": tried}


def _plan(
    kind: RunKind[ConfigT], config: ConfigT, show: Callable[[Mapping[str, Any]], None]
) -> dict[str, Any]:
    """Sizes by shapes alone, then the memory of a few clips for real."""
    from_files = config.data.model_copy(update={"sounds": "files"})  # nothing is decoded yet
    data = kind.open_data(config.model_copy(update={"data": from_files}))
    shapes_only = config.model_copy(update={"init_from": None, "compile": False})
    with torch.device("meta"):  # tensors without numbers: a model of any size costs nothing
        trainable = trainable_of(kind.make(shapes_only, data, None), data.source.draw)
        plan = plan_run(trainable, config, data=data.facts)
    show(plan)
    check_fits(plan["memory_mb"], config)
    real = kind.make(config.model_copy(update={"compile": False}), data, None)
    activations = activations_mb(trainable_of(real, data.source.draw), config)
    show({"memory_mb": {"activations": activations}})
    plan["memory_mb"]["activations"] = activations
    check_fits(plan["memory_mb"], config)
    return plan


def activations_mb(trainable: Trainable[Batch], config: TrainConfig) -> int:
    """Memory of what the largest piece of a batch keeps for the backward pass, in MB.

    A few clips of the first step are computed, and the largest piece takes as much more as it has
    more patches.
    """
    n_parts = math.gcd(*(bucket.batch_size for bucket in config.buckets))
    batch = trainable.draw(0, 0, n_parts)
    measured = len(batch.ids) * batch.patch_keep * _patches_s(config, _seconds(batch))
    parts = config.devices * config.nodes * config.accumulate
    largest = max(_patches_of(bucket, config) / parts for bucket in config.buckets)
    return round(saved_bytes(trainable, batch, config) / MB * largest / measured)


def _seconds(batch: Batch) -> float:
    return batch.waveforms.shape[1] / SAMPLE_RATE


def _patches_of(bucket: BucketConfig, config: TrainConfig) -> float:
    """Seconds of patches in a bucket's batch."""
    return bucket.batch_size * bucket.patch_keep * _patches_s(config, bucket.crop_s)


def _patches_s(config: TrainConfig, seconds: float) -> float:
    """Seconds of patches that a crop becomes."""
    return PADDED_S if config.pad_to_window else seconds
