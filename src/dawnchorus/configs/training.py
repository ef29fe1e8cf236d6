"""Options that every run of training has, whatever it trains."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from dawnchorus.configs.base import Config, Precision
from dawnchorus.configs.data import (
    AugmentConfig,
    BucketConfig,
    DataConfig,
    MixConfig,
    NoiseConfig,
)

Size = Literal["tiny", "small", "base", "large"]
Strategy = Literal["auto", "ddp", "fsdp"]
Mixing = Literal["none", "paper", "released"]
LoggerName = Literal["tensorboard", "wandb", "mlflow"]
RELEASED_MIX_BETA: Final = 0.4  # of the released post-training code


class TrainConfig(Config):
    """A run of training, as read from its YAML file; each kind of run adds its own options."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    size: Size = "tiny"
    init_from: str | None = Field(default=None, description="model name, file or run to start from")
    seed: int = Field(default=0, ge=0)

    steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    final_learning_rate: float = Field(default=1e-6, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    warmup_from: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="share of the rate that the first step has; null: 1 / warmup_steps",
    )
    weight_decay: float = Field(default=0.01, ge=0)
    weight_decay_on: Literal["matrices", "all"] = "matrices"
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float | None = Field(default=1.0, gt=0)
    drop_path: float = Field(default=0.0, ge=0, lt=1)

    window_s: float = Field(default=10.0, gt=0, description="the exported model's window")
    normalization: tuple[float, float] = (-5.553, 4.606)
    pad_to_window: bool = Field(
        default=False, description="pad to 1024 frames as released models do"
    )
    buckets: tuple[BucketConfig, ...] = (BucketConfig(crop_s=10.0, batch_size=32),)
    data: DataConfig
    noise: NoiseConfig = NoiseConfig(probability=0.0)
    gain_db: float = Field(default=0.0, ge=0, description="random gain, plus or minus")
    mixing: Mixing = Field(
        default="none",
        description="paper: each clip by itself; released: one clip of an affected batch",
    )
    mix_probability: float = Field(default=0.5, ge=0, le=1)

    precision: Precision = "float32"
    device: str = "auto"
    devices: int = Field(default=1, ge=1, description="processes on each machine")
    nodes: int = Field(default=1, ge=1, description="machines")
    strategy: Strategy = "auto"
    accumulate: int = Field(default=1, ge=1, description="pieces that a process cuts its share in")
    compile: bool = False

    checkpoint_every: int = Field(default=500, ge=1)
    keep_checkpoints: int = Field(default=2, ge=1)
    validate_every: int = Field(default=500, ge=1)
    patience: int | None = Field(
        default=None, ge=1, description="validations without a better score before the run ends"
    )
    log_every: int = Field(default=20, ge=1)
    export_precision: Literal["float16", "bfloat16", "float32"] = Field(
        default="float16", description="of the numbers in the exported file"
    )
    loggers: tuple[LoggerName, ...] = ()

    @property
    def augment(self) -> AugmentConfig:
        """What is done to the waveform of each clip drawn."""
        probability = 0.0 if self.mixing == "none" else self.mix_probability
        mix = MixConfig(probability=probability)
        if self.mixing == "released":
            mix = MixConfig(probability=probability, per="batch", beta=RELEASED_MIX_BETA)
        return AugmentConfig(gain_db=self.gain_db, mix=mix, noise=self.noise)

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        if self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps {self.warmup_steps} is more than steps {self.steps}")
        lengths = [bucket.crop_s for bucket in self.buckets]
        if sorted(set(lengths)) != lengths:
            raise ValueError(f"buckets must rise in crop_s, without repeats; got {lengths}")
        if len({bucket.weight is None for bucket in self.buckets}) > 1:
            raise ValueError("buckets: give all of them a weight, or none")
        return self

    @model_validator(mode="after")
    def _batches_divide(self) -> Self:
        parts = self.devices * self.nodes * self.accumulate
        for bucket in self.buckets:
            if bucket.batch_size % parts:
                raise ValueError(
                    f"batch_size {bucket.batch_size} of the bucket of {bucket.crop_s:g} s does not "
                    f"divide into devices x nodes x accumulate = {parts} equal parts"
                )
        return self
