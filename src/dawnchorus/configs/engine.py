"""Options of `embed` and `predict`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  pydantic resolves the annotation at run time
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypedDict

from pydantic import Field, model_validator

from dawnchorus.configs.base import Backend, Config, Precision
from dawnchorus.configs.readout import OWN, Readout, with_readout
from dawnchorus.local_time import parse_zone

if TYPE_CHECKING:
    from datetime import tzinfo

LONGEST_S: Final = 3600.0  # a window is held in memory whole
LARGEST_BATCH: Final = 4096  # so are the windows of a batch


class WindowConfig(Config):
    """How a recording is cut into windows; a length left out is the model's own."""

    window_s: float | None = Field(
        default=None, gt=0, le=LONGEST_S, description="seconds; None: the model's window"
    )
    hop_s: float | None = Field(
        default=None, gt=0, le=LONGEST_S, description="seconds; None: the window"
    )

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

    windows: WindowConfig = Field(
        default=WindowConfig(), description="how recordings are cut; default: the model's window"
    )
    readout: Readout | None = Field(
        default=None, description="layers and poolings, such as 5,11:bands; None: the model's own"
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=LARGEST_BATCH,
        description="windows at once; None: 8 on a CPU, what fits and fills a GPU",
    )
    workers: int | None = Field(
        default=None, ge=1, description="batches encoded at once on a CPU; None: one a core"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:N, cuda:all or mps")
    precision: Precision = Field(
        default="auto",
        description="auto, float32 or bfloat16, which the model computes in; auto: that of the "
        "store, if there is one, else bfloat16 where processor or GPU multiply it, else float32",
    )
    backend: Backend | None = Field(
        default=None,
        description="torch, onnx (onnxruntime, on a CPU) or onnx-int8 (in 8 bits); None: that of "
        "the store, if there is one, else torch",
    )
    channel: Literal["mean"] | int = Field(default="mean", description="mean of all, or one index")
    dtype: Literal["float16", "float32"] = Field(default="float16", description="of stored vectors")
    content_hash: bool = Field(default=True, description="hash each recording's bytes")
    predict: bool = Field(default=False, description="keep the labels' probabilities as well")
    shard: tuple[int, int] | None = Field(
        default=None, description="(i, n): only the i-th of n shares, from 0"
    )
    time_zone: str | None = Field(
        default=None,
        description="IANA name or offset: what local time is for recordings that say UTC or none",
    )
    site_from: Literal["folder", "parent"] | None = Field(
        default=None,
        description="column site: first folder of the path in the store, or the one it lies in",
    )

    @model_validator(mode="before")
    @classmethod
    def _old_names(cls, values: Any) -> Any:
        return with_readout(values, layers="layers", base=OWN, warn=True)

    @model_validator(mode="after")
    def _shard_exists(self) -> Self:
        if self.shard and not 0 <= self.shard[0] < self.shard[1]:
            raise ValueError(f"shard {self.shard[0]}/{self.shard[1]}: need 0 <= i < n")
        return self

    @model_validator(mode="after")
    def _zone_exists(self) -> Self:
        if self.time_zone is not None:
            parse_zone(self.time_zone)
        return self

    @property
    def zone(self) -> tzinfo | None:
        """The named time zone."""
        return None if self.time_zone is None else parse_zone(self.time_zone)


class PredictConfig(Config):
    """Which of a window's label probabilities become rows, and how rows are written."""

    top_k: int | None = Field(
        default=None, ge=1, description="labels of a window at most, the likeliest; None: all"
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="lowest probability; None: the model's or the probe's"
    )
    labels: tuple[str, ...] | None = Field(default=None, description="only these; None: all")
    name_unfamiliar: bool | None = Field(
        default=None,
        description="name windows too that sound unlike all of the model's training; None: only "
        "where top_k or threshold asks for more than the model's own thresholds give",
    )
    format: str | None = Field(default=None, description="of the output; None: as its suffix says")
    audio_root: str | Path | None = Field(
        default=None,
        description="what paths are relative to; of a store: where its recordings lie now",
    )
    absolute_paths: bool = Field(
        default=False, description="whole paths instead of those from the audio root"
    )
    segments: int | None = Field(
        default=None, ge=1, description="cut out so many of each label, for review"
    )
    spreadsheet_safe: bool = Field(
        default=False, description="in CSV, text that a spreadsheet would run gets an apostrophe"
    )
    thresholds: dict[str, float] = Field(
        default={}, description="label to its own lowest probability"
    )
    merge: bool = Field(default=False, description="windows that follow each other are one row")
    low_threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="down to which a merged detection continues; None: its threshold",
    )
    gap_s: float = Field(
        default=0.0, ge=0, description="seconds between windows of one detection at most"
    )
    min_length_s: float = Field(
        default=0.0, ge=0, description="seconds of a merged detection at least"
    )

    @model_validator(mode="after")
    def _merging_has_thresholds(self) -> Self:
        # by value, not by what was given: a config that was written to a file gives every key
        usual = type(self).model_fields
        only_merged = [
            name
            for name in ("gap_s", "low_threshold", "min_length_s")
            if getattr(self, name) != usual[name].default
        ]
        if not self.merge and only_merged:
            raise ValueError(f"{only_merged[0]} is for merged detections; set merge too")
        if self.merge and self.top_k is not None:
            raise ValueError("merged detections are chosen by thresholds, not by top_k")
        if any(not 0 <= value <= 1 for value in self.thresholds.values()):
            raise ValueError(f"thresholds: need 0 to 1, got {self.thresholds}")
        for_all = [] if self.threshold is None else [self.threshold]
        lowest = min([*self.thresholds.values(), *for_all], default=1.0)
        if self.low_threshold is not None and self.low_threshold > lowest:
            raise ValueError(
                f"low_threshold {self.low_threshold:g} is above a threshold {lowest:g}"
            )
        return self

    @property
    def names_unfamiliar(self) -> bool:
        """Whether windows that sound unlike all training are named."""
        if self.name_unfamiliar is not None:
            return self.name_unfamiliar
        # who asks for the likeliest, or sets a threshold, does not leave it to the model
        return self.top_k is not None or self.threshold is not None


# The keywords of `embed` and `predict`, so that editors and type checkers know them. A test holds
# them equal to the fields of the configs, where each is described.


class _WindowOptions(TypedDict, total=False):
    window_s: float | None
    hop_s: float | None
    batch_size: int | None
    workers: int | None
    device: str
    precision: Precision
    backend: Backend | None
    channel: Literal["mean"] | int
    shard: tuple[int, int] | None
    time_zone: str | None
    site_from: Literal["folder", "parent"] | None


class EmbedOptions(_WindowOptions, total=False):
    """Keywords of `embed`: the fields of `EmbedConfig` and `WindowConfig`."""

    windows: WindowConfig
    readout: Readout | str | None
    dtype: Literal["float16", "float32"]
    content_hash: bool
    predict: bool
    layers: tuple[int | str, ...] | None  # until 0.2; ``readout`` now
    pooling: str | None  # until 0.2; ``readout`` now


class PredictOptions(_WindowOptions, total=False):
    """Keywords of `predict`: how windows are cut and encoded, and the fields of `PredictConfig`."""

    windows: WindowConfig
    top_k: int | None
    threshold: float | None
    labels: tuple[str, ...] | None
    name_unfamiliar: bool | None
    format: str | None
    audio_root: str | Path | None
    absolute_paths: bool
    segments: int | None
    spreadsheet_safe: bool
    thresholds: dict[str, float]
    merge: bool
    low_threshold: float | None
    gap_s: float
    min_length_s: float
