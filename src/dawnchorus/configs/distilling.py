"""Options of distillation: which other models teach in a run of post-training, and how much."""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import Field, field_validator, model_validator

from dawnchorus.configs.base import Config, Precision
from dawnchorus.configs.readout import Readout  # noqa: TC001  pydantic needs it at run time

WEIGHT: Final = 1.0  # of a loss that is not given one


class DistilConfig(Config):
    """One teacher: a model that hears what the student hears, or a table of its stored outputs."""

    model: str | None = Field(
        default=None,
        description="any model that can be loaded: it hears each crop as the student does",
    )
    table: str | None = Field(
        default=None,
        description="instead: its stored outputs, a Parquet table in data.root; cheaper, of clean "
        "sound",
    )
    name: str | None = Field(
        default=None,
        min_length=1,
        pattern=r"^[A-Za-z0-9_-]+$",  # it names tensors of a checkpoint
        description="of its losses in the log; null: the model's",
    )
    readout: Readout | None = Field(
        default=None,
        description="layers and pooling of its embedding, such as 6:mean,11:mean; null: its own",
    )
    weight: float = Field(default=1.0, gt=0, description="of all its losses, beside other teachers")
    embedding_weight: float = Field(
        default=WEIGHT, ge=0, description="of 1 - cosine + 0.1 L1 on its standardised embedding"
    )
    logits_weight: float | None = Field(
        default=None,
        ge=0,
        description="of the cross-entropy on its logits; null: 1 if it has any, else 0",
    )
    precision: Precision = Field(default="float32", description="of the teacher's forward pass")

    @field_validator("readout", mode="before")
    @classmethod
    def _no_empty_readout(cls, value: Any) -> Any:
        return value or None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.model is None) == (self.table is None):
            raise ValueError("a teacher needs model: NAME or table: FILE, one of them")
        if self.embedding_weight == 0 and self.logits_weight == 0:
            raise ValueError("embedding_weight and logits_weight are both 0: it teaches nothing")
        if self.table is not None and (self.readout is not None or self.precision != "float32"):
            raise ValueError("a table has its outputs stored; readout and precision are a model's")
        return self


def as_list(value: Any) -> Any:
    """One teacher as a list of one: what a file says, before it is checked."""
    return [value] if isinstance(value, dict | DistilConfig) else value
