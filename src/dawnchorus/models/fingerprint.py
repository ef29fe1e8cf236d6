"""A few output values for a fixed signal: two sets of weights that differ give other values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from dawnchorus.errors import WeightsError
from dawnchorus.models.card import Fingerprint

if TYPE_CHECKING:
    from dawnchorus.models.encoder import Encoder

SECONDS: Final = 2.0
N_VALUES: Final = 16


def fixed_signal(sample_rate: int) -> torch.Tensor:
    """``(1, samples)``: a rising chirp, a pulsed tone and seeded noise, the same on any machine."""
    time = np.arange(round(SECONDS * sample_rate)) / sample_rate
    chirp = 0.3 * np.sin(2 * np.pi * (200 * time + 1500 * time**2))
    pulses = 0.2 * np.sin(2 * np.pi * 1000 * time) * (np.sin(2 * np.pi * 4 * time) > 0)
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(time))
    return torch.from_numpy((chirp + pulses + noise).astype(np.float32))[None]


def fingerprint(encoder: Encoder) -> Fingerprint:
    """Mean embedding of the test signal, then logits, each at evenly spaced indices."""
    with torch.inference_mode():
        out = encoder.encode(fixed_signal(encoder.sample_rate))
    values = _spaced(out.pool("mean")[0])
    if out.logits is not None:
        values += _spaced(out.logits[0])
    return Fingerprint(values=tuple(round(value, 5) for value in values))


def _spaced(values: torch.Tensor) -> list[float]:
    # spread over all channels or classes: weights that differ in one block differ somewhere here
    chosen = np.linspace(0, len(values) - 1, min(N_VALUES, len(values))).round().astype(int)
    return [float(values[index]) for index in chosen]


def largest_difference(encoder: Encoder, known: Fingerprint) -> float:
    """How far an encoder is from a known fingerprint, at its worst value.

    Raises:
        WeightsError: The number of values differs, so it is another kind of model.
    """
    values = fingerprint(encoder).values
    if len(values) != len(known.values):
        raise WeightsError(
            f"{encoder.name}: the fingerprint has {len(values)} values, the card "
            f"{len(known.values)}"
        )
    return max(abs(a - b) for a, b in zip(values, known.values, strict=True))


def check(encoder: Encoder, known: Fingerprint) -> float:
    """`largest_difference`, when it is within the card's tolerance.

    Raises:
        WeightsError: It is not.
    """
    difference = largest_difference(encoder, known)
    if not difference <= known.atol:  # this way round, NaN is refused too
        raise WeightsError(
            f"{encoder.name}: computes other values than its card says, off by {difference:.2g} "
            f"(tolerance {known.atol:.2g}); the weights are not the ones described"
        )
    return difference
