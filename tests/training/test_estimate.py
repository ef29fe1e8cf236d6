"""A dry run says what a run takes and refuses what cannot fit, before anything is started."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dawnchorus.configs import PretrainConfig
from dawnchorus.errors import UsageError
from dawnchorus.training.estimate import check_fits, memory_of, saved_bytes
from dawnchorus.training.trainable import Trainable

OF_A_RUN = {"weights": 40, "gradients": 40, "moments": 80, "decoded sounds": 100}


def config(**changes: object) -> PretrainConfig:
    buckets = ({"crop_s": 1.0, "batch_size": 8},)
    values = {"name": "dry", "steps": 1, "learning_rate": 0.1, "data": {"root": "."}}
    return PretrainConfig(**values, buckets=buckets, **changes)


def test_a_run_that_fits_to_the_megabyte_is_not_refused() -> None:
    check_fits({**OF_A_RUN, "activations": 40, "free in the machine": 300}, config())


@pytest.mark.parametrize(
    ("changes", "free", "message"),
    [
        ({}, {"free in the machine": 259}, "some 260 MB in memory .*moments 80.*259 MB are free"),
        ({"devices": 2}, {"free in the machine": 519}, "520 MB .*for each of 2 processes"),
        (
            {},
            {"free in the machine": 100, "free on the GPU": 159},
            "some 160 MB on the GPU .*weights 40",
        ),
        ({}, {"free in the machine": 99, "free on the GPU": 999}, "100 MB in memory .decoded"),
    ],
)
def test_a_run_that_takes_more_than_is_free_is_refused_with_its_numbers(
    changes: dict[str, object], free: dict[str, int], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_fits({**OF_A_RUN, **free}, config(**changes))


def test_what_is_measured_counts_too() -> None:
    measured = {**OF_A_RUN, "activations": 41, "free in the machine": 300}
    with pytest.raises(UsageError, match=r"some 301 MB .*activations 41"):
        check_fits(measured, config())


def test_sizes_need_no_memory() -> None:
    with torch.device("meta"):
        huge = nn.Linear(200_000, 200_000, bias=False)  # 160 GB
    together = memory_of(huge, config())["together"]
    assert together == pytest.approx(4 * 200_000**2 * 4 / 2**20, abs=4)  # each part is rounded


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_autograd_keeps_is_counted_and_parameters_are_not(precision: str) -> None:
    layers = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64))
    trainable: Trainable[torch.Tensor] = Trainable(
        module=layers,
        draw=lambda _step, _part, _n_parts: torch.zeros(0),
        losses=lambda module, batch: {"loss": module(batch).square().mean()},
        describe=lambda _batch: [],
        size=len,
        validate=dict,
    )
    size = 4 if precision == "float32" else 2
    state = torch.get_rng_state()
    few, many = (
        saved_bytes(trainable, torch.ones(rows, 64), config(precision=precision))
        for rows in (10, 1000)
    )
    assert torch.equal(state, torch.get_rng_state())
    # input, both sides of the GELU, output: each row as in the row before, weights in neither
    assert many - few >= 990 * (64 + 256 + 256) * size
    assert many - few <= 990 * (64 + 256 + 256 + 64 + 64) * 4
