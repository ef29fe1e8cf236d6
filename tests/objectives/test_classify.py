"""Losses of the classification objective against their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from dawnchorus.audio.augment import blank_stripes, draw_stripes
from dawnchorus.configs import DataConfig, PosttrainConfig, SpecAugmentConfig
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.nn.blocks import Block
from dawnchorus.objectives.classify import (
    ClassifyObjective,
    ClassifyWeights,
    band_statistics,
    draw_branches,
    draw_choices,
    draw_patches,
)
from dawnchorus.training.optimizer import make_optimizer, set_rate


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


def test_only_heads_are_trained_first_then_everything(objective: ClassifyObjective) -> None:
    objective.train_heads()
    trained = {name for name, p in objective.named_parameters() if p.requires_grad}
    heads = ("model.head.", "further.", "to_embedding.", "to_logits.", "to_bands.")
    assert trained == {n for n, _ in objective.named_parameters() if n.startswith(heads)}
    objective.train_everything()
    assert all(p.requires_grad for p in objective.parameters())


def test_the_rate_falls_from_layer_to_layer() -> None:
    config = EATConfig(dim=64, n_layers=3, n_heads=1, n_classes=2, padded_frames=None)
    deep = ClassifyObjective(EAT(config), weights=ClassifyWeights(), n_further=1)
    scales = {
        "model.head.linear.weight": 1.0,
        "further.bias": 1.0,
        "model.blocks.2.mlp.fc1.weight": 0.5,
        "model.blocks.1.attn.qkv.bias": 0.25,
        "model.blocks.0.norm1.weight": 0.125,
        "model.patch_embed.proj.weight": 0.0625,
        "model.cls_token": 0.0625,
        "model.pre_norm.weight": 0.0625,
    }
    names = {name for name, _ in deep.named_parameters()}
    assert scales.keys() <= names
    assert {name: deep.layer_scale(name, 0.5) for name in scales} == scales
    train = PosttrainConfig(name="x", steps=1, learning_rate=0.1, data=DataConfig(root="."))
    optimizer = make_optimizer(deep, train, lambda name: deep.layer_scale(name, 0.5))
    set_rate(optimizer, 0.1)
    by_id = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    for name, parameter in deep.named_parameters():
        assert by_id[id(parameter)] == pytest.approx(0.1 * deep.layer_scale(name, 0.5)), name


def test_smoothed_labels_lie_between_a_half_and_what_they_were(
    objective: ClassifyObjective,
) -> None:
    smooth = ClassifyObjective(objective.model, weights=ClassifyWeights(label_smoothing=0.2))
    waveforms, lengths = torch.randn(2, 8000) * 0.1, torch.tensor([8000, 8000])
    losses = smooth(waveforms, lengths, LABELS[:, :3])
    wanted = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.9, 0.9]])
    expected = functional.binary_cross_entropy_with_logits(losses["logits"], wanted)
    assert losses["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_what_is_left_to_chance_is_each_clips_own_affair() -> None:
    config = EATConfig(
        dim=64, n_layers=4, n_heads=1, n_classes=2, padded_frames=None, head_pooling="valid",
        drop_path=0.5, stored_positions=False,
    )  # fmt: skip
    model = EAT(config)
    augment = SpecAugmentConfig(n_time_masks=1, n_band_masks=1)

    def draw(rows: range) -> dict[str, Any]:
        rngs = [np.random.default_rng([3, row]) for row in rows]
        lengths = torch.full((len(rows),), 8000)
        return draw_choices(model, lengths, 8000, rngs, patch_keep=0.5, augment=augment)

    whole, part = draw(range(6)), draw(range(2, 4))
    assert torch.equal(whole["patches"][2:4], part["patches"])
    assert torch.equal(whole["branches"][..., 2:4], part["branches"])
    assert all(torch.equal(w[2:4], p) for w, p in zip(whole["blanks"], part["blanks"], strict=True))
    many = draw_branches(model, [np.random.default_rng(row) for row in range(2000)])
    rates = [0.0, 0.5 / 3, 1 / 3, 0.5]
    assert (many > 0).float().mean(dim=(1, 2)).tolist() == pytest.approx(
        [1 - rate for rate in rates], abs=0.02
    )
    assert many.mean(dim=(1, 2)).tolist() == pytest.approx([1.0] * 4, abs=0.04)


def test_a_dropped_branch_is_left_out_of_its_clip_alone() -> None:
    torch.manual_seed(0)
    block = Block(8, 1, 2.0)
    tokens = torch.randn(3, 4, 8)
    plain = block(tokens)
    branches = torch.tensor([[1.0, 0.0, 1.0], [1.0, 0.0, 2.0]])
    dropped = block(tokens, None, branches)
    assert torch.allclose(dropped[0], plain[0], atol=1e-6)
    assert torch.allclose(dropped[1], block.norm2(block.norm1(tokens[1])), atol=1e-6)
    attended = block.norm1(tokens[2:] + block.attn(tokens[2:]))
    assert torch.allclose(dropped[2:], block.norm2(attended + 2 * block.mlp(attended)), atol=1e-6)
