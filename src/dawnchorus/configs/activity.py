"""Options of `measure_activity`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  pydantic resolves the annotation at run time
from typing import Literal, Self, TypedDict

from pydantic import Field, model_validator

from dawnchorus.configs.base import Config
from dawnchorus.local_time import parse_zone


class ActivityConfig(Config):
    """What counts as a call in a store, and when and where recordings were made."""

    probe: str | Path | None = Field(
        default=None, description="of a store: folder of a probe, which then gives the scores"
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="of a store: lowest score of a call; None: the model's or the probe's",
    )
    merge: bool = Field(
        default=False, description="of a store: windows that follow each other are one call"
    )
    annotations: str | Path | None = Field(
        default=None,
        description="of a store: count what people call present in this table instead of scores",
    )
    time_zone: str | None = Field(
        default=None, description="local time of recordings that say UTC or no zone"
    )
    site_from: Literal["folder", "parent"] | None = Field(
        default=None, description="the site from the path where nothing else says it"
    )
    audio_root: str | Path | None = Field(
        default=None, description="folder of the recordings, where they have moved"
    )

    @property
    def for_stores(self) -> tuple[str, ...]:
        """Names of the options that were chosen and only make sense for a store."""
        names = ("probe", "threshold", "merge", "annotations")
        return tuple(name for name in names if getattr(self, name) not in (None, False))

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.annotations is not None and len(self.for_stores) > 1:
            other = next(name for name in self.for_stores if name != "annotations")
            raise ValueError(f"{other} is for scores, and annotations are what people say")
        return self

    @model_validator(mode="after")
    def _zone_exists(self) -> Self:
        if self.time_zone is not None:
            parse_zone(self.time_zone)
        return self


class ActivityOptions(TypedDict, total=False):
    """Keywords of `measure_activity`: the fields of `ActivityConfig`."""

    probe: str | Path | None
    threshold: float | None
    merge: bool
    annotations: str | Path | None
    time_zone: str | None
    site_from: Literal["folder", "parent"] | None
    audio_root: str | Path | None
