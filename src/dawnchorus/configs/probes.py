"""Options of probes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dawnchorus.configs.base import Config, LayerSelection


class ProbeConfig(Config):
    """A probe on a frozen or trainable encoder; the fields follow the released library."""

    probe_type: Literal["linear"] = "linear"
    target_layers: LayerSelection = ("last_layer",)
    aggregation: Literal["mean", "max", "cls_token", "none"] = "mean"
    freeze_backbone: bool = True
    online_training: bool = Field(
        default=True, description="True: waveforms in; False: stored embeddings in"
    )
