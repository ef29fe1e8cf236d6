"""Options of `search_stores` and `cluster_stores`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from dawnchorus.configs.base import Config


class SearchConfig(Config):
    """How many windows a search gives, and how it looks for them."""

    k: int = Field(default=50, ge=1, description="windows to find")
    per_recording: int | None = Field(
        default=5,
        ge=1,
        description="at most so many of one recording, or a noisy one fills the page; None: any",
    )
    columns: tuple[str, ...] = Field(
        default=(), description="further columns of windows or recordings in the result"
    )
    annotations: str | None = Field(
        default=None, description="folder of annotations; None: the one beside the first store"
    )
    sketch: Literal["auto", "on", "off"] = Field(
        default="auto", description="score only windows that a sketch chooses, not all of them"
    )
    device: str = Field(default="auto", description="of the products: auto, cpu, cuda or mps")
    seed: int = Field(default=0, ge=0, description="of the random windows of a linear head")
    engine: Literal["local", "ray"] = Field(
        default="local", description="who scores windows: this machine, or those of a Ray cluster"
    )
    address: str | None = Field(
        default=None, description="of the Ray cluster, such as auto; None: this machine alone"
    )


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

    stability: int = Field(
        default=0,
        ge=0,
        description="draw half of the recordings so often, and say which clusters they show too",
    )

    @property
    def of_the_map(self) -> dict[str, Any]:
        """The options that decide where points lie and what is a cluster."""
        return self.model_dump(mode="json", exclude={"duplicates", "novel", "stability"})
