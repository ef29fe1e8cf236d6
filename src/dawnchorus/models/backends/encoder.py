"""An EAT whose blocks onnxruntime computes; frontend, pooling and classifier stay as they are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from dawnchorus.errors import DependencyError, UsageError, WeightsError
from dawnchorus.models.backends.graph import FEATURES, block_output
from dawnchorus.models.eat import steps_with_signal
from dawnchorus.models.eat_config import N_BAND_STEPS
from dawnchorus.models.encoder import readout_for
from dawnchorus.models.waveforms import as_lengths, as_waveforms
from dawnchorus.nn.patches import PATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    from dawnchorus.configs import Backend
    from dawnchorus.labels import LabelMapping
    from dawnchorus.models.eat import EAT
    from dawnchorus.models.encoder import EncoderFacts, EncoderOutput

PRECISIONS: Final = {"onnx": "float32", "onnx-int8": "int8"}
CPU: Final = "CPUExecutionProvider"
ERRORS_ONLY: Final = 3  # severity; its warnings speak of what its own optimiser does


class OnnxEncoder:
    """What `load_model` gives for ``backend="onnx"``: an encoder, no module of torch.

    Same name, labels, readout and classifier as the model it was made of. Layers are the outputs of
    blocks; what lies within a block is not in the graph.
    """

    def __init__(self, model: EAT, graph: bytes | Path, backend: Backend) -> None:
        """Run a graph for a model on the CPU, of which all but the blocks is kept.

        Raises:
            DependencyError: onnxruntime is not installed.
            WeightsError: It cannot read the graph.
        """
        self.backend, self.precision = backend, PRECISIONS[backend]
        self.name, self.labels = model.name, model.labels
        self.sample_rate, self.window_s = model.sample_rate, model.window_s
        self.dim, self.n_layers = model.dim, model.n_layers
        self.weights_sha256, self.licence = model.weights_sha256, model.licence
        self.card, self.no_logits = model.card, model.no_logits
        self.return_features_only = model.return_features_only
        self._session = _session(graph, model.name)
        self._model = _without_blocks(model)

    def __deepcopy__(self, memo: object) -> OnnxEncoder:
        """Itself: it holds nothing that a call changes, and several threads may call it."""
        del memo
        return self

    @property
    def facts(self) -> EncoderFacts:
        """As for the model, and its settings name the backend: caches hold its vectors apart."""
        facts = self._model.facts
        settings = {**(facts.settings or {}), "backend": self.backend}
        return replace(facts, settings=settings)

    @property
    def label_mapping(self) -> LabelMapping | None:
        """As for the model."""
        return self._model.label_mapping

    def __call__(self, waveforms: Tensor) -> Tensor:
        """Logits ``(batch, classes)``, or tokens without a head or with ``return_features_only``.

        Raises:
            UsageError: As for `encode`. WeightsError: Why this model's logits are not to be used.
        """
        if self.no_logits is not None and not self.return_features_only:
            raise WeightsError(f"{self.name}: no logits: {self.no_logits}")
        out = self.encode(waveforms)
        return out.tokens if self.return_features_only or out.logits is None else out.logits

    def encode(
        self,
        waveforms: Tensor,
        lengths: Tensor | None = None,
        layers: Sequence[int | str] | None = None,
    ) -> EncoderOutput:
        """Encode windows; see :class:`dawnchorus.models.encoder.Encoder`.

        Raises:
            UsageError: As for an EAT, or a layer is not the output of a block.
        """
        checked = as_waveforms(waveforms, what=f"{self.name}: waveforms")
        counts = as_lengths(lengths, checked, what=f"{self.name}: lengths")
        return self.encode_features(*self.features(checked, counts), layers)

    def embed(self, waveforms: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The model's own embedding of each window, ``(batch, width)``; errors as for `encode`."""
        readout = readout_for(self)
        return readout.pool(self.encode(waveforms, lengths, readout.layers))

    def features(self, waveforms: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As for an EAT: the frontend is torch's, in float32."""
        return self._model.features(waveforms, lengths)

    @torch.no_grad()
    def encode_features(
        self,
        features: Tensor,
        n_frames: Tensor | None = None,
        layers: Sequence[int | str] | None = None,
    ) -> EncoderOutput:
        """`encode` from normalised log-mel ``(batch, frames, 128)`` on; errors as there."""
        wanted = {layer: self._output_of(layer) for layer in layers or ()}
        last = block_output(self.n_layers - 1)
        names = sorted({last, *wanted.values()})
        n_steps = features.shape[1] // PATCH
        # (batch, patches) and, in front, CLS
        holds_sound = steps_with_signal(features, n_frames, n_steps)
        seen = self._steps_to_see(holds_sound)
        found = self._by_length(features, seen, names)
        has_signal = torch.cat([holds_sound.new_ones(len(features), 1), holds_sound], dim=1)
        tokens = {layer: found[name] for layer, name in wanted.items()}
        return self._model.output_of(found[last], has_signal, tokens)

    def _output_of(self, layer: int | str) -> str:
        if isinstance(layer, int) and -self.n_layers <= layer < self.n_layers:
            return block_output(layer % self.n_layers)
        raise UsageError(
            f"{self.name}: layer {layer!r}: an exported graph gives the outputs of blocks, "
            f"{-self.n_layers} to {self.n_layers - 1}; use --backend torch for any other"
        )

    def _steps_to_see(self, holds_sound: Tensor) -> Tensor:
        """``(batch,)`` time steps that are encoded: padding only where the model looks at it."""
        steps = holds_sound.sum(dim=1) // N_BAND_STEPS
        if self._model.config.padded_frames is not None:
            return torch.full_like(steps, holds_sound.shape[1] // N_BAND_STEPS)
        return steps

    def _by_length(self, features: Tensor, seen: Tensor, names: list[str]) -> dict[str, Tensor]:
        """Outputs ``(batch, 1 + patches, dim)`` by name; 0 where a patch holds only padding.

        Clips of one length together, without their padding, so that the graph needs no mask.
        """
        n_tokens = 1 + features.shape[1] // PATCH * N_BAND_STEPS
        shape = (len(features), n_tokens, self.dim)
        lengths = sorted(set(seen.tolist()))
        if lengths == [features.shape[1] // PATCH]:
            return self._on_all_cores(features, names)
        found = {name: features.new_zeros(shape) for name in names}
        for n_steps in lengths:
            rows = (seen == n_steps).nonzero()[:, 0]
            part = self._on_all_cores(features[rows, : n_steps * PATCH], names)
            for name, values in part.items():
                found[name][rows, : values.shape[1]] = values
        return found

    def _on_all_cores(self, features: Tensor, names: list[str]) -> dict[str, Tensor]:
        """A share of the batch for each of torch's threads; the engine leaves one to each batch."""
        pieces = features.chunk(max(1, min(torch.get_num_threads(), len(features))))
        if len(pieces) == 1:
            return self._computed(features, names)
        with ThreadPoolExecutor(len(pieces)) as threads:
            parts = list(threads.map(lambda piece: self._computed(piece, names), pieces))
        return {name: torch.cat([part[name] for part in parts]) for name in names}

    def _computed(self, features: Tensor, names: list[str]) -> dict[str, Tensor]:
        found = self._session(names, {FEATURES: features.contiguous().numpy()})
        return {name: torch.from_numpy(values) for name, values in zip(names, found, strict=True)}


def _without_blocks(model: EAT) -> EAT:
    """The same model, so that its weights are not in memory twice; the one given is not changed."""
    shell = copy(model)
    shell._modules = {**model._modules, "blocks": nn.ModuleList()}
    return shell


def _session(graph: bytes | Path, name: str) -> Callable[[list[str], dict[str, Any]], list[Any]]:
    """What runs a graph, on the core of whoever calls it."""
    try:
        import onnxruntime  # noqa: PLC0415  an extra, slow to import
    except ImportError as error:
        raise DependencyError("onnxruntime", "onnx", "--backend onnx") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    try:
        session = onnxruntime.InferenceSession(
            graph if isinstance(graph, bytes) else str(graph), options, providers=[CPU]
        )
    except Exception as error:
        raise WeightsError(
            f"{name}: onnxruntime cannot read the exported graph: {error}"
        ) from error
    run: Callable[[list[str], dict[str, Any]], list[Any]] = session.run
    return run
