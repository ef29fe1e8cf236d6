"""Options of supervised post-training."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from dawnchorus.configs.data import NoiseConfig, SpecAugmentConfig
from dawnchorus.configs.training import Mixing, TrainConfig


class PosttrainConfig(TrainConfig):
    """A whole run of `posttrain`, as read from its YAML file."""

    kind: Literal["posttrain"] = "posttrain"
    pooling: Literal["cls", "mean", "valid"] = "valid"
    train_positions: bool = Field(
        default=False, description="train the position table, as the released code did"
    )

    head_steps: int = Field(
        default=0, ge=0, description="first so many steps train only heads, the encoder is frozen"
    )
    head_learning_rate: float | None = Field(default=None, gt=0, description="null: learning_rate")
    head_warmup_steps: int = Field(default=0, ge=0)
    layer_decay: float = Field(
        default=1.0, gt=0, le=1, description="learning rate of a block over that of the next"
    )

    label_map: str | None = Field(
        default=None,
        description="JSON of label to index, in data.root; null: gathered from training clips",
    )
    unknown_labels: Literal["error", "skip"] = Field(
        default="error",
        description="labels that are not in the label map: an error, or counted and left out",
    )
    label_weight: float = Field(default=1.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    band_statistics_weight: float = Field(
        default=0.0, ge=0, description="regress each band's mean and deviation from the embedding"
    )
    noise: NoiseConfig = NoiseConfig()
    mixing: Mixing = "paper"
    spec_augment: SpecAugmentConfig = SpecAugmentConfig()

    validation_clips: int = Field(default=600, ge=0, description="at most so many, drawn by seed")
    export: Literal["best", "last", "average"] = Field(
        default="best",
        description="weights to export; average: the mean of the checkpoints that are kept",
    )

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        left = self.steps - self.head_steps
        if left < 0:
            raise ValueError(f"head_steps {self.head_steps} is more than steps {self.steps}")
        if self.head_warmup_steps > self.head_steps:
            raise ValueError(
                f"head_warmup_steps {self.head_warmup_steps} is more than head_steps "
                f"{self.head_steps}"
            )
        if left and self.warmup_steps > left:
            raise ValueError(
                f"warmup_steps {self.warmup_steps} is more than the {left} steps after head_steps"
            )
        return self
