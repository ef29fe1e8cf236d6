"""Losses of the classification objective against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from dawnchorus.audio.augment import blank_stripes, draw_stripes
from dawnchorus.configs import SpecAugmentConfig
from dawnchorus.models.eat import EAT, EATConfig
from dawnchorus.objectives.classify import (
    ClassifyObjective,
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


LABELS = torch.tensor([[1, 0, 0, 1, 0], [0, 1, 1, 0, 0.0]])


def teacher(there: list[bool]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "embedding": torch.randn(2, 6, generator=generator),
        "logits": torch.randn(2, 4, generator=generator),
        "there": torch.tensor(there),
    }


def test_each_part_is_its_formula_and_the_loss_their_weighted_sum(
    objective: ClassifyObjective,
) -> None:
    waveforms, lengths = torch.randn(2, 8000) * 0.1, torch.tensor([8000, 5000])
    soft = teacher([True, False])
    losses = objective(waveforms, lengths, LABELS, teacher=soft)
    assert objective.to_embedding is not None
    assert objective.to_logits is not None
    pooled = objective.model.encode(waveforms, lengths).pool("valid")
    labels = functional.binary_cross_entropy_with_logits(losses["logits"], LABELS)
    embedding = (objective.to_embedding(pooled[0]) - soft["embedding"][0]).square().mean() / 2
    wanted = soft["logits"][0].sigmoid()
    guess = objective.to_logits(pooled[0]).sigmoid()
    logits = -(wanted * guess.log() + (1 - wanted) * (1 - guess).log()).mean() / 2
    assert losses["labels"].item() == pytest.approx(labels.item(), rel=1e-5)
    assert losses["teacher_embedding"].item() == pytest.approx(embedding.item(), rel=1e-5)
    assert losses["teacher_logits"].item() == pytest.approx(logits.item(), rel=1e-5)
    total = 2 * labels + 0.5 * embedding + 3 * logits + 0.25 * losses["band_statistics"]
    assert losses["loss"].item() == pytest.approx(total.item(), rel=1e-5)


def test_the_mean_over_parts_is_that_of_the_whole_batch(objective: ClassifyObjective) -> None:
    waveforms, lengths = torch.randn(2, 8000) * 0.1, torch.tensor([8000, 5000])
    soft = teacher([True, False])
    whole = objective(waveforms, lengths, LABELS, teacher=soft)
    parts = [
        objective(waveforms[i], lengths[i], LABELS[i], teacher={k: v[i] for k, v in soft.items()})
        for i in (slice(0, 1), slice(1, 2))
    ]
    for name in whole.keys() - {"logits"}:
        mean = (parts[0][name] + parts[1][name]) / 2
        assert whole[name].item() == pytest.approx(mean.item(), rel=1e-5), name


def test_without_a_teacher_the_other_parts_stay(objective: ClassifyObjective) -> None:
    losses = objective(torch.randn(2, 8000), torch.tensor([8000, 8000]), LABELS)
    assert set(losses) == {"loss", "labels", "band_statistics", "logits"}


def test_every_head_learns_from_the_loss_also_without_a_clip_that_the_teacher_knows(
    objective: ClassifyObjective,
) -> None:
    # several processes wait for every gradient of each other
    soft = teacher([False, False])
    losses = objective(torch.randn(2, 8000), torch.tensor([8000, 8000]), LABELS, teacher=soft)
    losses["loss"].backward()
    assert [name for name, p in objective.named_parameters() if p.grad is None] == []
    objective.zero_grad(set_to_none=True)


def test_band_statistics_leave_padding_out() -> None:
    features = torch.randn(2, 20, 128)
    padded = features.clone()
    padded[1, 12:] = 7.0
    found = band_statistics(padded, torch.tensor([20, 12]))
    assert torch.allclose(found[0, :128], features[0].mean(0), atol=1e-6)
    assert torch.allclose(found[1, :128], features[1, :12].mean(0), atol=1e-6)
    assert torch.allclose(found[1, 128:], features[1, :12].std(0, unbiased=False), atol=1e-5)


def test_kept_patches_hold_sound_first_and_each_clip_has_its_own() -> None:
    def rngs() -> list[np.random.Generator]:
        return [np.random.default_rng([0, row]) for row in range(3)]

    kept = draw_patches([64, 16, 64], 4, 0.5, rngs())
    assert kept.shape == (3, 16)
    assert set(range(8)) <= set(kept[1].tolist())  # the one step that holds sound
    assert all((row.diff() > 0).all() for row in kept)
    assert not torch.equal(kept[0], kept[2])
    assert torch.equal(kept[1:], draw_patches([16, 64], 4, 0.5, rngs()[1:]))


def test_stripes_lie_in_the_sound_and_are_as_narrow_as_asked() -> None:
    config = SpecAugmentConfig(n_time_masks=2, time_share=0.2, n_band_masks=1, band_share=0.1)
    rngs = [np.random.default_rng([7, row]) for row in range(200)]
    frames, bands = draw_stripes([100, 40] * 100, (112, 128), config, rngs)
    assert not frames[1::2, 40:].any()
    assert not frames[0::2, 100:].any()
    assert int(frames[0::2].sum(1).max()) <= 40
    assert int(frames[1::2].sum(1).max()) <= 16
    assert 0 < int(bands.sum(1).max()) <= 12
    blank = blank_stripes(torch.ones(200, 112, 128), frames, bands)
    assert torch.equal(blank == 0, frames[:, :, None] | bands[:, None])
