"""Options of `cluster_stores`: how windows of an archive are grouped and laid out."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from dawnchorus.configs.base import Config


class ClusterConfig(Config):
    """What a map and its clusters are made with; the defaults suit a store of any size."""

    landmarks: int = Field(
        default=20_000, ge=3, description="windows that are compared each with each"
    )
    neighbours: int = Field(
        default=15, ge=2, le=200, description="nearest neighbours that hold a landmark in its place"
    )
    least: int = Field(default=10, ge=2, description="landmarks in the smallest cluster")
    coarse: bool = Field(
        default=False, description="fewer and larger clusters, often one a site or recorder"
    )
    seed: int = Field(default=0, ge=0, description="of everything that is drawn at random")
    duplicates: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="list windows of different recordings with at least this cosine; None: do not",
    )
    novel: int = Field(
        default=0, ge=0, description="list so many windows of each site that are like nothing else"
    )

    @property
    def of_the_map(self) -> dict[str, Any]:
        """The options that decide where points lie and what is a cluster."""
        return self.model_dump(mode="json", exclude={"duplicates", "novel"})
