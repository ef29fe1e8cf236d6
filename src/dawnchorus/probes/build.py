"""A classifier on an encoder's inner layers, built by the released library's call.

Source of the layer names: the released ``avex`` library, where integers, ``last_layer`` and ``all``
count attention output projections and not blocks (`EAT.released_layers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.models.load import resolve_device
from dawnchorus.probes.heads import aggregate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.configs import ProbeConfig
    from dawnchorus.models.encoder import Encoder


class Probe(nn.Module):
    """An encoder, features of chosen layers, and a linear classifier.

    Attributes:
        layers: names of the encoder's modules whose outputs are read.
        n_features: length of what the classifier sees.
    """

    def __init__(self, config: ProbeConfig, encoder: Encoder, n_classes: int) -> None:
        """Take the encoder as it is; a frozen one has its gradients switched off.

        Raises:
            UsageError: No such layer, fewer than one class, or an aggregation that keeps tokens.
        """
        super().__init__()
        if n_classes < 1:
            raise UsageError(f"num_classes is {n_classes}; need at least 1")
        if config.aggregation == "none":
            raise UsageError(
                "aggregation 'none' keeps every token, a linear probe takes one vector a window; "
                "use mean, max or cls_token"
            )
        self.config = config
        self.encoder = encoder
        self.layers = layer_names(encoder, config.target_layers)
        self.n_features = encoder.dim * len(self.layers)
        self.classifier = nn.Linear(self.n_features, n_classes)
        if config.freeze_backbone and isinstance(encoder, nn.Module):
            encoder.requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> Probe:  # noqa: FBT001, FBT002 - torch's signature
        """Switch modes; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.config.freeze_backbone and isinstance(self.encoder, nn.Module):
            self.encoder.eval()
        return self

    def features(self, waveforms: Tensor) -> Tensor:
        """What the classifier sees, ``(batch, n_features)``, of ``(batch, samples)``."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze_backbone):
            output = self.encoder.encode(waveforms, layers=self.layers)
        return aggregate([output.layers[name] for name in self.layers], self.config.aggregation)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, ``(batch, classes)``.

        Args:
            inputs: waveforms ``(batch, samples)`` at the encoder's rate if
                ``config.online_training``, else stored features ``(batch, n_features)``.

        Raises:
            UsageError: Stored features of another length.
        """
        if self.config.online_training:
            return self._classify(self.features(inputs))
        if inputs.shape[-1] != self.n_features:
            raise UsageError(
                f"features of length {inputs.shape[-1]}, need {self.n_features} "
                f"({len(self.layers)} layers of {self.encoder.dim}); waveforms go in with "
                f"online_training=True"
            )
        return self._classify(inputs)

    def _classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.classifier(features)
        return logits


def layer_names(encoder: Encoder, selection: Sequence[int | str]) -> list[str | int]:
    """Layers of a selection in the released library's terms; other encoders name their own."""
    if isinstance(encoder, EAT):
        return list(encoder.released_layers(selection))
    return list(selection)


def build_probe_from_config(
    probe_config: ProbeConfig, base_model: Encoder, num_classes: int, device: str = "auto"
) -> Probe:
    """Join a probe to an encoder, as the released library's function of this name does.

    Args:
        probe_config: kind, layers, aggregation, whether the encoder is trained.
        base_model: an encoder, such as `load_model` returns.
        num_classes: classes of the task.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises:
        UsageError: The config does not fit the encoder.
        DeviceError: The device is missing.
    """
    return Probe(probe_config, base_model, num_classes).to(resolve_device(device))
