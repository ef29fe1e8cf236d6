"""No loss asks a device for a number: on torch's meta device, which has none, all of them run."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch

from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.nn.decoder import Decoder
from dawnchorus.objectives.classify import ClassifyObjective, ClassifyWeights
from dawnchorus.objectives.eat import EATObjective, EATOptions
from dawnchorus.training.optimizer import gradient_norm

N = 16_000


@pytest.fixture(autouse=True)
def _no_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # not of that device


def model(**options: Any) -> EAT:
    shape = EATConfig(
        dim=64, n_layers=2, n_heads=1, window_s=1.0, padded_frames=None, stored_positions=False,
        **options,
    )  # fmt: skip
    return EAT(shape, labels=["a", "b"] if options else None)


def test_a_step_of_pretraining_asks_for_no_number() -> None:
    objective = EATObjective(
        model(), Decoder(64, n_layers=2, kernel=3, width=64, n_groups=16), EATOptions(n_clones=2),
        seed=0,
    ).to("meta")  # fmt: skip
    lengths = torch.tensor([N, 5000], device="meta")
    losses = objective(torch.zeros(2, N, device="meta"), lengths, step=3)
    losses["loss"].backward()
    assert gradient_norm(objective, 1.0).device.type == "meta"
    assert {value.device.type for value in losses.values()} == {"meta"}


def test_a_step_of_post_training_asks_for_no_number() -> None:
    weights = ClassifyWeights(band_statistics=0.1)
    objective = ClassifyObjective(
        model(n_classes=2, head_pooling="valid"), weights=weights
    ).to("meta")  # fmt: skip
    targets = torch.zeros(2, 2, device="meta")
    losses = objective(torch.zeros(2, N, device="meta"), torch.tensor([N, 5000]), targets)
    losses["loss"].backward()
    assert gradient_norm(objective, 1.0).device.type == "meta"
