"""Random draws that depend only on seed, step and row, not on what was drawn before.

A generator's numbers depend on the device, on the order of calls and on how a batch was divided
among processes. Here every number is a hash of its address, in integer arithmetic that wraps the
same way on every device, so any process can draw any row of any step.
Source: splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

_GAMMA: Final = 0x9E3779B97F4A7C15 - (1 << 64)  # odd, from the golden ratio; int64 wraps around
_FIRST: Final = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND: Final = 0x94D049BB133111EB - (1 << 64)


def row_keys(seed: int, step: int, stream: int, rows: Tensor) -> Tensor:
    """A key for each row of a step, ``rows``' shape, int64.

    Args:
        seed: of the run.
        step: of the run.
        stream: what the draws are for; different uses must not share one.
        rows: numbers of the rows in the whole batch, int64, on the device of the draws.
    """
    # mixed between the parts: a sum alone would give (step 1, row 2) the key of (step 2, row 1)
    keys = torch.full_like(rows, seed)
    for part in (step, stream, rows):
        keys = _mix(_mix(keys) + part)
    return keys


def bits(keys: Tensor, count: int) -> Tensor:
    """Draw ``count`` random int64 for each key, of all 64 bits: ``(*keys.shape, count)``."""
    counter = torch.arange(1, count + 1, device=keys.device) * _GAMMA
    return _mix(keys[..., None] + counter)


def below(keys: Tensor, count: int, bound: int) -> Tensor:
    """Draw ``count`` integers from 0 to ``bound - 1`` for each key."""
    # 63 bits, so the remainder is biased by less than bound / 2**63
    return _shifted(bits(keys, count), 1) % bound


def normal(keys: Tensor, count: int) -> Tensor:
    """Draw ``count`` standard normal float32 for each key (Box and Muller, two of each hash)."""
    drawn = bits(keys, -(-count // 2))
    scale = 2.0**-24  # float32 holds 24 bits exactly
    first = (_shifted(drawn, 40).float() + 0.5) * scale  # in (0, 1): the logarithm needs it
    second = (_shifted(drawn, 8) & 0xFFFFFF).float() * scale
    radius = (-2 * first.log()).sqrt()
    # both numbers of a pair come from one hash: 24 bits from its top, 24 from further down
    angle = 2 * math.pi * second
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=-1)[..., :count]


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, places: int) -> Tensor:
    """Shift right with zeros from the left; torch's own shift repeats the sign."""
    return (x >> places) & ((1 << (64 - places)) - 1)
