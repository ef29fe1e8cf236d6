"""Options of probes: the head, how it is joined to an encoder, how it is fitted."""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from dawnchorus.configs.base import Config, LayerSelection

# knn has no weights: it keeps the training items; prototype is of Rauch et al.
ProbeType = Literal["linear", "mlp", "lstm", "attention", "transformer", "prototype", "knn"]
# these read every token of a clip; the others read one vector
TOKEN_PROBES: Final = frozenset({"lstm", "attention", "transformer", "prototype"})


class HeadConfig(Config):
    """Kind and size of a head that is fitted on stored features.

    Source of the defaults: the released evaluation configs where they have one (attention with 8
    heads, 64 channels and a dropout of 0.3), Rauch et al., arXiv 2504.12880 for prototypes.
    """

    probe_type: ProbeType = Field(default="linear", description="kind of head")
    hidden_dims: tuple[int, ...] = Field(default=(256,), description="mlp: width of each layer")
    dropout_rate: float = Field(
        default=0.3, ge=0, lt=1, description="share of channels dropped in training"
    )
    activation: Literal["relu", "gelu", "tanh", "swish"] = Field(
        default="relu", description="mlp, transformer: between layers"
    )
    num_heads: int = Field(default=8, gt=0, description="attention, transformer: attention heads")
    attention_dim: int = Field(default=64, gt=0, description="attention, transformer: channels")
    feedforward_dim: int | None = Field(
        default=None, gt=0, description="transformer: inside a block; None: 4 x attention_dim"
    )
    num_layers: int = Field(default=1, gt=0, description="lstm, attention, transformer: layers")
    lstm_hidden_size: int = Field(default=64, gt=0, description="lstm: channels of each direction")
    bidirectional: bool = Field(default=True, description="lstm: read tokens in both directions")
    use_positional_encoding: bool = Field(
        default=False, description="attention, transformer: add sines and cosines of each place"
    )
    n_positions: int | None = Field(
        default=None, gt=0, description="lstm, transformer: most tokens, each with a learned vector"
    )
    n_prototypes: int = Field(default=20, gt=0, description="prototype: of each class")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.attention_dim % self.num_heads:
            raise ValueError(
                f"attention_dim {self.attention_dim} is not a multiple of num_heads "
                f"{self.num_heads}"
            )
        _check_hidden(self.hidden_dims)
        return self


def _check_hidden(widths: tuple[int, ...] | None) -> None:
    if widths is not None and (not widths or min(widths) < 1):
        raise ValueError(f"hidden_dims {widths}: need widths of at least 1")


class ProbeConfig(Config):
    """A probe on a frozen or trainable encoder; fields and defaults are the released library's.

    What is None takes the size that the released library's classes have, which its own config asks
    for. ``design`` is ours: ``dawnchorus`` builds our heads, with the sizes of `HeadConfig`, layers
    that are weighed against each other, and tokens for the heads that read them.
    """

    probe_type: ProbeType = Field(default="linear", description="kind of head")
    design: Literal["released", "dawnchorus"] = Field(
        default="released", description="whose heads: the released library's, or ours"
    )
    target_layers: LayerSelection = Field(
        default=("last_layer",),
        description="names or numbers in the released library's sense: last_layer, all, output, "
        "blocks.3.attn.proj; numbers count attention projections",
    )
    aggregation: Literal["mean", "max", "cls_token", "none"] = Field(
        default="mean", description="of tokens; none keeps every token"
    )
    input_processing: Literal["flatten", "sequence", "pooled", "none"] = Field(
        default="pooled", description="checked and not used, as in the released library"
    )
    freeze_backbone: bool = Field(default=True, description="False: the encoder is trained too")
    online_training: bool | None = Field(
        default=None,
        description="True: waveforms in; False: stored features in; None: as there is an encoder",
    )
    hidden_dims: tuple[int, ...] | None = Field(
        default=None, description="mlp: width of each layer; None: (512, 256)"
    )
    dropout_rate: float | None = Field(
        default=None, ge=0, lt=1, description="share of channels dropped in training; None: 0.1"
    )
    activation: Literal["relu", "gelu", "tanh", "swish"] = Field(
        default="relu", description="mlp: between its layers"
    )
    num_heads: int | None = Field(
        default=None,
        gt=0,
        description="attention heads; None: 8 for attention, 12 for a transformer",
    )
    attention_dim: int | None = Field(
        default=None,
        gt=0,
        description="transformer: width inside a block, None: 768; attention does not use it",
    )
    num_layers: int | None = Field(
        default=None,
        gt=0,
        description="lstm, attention, transformer: layers; None: 2, but 4 for a transformer",
    )
    lstm_hidden_size: int | None = Field(
        default=None, gt=0, description="lstm: channels of each direction; None: 256"
    )
    bidirectional: bool | None = Field(
        default=None, description="lstm: read tokens in both directions; None: False"
    )
    max_sequence_length: int | None = Field(
        default=None, gt=0, description="lstm, transformer: most tokens with positions, None: 1000"
    )
    use_positional_encoding: bool = Field(
        default=False, description="attention: sines and cosines; lstm, transformer: learned ones"
    )
    target_length: int | None = Field(
        default=None, gt=0, description="samples of a clip where tokens are flattened; None: window"
    )
    n_prototypes: int | None = Field(
        default=None, gt=0, description="prototype: of each class; None: 20"
    )
    extra_config: dict[str, Any] | None = Field(  # Any: whatever a user keeps there
        default=None, description="kept and not used, as in the released library"
    )

    @model_validator(mode="before")
    @classmethod
    def _tokens_for_our_heads(cls, values: dict[str, Any]) -> dict[str, Any]:
        # before pydantic, which would make a tuple of letters of "all" and 1 of True
        layers = values.get("target_layers")
        if isinstance(layers, str) or any(isinstance(x, bool) for x in layers or ()):
            raise ValueError(f"target_layers {layers!r}: need a list of names or numbers of layers")
        kind = values.get("probe_type")
        ours = values.get("design") == "dawnchorus" or kind == "prototype"
        return {"aggregation": "none", **values} if ours and kind in TOKEN_PROBES else values

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        if not self.freeze_backbone and self.online_training is False:
            raise ValueError(
                "freeze_backbone=False trains the encoder, which needs waveforms: set "
                "online_training=True"
            )
        if not self.target_layers:
            raise ValueError("target_layers: need at least one layer")
        if self.input_processing == "sequence" and self.probe_type not in TOKEN_PROBES:
            raise ValueError(
                f"input_processing 'sequence' is for probes on tokens, not {self.probe_type!r}"
            )
        _check_hidden(self.hidden_dims)
        return self


class ScheduleConfig(Config):
    """Training by AdamW for a fixed number of epochs, of which the best on validation is kept."""

    learning_rates: tuple[float, ...] = Field(
        default=(3e-4, 1e-3, 3e-3), description="each is tried with each weight decay"
    )
    weight_decays: tuple[float, ...] = Field(default=(0.01,), description="AdamW's, to try")
    n_epochs: int = Field(default=50, gt=0, description="passes over the training items")
    batch_size: int = Field(default=32, gt=0, description="items of one step")
    decay: Literal["cosine", "constant"] = Field(
        default="cosine", description="of the learning rate over the epochs"
    )
    ties: Literal["loss", "first"] = Field(
        default="loss", description="of epochs with the same score: the lowest loss, or the first"
    )

    @classmethod
    def paper(cls) -> ScheduleConfig:
        """What the code behind the published table does."""
        return cls(
            learning_rates=(1e-3,), weight_decays=(0.01,), n_epochs=900, decay="constant",
            ties="first",
        )  # fmt: skip

    @classmethod
    def paper_text(cls) -> ScheduleConfig:
        """What the text of the paper says, with a lower rate and a stronger decay."""
        changes = {"learning_rates": (1e-4,), "weight_decays": (0.1,)}
        return cls.paper().model_copy(update=changes)


class FitConfig(HeadConfig):
    """How a probe is fitted on stored features."""

    solver: Literal["lbfgs", "schedule"] | None = Field(
        default=None,
        description="lbfgs: a linear probe to convergence; schedule: AdamW; None: lbfgs for linear "
        "probes, schedule for those that need it",
    )
    strengths: tuple[float, ...] = Field(
        default=(1e-4, 1e-3, 1e-2, 1e-1, 1.0), description="lbfgs: values of C to try"
    )
    neighbours: tuple[int, ...] = Field(default=(1, 3, 5, 10, 20), description="knn: k to try")
    schedule: ScheduleConfig | None = Field(
        default=None, description="None: the paper's for a linear probe, otherwise the defaults"
    )
    standardise: bool | None = Field(
        default=None, description="None: always, but for a linear probe by the paper's schedule"
    )
    class_weights: Literal["none", "balanced"] | dict[str, float] = Field(
        default="none", description="of the loss; balanced: rare classes count more; or by name"
    )
    absent: Literal["error", "lowest"] = Field(
        default="error", description="a class that train cannot teach: refuse, or rank it last"
    )
    select_by: Literal["accuracy", "macro_recall", "mean_average_precision", "loss"] | None = Field(
        default=None, description="None: macro recall, or mAP if multi-label"
    )
    n_folds: int = Field(default=5, ge=2, description="where there is no validation")
    seed: int = Field(default=0, ge=0, description="of folds, fresh weights and batches")
    device: str = Field(default="cpu", description="cpu, cuda or mps; heads are small")

    @model_validator(mode="after")
    def _solver_fits(self) -> Self:
        if self.solver == "lbfgs" and self.probe_type != "linear":
            raise ValueError(f"solver lbfgs solves linear probes, not {self.probe_type!r}")
        if self.solver is not None and self.probe_type == "knn":
            raise ValueError("knn is not trained and takes no solver")
        if self.class_weights != "none" and self.probe_type == "knn":
            raise ValueError("knn counts every neighbour alike and takes no class_weights")
        if not (self.strengths and self.neighbours) or min(self.strengths) <= 0:
            raise ValueError("strengths and neighbours: need at least one value, all above 0")
        if min(self.neighbours) < 1:
            raise ValueError(f"neighbours {self.neighbours}: need at least 1")
        return self

    @property
    def method(self) -> Literal["lbfgs", "schedule", "knn"]:
        """The solver, resolved."""
        if self.probe_type == "knn":
            return "knn"
        return self.solver or ("lbfgs" if self.probe_type == "linear" else "schedule")

    @property
    def is_by_paper(self) -> bool:
        """Whether it is a linear probe trained by AdamW, as the published table has it."""
        return self.probe_type == "linear" and self.method == "schedule"

    @property
    def training(self) -> ScheduleConfig:
        """The schedule, resolved."""
        return self.schedule or (ScheduleConfig.paper() if self.is_by_paper else ScheduleConfig())

    @property
    def standardises(self) -> bool:
        """Whether features are standardised, resolved."""
        return not self.is_by_paper if self.standardise is None else self.standardise


class FinetuneConfig(Config):
    """How a probe is trained on waveforms, and with it, at a lower rate, its encoder.

    Source of the encoder's rate: the middle of the three that the released evaluation sweeps.
    """

    learning_rate: float = Field(default=1e-3, gt=0, description="of the head")
    encoder_rate: float = Field(default=5e-5, gt=0, description="of an encoder that is not frozen")
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's")
    n_epochs: int = Field(default=20, gt=0, description="passes over the training clips")
    warmup: float = Field(default=0.1, ge=0, lt=1, description="share of the steps; then cosine")
    clip_gradient: float = Field(default=1.0, gt=0, description="largest norm of a step's gradient")
    select_by: Literal["accuracy", "macro_recall", "mean_average_precision", "loss"] | None = Field(
        default=None, description="None: macro recall, or mAP if multi-label"
    )
    seed: int = Field(default=0, ge=0, description="of fresh weights and dropout")
