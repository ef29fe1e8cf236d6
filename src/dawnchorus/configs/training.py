"""Options of a run of training."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from dawnchorus.configs.base import Config, Precision
from dawnchorus.configs.data import BucketConfig, DataConfig, NoiseConfig, SpecAugmentConfig


class TrainConfig(Config):
    """A whole run of `posttrain`, as read from its YAML file."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    size: Literal["tiny", "small", "base", "large"] = "tiny"
    init_from: str | None = Field(default=None, description="model name, file or run to start from")
    seed: int = Field(default=0, ge=0)
    steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    final_learning_rate: float = Field(default=1e-6, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float | None = Field(default=1.0, gt=0)
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    pooling: Literal["cls", "mean", "valid"] = "valid"
    window_s: float = Field(default=10.0, gt=0, description="the exported model's window")
    normalization: tuple[float, float] = (-5.553, 4.606)
    pad_to_window: bool = Field(
        default=False, description="pad to 1024 frames as released models do"
    )
    buckets: tuple[BucketConfig, ...] = (BucketConfig(crop_s=10.0, batch_size=32),)
    data: DataConfig
    label_weight: float = Field(default=1.0, ge=0)
    band_statistics_weight: float = Field(
        default=0.0, ge=0, description="regress each band's mean and deviation from the embedding"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    noise: NoiseConfig = NoiseConfig()
    mix_probability: float = Field(default=0.5, ge=0, le=1)
    gain_db: float = Field(default=0.0, ge=0, description="random gain, plus or minus")
    spec_augment: SpecAugmentConfig = SpecAugmentConfig()
    precision: Precision = "float32"
    device: str = "auto"
    checkpoint_every: int = Field(default=500, ge=1)
    keep_checkpoints: int = Field(default=2, ge=1)
    validate_every: int = Field(default=500, ge=1)
    log_every: int = Field(default=20, ge=1)

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        if self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps {self.warmup_steps} is more than steps {self.steps}")
        lengths = [bucket.crop_s for bucket in self.buckets]
        if sorted(set(lengths)) != lengths:
            raise ValueError(f"buckets must rise in crop_s, without repeats; got {lengths}")
        return self
