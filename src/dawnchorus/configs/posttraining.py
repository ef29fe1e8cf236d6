"""Options of supervised post-training."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from dawnchorus.configs.data import NoiseConfig, SpecAugmentConfig
from dawnchorus.configs.distilling import DistilConfig, as_list
from dawnchorus.configs.training import Mixing, TrainConfig


class PosttrainConfig(TrainConfig):
    """A whole run of `posttrain`, as read from its YAML file."""

    kind: Literal["posttrain"] = Field(default="posttrain", description="which kind of run this is")
    pooling: Literal["cls", "mean", "valid"] = Field(
        default="valid", description="of the tokens that the head sees; valid: without padding"
    )
    train_positions: bool = Field(
        default=False, description="train the position table, as the released code did"
    )

    head_steps: int = Field(
        default=0, ge=0, description="first so many steps train only heads, the encoder is frozen"
    )
    head_learning_rate: float | None = Field(default=None, gt=0, description="null: learning_rate")
    head_warmup_steps: int = Field(default=0, ge=0, description="of head_steps, the linear rise")
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
    label_weight: float = Field(default=1.0, ge=0, description="of the loss of the labels")
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="how far targets move from 0 and 1 towards 0.5"
    )
    teacher: tuple[DistilConfig, ...] = Field(
        default=(),
        description="one teacher or several, whose outputs the embedding learns to tell; "
        "with data.label_kinds: [] they are all there is to learn",
    )
    band_statistics_weight: float = Field(
        default=0.0,
        ge=0,
        description="of regressing each band's mean and standard deviation from the embedding",
    )
    noise: NoiseConfig = Field(
        default=NoiseConfig(), description="recordings of noise mixed into clips"
    )
    mixing: Mixing = Field(
        default="paper",
        description="paper: each clip by itself; released: one clip of an affected batch",
    )
    spec_augment: SpecAugmentConfig = Field(
        default=SpecAugmentConfig(), description="stripes of time and bands to blank"
    )

    ema_decay: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of itself that a moving average of the weights keeps each step; it is "
        "what is validated and exported then; 0: there is none",
    )
    validation_clips: int = Field(default=600, ge=0, description="at most so many, drawn by seed")
    export: Literal["best", "last", "average"] = Field(
        default="best",
        description="weights to export; average: the mean of the checkpoints that are kept",
    )

    @field_validator("teacher", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return () if value is None else as_list(value)

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not self.data.label_kinds and not self.teacher and self.data.teacher is None:
            raise ValueError("data.label_kinds is empty and there is no teacher: nothing to learn")
        if not self.data.label_kinds and (self.label_map or self.data.auxiliary_kinds):
            raise ValueError("label_map and data.auxiliary_kinds need data.label_kinds")
        tables = sum(one.table is not None for one in self.teacher) + bool(self.data.teacher)
        if tables > 1:
            raise ValueError(f"teacher: {tables} tables of stored outputs; one is read, at most")
        return self

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        left = self.steps - self.head_steps  # of the second stage, which has its own warm-up
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
