"""Shape and input of one EAT: what its card says, and the bounds of what a card may say."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from dawnchorus.audio import frontend
from dawnchorus.configs import Config, Readout
from dawnchorus.configs.readout import MEAN_OF_OUTPUT, OUTPUT, with_readout
from dawnchorus.nn.patches import PATCH

N_BAND_STEPS: Final = frontend.N_BANDS // PATCH  # 8 rows of patches
STEP_S: Final = PATCH * frontend.FRAME_HOP_SAMPLES / frontend.SAMPLE_RATE  # 0.16 s a time step
RELEASED_FRAMES: Final = 1024  # every released model pads its log-mel to this
RELEASED_TIME_STEPS: Final = 768  # rows of the released position tables: 122.9 s

Size = Literal["tiny", "small", "base", "large"]
# dim, blocks, heads; base and large as released, tiny and small as in DeiT (Touvron et al., 2021)
SIZES: Final[dict[Size, tuple[int, int, int]]] = {
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
}

# Far above every EAT that there is, far below what brings a machine down: a card or a weights file
# of a stranger may claim any number.
MAX_DIM: Final = 4096
MAX_LAYERS: Final = 128
MAX_MLP_RATIO: Final = 16
MAX_CLASSES: Final = 200_000
MAX_TIME_STEPS: Final = 8192  # 22 minutes
MAX_WINDOW_S: Final = MAX_TIME_STEPS * STEP_S
Finite = Annotated[float, Field(allow_inf_nan=False)]


class EATConfig(Config):
    """Shape and input of one EAT; a card or a run folder holds one."""

    dim: int = Field(ge=1, le=MAX_DIM, description="channels of a token")
    n_layers: int = Field(ge=1, le=MAX_LAYERS, description="transformer blocks")
    n_heads: int = Field(ge=1, le=MAX_DIM, description="attention heads of a block")
    mlp_ratio: float = Field(
        default=4.0, gt=0, le=MAX_MLP_RATIO, description="hidden channels of a block's MLP over dim"
    )
    n_classes: int = Field(default=0, ge=0, le=MAX_CLASSES, description="0: no classifier")
    window_s: float = Field(default=10.0, gt=0, le=MAX_WINDOW_S, description="it was trained on")
    normalization: tuple[Finite, Finite] | Literal["per_clip"] = Field(
        default=(-5.553, 4.606),  # of the released AVES2 models; EAT's own are -4.268 and 4.569
        description="mean and standard deviation of the log-mel, or each clip's own",
    )
    padded_frames: int | None = Field(
        default=RELEASED_FRAMES,
        ge=PATCH,
        le=MAX_TIME_STEPS * PATCH,
        description="length that every log-mel is padded to with 0.0, which is attended; None: its "
        "own length, and padding is never attended",
    )
    max_time_steps: int = Field(
        default=RELEASED_TIME_STEPS,
        ge=1,
        le=MAX_TIME_STEPS,
        description="rows of patches in time that the position table has",
    )
    stored_positions: bool = Field(
        default=True, description="the weights hold the position table; False: it is computed"
    )
    head_pooling: Literal["cls", "mean", "valid"] = Field(
        default="cls", description="what the classifier sees of the tokens"
    )
    head_norm_eps: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="of a LayerNorm before the classifier, as in fine-tuned EAT; None: no norm",
    )
    readout: Readout = Field(
        default=MEAN_OF_OUTPUT, description="of its embedding, where the user does not say"
    )
    drop_path: float = Field(
        default=0.0, ge=0, lt=1, description="rate of dropped paths in the last block, in training"
    )

    @model_validator(mode="before")
    @classmethod
    def _old_names(cls, values: Any) -> Any:  # Any: before they are checked
        # cards of before 0.2, the one in the header of the bundled weights among them
        return with_readout(values, layers="embedding_layers", base=OUTPUT, pooling="mean")

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        # by 4: the position table has a sine and a cosine for each of two axes
        if self.dim % self.n_heads or self.dim % 4:
            raise ValueError(f"dim {self.dim} must divide by n_heads {self.n_heads} and by 4")
        if self.normalization != "per_clip" and self.normalization[1] <= 0:
            raise ValueError(
                f"normalization: a standard deviation must be above 0, got {self.normalization[1]}"
            )
        return self

    @classmethod
    def of_size(cls, size: Size, **changes: Any) -> EATConfig:  # Any: checked when made
        """Config of a named size, with some fields changed."""
        dim, n_layers, n_heads = SIZES[size]
        return cls(dim=dim, n_layers=n_layers, n_heads=n_heads, **changes)

    @property
    def summary(self) -> str:
        """Its size, for people to read."""
        return f"{self.dim} wide, {self.n_layers} blocks, {self.n_heads} heads"
