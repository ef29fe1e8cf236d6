"""Options of training data: where clips come from, how they are drawn and augmented."""

from __future__ import annotations

import warnings
from typing import Literal, Self

from pydantic import Field, model_validator

from dawnchorus.configs.base import Config
from dawnchorus.errors import DawnChorusWarning
from dawnchorus.publication import user_agent


class NoiseConfig(Config):
    """Additive noise from the training noise pool."""

    probability: float = Field(
        default=0.5, ge=0, le=1, description="share of the clips that get noise"
    )
    snr_db: tuple[float, float] = Field(
        default=(-10.0, 20.0), description="range of the signal-to-noise ratio, drawn evenly"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"snr_db: need low <= high, got {self.snr_db}")
        return self


class SpeedConfig(Config):
    """Clips played faster or slower: pitch, tempo and formants move together."""

    probability: float = Field(default=0.0, ge=0, le=1, description="share of the clips")
    factor: tuple[float, float] = Field(
        default=(0.9, 1.1), description="range of the speed; above 1: faster and higher"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not 0.5 <= self.factor[0] <= self.factor[1] <= 2:
            raise ValueError(f"factor: need 0.5 <= low <= high <= 2, got {self.factor}")
        return self


class MixConfig(Config):
    """Clips mixed within a batch; a mixture carries the labels of both.

    The paper mixes half of the clips of a batch (``per: clip``). Its code, in half of the batches,
    replaces one clip by a mixture, with a share drawn from Beta(0.4, 0.4) (``per: batch``,
    ``beta: 0.4``).
    """

    probability: float = Field(
        default=0.5, ge=0, le=1, description="share of the clips, or of the batches, that are mixed"
    )
    per: Literal["clip", "batch"] = Field(
        default="clip", description="batch: the probability that one of its clips is mixed"
    )
    share: tuple[float, float] = Field(
        default=(0.3, 0.7), description="range of a clip's own share; its partner has the rest"
    )
    beta: float | None = Field(
        default=None, gt=0, description="draw the share from Beta(beta, beta) instead"
    )

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if not 0 <= self.share[0] <= self.share[1] <= 1:
            raise ValueError(f"share: need 0 <= low <= high <= 1, got {self.share}")
        return self


class AugmentConfig(Config):
    """What is done to the waveform of each clip drawn, in this order."""

    speed: SpeedConfig = Field(default=SpeedConfig(), description="clips played faster or slower")
    gain_db: float = Field(default=0.0, ge=0, description="random gain, plus or minus")
    mix: MixConfig = Field(default=MixConfig(), description="clips mixed with each other")
    noise: NoiseConfig = Field(default=NoiseConfig(), description="noise added last")


class SpecAugmentConfig(Config):
    """Masks over time and band of the normalised log-mel, as shares of its size."""

    n_time_masks: int = Field(default=0, ge=0, description="masks over stretches of time")
    time_share: float = Field(
        default=0.1, ge=0, le=1, description="longest mask over time, as a share of all frames"
    )
    n_band_masks: int = Field(default=0, ge=0, description="masks over ranges of bands")
    band_share: float = Field(
        default=0.1, ge=0, le=1, description="widest mask over bands, as a share of all bands"
    )


class BucketConfig(Config):
    """One length of crops: a clip goes to the shortest bucket that holds it whole."""

    crop_s: float = Field(gt=0, description="length of a crop in seconds")
    batch_size: int = Field(ge=1, description="clips in a batch, over all devices")
    weight: float | None = Field(
        default=None,
        gt=0,
        description="share of the steps, relative; None, of all buckets: as often as makes the "
        "sampling hold over all of them",
    )
    patch_keep: float = Field(
        default=1.0, gt=0, le=1, description="share of patches kept in training"
    )


class TeacherConfig(Config):
    """Outputs of another model on the training windows, used as soft targets."""

    table: str = Field(description="Parquet: id, start_s, stop_s, embedding and/or logits")
    embedding_weight: float = Field(
        default=1.0, ge=0, description="weight of the loss on its embeddings"
    )
    logits_weight: float = Field(default=1.0, ge=0, description="weight of the loss on its logits")


class DataConfig(Config):
    """Where the clips come from, and how they are drawn; paths are relative to ``root``."""

    root: str = Field(description="folder, or a URL such as s3://bucket/folder")
    manifest: str = Field(
        default="manifest.parquet", description="a manifest, or the index of packed shards"
    )
    sounds: Literal["memory", "files"] = Field(
        default="memory",
        description="memory: decode all before training; files: read each crop when it is drawn",
    )
    workers: int = Field(
        default=0, ge=0, description="threads that draw batches ahead; 0: one a core, 16 at most"
    )
    sampling: Literal["shuffled", "source_weighted", "class_balanced"] | None = Field(
        default=None,
        description=(
            "shuffled: every clip once an epoch; source_weighted: by source_weights; "
            "class_balanced: each label as often; where buckets have weights of their own, that "
            "holds inside each bucket; None: source_weighted where source_weights are "
            "given, else shuffled"
        ),
    )
    teacher: TeacherConfig | None = Field(
        default=None, description="another model's outputs as further targets"
    )
    label_kinds: tuple[str, ...] = Field(
        default=("species", "sound"),
        description="kinds of label in the shipped label map; []: none, a teacher teaches",
    )
    auxiliary_kinds: tuple[str, ...] = Field(
        default=(), description="further kinds, trained with heads that are not shipped"
    )
    source_weights: dict[str, float] = Field(
        default={}, description="dataset to sampling weight of each of its clips; 1 if not named"
    )
    noise_sources: tuple[str, ...] = Field(
        default=(), description="datasets whose training clips are the noise pool"
    )
    noise_pool: str | None = Field(
        default=None, description="a folder of sounds or a manifest as noise pool, beside them"
    )
    strong_sources: tuple[str, ...] = Field(
        default=(), description="datasets whose file labels do not hold for every part of a file"
    )

    @model_validator(mode="after")
    def _weights_are_used(self) -> Self:
        if self.source_weights and self.sampling not in {None, "source_weighted"}:
            raise ValueError(f"source_weights are not used with sampling {self.sampling!r}")
        negative = sorted(name for name, weight in self.source_weights.items() if weight < 0)
        if negative:
            raise ValueError(f"source_weights: {negative[0]!r} is below 0")
        return self


class RequestLimits(Config):
    """How much is asked of a server, and how often again."""

    per_second: float = Field(default=4.0, gt=0, description="requests per second to one host")
    n_tries: int = Field(default=5, ge=1, description="tries of a request before it has failed")
    first_wait_s: float = Field(
        default=1.0, ge=0, description="before the second try; doubled before each further one"
    )
    timeout_s: float = Field(
        default=30.0, gt=0, description="seconds of silence, after which a request has stalled"
    )
    user_agent: str = Field(
        default=user_agent(), description="who asks, as servers want to know it"
    )


class DownloadConfig(RequestLimits):
    """How the sound of a manifest is fetched."""

    n_downloads: int = Field(default=8, ge=1, description="files at once, over all hosts")
    n_per_host: int = Field(default=4, ge=1, description="files at once from one host")
    least_bytes_s: float = Field(
        default=500.0, ge=0, description="a slower file has stalled, after one timeout"
    )
    most_mb: float = Field(default=4000.0, gt=0, description="of one file; a larger one is refused")
    give_up_after: int = Field(
        default=25, ge=1, description="failures in a row, after which a host is not asked again"
    )
    licences: tuple[str, ...] = Field(
        default=(), description="licences to accept; empty: all in the manifest"
    )

    @model_validator(mode="before")
    @classmethod
    def _old_names(cls, values: dict[str, object]) -> dict[str, object]:
        """``n_at_once``, the name of before 0.2, for one version."""
        if "n_at_once" in values and "n_downloads" not in values:
            warnings.warn(
                DawnChorusWarning("DownloadConfig: n_at_once is now n_downloads"), stacklevel=4
            )
            values = {**values, "n_downloads": values["n_at_once"]}
            del values["n_at_once"]
        return values


def __getattr__(name: str) -> object:
    """The name of before 0.2, for one version, with a warning."""
    if name != "MannersConfig":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn("MannersConfig is now RequestLimits", DeprecationWarning, stacklevel=2)
    return RequestLimits
