"""8 bits: what an input and a weight become, and that no processor overflows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dawnchorus.models.backends.calibrate import block_linears, input_ranges, rounding_errors
from dawnchorus.models.backends.rounding import (
    LARGEST_INPUT,
    LARGEST_WEIGHT,
    InputRange,
    rounded_product,
    rounded_weight,
)
from dawnchorus.models.eat import EAT

ENDS = st.floats(min_value=-1e4, max_value=1e4, width=32)


@given(ENDS, ENDS)
def test_a_range_holds_its_ends_and_0_within_half_a_step(one: float, other: float) -> None:
    seen = InputRange(min(one, other), max(one, other))
    assert 0 <= seen.zero <= LARGEST_INPUT
    for value in (seen.low, seen.high, 0.0):
        whole = np.clip(np.rint(value / seen.step) + seen.zero, 0, LARGEST_INPUT)
        # the zero itself is rounded, so an end may be off by a whole step
        assert abs((whole - seen.zero) * seen.step - value) <= 1.001 * seen.step
    assert (np.clip(seen.zero, 0, LARGEST_INPUT) - seen.zero) * seen.step == 0.0


def test_two_products_fit_into_the_16_bits_of_a_processor_without_vnni() -> None:
    assert np.iinfo(np.int16).max >= 2 * LARGEST_INPUT * LARGEST_WEIGHT


def test_a_weight_is_off_by_half_a_step_of_its_own_row() -> None:
    weight = torch.randn(5, 40, generator=torch.Generator().manual_seed(1))
    weight[2] *= 1000  # must not coarsen the others
    weight[4] = 0
    whole, step = rounded_weight(weight)
    assert whole.dtype == torch.int8
    assert int(whole.abs().max()) == LARGEST_WEIGHT
    assert torch.equal(whole[4], torch.zeros(40, dtype=torch.int8))
    error = (whole * step[:, None] - weight).abs().amax(dim=1)
    assert bool((error <= 0.5001 * step).all())
    assert float(step[0]) == pytest.approx(float(weight[0].abs().max()) / LARGEST_WEIGHT)


def test_a_product_is_that_of_whole_numbers() -> None:
    """Held against integers, as a processor multiplies them."""
    generator = torch.Generator().manual_seed(2)
    linear = nn.Linear(30, 4)
    values = torch.randn(6, 30, generator=generator)
    seen = InputRange(-2.0, 2.5)
    whole, step = rounded_weight(linear.weight)
    inputs = np.clip(np.rint(values.numpy() / seen.step) + seen.zero, 0, 255).astype(np.int64)
    sums = (inputs - seen.zero) @ whole.numpy().astype(np.int64).T
    expected = sums * (seen.step * step.numpy()) + linear.bias.detach().numpy()
    found = rounded_product(values, linear, seen).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_ranges_are_those_of_all_batches(tiny_encoder: EAT) -> None:
    generator = torch.Generator().manual_seed(3)
    batches = [torch.randn(2, 16_000, generator=generator) * level for level in (0.01, 0.5)]
    ranges = input_ranges(tiny_encoder, batches)
    assert list(ranges) == [name for name, _ in block_linears(tiny_encoder)]
    with torch.inference_mode():
        first = [
            tiny_encoder.with_cls(tiny_encoder.patch_tokens(tiny_encoder.features(batch)[0]))
            for batch in batches
        ]
    seen = ranges["blocks.0.attn.qkv"]
    assert seen.low == pytest.approx(min(float(tokens.min()) for tokens in first), abs=1e-6)
    assert seen.high == pytest.approx(max(float(tokens.max()) for tokens in first), abs=1e-6)


def test_the_layer_that_bears_8_bits_worst_is_known(tiny_encoder: EAT) -> None:
    batch = torch.randn(2, 16_000, generator=torch.Generator().manual_seed(4)) * 0.1
    ranges = input_ranges(tiny_encoder, [batch])
    clean = rounding_errors(tiny_encoder, ranges, batch)
    assert 0 < max(clean.values()) < 0.05
    bad = "blocks.1.mlp.fc1"
    low, high = ranges[bad]
    errors = rounding_errors(tiny_encoder, ranges | {bad: InputRange(50 * low, 50 * high)}, batch)
    assert max(errors, key=errors.__getitem__) == bad
    assert errors[bad] > 5 * clean[bad]
