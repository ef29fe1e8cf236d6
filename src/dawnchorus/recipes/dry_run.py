"""A dry run of pretraining or post-training: what it would be, whether it fits, and two steps.

Sizes are worked out on torch's meta device and told first; only a run that fits is started.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import torch

from dawnchorus.audio.frontend import FRAME_HOP_SAMPLES, SAMPLE_RATE
from dawnchorus.configs import TrainConfig
from dawnchorus.models.eat_config import RELEASED_FRAMES
from dawnchorus.recipes.start import open_loader
from dawnchorus.training import devices
from dawnchorus.training.dryrun import MB, check_fits, plan_run, saved_bytes, try_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dawnchorus.configs import BucketConfig
    from dawnchorus.feed.batches import Batch, BatchSource
    from dawnchorus.training.loop import Task

ConfigT = TypeVar("ConfigT", bound=TrainConfig)


class OpenedData(Protocol):
    """What `open_data` of either recipe gives."""

    @property
    def source(self) -> BatchSource:
        """Training batches."""
        ...

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of the clips."""
        ...


DataT = TypeVar("DataT", bound=OpenedData)
PADDED_S: Final = RELEASED_FRAMES * FRAME_HOP_SAMPLES / SAMPLE_RATE


def plan_and_try(
    config: ConfigT,
    *,
    open_data: Callable[[ConfigT], DataT],
    make_task: Callable[[ConfigT, DataT, Callable[[int, int, int], Batch]], Task[Batch]],
    show: Callable[[Mapping[str, Any]], None],
) -> dict[str, Any]:
    """Say what a run would be, refuse what cannot fit, then train two steps; nothing stays.

    Args:
        config: the run's.
        open_data: of the recipe.
        make_task: of the recipe: config, data and where batches are drawn to what is trained.
        show: called in the first process with each section, or sections, as soon as it is known.

    Returns:
        All sections in the first process; in the others only what they tried.

    Raises:
        UsageError: The run needs more memory than there is; no other process was started.
    """
    found: dict[str, Any] = {}
    if devices.is_first():
        found = _planned(config, open_data, make_task, show)
    fabric = devices.launch(config)
    data = open_data(config)
    with open_loader(data.source, config) as loader:
        tried = try_steps(make_task(config, data, loader.draw), config, fabric=fabric)
    if devices.is_first():
        show({"tried": tried})
    return {**found, "tried": tried}


def _planned(
    config: ConfigT,
    open_data: Callable[[ConfigT], DataT],
    make_task: Callable[[ConfigT, DataT, Callable[[int, int, int], Batch]], Task[Batch]],
    show: Callable[[Mapping[str, Any]], None],
) -> dict[str, Any]:
    from_files = config.data.model_copy(update={"sounds": "files"})  # nothing is decoded yet
    data = open_data(config.model_copy(update={"data": from_files}))
    shapes_only = config.model_copy(update={"init_from": None, "compile": False})
    with torch.device("meta"):
        task = make_task(shapes_only, data, data.source.draw)
        found = plan_run(task, config, data=data.facts)
    show(found)
    check_fits(found["memory_mb"], config)
    real = make_task(config.model_copy(update={"compile": False}), data, data.source.draw)
    activations = activations_mb(real, config)
    show({"memory_mb": {"activations": activations}})
    found["memory_mb"]["activations"] = activations
    check_fits(found["memory_mb"], config)
    return found


def activations_mb(task: Task[Batch], config: TrainConfig) -> int:
    """Memory of what the largest piece of a batch keeps for the backward pass, in MB.

    A few clips of the first step are computed, and the largest piece takes as much more as it has
    more patches.
    """
    n_parts = math.gcd(*(bucket.batch_size for bucket in config.buckets))
    batch = task.draw(0, 0, n_parts)
    measured = len(batch.ids) * batch.patch_keep * _patches_s(config, _seconds(batch))
    parts = config.devices * config.nodes * config.accumulate
    largest = max(_patches_of(bucket, config) / parts for bucket in config.buckets)
    return round(saved_bytes(task, batch, config) / MB * largest / measured)


def _seconds(batch: Batch) -> float:
    return batch.waveforms.shape[1] / SAMPLE_RATE


def _patches_of(bucket: BucketConfig, config: TrainConfig) -> float:
    """Seconds of patches in a bucket's batch."""
    return bucket.batch_size * bucket.patch_keep * _patches_s(config, bucket.crop_s)


def _patches_s(config: TrainConfig, seconds: float) -> float:
    """Seconds of patches that a crop becomes."""
    return PADDED_S if config.pad_to_window else seconds
