"""A classifier on an encoder's inner layers, built by the released library's call.

Source of the layer names: the released ``avex`` library, where integers, ``last_layer`` and ``all``
count attention output projections and not blocks (`EAT.released_layers`). ``output`` is ours: what
the encoder gives at its end, which is what the code behind the paper's tables read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from dawnchorus.configs.probes import TOKEN_PROBES
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.models.load import resolve_device
from dawnchorus.models.readout import OUTPUT
from dawnchorus.probes.heads import LayerMix, aggregate, make_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.configs import ProbeConfig
    from dawnchorus.models.encoder import Encoder


class Probe(nn.Module):
    """An encoder, features of chosen layers, and a classifier.

    Attributes:
        layers: names of the encoder's modules whose outputs are read.
        widths: channels of each layer.
        n_features: their sum, length of what is stored of a window, or of each of its tokens.
        mix: weighs several layers against each other; None for one.
        classifier: the head.
    """

    def __init__(self, config: ProbeConfig, encoder: Encoder, n_classes: int) -> None:
        """Take the encoder as it is; a frozen one has its gradients switched off.

        Raises:
            UsageError: No such layer, fewer than one class, or an aggregation that does not go
                with the head.
        """
        super().__init__()
        if n_classes < 1:
            raise UsageError(f"num_classes is {n_classes}; need at least 1")
        _check_aggregation(config)
        self.config = config
        self.encoder = encoder
        self.layers = layer_names(encoder, config.target_layers)
        self.widths = layer_widths(encoder, self.layers)
        self.n_features = sum(self.widths)
        self.mix = LayerMix(self.widths) if len(self.layers) > 1 else None
        dim = self.mix.dim if self.mix else self.widths[0]
        self.classifier = make_head(config, dim, n_classes)
        if isinstance(encoder, nn.Module):
            encoder.requires_grad_(requires_grad=not config.freeze_backbone)
        elif not config.freeze_backbone:
            raise UsageError(
                f"freeze_backbone=False trains the encoder, and {encoder.name} is no torch module"
            )

    @property
    def layer_weights(self) -> dict[str | int, float] | None:
        """Learned share of each layer, summing to 1; None where one layer is read."""
        if self.mix is None:
            return None
        return dict(zip(self.layers, self.mix.weights.tolist(), strict=True))

    def train(self, mode: bool = True) -> Probe:  # noqa: FBT001, FBT002 - torch's signature
        """Switch modes; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.config.freeze_backbone and isinstance(self.encoder, nn.Module):
            self.encoder.eval()
        return self

    def features(self, waveforms: Tensor) -> Tensor:
        """What is stored of ``(batch, samples)``.

        Returns:
            ``(batch, n_features)``, the layers side by side, or ``(batch, tokens, n_features)`` for
            a head that reads tokens.
        """
        wanted = [name for name in self.layers if name != OUTPUT]
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze_backbone):
            output = self.encoder.encode(waveforms, layers=wanted)
        tokens = [output.tokens if n == OUTPUT else output.layers[n] for n in self.layers]
        return aggregate(tokens, self.config.aggregation)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, ``(batch, classes)``.

        Args:
            inputs: waveforms ``(batch, samples)`` at the encoder's rate if
                ``config.online_training``, else stored features as `features` gives them.

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
        if self.mix is not None:
            features = self.mix(torch.split(features, self.widths, dim=-1))
        logits: Tensor = self.classifier(features)
        return logits


def _check_aggregation(config: ProbeConfig) -> None:
    kind = config.probe_type
    if kind == "knn":
        raise UsageError("a knn probe has nothing to train here; fit it on stored embeddings")
    if kind not in TOKEN_PROBES and config.aggregation == "none":
        raise UsageError(
            f"aggregation 'none' keeps every token, a probe of type {kind!r} takes one vector a "
            f"window; use mean, max or cls_token"
        )
    if kind in TOKEN_PROBES and config.aggregation != "none":
        raise UsageError(
            f"aggregation {config.aggregation!r} leaves one vector a window, a probe of type "
            f"{kind!r} reads tokens; use none"
        )


def layer_names(encoder: Encoder, selection: Sequence[int | str]) -> list[str | int]:
    """Layers of a selection in the released library's terms; other encoders name their own."""
    if not isinstance(encoder, EAT):
        return list(selection)
    return [
        name
        for item in selection
        for name in ([item] if item == OUTPUT else encoder.released_layers([item]))
    ]


def layer_widths(encoder: Encoder, names: Sequence[str | int]) -> list[int]:
    """Channels of each layer; those of a foreign encoder are seen by encoding a silent window.

    Raises:
        UsageError: The encoder has no such layer.
    """
    inner = [name for name in names if name != OUTPUT]
    if isinstance(encoder, EAT):
        modules = [encoder.get_submodule(str(name)) for name in inner]
        found = [getattr(module, "out_features", encoder.dim) for module in modules]
    elif inner:
        silence = torch.zeros(1, round(encoder.window_s * encoder.sample_rate))
        with torch.no_grad():
            layers = encoder.encode(silence, layers=inner).layers
        found = [layers[name].shape[-1] for name in inner]
    else:
        found = []
    widths = dict(zip(inner, found, strict=True)) | {OUTPUT: encoder.dim}
    return [widths[name] for name in names]


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
