"""A classifier on an encoder's inner layers, built by the released library's call.

Source of the layer names: the released ``avex`` library, where integers, ``last_layer`` and ``all``
count attention output projections and not blocks (`EAT.released_layers`). ``output`` is ours: what
the encoder gives at its end, which is what the code behind the paper's tables read. What is built
on the layers is said in ``design``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np
import torch
from torch import Tensor, nn

from dawnchorus.configs import ProbeConfig
from dawnchorus.configs.readout import OUTPUT
from dawnchorus.errors import UsageError
from dawnchorus.models.encoder import Encoder, ReleasedLayers
from dawnchorus.models.load import resolve_device
from dawnchorus.models.waveforms import as_waveforms
from dawnchorus.probes.design import Joining, head_config, joining_of, joining_of_stored
from dawnchorus.probes.heads import LayerMix, aggregate, make_head

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

P = ParamSpec("P")
ORDER = "build_probe_from_config(probe_config, num_classes, device, base_model, input_dim)"


class Probe(nn.Module):
    """An encoder, features of chosen layers, and a classifier.

    Attributes:
        encoder: None for a probe on stored features alone.
        layers: names of the encoder's modules whose outputs are read.
        joining: how the features of the layers become what the head reads.
        widths: channels of each layer.
        n_features: their sum, length of what is stored of a window, or of each of its tokens.
        mix: weighs several layers against each other; None where they stand side by side.
        head_config: kind and size of the head.
        classifier: the head.
    """

    def __init__(
        self,
        config: ProbeConfig,
        encoder: Encoder | None,
        n_classes: int,
        *,
        input_dim: Any = None,
        target_length: int | None = None,
    ) -> None:
        """Take the encoder as it is; a frozen one has its gradients switched off.

        Raises:
            UsageError: No such layer, or an aggregation that does not go with the head.
        """
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.layers: list[str | int] = []
        self.joining: Joining
        if encoder is None:
            self.joining = joining_of_stored(config, input_dim)
        else:
            self.layers = layer_names(encoder, config.target_layers)
            length = target_length or config.target_length
            self.joining = joining_of(
                config, layer_widths(encoder, self.layers), _n_tokens(config, encoder, length)
            )
            _freeze(encoder, frozen=config.freeze_backbone)
        self.widths = list(self.joining.widths)
        self.n_features = sum(self.widths)
        joined = self.joining.item_widths
        self.mix = LayerMix(joined) if self.joining.weighs else None
        dim = self.mix.dim if self.mix else sum(joined)
        dim = 1 if self.joining.reads_numbers else dim
        self.head_config = head_config(config, dim)
        self.classifier = make_head(self.head_config, dim, n_classes)

    @property
    def base_model(self) -> Encoder | None:
        """The encoder, by the released library's name."""
        return self.encoder

    @property
    def reads_waveforms(self) -> bool:
        """Whether waveforms go in; otherwise stored features do."""
        return self.encoder is not None and self.config.online_training is not False

    @property
    def layer_weights(self) -> dict[str | int, float] | None:
        """Learned share of each layer, summing to 1; None where layers are not weighed."""
        if self.mix is None:
            return None
        names = self.layers or list(range(len(self.widths)))
        return dict(zip(names, self.mix.weights.tolist(), strict=True))

    def train(self, mode: bool = True) -> Probe:  # noqa: FBT001, FBT002 - torch's signature
        """Switch modes; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        encoder: object = self.encoder
        if self.config.freeze_backbone and isinstance(encoder, nn.Module):
            encoder.eval()  # dropout and drop path would make its features differ from stored ones
        return self

    def features(self, waveforms: Tensor) -> Tensor:
        """What is stored of ``(batch, samples)``.

        Returns:
            ``(batch, n_features)``, the layers side by side, or ``(batch, tokens, n_features)``
            where tokens are kept.

        Raises:
            UsageError: There is no encoder, or the waveforms are not what it takes.
        """
        if self.encoder is None:
            raise UsageError("this probe was built on stored features (input_dim), not on a model")
        inner = [name for name in self.layers if name != OUTPUT]
        sound = as_waveforms(waveforms)
        # no graph through a frozen encoder: it would hold the activations of every block
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze_backbone):
            output = self.encoder.encode(sound, layers=inner)
        tokens = [output.tokens if n == OUTPUT else output.layers[n] for n in self.layers]
        return aggregate(tokens, self.config.aggregation)

    def forward(self, inputs: Any, padding_mask: Tensor | None = None) -> Tensor:
        """Logits, ``(batch, classes)``.

        Args:
            inputs: waveforms ``(batch, samples)`` at the encoder's rate where there is one and
                ``config.online_training`` is not False, else stored features as `features` gives
                them, or a list of those of each layer. The released library's dictionary with
                ``raw_wav`` (and ``padding_mask``) will do.
            padding_mask: ``(batch, tokens)`` bool, True on tokens that heads on tokens leave out.
                One for the samples of waveforms is accepted and not used, as there.

        Raises:
            UsageError: Stored features or a mask of another shape; see `features`.
        """
        if isinstance(inputs, Mapping):
            padding_mask = inputs.get("padding_mask", padding_mask)
            inputs = _only(inputs)
        features = self.features(inputs) if self.reads_waveforms else self._stored(inputs)
        return self._classify(features, self._keep(features, padding_mask))

    def _stored(self, inputs: Any) -> Tensor:
        given = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        features = torch.cat([_as_features(part) for part in given], dim=-1)
        need = ("batch", "tokens")[: 1 + self.joining.has_tokens]
        if features.ndim != len(need) + 1 or features.shape[-1] != self.n_features:
            raise UsageError(
                f"features of shape {tuple(features.shape)}, need ({', '.join(need)}, "
                f"{self.n_features}); waveforms go in where the probe is built with base_model= "
                "and without online_training=False"
            )
        if not bool(features.isfinite().all()):
            bad = int((~features.isfinite()).flatten(1).any(dim=1).nonzero()[0])
            raise UsageError(f"features of item {bad} are not finite; leave it out")
        return features.to(next(self.classifier.parameters()).device)

    def _keep(self, features: Tensor, padding_mask: Tensor | None) -> Tensor | None:
        """Which tokens count; None: all."""
        if padding_mask is None or not (self.joining.has_tokens and self.joining.reads_tokens):
            return None
        if padding_mask.shape == features.shape[:2]:
            return ~padding_mask.to(features.device, torch.bool)
        if self.reads_waveforms:
            return None
        raise UsageError(
            f"padding_mask of shape {tuple(padding_mask.shape)} for features of shape "
            f"{tuple(features.shape)}; need one value a token"
        )

    def _classify(self, features: Tensor, keep: Tensor | None = None) -> Tensor:
        # (batch, [tokens,] n_features) to one part for each layer, or all of them side by side
        parts = torch.split(features, self.widths, dim=-1) if self.mix else (features,)
        if self.joining.n_tokens is not None:
            if features.shape[1] != self.joining.n_tokens:
                raise UsageError(
                    f"{features.shape[1]} tokens, this probe flattens {self.joining.n_tokens}; "
                    "give clips of one length, and build it with target_length= (samples)"
                )
            parts = tuple(part.flatten(1) for part in parts)  # (batch, tokens * channels)
        joined = self.mix(parts) if self.mix else parts[0]
        if self.joining.reads_numbers:
            joined = joined[..., None]  # (batch, numbers, 1): each number is a token of width 1
        logits: Tensor
        if self.joining.reads_tokens:
            logits = self.classifier(joined, keep)
        else:
            logits = self.classifier(joined)
        return logits


def _as_features(part: object) -> Tensor:
    """Stored features as a float tensor."""
    if isinstance(part, np.ndarray) and part.dtype.kind == "f":
        part = torch.from_numpy(np.array(part, np.float32))
    if not isinstance(part, Tensor) or not part.is_floating_point():
        kind = getattr(part, "dtype", type(part).__name__)
        raise UsageError(f"features: need a tensor or array of floating-point numbers, got {kind}")
    return part.float()


def _only(inputs: Mapping[str, Any]) -> Any:
    """Waveforms or features of the released library's dictionary."""
    if "raw_wav" in inputs:
        return inputs["raw_wav"]
    features = [value for key, value in inputs.items() if key not in {"label", "padding_mask"}]
    return features[0] if len(features) == 1 else features  # several: one tensor a layer


def _freeze(encoder: Encoder, *, frozen: bool) -> None:
    if isinstance(encoder, nn.Module):
        encoder.requires_grad_(requires_grad=not frozen)
        if frozen:
            encoder.eval()
    elif not frozen:
        raise UsageError(
            f"freeze_backbone=False trains the encoder, and {encoder.name} is not a torch module"
        )


def _n_tokens(config: ProbeConfig, encoder: Encoder, length: int | None) -> int:
    """Tokens of a clip, where they may be flattened; 0 where they are pooled."""
    if config.aggregation != "none":
        return 0
    n_samples = length or round(encoder.window_s * encoder.sample_rate)
    with torch.no_grad():
        return encoder.encode(torch.zeros(1, n_samples)).tokens.shape[1]


def layer_names(encoder: Encoder, selection: Sequence[int | str]) -> list[str | int]:
    """Layers of a selection in the released library's terms; other encoders name their own.

    As there, each is read once, and ``all`` comes after those that are named.
    """
    if not isinstance(encoder, ReleasedLayers):
        return list(dict.fromkeys(selection))
    named = [item for item in selection if item != "all"]
    in_order = [*named, "all"] if "all" in selection else named
    names = [
        name
        for item in in_order
        for name in ([item] if item == OUTPUT else encoder.released_layers([item]))
    ]
    return list(dict.fromkeys(names))


def layer_widths(encoder: Encoder, names: Sequence[str | int]) -> list[int]:
    """Channels of each layer; those of a foreign encoder are measured on a silent window.

    Raises:
        UsageError: The encoder has no such layer.
    """
    inner = [name for name in names if name != OUTPUT]
    if isinstance(encoder, ReleasedLayers):
        inner_widths = [encoder.layer_width(str(name)) for name in inner]
    elif inner:
        silence = torch.zeros(1, round(encoder.window_s * encoder.sample_rate))
        with torch.no_grad():
            layers = encoder.encode(silence, layers=inner).layers
        inner_widths = [layers[name].shape[-1] for name in inner]
    else:
        inner_widths = []
    widths = dict(zip(inner, inner_widths, strict=True)) | {OUTPUT: encoder.dim}
    return [widths[name] for name in names]


def _either_order(build: Callable[P, Probe]) -> Callable[P, Probe]:
    """Accept the order that came before the released one: config, encoder, classes, device."""

    @wraps(build)
    def called(*args: P.args, **kwargs: P.kwargs) -> Probe:
        if len(args) > 1 and isinstance(args[1], Encoder):
            names = ("probe_config", "base_model", "num_classes", "device")
            named: dict[str, Any] = dict(zip(names, args, strict=False)) | dict(kwargs)
            return build(**named)  # type: ignore[call-arg]  # all by name
        return build(*args, **kwargs)

    return called


@_either_order
@torch.inference_mode(mode=False)  # wherever it is built, it can be trained
def build_probe_from_config(
    probe_config: ProbeConfig,
    num_classes: int,
    device: str = "auto",
    base_model: Encoder | None = None,
    input_dim: Any = None,
    *,
    target_length: int | None = None,
) -> Probe:
    """Build a probe as the released library's function of this name does, on a model or without.

    Args:
        probe_config: kind, layers, aggregation, whether the encoder is trained.
        num_classes: classes of the task.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        base_model: an encoder, such as `load_model` returns; waveforms go in.
        input_dim: instead of it, what is stored of a clip, whose features then go in: a number of
            channels; or the shape of an item, ``(channels,)`` or ``(tokens, channels)``; or a list
            of shapes, one a layer.
        target_length: samples of a clip, where the tokens of all of it are flattened to one vector
            (a linear or mlp probe with aggregation none); None: the encoder's window.

    Raises:
        UsageError: The config does not fit the encoder, or arguments are missing or exchanged.
        DeviceError: The device is missing.
    """
    _check_arguments(probe_config, num_classes, device, base_model)
    if (base_model is None) == (input_dim is None):
        raise UsageError(
            "need either base_model (waveforms go in) or input_dim (stored features go in), "
            f"got {'neither' if base_model is None else 'both'}"
        )
    probe = Probe(
        probe_config, base_model, num_classes, input_dim=input_dim, target_length=target_length
    )
    return probe.to(resolve_device(device))


def _check_arguments(config: object, n_classes: object, device: object, encoder: object) -> None:
    """Say which argument is not what stands in its place."""
    if not isinstance(config, ProbeConfig):
        raise UsageError(f"probe_config: need a ProbeConfig, got {type(config).__name__}; {ORDER}")
    if not isinstance(n_classes, int) or isinstance(n_classes, bool):
        raise UsageError(
            f"num_classes: need a whole number, got {type(n_classes).__name__}; {ORDER}"
        )
    if n_classes < 1:
        raise UsageError(f"num_classes is {n_classes}; need at least 1")
    if not isinstance(device, str | torch.device):
        raise UsageError(f"device: need a name such as cpu, got {type(device).__name__}; {ORDER}")
    if encoder is not None and not isinstance(encoder, Encoder):
        raise UsageError(
            f"base_model: need an encoder, as load_model returns it, got {type(encoder).__name__}"
        )
