"""Options that every run of training has, whatever it trains."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from dawnchorus.configs.base import ComputedPrecision, Config
from dawnchorus.configs.data import (
    AugmentConfig,
    BucketConfig,
    DataConfig,
    MixConfig,
    NoiseConfig,
    SpeedConfig,
)

Size = Literal["tiny", "small", "base", "large"]
Strategy = Literal["auto", "ddp", "fsdp"]
Mixing = Literal["none", "paper", "released"]
LoggerName = Literal["tensorboard", "wandb", "mlflow"]
RELEASED_MIX_BETA: Final = 0.4  # of the released post-training code


class TrainConfig(Config):
    """A run of training, as read from its YAML file; each kind of run adds its own options."""

    name: str = Field(
        min_length=1,
        pattern=r"^[A-Za-z0-9._-]+$",  # it names a folder, on every system
        description="name of the run, its folder and the exported model",
    )
    size: Size = Field(default="tiny", description="width and depth of the encoder")
    init_from: str | None = Field(
        default=None, description="model name, weights file or run to start from; null: random"
    )
    seed: int = Field(default=0, ge=0, description="of weights, batches and augmentation")

    steps: int = Field(ge=1, description="steps of the optimiser in the whole run")
    learning_rate: float = Field(gt=0, description="highest rate, reached after the warm-up")
    final_learning_rate: float = Field(
        default=1e-6, ge=0, description="rate at the end of the cosine"
    )
    warmup_steps: int = Field(default=0, ge=0, description="steps of the linear rise at the start")
    warmup_from: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="share of the rate that the first step has; null: 1 / warmup_steps",
    )
    weight_decay: float = Field(default=0.01, ge=0, description="of AdamW")
    weight_decay_on: Literal["matrices", "all"] = Field(
        default="matrices", description="all: biases and norms decay too, as in the released code"
    )
    betas: tuple[float, float] = Field(default=(0.9, 0.999), description="of AdamW")
    clip_norm: float | None = Field(
        default=1.0, gt=0, description="gradients of a larger norm are scaled down; null: never"
    )
    drop_path: float = Field(
        default=0.0, ge=0, lt=1, description="share of residual branches dropped in the last block"
    )

    window_s: float = Field(
        default=10.0, gt=0, description="seconds of the exported model's window"
    )
    # Of AudioSet's log-mels, as EAT and AVES2 have it; dawnchorus data statistics measures yours.
    normalization: tuple[float, float] = Field(
        default=(-5.553, 4.606), description="mean and standard deviation of the input's log-mel"
    )
    pad_to_window: bool = Field(
        default=False, description="pad to 1024 frames as released models do"
    )
    buckets: tuple[BucketConfig, ...] = Field(
        default=(BucketConfig(crop_s=10.0, batch_size=32),),
        description="lengths of crops, each with its batch size; a batch has clips of one length",
    )
    data: DataConfig = Field(description="where the clips are, and how they are drawn")
    noise: NoiseConfig = Field(
        default=NoiseConfig(probability=0.0), description="recordings of noise mixed into clips"
    )
    speed: SpeedConfig = Field(
        default=SpeedConfig(), description="clips played faster or slower, before all else"
    )
    gain_db: float = Field(default=0.0, ge=0, description="random gain, plus or minus")
    mixing: Mixing = Field(
        default="none",
        description="paper: each clip by itself; released: one clip of an affected batch",
    )
    mix_probability: float = Field(
        default=0.5, ge=0, le=1, description="share of the clips or batches that are mixed"
    )

    precision: ComputedPrecision = Field(default="float32", description="of the forward pass")
    device: str = Field(default="auto", description="auto, cpu, cuda, mps, or one such as cuda:1")
    devices: int = Field(default=1, ge=1, description="processes on each machine")
    nodes: int = Field(default=1, ge=1, description="machines")
    strategy: Strategy = Field(
        default="auto", description="with several processes: ddp, or fsdp to spread the weights"
    )
    accumulate: int = Field(
        default=1, ge=1, description="pieces of a process's share, one after the other: less memory"
    )
    compile: bool = Field(default=False, description="compile the blocks: faster after minutes")

    checkpoint_every: int = Field(default=500, ge=1, description="steps between checkpoints")
    keep_checkpoints: int = Field(default=2, ge=1, description="latest checkpoints to keep")
    validate_every: int = Field(default=500, ge=1, description="steps between validations")
    patience: int | None = Field(
        default=None, ge=1, description="validations without a better score before the run ends"
    )
    log_every: int = Field(default=20, ge=1, description="steps between lines of the log")
    export_precision: Literal["float16", "bfloat16", "float32"] = Field(
        default="float16", description="of the numbers in the exported file"
    )
    loggers: tuple[LoggerName, ...] = Field(
        default=(), description="other programs that get the log too"
    )

    @property
    def augment(self) -> AugmentConfig:
        """What is done to the waveform of each clip drawn."""
        probability = 0.0 if self.mixing == "none" else self.mix_probability
        mix = MixConfig(probability=probability)
        if self.mixing == "released":
            mix = MixConfig(probability=probability, per="batch", beta=RELEASED_MIX_BETA)
        return AugmentConfig(speed=self.speed, gain_db=self.gain_db, mix=mix, noise=self.noise)

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        if self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps {self.warmup_steps} is more than steps {self.steps}")
        # the last bucket is the longest one: validation and memory rely on it
        lengths = [bucket.crop_s for bucket in self.buckets]
        if sorted(set(lengths)) != lengths:
            raise ValueError(f"buckets must rise in crop_s, without repeats; got {lengths}")
        if len({bucket.weight is None for bucket in self.buckets}) > 1:
            raise ValueError("buckets: give all of them a weight, or none")
        return self

    @model_validator(mode="after")
    def _batches_divide(self) -> Self:
        # equal parts, so that the mean of their losses is the loss of the whole batch
        parts = self.devices * self.nodes * self.accumulate
        for bucket in self.buckets:
            if bucket.batch_size % parts:
                raise ValueError(
                    f"batch_size {bucket.batch_size} of the bucket of {bucket.crop_s:g} s does not "
                    f"divide into devices x nodes x accumulate = {parts} equal parts"
                )
        return self
