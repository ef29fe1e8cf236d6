"""Losses of the classification objective against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from dawnchorus.models.eat import EAT, EATConfig
from dawnchorus.objectives.classify import (
    ClassifyObjective,
    ClassifyTargets,
    ClassifyWeights,
    band_statistics,
    draw_patches,
)


@pytest.fixture(scope="module")
def objective() -> ClassifyObjective:
    torch.manual_seed(0)
    config = EATConfig(
        dim=64,
        n_layers=1,
        n_heads=1,
        n_classes=3,
        padded_frames=None,
        stored_positions=False,
        head_pooling="valid",
    )
    weights = ClassifyWeights(
        labels=2.0, teacher_embedding=0.5, teacher_logits=3.0, band_statistics=0.25
    )
    return ClassifyObjective(
        EAT(config), weights=weights, n_further=2, teacher_dim=6, teacher_classes=4
    )


def targets(has_teacher: list[bool]) -> ClassifyTargets:
    generator = torch.Generator().manual_seed(1)
    return ClassifyTargets(
        labels=torch.tensor([[1, 0, 0, 1, 0], [0, 1, 1, 0, 0.0]]),
        teacher_embedding=torch.randn(2, 6, generator=generator),
        teacher_logits=torch.randn(2, 4, generator=generator),
        has_teacher=torch.tensor(has_teacher),
    )


def test_each_part_is_its_formula_and_the_loss_their_weighted_sum(
    objective: ClassifyObjective,
) -> None:
    waveforms = torch.randn(2, 8000) * 0.1
    output = objective(waveforms, torch.tensor([8000, 5000]))
    wanted = targets([True, False])
    losses = objective.losses(output, wanted)
    assert objective.to_embedding is not None
    assert objective.to_logits is not None
    labels = functional.binary_cross_entropy_with_logits(output.logits, wanted.labels)
    embedding = (objective.to_embedding(output.pooled[:1]) - wanted.teacher_embedding[:1]).square()
    soft = wanted.teacher_logits[:1].sigmoid()
    guess = objective.to_logits(output.pooled[:1]).sigmoid()
    logits = -(soft * guess.log() + (1 - soft) * (1 - guess).log()).mean()
    assert losses["labels"].item() == pytest.approx(labels.item(), rel=1e-5)
    assert losses["teacher_embedding"].item() == pytest.approx(embedding.mean().item(), rel=1e-5)
    assert losses["teacher_logits"].item() == pytest.approx(logits.item(), rel=1e-5)
    total = 2 * labels + 0.5 * embedding.mean() + 3 * logits + 0.25 * losses["band_statistics"]
    assert losses["loss"].item() == pytest.approx(total.item(), rel=1e-5)


def test_without_a_teacher_the_other_parts_stay(objective: ClassifyObjective) -> None:
    output = objective(torch.randn(2, 8000), torch.tensor([8000, 8000]))
    losses = objective.losses(output, targets([False, False]))
    assert set(losses) == {"loss", "labels", "band_statistics"}


def test_every_head_learns_from_the_loss(objective: ClassifyObjective) -> None:
    output = objective(torch.randn(2, 8000), torch.tensor([8000, 8000]))
    objective.losses(output, targets([True, True]))["loss"].backward()
    still = [name for name, p in objective.named_parameters() if p.grad is None]
    assert still == ["model.cls_token"] or not still
    objective.zero_grad(set_to_none=True)


def test_band_statistics_leave_padding_out() -> None:
    features = torch.randn(2, 20, 128)
    padded = features.clone()
    padded[1, 12:] = 7.0
    found = band_statistics(padded, torch.tensor([20, 12]))
    assert torch.allclose(found[0, :128], features[0].mean(0), atol=1e-6)
    assert torch.allclose(found[1, :128], features[1, :12].mean(0), atol=1e-6)
    assert torch.allclose(found[1, 128:], features[1, :12].std(0, unbiased=False), atol=1e-5)


def test_kept_patches_hold_sound_first_and_are_a_random_choice() -> None:
    rng = np.random.default_rng(0)
    kept = draw_patches(torch.tensor([64, 16]), 4, 0.5, rng)
    assert kept.shape == (2, 16)
    assert set(range(8)) <= set(kept[1].tolist())  # the one step that holds sound
    assert all((row.diff() > 0).all() for row in kept)
    again = draw_patches(torch.tensor([64, 16]), 4, 0.5, rng)
    assert not torch.equal(kept[0], again[0])
