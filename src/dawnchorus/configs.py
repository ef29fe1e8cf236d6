"""Every option that a user can set, as frozen configs that refuse nonsense when made.

An unknown key is an error, and so is a value of the wrong type; both name the key. The training
configs stand at the end. Nothing here imports torch.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  pydantic resolves the annotation at run time
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dawnchorus.errors import UsageError

Pooling = Literal["mean", "cls", "patches", "valid", "max"]
Precision = Literal["float32", "bfloat16"]
LayerSelection = tuple[int | str, ...]


class Config(BaseModel):
    """Base of all configs: frozen, no unknown keys, one-line errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=False)

    def __init__(self, **values: Any) -> None:  # Any: a file's keys, checked right here
        """Check the values.

        Raises:
            UsageError: A key is unknown or missing, or a value is not what the field needs.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UsageError(_explain(type(self), error)) from error


def _explain(config: type[BaseModel], error: ValidationError) -> str:
    problems = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = ", ".join(sorted(config.model_fields))
            problems.append(f"unknown key {key!r} (known: {known})")
        elif not key:
            problems.append(problem["msg"].removeprefix("Value error, "))
        else:
            problems.append(f"{key}: {problem['msg']}, got {problem['input']!r}")
    return f"{config.__name__}: " + "; ".join(problems)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Raises:
        UsageError: The file is missing, is not YAML, or is not a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a YAML file: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(
            f"{path}: need a mapping of keys to values, found {type(content).__name__}"
        )
    return content


class WindowConfig(Config):
    """How a recording is cut into windows; a length left out is the model's own."""

    window_s: float | None = Field(
        default=None, gt=0, description="seconds; None: the model's window"
    )
    hop_s: float | None = Field(default=None, gt=0, description="seconds; None: the window")

    @model_validator(mode="after")
    def _hop_within_window(self) -> Self:
        if self.window_s and self.hop_s and self.hop_s > self.window_s:
            raise ValueError(
                f"hop_s {self.hop_s:g} is longer than window_s {self.window_s:g}, "
                f"so sound would be skipped; need 0 < hop_s <= window_s"
            )
        return self


class EmbedConfig(Config):
    """What `embed` and `predict` do with each window."""

    windows: WindowConfig = WindowConfig()
    pooling: Pooling | None = Field(default=None, description="None: the model's own")
    layers: LayerSelection | None = Field(
        default=None, description="layers to pool and join; None: the model's own"
    )
    batch_size: int | None = Field(
        default=None, ge=1, description="windows at once; None: 8 on a CPU, 64 elsewhere"
    )
    workers: int | None = Field(
        default=None, ge=1, description="batches encoded at once on a CPU; None: one a core"
    )
    device: str = "auto"
    precision: Precision = "float32"
    channel: Literal["mean"] | int = Field(default="mean", description="mean of all, or one index")
    dtype: Literal["float16", "float32"] = Field(default="float16", description="of stored vectors")
    content_hash: bool = Field(default=True, description="hash each recording's bytes")
    predict: bool = Field(default=False, description="keep the labels' probabilities as well")
    shard: tuple[int, int] | None = Field(
        default=None, description="(i, n): only the i-th of n shares, from 0"
    )

    @model_validator(mode="after")
    def _shard_exists(self) -> Self:
        if self.shard and not 0 <= self.shard[0] < self.shard[1]:
            raise ValueError(f"shard {self.shard[0]}/{self.shard[1]}: need 0 <= i < n")
        return self


class PredictConfig(Config):
    """Which of a window's label probabilities become rows."""

    top_k: int | None = Field(default=None, ge=1)
    threshold: float | None = Field(default=None, ge=0, le=1)
    labels: tuple[str, ...] | None = Field(default=None, description="only these labels")
    format: str | None = Field(default=None, description="of the output; None: as its suffix says")
    segments: int | None = Field(
        default=None, ge=1, description="cut out so many of each label, for review"
    )
    thresholds: dict[str, float] = Field(
        default={}, description="label to its own lowest probability"
    )
    merge: bool = Field(default=False, description="windows that follow each other are one row")
    low_threshold: float | None = Field(
        default=None, ge=0, le=1, description="at which a merged detection goes on"
    )
    gap_s: float = Field(default=0.0, ge=0, description="between windows of one detection")
    min_length_s: float = Field(default=0.0, ge=0, description="of a merged detection")

    @model_validator(mode="after")
    def _merging_has_thresholds(self) -> Self:
        only_merged = {"low_threshold", "gap_s", "min_length_s"} & self.model_fields_set
        if not self.merge and only_merged:
            raise ValueError(f"{sorted(only_merged)[0]} is for merged detections; say merge too")
        if self.merge and self.threshold is None and not self.thresholds:
            raise ValueError("merge needs a threshold")
        if self.merge and self.top_k is not None:
            raise ValueError("merge goes by thresholds, not by top_k")
        if any(not 0 <= value <= 1 for value in self.thresholds.values()):
            raise ValueError(f"thresholds: need 0 to 1, got {self.thresholds}")
        lowest = min(
            [*self.thresholds.values(), *([self.threshold] if self.threshold else [])], default=1.0
        )
        if self.low_threshold is not None and self.low_threshold > lowest:
            raise ValueError(
                f"low_threshold {self.low_threshold:g} is above a threshold {lowest:g}"
            )
        return self


class ProbeConfig(Config):
    """A probe on a frozen or trainable encoder; the fields follow the released library."""

    probe_type: Literal["linear"] = "linear"
    target_layers: LayerSelection = ("last_layer",)
    aggregation: Literal["mean", "max", "cls_token", "none"] = "mean"
    freeze_backbone: bool = True
    online_training: bool = Field(
        default=True, description="True: waveforms in; False: stored embeddings in"
    )


class NoiseConfig(Config):
    """Additive noise from the training noise pool."""

    probability: float = Field(default=0.5, ge=0, le=1)
    snr_db: tuple[float, float] = (-10.0, 20.0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"snr_db: need low <= high, got {self.snr_db}")
        return self


class SpecAugmentConfig(Config):
    """Masks over time and band of the normalised log-mel, as shares of its size."""

    n_time_masks: int = Field(default=0, ge=0)
    time_share: float = Field(default=0.1, ge=0, le=1)
    n_band_masks: int = Field(default=0, ge=0)
    band_share: float = Field(default=0.1, ge=0, le=1)


class BucketConfig(Config):
    """One length of crops: a clip goes to the shortest bucket that holds it whole."""

    crop_s: float = Field(gt=0)
    batch_size: int = Field(ge=1)
    weight: float = Field(default=1.0, gt=0, description="share of the steps, relative")
    patch_keep: float = Field(
        default=1.0, gt=0, le=1, description="share of patches kept in training"
    )


class TeacherConfig(Config):
    """Outputs of another model on the training windows, used as soft targets."""

    table: str = Field(description="Parquet: id, start_s, stop_s, embedding and/or logits")
    embedding_weight: float = Field(default=1.0, ge=0)
    logits_weight: float = Field(default=1.0, ge=0)


class DataConfig(Config):
    """Where the clips come from; paths are relative to ``root``."""

    root: str
    manifest: str = "manifest.parquet"
    teacher: TeacherConfig | None = None
    label_kinds: tuple[str, ...] = Field(
        default=("species", "sound"), description="kinds of label in the shipped label map"
    )
    auxiliary_kinds: tuple[str, ...] = Field(
        default=(), description="further kinds, trained with heads that are not shipped"
    )
    source_weights: dict[str, float] = Field(default={}, description="dataset to sampling weight")
    noise_sources: tuple[str, ...] = ()
    strong_sources: tuple[str, ...] = Field(
        default=(), description="datasets whose file labels do not hold for every part of a file"
    )


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
