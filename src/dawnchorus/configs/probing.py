"""Options of `probe_fit`: what a biologist chooses between labelled clips and a probe."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from dawnchorus.configs.base import Config, Precision
from dawnchorus.configs.probes import TOKEN_PROBES, FitConfig
from dawnchorus.configs.readout import OWN, Readout, with_readout


class ProbeRunConfig(Config):
    """From labelled clips to a calibrated probe."""

    window_s: float | None = Field(
        default=None, gt=0, description="None: as nine in ten clips fit in, at most the model's"
    )
    readout: Readout | None = Field(
        default=None, description="layers and poolings, such as 5,11:bands; None: the model's own"
    )
    device: str = "auto"
    precision: Precision = "float32"
    workers: int | None = Field(default=None, ge=1, description="None: one a core")
    fit: FitConfig = FitConfig()
    multi_label: bool | None = Field(
        default=None, description="None: unless every clip has exactly one label"
    )
    nothing: tuple[str, ...] = Field(
        default=(), description="labels of background: no class is heard; in any case"
    )
    unannotated: bool = Field(
        default=False,
        description="parts of annotated recordings that no annotation covers are background too",
    )
    group_by: tuple[str, ...] | None = Field(
        default=None, description="columns that hold clips together; None: those with usual names"
    )
    calibration: Literal["auto", "none", "temperature", "platt_shared", "platt", "isotonic"] = (
        "auto"
    )
    target_precision: float | None = Field(default=None, gt=0, le=1)
    target_recall: float | None = Field(default=None, gt=0, le=1)
    confidence: float = Field(
        default=0.8,
        ge=0,
        lt=1,
        description="with which thresholds reach their target; 0: what does best on these clips",
    )
    few_shot: tuple[int, ...] = Field(
        default=(), description="score with so many clips of each class as well"
    )

    @model_validator(mode="before")
    @classmethod
    def _old_names(cls, values: Any) -> Any:
        return with_readout(values, layers="layers", base=OWN, warn=True)

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
