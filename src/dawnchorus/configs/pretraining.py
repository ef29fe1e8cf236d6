"""Options of self-supervised pretraining."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from dawnchorus.configs.base import Config
from dawnchorus.configs.data import DataConfig
from dawnchorus.configs.training import TrainConfig


class MaskConfig(Config):
    """Which patches the student does not see: inverse block masking (EAT, section 3.2)."""

    ratio: float = Field(default=0.8, gt=0, lt=1, description="share of the patches masked")
    adjust: float = Field(
        default=0.07, ge=0, lt=1, description="added to the visible share to count blocks"
    )
    block: int = Field(default=5, ge=1, description="patches along a visible block's side")

    @model_validator(mode="after")
    def _odd(self) -> Self:
        # a block has a patch in its middle, from which it is grown
        if self.block % 2 == 0:
            raise ValueError(f"block must be odd, got {self.block}")
        return self


class DecoderConfig(Config):
    """The convolutions that fill in what is masked."""

    n_layers: int = Field(default=6, ge=1, description="convolutions in a row")
    kernel: int = Field(default=3, ge=1, description="patches along a kernel's side")
    width: int | None = Field(default=None, ge=1, description="channels; null: the encoder's")
    n_groups: int = Field(default=16, ge=1, description="groups of each convolution")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {self.kernel}")
        if self.width is not None and self.width % self.n_groups:
            raise ValueError(f"width {self.width} does not divide into {self.n_groups} groups")
        return self


class EMAConfig(Config):
    """How slowly the teacher follows: its decay rises from ``start`` to ``end`` in ``n_steps``."""

    # As in the released code. The teacher of short runs should follow faster: see recipes/.
    start: float = Field(default=0.9998, ge=0, le=1, description="decay in the first step")
    end: float = Field(default=0.99999, ge=0, le=1, description="decay after n_steps and later")
    n_steps: int = Field(default=100_000, ge=1, description="steps of the linear rise")


class CollapseConfig(Config):
    """When training ends because all patches, or all clips, have become alike."""

    # Floors of the released code, which compares them with standard deviations too.
    after_steps: int = Field(default=1000, ge=0, description="steps before the first check")
    min_target_deviation: float = Field(
        default=0.1, ge=0, description="standard deviation of the targets over patches"
    )
    min_prediction_deviation: float = Field(
        default=0.01, ge=0, description="standard deviation of the predictions over patches"
    )
    min_rank: float = Field(
        default=0.0, ge=0, description="effective rank of the validation clips' embeddings"
    )


class PretrainConfig(TrainConfig):
    """A whole run of `pretrain`, as read from its YAML file."""

    kind: Literal["pretrain"] = Field(default="pretrain", description="which kind of run this is")
    # The optimiser of the released base recipe of EAT.
    betas: tuple[float, float] = Field(default=(0.9, 0.95), description="of AdamW")
    weight_decay: float = Field(default=0.05, ge=0, description="of AdamW")
    clip_norm: float | None = Field(
        default=4.0, gt=0, description="gradients of a larger norm are scaled down; null: never"
    )
    final_learning_rate: float = Field(default=0.0, ge=0, description="rate at the cosine's end")

    n_clones: int = Field(default=16, ge=1, description="masked copies of each clip")
    mask: MaskConfig = Field(default=MaskConfig(), description="which patches are hidden")
    mask_noise_std: float = Field(
        default=0.01, ge=0, description="of the noise that the decoder sees in masked places"
    )
    decoder: DecoderConfig = Field(default=DecoderConfig(), description="what fills them in")
    ema: EMAConfig = Field(default=EMAConfig(), description="how slowly the teacher follows")
    frame_weight: float = Field(default=1.0, ge=0, description="of the loss over masked patches")
    utterance_weight: float = Field(default=1.0, ge=0, description="of the loss of the CLS tokens")
    utterance_reduction: Literal["mean", "sum"] = Field(
        default="mean",
        description="over clones; sum, as in the code, is over one process's share of the batch",
    )
    collapse: CollapseConfig = Field(
        default=CollapseConfig(), description="when a run ends because it learns nothing"
    )
    gradient_checkpointing: bool = Field(
        default=False, description="compute the encoder twice, to save memory"
    )
    levels: tuple[Literal["file", "segment"], ...] = Field(
        default=("file",), description="rows of the manifest to train on"
    )
    leave_out: tuple[str, ...] = Field(default=(), description="datasets not to train on")
    validation_clips: int = Field(default=200, ge=0, description="at most so many, drawn by seed")
    export: Literal["student", "teacher"] = Field(
        default="student", description="whose weights become the model"
    )

    @model_validator(mode="after")
    def _nothing_is_unread(self) -> Self:
        # an option that does nothing would be believed to do something
        if self.strategy == "fsdp":
            raise ValueError("strategy: pretraining runs with ddp, which the teacher needs")
        if self.drop_path:
            raise ValueError("drop_path: pretraining has none; leave it out")
        if any(bucket.patch_keep < 1 for bucket in self.buckets):
            raise ValueError("buckets: patch_keep is of post-training; here mask.ratio says it")
        if self.collapse.min_rank > self.validation_clips:
            raise ValueError(
                f"collapse.min_rank: {self.collapse.min_rank:g} is never reached by "
                f"{self.validation_clips} validation_clips"
            )
        usual = DataConfig(root=self.data.root)
        of_labels = ("teacher", "label_kinds", "auxiliary_kinds", "strong_sources")
        unread = [name for name in of_labels if getattr(self.data, name) != getattr(usual, name)]
        if unread:
            raise ValueError(f"data: pretraining reads no labels, leave out {unread}")
        return self
