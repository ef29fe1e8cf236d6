"""Learning rate over the steps of a run, and the stages that a run may have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dawnchorus.configs import TrainConfig


def warmup_cosine(
    step: int, *, peak: float, final: float, warmup: int, total: int, start: float | None = None
) -> float:
    """Rate for a step counted from 0: linear to the peak, then half a cosine.

    Args:
        step: from 0; after ``total`` the rate stays at ``final``.
        peak: reached at step ``warmup``.
        final: reached at step ``total``, so that the last one, ``total - 1``, nearly has it.
        warmup: how many steps the rise takes.
        total: end of the cosine.
        start: share of the peak that step 0 has; EAT's pretraining has 0, the released
            post-training 0.1. None: ``1 / warmup``, so that no step is wasted.
    """
    if step < warmup:
        if start is None:  # the first step already moves, the last one has the whole rate
            return peak * (step + 1) / warmup
        return peak * (start + (1 - start) * step / warmup)
    progress = (step - warmup) / max(total - warmup, 1)
    return final + 0.5 * (peak - final) * (1 + math.cos(math.pi * min(progress, 1.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A run of steps with an optimiser and a schedule of its own.

    Attributes:
        name: for messages.
        n_steps: how long it lasts.
        rate: step within the stage, from 0, to learning rate.
        prepare: called before the stage, to say which parameters are trained.
        scale: name of a parameter to its share of the learning rate.
    """

    name: str
    n_steps: int
    rate: Callable[[int], float]
    prepare: Callable[[], None] = lambda: None
    scale: Callable[[str], float] = lambda _name: 1.0


def only_stage(config: TrainConfig, scale: Callable[[str], float] = lambda _name: 1.0) -> Stage:
    """The whole run as one stage, with the config's schedule."""
    return Stage(
        name="all",
        n_steps=config.steps,
        rate=lambda step: config_rate(config, step, total=config.steps),
        scale=scale,
    )


def config_rate(config: TrainConfig, step: int, *, total: int) -> float:
    """The config's rate for a step, on a schedule of ``total`` steps."""
    return warmup_cosine(
        step,
        peak=config.learning_rate,
        final=config.final_learning_rate,
        warmup=config.warmup_steps,
        total=total,
        start=config.warmup_from,
    )
