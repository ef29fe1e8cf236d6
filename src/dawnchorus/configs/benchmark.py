"""Options of a benchmark plan: which encoders, tasks, readouts and probes, under which rules."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from dawnchorus.configs.base import Config
from dawnchorus.configs.readout import Pooling, pooling_name

Scaling = Literal["plain", "unit", "standardised"]
_PoolingName = Annotated[
    Pooling | Literal["own", ""],
    BeforeValidator(lambda name: pooling_name(name) if isinstance(name, str) else name),
]


class BenchmarkConfig(Config):
    """A plan: every model on every task, by every readout, pooling and probe.

    What is left out is the protocol's. ``strict``: the model's own layers, mean over tokens that
    hold sound, a linear probe solved to convergence. ``paper``: output, CLS token, the published
    code's schedule.
    """

    models: tuple[str, ...] = Field(
        min_length=1,
        description="what is compared: name, file or folder of a model; random:MODEL; log-mel; "
        "table:FILE; NAME= and one of these",
    )
    tasks: tuple[str, ...] = Field(
        min_length=1, description="ids or patterns of tasks, such as beans/*"
    )
    data: str = Field(default=".", description="folder that holds the tasks' folders")
    output: str = Field(default="benchmark", description="folder of results")
    cache: str | None = Field(
        default=None, description="folder of embedded clips; default: features, in the output"
    )
    protocol: Literal["paper", "strict"] = Field(
        default="strict",
        description="paper: as the published code does it; strict: what it does wrong is mended",
    )
    split: Literal["test", "val"] = Field(
        default="test", description="split that is scored; val: for choices without a look at test"
    )
    readouts: tuple[str, ...] = Field(
        default=("",),
        description="layers joined by commas; own, output, each (one by one) or stack (side by "
        "side); default: the protocol's",
    )
    poolings: tuple[_PoolingName, ...] = Field(
        default=("",), description="pooling of layers that name none; default: the protocol's"
    )
    probes: tuple[str, ...] | None = Field(
        default=None, description="kinds of probe; an empty list: retrieval and clustering only"
    )
    probe_options: dict[str, dict[str, Any]] = Field(
        default={}, description="kind of probe to options of its fit, such as strengths or schedule"
    )
    n_labels: tuple[int, ...] = Field(
        default=(), description="learning curve: numbers of clips a class, beside all of them"
    )
    n_seeds: int = Field(
        default=5,
        ge=1,
        description="seeds: draws of clips, random starts of probes, starts of k-means",
    )
    scalings: tuple[Scaling, ...] = Field(
        default=("plain", "unit", "standardised"),
        description="what is done to vectors before distances; strict only",
    )
    same_group: Literal["keep", "leave_out"] = Field(
        default="keep",
        description="leave_out: no item retrieves others of its recording or individual",
    )
    grid_steps: int = Field(
        default=8, ge=1, description="time steps that probes on tokens see of a clip"
    )
    n_bootstrap: int = Field(default=1000, ge=10, description="draws of a 95 % interval")
    leaks: str | None = Field(
        default=None,
        description="folder with an audit of each task: its hits are scored without, too",
    )
    batch_s: float = Field(default=80.0, gt=0, description="seconds of sound encoded at once")
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    shard: tuple[int, int] | None = Field(
        default=None, description="(i, n): only the i-th of n shares, from 0"
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.shard and not 0 <= self.shard[0] < self.shard[1]:
            raise ValueError(f"shard {self.shard[0]}/{self.shard[1]}: need 0 <= i < n")
        if any(n < 1 for n in self.n_labels):
            raise ValueError(f"n_labels: need 1 or more clips a class, got {list(self.n_labels)}")
        unused = sorted(set(self.probe_options) - set(self.probes or self.default_probes))
        if unused:
            raise ValueError(f"probe_options: {unused[0]!r} is not among the probes of this plan")
        return self

    @property
    def used_scalings(self) -> tuple[Scaling, ...]:
        """Of vectors before distances, under the protocol."""
        return self.scalings if self.protocol == "strict" else ("plain",)

    @property
    def default_probes(self) -> tuple[str, ...]:
        """The protocol's own."""
        return ("linear",) if self.protocol == "strict" else ("linear_schedule",)
