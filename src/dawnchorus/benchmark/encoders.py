"""What a plan compares: an encoder of any origin, or a table of vectors made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from dawnchorus.audio.frontend import FRAME_HOP_SAMPLES, FRAME_SAMPLES, N_BANDS, log_mel
from dawnchorus.benchmark.external import Table, read_vectors
from dawnchorus.configs.readout import MEAN_OF_OUTPUT, Readout
from dawnchorus.engine.encoding.model import model_identity
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.models.encoder import EncoderOutput, readout_for
from dawnchorus.models.load import load_model
from dawnchorus.nn.seeding import seeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from dawnchorus.models.encoder import Encoder

RANDOM: Final = "random:"
TABLE: Final = "table:"
LOG_MEL: Final = "log-mel"
SEED: Final = 0  # of untrained twins


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """One of the models compared.

    Attributes:
        name: as tables show it; no two of a plan have the same.
        weights_sha256: of the weights file, of the tensors, or of the table's file.
        preprocessing: all else that decides what comes out for a clip.
        source: what gives vectors.
        readout: what the model itself makes its embedding of.
    """

    name: str
    weights_sha256: str
    preprocessing: dict[str, Any]
    source: Encoder | Table
    readout: Readout = MEAN_OF_OUTPUT
    device: str = field(default="cpu")


def split_name(spec: str) -> tuple[str | None, str]:
    """``NAME=MODEL`` to both, ``MODEL`` to ``(None, MODEL)``."""
    name, found, rest = spec.partition("=")
    return (name, rest) if found and name and "/" not in name else (None, spec)


def open_entrant(spec: str, device: str = "auto") -> Entrant:
    """Open a model of a plan.

    Args:
        spec: what `load_model` takes, ``random:MODEL`` for the same network untrained, ``log-mel``,
            or ``table:FILE`` with vectors from elsewhere; ``NAME=`` in front names it.
        device: for encoders.

    Raises:
        UsageError: There is no such model, or it has no untrained twin.
        WeightsError: Its weights do not fit.
    """
    with seeded(SEED):  # loading draws numbers too, and another thread may be making a twin
        return _open(spec, device)


def _open(spec: str, device: str) -> Entrant:
    name, what = split_name(spec)
    if what.startswith(TABLE):
        table = read_vectors(Path(what.removeprefix(TABLE)))
        return Entrant(
            name=name or table.path.stem,
            weights_sha256=table.sha256,
            preprocessing={"kind": "table"},
            source=table,
        )
    if what == LOG_MEL:
        return _of_encoder(LogMel(), name)
    if what.startswith(RANDOM):
        return _of_encoder(_untrained(what.removeprefix(RANDOM), device), name)
    return _of_encoder(load_model(what, device=device), name)


def _of_encoder(encoder: Encoder, name: str | None) -> Entrant:
    identity = model_identity(encoder)
    own = encoder.config if isinstance(encoder, EAT) else None
    return Entrant(
        name=name or encoder.name,
        weights_sha256=identity.weights_sha256 or f"plugin-{encoder.name}",
        preprocessing={
            "kind": type(encoder).__name__,
            "sample_rate": encoder.sample_rate,
            "window_s": encoder.window_s,
            "precision": identity.precision,
            "config": None if own is None else own.model_dump(mode="json"),
        },
        source=encoder,
        readout=readout_for(encoder),
        device=identity.device,
    )


def _untrained(model: str, device: str) -> EAT:
    """The same network with the weights it starts from."""
    trained = load_model(model, device=device)
    if not isinstance(trained, EAT):
        raise UsageError(f"random:{model}: only networks of this package can be made untrained")
    with seeded(SEED):
        twin = EAT(trained.config, name=f"random {trained.name}")
    return twin.to(trained.cls_token.device).eval()


class LogMel:
    """The baseline that any encoder has to beat: mean and deviation of each band over a clip.

    An encoder of one token, 256 wide, so that every pooling of it is the same.
    """

    name = LOG_MEL
    sample_rate = 16_000
    window_s = 10.0
    dim = 2 * N_BANDS
    n_layers = 0
    labels: Sequence[str] | None = None
    weights_sha256 = "log-mel-1"  # known by what it does; a change of that needs another number

    def __init__(self) -> None:
        """Has no weights; its identity lies where the loader notes that of others."""
        self.weights_sha256 = LogMel.weights_sha256

    def encode(
        self,
        waveforms: Tensor,
        lengths: Tensor | None = None,
        layers: Sequence[int | str] | None = None,
    ) -> EncoderOutput:
        """``(batch, samples)`` to one token each; see `Encoder`.

        Raises:
            UsageError: A layer is asked for.
        """
        if layers:
            raise UsageError(f"log-mel has no layers, {list(layers)} were asked for; use output")
        if lengths is None:
            lengths = torch.full((len(waveforms),), waveforms.shape[1])
        frames = 1 + (lengths - FRAME_SAMPLES) // FRAME_HOP_SAMPLES
        energies = log_mel(waveforms, lengths)
        held = [one[:n] for one, n in zip(energies, frames.tolist(), strict=True)]
        tokens = torch.stack([torch.cat([x.mean(0), x.std(0, unbiased=False)]) for x in held])
        seconds = waveforms.shape[1] / self.sample_rate
        return EncoderOutput(
            tokens=tokens[:, None],
            time_span_s=torch.tensor([[0.0, seconds]]),
            band_span=torch.tensor([[0, N_BANDS]]),
            has_signal=torch.ones(len(tokens), 1, dtype=torch.bool),
            n_cls=0,
        )
