"""Options of `probe_fit`: what a biologist chooses between labelled clips and a probe."""

from __future__ import annotations

import warnings
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from dawnchorus.configs.base import Backend, Config, Precision
from dawnchorus.configs.probes import TOKEN_PROBES, FitConfig
from dawnchorus.configs.readout import OWN, Readout, with_readout
from dawnchorus.errors import DawnChorusWarning


class ProbeRunConfig(Config):
    """From labelled clips to a calibrated probe."""

    # what is embedded, and how
    window_s: float | None = Field(
        default=None,
        gt=0,
        description="None: long enough for nine in ten clips, at most the model's",
    )
    readout: Readout | None = Field(
        default=None, description="layers and poolings, such as 5,11:bands; None: the model's own"
    )
    device: str = Field(default="auto", description="of the encoder: auto, cpu, cuda or mps")
    precision: Precision = Field(
        default="auto", description="that the encoder computes in; auto: as `embed` would"
    )
    backend: Backend | None = Field(
        default=None, description="torch, onnx or onnx-int8, as for `embed`; None: torch"
    )
    workers: int | None = Field(
        default=None, ge=1, description="batches at once on a CPU; None: one for each core"
    )

    # what is learned
    fit: FitConfig = Field(default=FitConfig(), description="the head and how it is fitted")
    multi_label: bool | None = Field(
        default=None,
        description="whether a clip may have any number of labels; None: unless every clip has one",
    )
    background: tuple[str, ...] = Field(
        default=(), description="labels that mean: none of the classes is heard; in any case"
    )
    unannotated: bool = Field(
        default=False,
        description="parts of annotated recordings that no annotation covers are background too",
    )
    group_by: tuple[str, ...] | None = Field(
        default=None,
        description="columns whose equal values keep clips on one side of a split; None: group, "
        "recordist and individual where there are",
    )

    # what is measured on clips held out
    calibration: Literal["auto", "none", "temperature", "platt_shared", "platt", "isotonic"] = (
        Field(default="auto", description="see dawnchorus.probes.calibration; auto: the best")
    )
    target_precision: float | None = Field(
        default=None, gt=0, le=1, description="that thresholds are for; without any target 0.9"
    )
    target_recall: float | None = Field(
        default=None, gt=0, le=1, description="that they are for instead"
    )
    confidence: float = Field(
        default=0.8,
        ge=0,
        lt=1,
        description="with which thresholds reach their target; 0: what does best on these clips",
    )
    few_shot: tuple[int, ...] = Field(
        default=(), description="also score with this many clips of each class"
    )

    @model_validator(mode="before")
    @classmethod
    def _old_names(cls, values: Any) -> Any:
        values = with_readout(values, layers="layers", base=OWN, warn=True)
        if isinstance(values, dict) and "nothing" in values:
            text = "ProbeRunConfig: 'nothing' is now called 'background'"
            warnings.warn(DawnChorusWarning(text), stacklevel=2)
            values = {"background" if k == "nothing" else k: v for k, v in values.items()}
        return values

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.target_precision is not None and self.target_recall is not None:
            raise ValueError("thresholds are for a precision or for a recall; give one target")
        if self.fit.probe_type in TOKEN_PROBES:
            raise ValueError(
                f"probe_type {self.fit.probe_type!r} reads every token, which clips' embeddings do "
                "not keep; use linear, mlp or knn here, or build_probe_from_config"
            )
        return self
