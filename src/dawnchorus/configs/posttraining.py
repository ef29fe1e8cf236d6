"""Options of supervised post-training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dawnchorus.configs.data import NoiseConfig, SpecAugmentConfig
from dawnchorus.configs.training import Mixing, TrainConfig


class PosttrainConfig(TrainConfig):
    """A whole run of `posttrain`, as read from its YAML file."""

    kind: Literal["posttrain"] = "posttrain"
    pooling: Literal["cls", "mean", "valid"] = "valid"
    label_weight: float = Field(default=1.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    band_statistics_weight: float = Field(
        default=0.0, ge=0, description="regress each band's mean and deviation from the embedding"
    )
    noise: NoiseConfig = NoiseConfig()
    mixing: Mixing = "paper"
    spec_augment: SpecAugmentConfig = SpecAugmentConfig()
