"""What a plan compares: an encoder of any origin, or a table of vectors made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnchorus.benchmark.log_mel import LOG_MEL, LogMel
from dawnchorus.benchmark.vector_table import VectorTable, read_vectors
from dawnchorus.configs.readout import MEAN_OF_OUTPUT
from dawnchorus.engine.encoding.model import model_identity
from dawnchorus.errors import UsageError
from dawnchorus.models.encoder import Retrainable, readout_for
from dawnchorus.models.load import load_model
from dawnchorus.nn.seeding import seeded

if TYPE_CHECKING:
    from dawnchorus.configs import Readout
    from dawnchorus.models.encoder import Encoder

RANDOM: Final = "random:"
TABLE: Final = "table:"
SEED: Final = 0  # of untrained twins


@dataclass(frozen=True, slots=True, kw_only=True)
class Competitor:
    """One of the models compared.

    Attributes:
        name: as tables show it; no two of a plan have the same.
        weights_sha256: of the weights file, of the tensors, or of the table's file.
        source: what gives vectors.
        readout: what makes the model's own embedding, complete.
        precision: that the encoder computes in.
    """

    name: str
    weights_sha256: str
    source: Encoder | VectorTable
    readout: Readout = MEAN_OF_OUTPUT
    precision: str = "float32"


def split_name(spec: str) -> tuple[str | None, str]:
    """``NAME=MODEL`` to both, ``MODEL`` to ``(None, MODEL)``."""
    name, found, rest = spec.partition("=")
    return (name, rest) if found and name and "/" not in name else (None, spec)


def open_competitor(spec: str, device: str = "auto") -> Competitor:
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


def _open(spec: str, device: str) -> Competitor:
    name, what = split_name(spec)
    if what.startswith(TABLE):
        table = read_vectors(Path(what.removeprefix(TABLE)))
        return Competitor(name=name or table.path.stem, weights_sha256=table.sha256, source=table)
    if what == LOG_MEL:
        return _of_encoder(LogMel(), name)
    if what.startswith(RANDOM):
        return _of_encoder(_untrained(what.removeprefix(RANDOM), device), name)
    return _of_encoder(load_model(what, device=device), name)


def _of_encoder(encoder: Encoder, name: str | None) -> Competitor:
    identity = model_identity(encoder)
    return Competitor(
        name=name or encoder.name,
        # a foreign encoder that names no weights is known by its name alone
        weights_sha256=identity.weights_sha256 or f"plugin-{encoder.name}",
        source=encoder,
        readout=readout_for(encoder),
        precision=identity.precision,
    )


def _untrained(model: str, device: str) -> Encoder:
    """The same network with the weights it starts from."""
    trained = load_model(model, device=device)
    if not isinstance(trained, Retrainable):
        raise UsageError(f"random:{model}: this encoder cannot be made untrained")
    with seeded(SEED):
        return trained.untrained()
